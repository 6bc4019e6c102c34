//! Built-ins that change what runs next: `break continue return exit eval . exec shift trap`.

use alloc::format;
use alloc::vec::Vec;

use crate::shell::arithmetic::parse_integer;
use crate::shell::ast::Text;
use crate::shell::elsewhere::Destination;
use crate::shell::execute::{Flow, Leave, Shell};
use crate::shell::lexer::shorten;
use crate::shell::print::quote;
use crate::shell::simple::is_path;
use crate::shell::state::Place;
use crate::shell::system::System;

impl<S: System> Shell<S> {
    /// An optional number after a built-in's name.
    fn number(&mut self, words: &[Text], default: i64) -> Result<i64, Leave> {
        match words {
            [_] => Ok(default),
            [_, word] => parse_integer(word).filter(|number| *number >= 0).ok_or_else(|| {
                let message = format!("{}: not a number", shorten(word));
                self.misuse(words, &message)
            }),
            _ => Err(self.misuse(words, "too many arguments")),
        }
    }

    /// How many loops `break` and `continue` leave; `None` outside every loop.
    fn loops(&mut self, words: &[Text]) -> Result<Option<u32>, Leave> {
        let count = self.number(words, 1)?;
        if count == 0 {
            return Err(self.misuse(words, "0: expected a number of loops"));
        }
        self.state.status = 0;
        let most = self.state.loops;
        Ok((most > 0).then(|| u32::try_from(count).map_or(most, |count| count.min(most))))
    }

    pub(super) fn break_loop(&mut self, words: &[Text]) -> Flow {
        self.loops(words)?.map_or(Ok(()), |count| Err(Leave::Break(count)))
    }

    pub(super) fn continue_loop(&mut self, words: &[Text]) -> Flow {
        self.loops(words)?.map_or(Ok(()), |count| Err(Leave::Continue(count)))
    }

    pub(super) fn return_from(&mut self, words: &[Text]) -> Flow {
        let status = i64::from(self.state.status);
        self.state.status = self.number(words, status)? as i32;
        Err(if self.state.calls > 0 { Leave::Return } else { Leave::Exit })
    }

    pub(super) fn exit(&mut self, words: &[Text]) -> Flow {
        let status = i64::from(self.state.status);
        self.state.status = (self.number(words, status)? & 0xFF) as i32;
        Err(Leave::Exit)
    }

    pub(super) fn eval(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        self.check_depth(self.at)?;
        self.run_text(&words[1..].join(&b' '))
    }

    /// `. file`: runs a file's commands in this shell.
    pub(super) fn source(&mut self, words: &[Text]) -> Flow {
        let Some(name) = words.get(1) else {
            return Err(self.misuse(words, "expected a file's name"));
        };
        self.check_depth(self.at)?;
        let file = if is_path(name) { name.clone() } else { self.find_program(name).unwrap_or(name.clone()) };
        let text = match self.read_file(&file) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("{}: {error}", shorten(name));
                return Err(self.misuse(words, &message));
            }
        };
        self.state.status = 0;
        let outer = core::mem::replace(&mut self.state.place, Place::InText);
        let flow = self.returning(|shell| shell.run_text(&text));
        self.state.place = outer;
        flow
    }

    /// `exec program`: the program instead of this shell. There is nothing to replace a program by, so the
    /// shell waits for it and ends with its status. Without a program, only the redirections matter.
    pub(super) fn exec(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        if words.len() == 1 {
            return Ok(());
        }
        let streams = self.streams.clone();
        if let Some(child) = self.launch(&words[1..], &streams, &Destination::Here) {
            self.wait_for([child].into())?;
        }
        Err(Leave::Exit)
    }

    pub(super) fn shift(&mut self, words: &[Text]) -> Flow {
        let most = self.state.arguments.len();
        let count = self.number(words, 1)?;
        let Some(count) = usize::try_from(count).ok().filter(|count| *count <= most) else {
            return Err(self.misuse(words, "there are fewer arguments"));
        };
        self.state.arguments.drain(..count);
        self.state.status = 0;
        Ok(())
    }

    /// `trap commands EXIT INT`: what runs when the shell ends, and when the user interrupts. Other conditions are
    /// signals, which V has not.
    pub(super) fn trap(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        let (action, conditions) = match &words[1..] {
            [] => {
                let mut lines = Vec::new();
                let traps = [(&self.state.exit_trap, "EXIT"), (&self.state.interrupt_trap, "INT")];
                for (commands, condition) in traps {
                    if let Some(commands) = commands {
                        lines.extend(
                            [b"trap -- ", &*quote(commands), b" ", condition.as_bytes(), b"\n"].concat(),
                        );
                    }
                }
                return self.output(&lines);
            }
            [dashes, action, conditions @ ..] if dashes == b"--" => (action, conditions),
            [action, conditions @ ..] => (action, conditions),
        };
        let action = (action != b"-").then(|| action.clone());
        for condition in conditions {
            match condition.as_slice() {
                b"EXIT" | b"0" => self.state.exit_trap.clone_from(&action),
                b"INT" | b"2" => {
                    self.state.interrupt_trap.clone_from(&action);
                    if self.is_foreground && !self.state.is_interactive {
                        self.system.catch_interruptions(action.is_some());
                    }
                }
                condition => {
                    let message =
                        format!("{}: there is no such condition, only EXIT and INT", shorten(condition));
                    self.complain(words, &message);
                }
            }
        }
        Ok(())
    }

    /// `subshell-state status line column pid pid-of-background`: what a shell tells one that it starts for a part
    /// of itself, so that `$?`, `$$` and `$!` are the same there, and messages say where that part stands.
    pub(super) fn take_state(&mut self, words: &[Text]) -> Flow {
        let [_, status, line, column, identity, background] = words else {
            return Err(self.misuse(words, "only shells call this"));
        };
        self.enter_subshell();
        let number =
            |word: &[u8]| parse_integer(word).and_then(|number| u32::try_from(number).ok()).unwrap_or(1);
        self.state.place = Place::from_words(number(line), number(column));
        self.state.identity.clone_from(identity);
        self.state.last_background = (!background.is_empty()).then(|| background.clone());
        self.state.status = parse_integer(status).unwrap_or(0) as i32;
        Ok(())
    }
}
