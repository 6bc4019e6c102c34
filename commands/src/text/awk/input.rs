//! Records of files, and their fields.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Error;
use v::io::BufRead;

use super::value::Value;
use crate::text::pattern::Pattern;

/// How a text is divided: into fields, or by `split`.
pub enum Separator<'a> {
    /// At blanks in any number, those at both ends left out.
    Blanks,
    /// At each of this byte; and at newlines, where records are paragraphs.
    Byte(u8, bool),
    /// Where a pattern matches.
    Pattern(&'a mut Pattern),
    /// Between all characters.
    Nothing,
}

/// Divides a text.
pub fn divide(text: &[u8], separator: Separator<'_>) -> Vec<Value> {
    if text.is_empty() {
        return Vec::new();
    }
    match separator {
        Separator::Blanks => {
            let words = text.split(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
            words.filter(|word| !word.is_empty()).map(Value::input).collect()
        }
        Separator::Byte(separator, also_newline) => text
            .split(|byte| *byte == separator || also_newline && *byte == b'\n')
            .map(Value::input)
            .collect(),
        Separator::Pattern(pattern) => {
            let (mut pieces, mut begin, mut from) = (Vec::new(), 0, 0);
            while let Some(found) = pattern.find_from(text, from) {
                if found.is_empty() {
                    from = found.end + 1;
                    if from > text.len() {
                        break;
                    }
                    continue;
                }
                pieces.push(Value::input(&text[begin..found.start]));
                (begin, from) = (found.end, found.end);
            }
            pieces.push(Value::input(&text[begin..]));
            pieces
        }
        Separator::Nothing => crate::text::characters::characters(text).map(Value::input).collect(),
    }
}

/// A record with its fields, each made of the other when it is asked for.
#[derive(Default)]
pub struct Record {
    text: Option<Rc<[u8]>>,
    fields: Option<Vec<Value>>,
}

impl Record {
    /// Another record.
    pub fn set(&mut self, text: Rc<[u8]>) {
        (self.text, self.fields) = (Some(text), None);
    }

    /// Whether its fields are there.
    pub fn is_divided(&self) -> bool {
        self.fields.is_some()
    }

    /// Its fields, once they are there.
    pub fn fields(&self) -> &[Value] {
        self.fields.as_deref().unwrap_or_default()
    }

    /// Says what its fields are.
    pub fn set_fields(&mut self, fields: Vec<Value>) {
        self.fields = Some(fields);
    }

    /// Its fields, to be changed; its text is then made of them.
    pub fn change_fields(&mut self) -> &mut Vec<Value> {
        self.text = None;
        self.fields.get_or_insert_default()
    }

    /// Its text. `between` is what stands between fields, `format` how numbers are written.
    pub fn text(&mut self, between: &[u8], format: &[u8]) -> Rc<[u8]> {
        let fields = &self.fields;
        let made = || -> Rc<[u8]> {
            let pieces: Vec<Rc<[u8]>> = fields.iter().flatten().map(|field| field.bytes(format)).collect();
            pieces.join(between).into()
        };
        self.text.get_or_insert_with(made).clone()
    }
}

/// A file that is read record by record.
pub struct Reader {
    /// Its name.
    pub name: String,
    file: Box<dyn BufRead>,
}

impl Reader {
    /// At the beginning.
    pub fn new(name: &str, file: Box<dyn BufRead>) -> Reader {
        Reader { name: name.into(), file }
    }

    /// The next record; none at the end. An empty separator means paragraphs, which empty lines separate.
    pub fn record(&mut self, separator: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut record = Vec::new();
        let Some(separator) = separator.first() else {
            return self.paragraph();
        };
        if self.file.read_until(*separator, &mut record)? == 0 {
            return Ok(None);
        }
        if record.last() == Some(separator) {
            record.pop();
        } else if *separator != b'\n' && record == b"\n" {
            // The newline at the end of the file is no record.
            return Ok(None);
        } else if *separator != b'\n' && record.last() == Some(&b'\n') {
            record.pop();
        }
        Ok(Some(record))
    }

    fn paragraph(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut record = Vec::new();
        loop {
            let before = record.len();
            let count = self.file.read_until(b'\n', &mut record)?;
            let is_empty = &record[before..] == b"\n";
            if is_empty {
                record.truncate(before);
            }
            if count == 0 || is_empty && before > 0 {
                break;
            }
        }
        if record.last() == Some(&b'\n') {
            record.pop();
        }
        Ok(if record.is_empty() { None } else { Some(record) })
    }
}
