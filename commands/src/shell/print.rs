//! Writing a syntax tree out as text that parses to the same tree.
//!
//! Child shells are started with such text, and `type` shows functions with it. Every command ends its line,
//! so that the bodies of here-documents have a place.

use alloc::format;
use alloc::vec::Vec;

use super::ast::{
    AndOr, Command, Connector, Kind, List, Mode, Name, Operation, Otherwise, Parameter, Piece, Pipeline,
    Redirection, Simple, Target, Text, Where, Word,
};
use super::parser::is_reserved;

/// The text of a list.
pub fn print_list(list: &List) -> Text {
    let mut printer = Printer::default();
    printer.list(list);
    printer.end_line();
    printer.text
}

/// The text of an and-or list.
pub fn print_and_or(and_or: &AndOr) -> Text {
    let mut printer = Printer::default();
    printer.and_or(and_or);
    printer.end_line();
    printer.text
}

/// The text of a pipeline.
pub fn print_pipeline(pipeline: &Pipeline) -> Text {
    let mut printer = Printer::default();
    printer.pipeline(pipeline);
    printer.end_line();
    printer.text
}

/// The text of a command.
pub fn print_command(command: &Command) -> Text {
    let mut printer = Printer::default();
    printer.command(command);
    printer.end_line();
    printer.text
}

/// The definition of a function.
pub fn print_function(name: &[u8], body: &Command) -> Text {
    let mut printer = Printer::default();
    printer.function(name, body);
    printer.end_line();
    printer.text
}

/// `text` in single quotes, for a script.
pub fn quote(text: &[u8]) -> Text {
    let mut quoted = Vec::from([b'\'']);
    for byte in text {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// How the text around a piece is quoted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Braces,
    Quotes,
    QuotedBraces,
    Document,
}

#[derive(Default)]
struct Printer {
    text: Text,
    /// Here-documents announced on this line: their delimiters, whether literal, and their bodies.
    documents: Vec<(Text, bool, Text)>,
}

impl Printer {
    fn push(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    /// Ends a line, and puts the here-documents after it.
    fn end_line(&mut self) {
        self.push(b"\n");
        for (delimiter, _, body) in core::mem::take(&mut self.documents) {
            self.push(&body);
            self.push(&delimiter);
            self.push(b"\n");
        }
    }

    fn list(&mut self, list: &List) {
        for (index, item) in list.items.iter().enumerate() {
            if index > 0 {
                self.end_line();
            }
            self.and_or(&item.and_or);
            if item.background {
                self.push(b" &");
            }
        }
    }

    /// A list between two reserved words.
    fn body(&mut self, before: &[u8], list: &List, after: &[u8]) {
        self.push(before);
        self.end_line();
        self.list(list);
        self.end_line();
        self.push(after);
    }

    fn and_or(&mut self, and_or: &AndOr) {
        self.pipeline(&and_or.first);
        for (connector, pipeline) in &and_or.rest {
            self.push(match connector {
                Connector::And => b" && ",
                Connector::Or => b" || ",
            });
            self.pipeline(pipeline);
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        if pipeline.negated {
            self.push(b"! ");
        }
        for (index, command) in pipeline.stages.iter().enumerate() {
            if index > 0 {
                self.push(b" | ");
            }
            self.command(command);
        }
    }

    fn command(&mut self, command: &Command) {
        match &command.kind {
            Kind::Simple(simple) => {
                // A reserved word is none after a redirection.
                let first = simple.words.first().and_then(Word::literal);
                if simple.assignments.is_empty() && first.is_some_and(is_reserved) {
                    for redirection in &command.redirections {
                        self.redirection(redirection);
                        self.push(b" ");
                    }
                    self.simple(simple);
                    return;
                }
                self.simple(simple);
            }
            Kind::Group(list) => self.body(b"{", list, b"}"),
            Kind::Subshell(list, placement) => {
                self.body(b"(", list, b")");
                self.placement(placement.as_ref());
            }
            Kind::If(branches, otherwise) => {
                for (index, (condition, body)) in branches.iter().enumerate() {
                    self.body(if index == 0 { b"if" } else { b"elif" }, condition, b"then");
                    self.body(b"", body, b"");
                }
                if let Some(otherwise) = otherwise {
                    self.body(b"else", otherwise, b"");
                }
                self.push(b"fi");
            }
            Kind::While { until, condition, body } => {
                self.body(if *until { b"until" } else { b"while" }, condition, b"do");
                self.body(b"", body, b"done");
            }
            Kind::For { name, words, body } => {
                self.push(b"for ");
                self.push(name);
                if let Some(words) = words {
                    self.push(b" in");
                    for word in words {
                        self.push(b" ");
                        self.word(word, Inside::Nothing);
                    }
                }
                self.end_line();
                self.body(b"do", body, b"done");
            }
            Kind::Case { subject, arms } => {
                self.push(b"case ");
                self.word(subject, Inside::Nothing);
                self.push(b" in");
                self.end_line();
                for (patterns, body) in arms {
                    self.push(b"(");
                    for (index, pattern) in patterns.iter().enumerate() {
                        if index > 0 {
                            self.push(b" | ");
                        }
                        self.word(pattern, Inside::Nothing);
                    }
                    self.body(b")", body, b";;");
                    self.end_line();
                }
                self.push(b"esac");
            }
            Kind::Function { name, body } => self.function(name, body),
        }
        for redirection in &command.redirections {
            self.push(b" ");
            self.redirection(redirection);
        }
    }

    fn function(&mut self, name: &[u8], body: &Command) {
        self.push(name);
        self.push(b"() ");
        self.command(body);
    }

    fn simple(&mut self, simple: &Simple) {
        let mut separator: &[u8] = b"";
        for (name, value) in &simple.assignments {
            self.push(separator);
            self.push(name);
            self.push(b"=");
            self.word(value, Inside::Nothing);
            separator = b" ";
        }
        for word in &simple.words {
            self.push(separator);
            self.word(word, Inside::Nothing);
            separator = b" ";
        }
        self.placement(simple.placement.as_ref());
    }

    fn placement(&mut self, placement: Option<&Where>) {
        let (before, word): (&[u8], _) = match placement {
            None => return,
            Some(Where::Anywhere(word)) => (b" @ ", word),
            Some(Where::Node(word)) => (b" @", word),
        };
        self.push(before);
        self.word(word, Inside::Nothing);
    }

    fn redirection(&mut self, redirection: &Redirection) {
        self.push(format!("{}", redirection.descriptor).as_bytes());
        match &redirection.target {
            Target::File(mode, word) => {
                self.push(match mode {
                    Mode::Read => b"< ",
                    Mode::Write => b"> ",
                    Mode::Overwrite => b">| ",
                    Mode::Append => b">> ",
                    Mode::ReadWrite => b"<> ",
                });
                self.word(word, Inside::Nothing);
            }
            Target::Same(word) => {
                self.push(b">&");
                self.word(word, Inside::Nothing);
            }
            Target::Here(here) => {
                let Some(body) = here.body.get() else { return };
                let literal = match body.pieces.as_slice() {
                    [Piece::Quoted(text)] => Some(text.clone()),
                    _ => None,
                };
                let is_literal = literal.is_some();
                let text = literal.unwrap_or_else(|| {
                    let mut inner = Printer::default();
                    inner.pieces(&body.pieces, Inside::Document);
                    inner.text
                });
                let delimiter = free_delimiter(&text);
                self.push(b"<<");
                self.push(&if is_literal { quote(&delimiter) } else { delimiter.clone() });
                self.documents.push((delimiter, is_literal, text));
            }
        }
    }

    fn word(&mut self, word: &Word, inside: Inside) {
        self.pieces(&word.pieces, inside);
    }

    fn pieces(&mut self, pieces: &[Piece], inside: Inside) {
        for piece in pieces {
            match piece {
                Piece::Literal(text) => self.literal(text, inside),
                // Single quotes can't quote themselves: one comes from a backslash, and stays one piece so.
                Piece::Quoted(text) if text == b"'" => self.push(b"\\'"),
                Piece::Quoted(text) => {
                    let quoted = quote(text);
                    self.push(&quoted);
                }
                Piece::Double(pieces) => {
                    self.push(b"\"");
                    self.pieces(pieces, Inside::Quotes);
                    self.push(b"\"");
                }
                Piece::Home => self.push(b"~"),
                Piece::Parameter(parameter) => self.parameter(parameter, inside),
                Piece::Command(list, _) => {
                    self.push(b"$(\n");
                    let text = print_list(list);
                    self.push(&text);
                    self.push(b")");
                }
                Piece::Arithmetic(pieces, _) => {
                    self.push(b"$((");
                    self.pieces(pieces, Inside::Quotes);
                    self.push(b"))");
                }
            }
        }
    }

    fn literal(&mut self, text: &[u8], inside: Inside) {
        for byte in text {
            let special = match inside {
                Inside::Nothing | Inside::Braces => false,
                Inside::Quotes => matches!(byte, b'$' | b'`' | b'"' | b'\\'),
                Inside::QuotedBraces => matches!(byte, b'$' | b'`' | b'"' | b'\\' | b'}'),
                Inside::Document => matches!(byte, b'$' | b'`' | b'\\'),
            };
            if special {
                self.push(b"\\");
            }
            self.text.push(*byte);
        }
    }

    fn parameter(&mut self, parameter: &Parameter, inside: Inside) {
        self.push(b"${");
        if parameter.operation == Operation::Length {
            self.push(b"#");
        }
        match &parameter.name {
            Name::Variable(name) => self.push(name),
            Name::Positional(number) => self.push(format!("{number}").as_bytes()),
            Name::Special(byte) => self.text.push(*byte),
        }
        match &parameter.operation {
            Operation::Value | Operation::Length => {}
            Operation::Otherwise { action, empty_too, word } => {
                if *empty_too {
                    self.push(b":");
                }
                self.push(match action {
                    Otherwise::Use => b"-",
                    Otherwise::Assign => b"=",
                    Otherwise::Fail => b"?",
                    Otherwise::Alternative => b"+",
                });
                let unquoted = matches!(inside, Inside::Nothing | Inside::Braces);
                self.word(word, if unquoted { Inside::Braces } else { Inside::QuotedBraces });
            }
            Operation::Trim { suffix, longest, pattern } => {
                let sign: &[u8] = if *suffix { b"%" } else { b"#" };
                self.push(sign);
                if *longest {
                    self.push(sign);
                }
                self.word(pattern, Inside::Braces);
            }
        }
        self.push(b"}");
    }
}

/// A delimiter that is no line of `text`.
fn free_delimiter(text: &[u8]) -> Text {
    let mut number = 0_u64;
    loop {
        let delimiter = format!("END{number}").into_bytes();
        if !text.split(|byte| *byte == b'\n').any(|line| line == delimiter) {
            return delimiter;
        }
        number += 1;
    }
}
