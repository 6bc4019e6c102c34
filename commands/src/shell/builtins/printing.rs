//! `echo` and `printf`, which do as the programs of these names.

use crate::shell::ast::Text;
use crate::shell::execute::{Flow, Shell, USAGE};
use crate::shell::system::System;
use crate::text::printf;

impl<S: System> Shell<S> {
    /// `echo [-n] text…`: backslashes are text like any other.
    pub(super) fn echo(&mut self, words: &[Text]) -> Flow {
        let (is_bare, words) = match &words[1..] {
            [option, words @ ..] if option == b"-n" => (true, words),
            words => (false, words),
        };
        let mut line = words.join(&b' ');
        if !is_bare {
            line.push(b'\n');
        }
        self.output(&line)
    }

    /// `printf format argument…`: the format again and again until the arguments are used up.
    pub(super) fn printf(&mut self, words: &[Text]) -> Flow {
        let operands = match &words[1..] {
            [dashes, operands @ ..] if dashes == b"--" => operands,
            operands => operands,
        };
        let Some((format, operands)) = operands.split_first() else {
            self.complain(words, "expected a format");
            self.state.status = USAGE;
            return Ok(());
        };
        let printed = printf::print(format, operands, self.text_room_bytes());
        self.output(&printed.output)?;
        for problem in &printed.problems {
            self.complain(words, problem);
        }
        Ok(())
    }
}
