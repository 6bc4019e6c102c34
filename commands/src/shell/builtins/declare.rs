//! Built-ins about variables and options: `export readonly local unset set`.

use alloc::format;
use alloc::vec::Vec;

use crate::shell::ast::Text;
use crate::shell::execute::{Flow, Leave, Shell};
use crate::shell::lexer::shorten;
use crate::shell::print::quote;
use crate::shell::room::ENTRY_BYTES;
use crate::shell::state::{Options, Variable};
use crate::shell::system::System;
use crate::shell::word::is_name;

/// How often variables lie in memory while they are listed: quoting may make four bytes of one, in a text that grows.
const LISTED_COPIES: usize = 12;

impl<S: System> Shell<S> {
    pub(super) fn export(&mut self, words: &[Text]) -> Flow {
        self.declare(words, |variable| variable.exported, |variable| variable.exported = true)
    }

    pub(super) fn read_only(&mut self, words: &[Text]) -> Flow {
        self.declare(words, |variable| variable.read_only, |variable| variable.read_only = true)
    }

    /// Marks variables, or shows those that are marked.
    fn declare(&mut self, words: &[Text], is_marked: fn(&Variable) -> bool, mark: fn(&mut Variable)) -> Flow {
        let operands = match &words[1..] {
            [option] if option == b"-p" => &[][..],
            operands => operands,
        };
        if operands.is_empty() {
            self.need_at(LISTED_COPIES * self.state.bytes(), self.at)?;
            let mut lines = Text::new();
            for (name, variable) in self.state.variables.iter().filter(|(_, variable)| is_marked(variable)) {
                lines.extend_from_slice(&words[0]);
                lines.push(b' ');
                push_variable(&mut lines, name, variable);
            }
            return self.output(&lines);
        }
        self.state.status = 0;
        for operand in operands {
            let (name, value) = self.name_and_value(words, operand)?;
            if let Some(value) = value {
                self.assign(&name, value, self.at)?;
            }
            mark(self.state.variables.entry(name).or_default());
        }
        Ok(())
    }

    /// `name` or `name=value`.
    fn name_and_value(&mut self, words: &[Text], operand: &[u8]) -> Result<(Text, Option<Text>), Leave> {
        let equals = operand.iter().position(|byte| *byte == b'=');
        let (name, value) = match equals {
            Some(equals) => (&operand[..equals], Some(operand[equals + 1..].to_vec())),
            None => (operand, None),
        };
        if !is_name(name) {
            let message = format!("{}: not a variable's name", shorten(name));
            return Err(self.misuse(words, &message));
        }
        Ok((name.to_vec(), value))
    }

    /// `local name[=value]…`: variables that end with the function.
    pub(super) fn local(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        if self.state.hidden.is_empty() {
            return Err(self.misuse(words, "not in a function"));
        }
        for operand in &words[1..] {
            let (name, value) = self.name_and_value(words, operand)?;
            let outer_bytes = self.state.value(&name).map_or(0, Vec::len);
            self.need_at(ENTRY_BYTES + outer_bytes, self.at)?;
            let outer = self.state.variables.get(&name).cloned();
            if let Some(hidden) = self.state.hidden.last_mut() {
                hidden.entry(name.clone()).or_insert(outer);
            }
            if let Some(value) = value {
                self.assign(&name, value, self.at)?;
            }
        }
        Ok(())
    }

    pub(super) fn unset(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        let (functions, names) = match &words[1..] {
            [option, names @ ..] if option == b"-f" => (true, names),
            [option, names @ ..] if option == b"-v" => (false, names),
            names => (false, names),
        };
        for name in names {
            if functions {
                self.state.functions.remove(name);
            } else if !is_name(name) {
                let message = format!("{}: not a variable's name", shorten(name));
                return Err(self.misuse(words, &message));
            } else if let Err(message) = self.state.changeable(name) {
                return Err(self.misuse(words, &message));
            } else {
                self.state.variables.remove(name);
            }
        }
        Ok(())
    }

    /// `set`: shows variables, changes options and arguments.
    pub(super) fn set(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        if words.len() == 1 {
            self.need_at(LISTED_COPIES * self.state.bytes(), self.at)?;
            let mut lines = Text::new();
            for (name, variable) in
                self.state.variables.iter().filter(|(_, variable)| variable.value.is_some())
            {
                push_variable(&mut lines, name, variable);
            }
            return self.output(&lines);
        }
        let mut index = 1;
        while let Some(word) = words.get(index) {
            let on = match word.first() {
                Some(b'-') if word.len() > 1 => true,
                Some(b'+') if word.len() > 1 => false,
                _ => break,
            };
            index += 1;
            if word == b"--" {
                self.state.arguments = words[index..].to_vec();
                return Ok(());
            }
            for letter in &word[1..] {
                if *letter == b'o' {
                    let Some(name) = words.get(index) else {
                        return self.show_options(on);
                    };
                    index += 1;
                    self.set_option_by_name(words, name, on)?;
                } else if let Some(option) = self.state.options.by_letter(*letter) {
                    *option = on;
                } else {
                    let message = format!("-{}: no such option", char::from(*letter));
                    return Err(self.misuse(words, &message));
                }
            }
        }
        if index < words.len() {
            self.state.arguments = words[index..].to_vec();
        }
        Ok(())
    }

    fn set_option_by_name(&mut self, words: &[Text], name: &[u8], on: bool) -> Flow {
        let letter = Options::ALL.iter().find(|(_, long)| long.as_bytes() == name).map(|(letter, _)| *letter);
        let Some(option) = letter.and_then(|letter| self.state.options.by_letter(letter)) else {
            let message = format!("{}: no such option", shorten(name));
            return Err(self.misuse(words, &message));
        };
        *option = on;
        Ok(())
    }

    /// `set -o` shows the options, `set +o` the commands that set them so.
    fn show_options(&mut self, readable: bool) -> Flow {
        let mut options = self.state.options;
        let mut lines = Vec::new();
        for (letter, name) in Options::ALL {
            let on = options.by_letter(letter).is_some_and(|on| *on);
            let line = match (readable, on) {
                (true, true) => format!("{name:<16}on\n"),
                (true, false) => format!("{name:<16}off\n"),
                (false, true) => format!("set -o {name}\n"),
                (false, false) => format!("set +o {name}\n"),
            };
            lines.extend_from_slice(line.as_bytes());
        }
        self.output(&lines)
    }
}

fn push_variable(lines: &mut Text, name: &[u8], variable: &Variable) {
    lines.extend_from_slice(name);
    if let Some(value) = &variable.value {
        lines.push(b'=');
        lines.extend(quote(value));
    }
    lines.push(b'\n');
}
