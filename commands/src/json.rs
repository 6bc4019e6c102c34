//! Texts of JSON (RFC 8259), which commands with `--json` write.

use alloc::format;
use alloc::string::String;
use core::fmt::{Display, Write as _};

use crate::usage::Choice;

/// The option of commands that write for programs.
pub const OPTION: Choice =
    Choice { letter: '\0', long: "json", value: None, help: "Write one JSON text, for programs." };

/// A string, in its quotation marks.
pub fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\u{0}'..' ' => quoted.extend(format!("\\u{:04x}", u32::from(character)).chars()),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// An array of values, each a text of JSON.
pub fn array(values: impl IntoIterator<Item = String>) -> String {
    let mut text = String::from('[');
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text += &value;
    }
    text + "]"
}

/// An object in the making; its members come in the order in which they are added.
#[derive(Default)]
pub struct Object {
    members: String,
}

impl Object {
    /// Without members.
    pub fn new() -> Object {
        Object::default()
    }

    /// Adds a member whose value is a text of JSON.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Display) -> Object {
        let comma = if self.members.is_empty() { "" } else { "," };
        // A string takes whatever is written to it.
        let _ = write!(self.members, "{comma}{}:{value}", string(name));
        self
    }

    /// Adds a string.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Object {
        self.member(name, string(value))
    }

    /// Adds a whole number.
    #[must_use]
    pub fn number(self, name: &str, value: impl Into<i128>) -> Object {
        self.member(name, value.into())
    }

    /// The object's text.
    pub fn end(self) -> String {
        format!("{{{}}}", self.members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_keeps_for_itself_is_escaped() {
        assert_eq!(string("a\"b\\c\n\u{1f}ä"), r#""a\"b\\c\u000a\u001fä""#);
    }

    #[test]
    fn objects_and_arrays_have_their_commas() {
        assert_eq!(Object::new().end(), "{}");
        let object = Object::new().text("a", "x").number("b", -1_i64).member("c", array([]));
        assert_eq!(array(["1".into(), object.end()]), r#"[1,{"a":"x","b":-1,"c":[]}]"#);
    }
}
