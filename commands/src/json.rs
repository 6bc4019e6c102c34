//! Texts of JSON (RFC 8259), which commands with `--json` write.

use alloc::format;
use alloc::string::String;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_keeps_for_itself_is_escaped() {
        assert_eq!(string("a\"b\\c\n\u{1f}ä"), r#""a\"b\\c\u000a\u001fä""#);
    }
}
