//! Built-ins about names: `cd pwd prefix type command`.

use alloc::format;
use alloc::string::String;

use crate::shell::ast::Text;
use crate::shell::builtins;
use crate::shell::elsewhere::Destination;
use crate::shell::execute::{Flow, Leave, Shell, USAGE};
use crate::shell::lexer::{shorten, shown};
use crate::shell::parser::is_reserved;
use crate::shell::print::print_function;
use crate::shell::redirect::Streams;
use crate::shell::system::System;

/// The status of `type` and `command -v` for a name that means nothing.
const NOTHING: i32 = 127;

impl<S: System> Shell<S> {
    /// `cd [name]`; without a name `$HOME`, with `-` the context before.
    pub(super) fn change_context(&mut self, words: &[Text]) -> Flow {
        let from = self.system.context().unwrap_or_default();
        let (target, is_back) = match &words[1..] {
            [] => (self.state.value(b"HOME").cloned(), false),
            [name] if name == b"-" => (self.state.value(b"OLDPWD").cloned(), true),
            [name] => (Some(name.clone()), false),
            _ => {
                self.complain(words, "too many arguments");
                self.state.status = USAGE;
                return Ok(());
            }
        };
        let Some(target) = target else {
            self.complain(words, if is_back { "OLDPWD is not set" } else { "HOME is not set" });
            return Ok(());
        };
        if let Err(error) = self.system.set_context(&target) {
            self.complain(words, &format!("{}: {error}", shown(&target)));
            return Ok(());
        }
        let to = self.system.context().unwrap_or(target);
        self.assign(b"OLDPWD", from, self.at)?;
        self.assign(b"PWD", to.clone(), self.at)?;
        if is_back {
            return self.output(&[&*to, b"\n"].concat());
        }
        self.state.status = 0;
        Ok(())
    }

    pub(super) fn print_context(&mut self, words: &[Text]) -> Flow {
        match self.system.context() {
            Ok(name) => self.output(&[&*name, b"\n"].concat()),
            Err(error) => {
                self.complain(words, &format!("{error}"));
                Ok(())
            }
        }
    }

    /// `prefix`: shows the prefixes; `prefix name=target…` sets some; `prefix -d name…` removes some.
    pub(super) fn prefix(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        match &words[1..] {
            [] => {
                let mut lines = Text::new();
                for (name, target) in self.system.prefixes() {
                    lines.extend([b"[", &*name, b"]\t", &*target, b"\n"].concat());
                }
                return self.output(&lines);
            }
            [option, names @ ..] if option == b"-d" => {
                for name in names {
                    if let Err(error) = self.system.remove_prefix(without_brackets(name)) {
                        self.complain(words, &format!("{}: {error}", shorten(name)));
                    }
                }
            }
            operands => {
                for operand in operands {
                    let Some(equals) = operand.iter().position(|byte| *byte == b'=') else {
                        self.complain(words, &format!("{}: expected name=target", shorten(operand)));
                        self.state.status = USAGE;
                        return Ok(());
                    };
                    let (name, target) = (without_brackets(&operand[..equals]), &operand[equals + 1..]);
                    if let Err(error) = self.system.set_prefix(name, target) {
                        self.complain(words, &format!("{}: {error}", shorten(operand)));
                    }
                }
            }
        }
        Ok(())
    }

    /// What runs if this is a command's name, in words.
    fn describe(&mut self, name: &[u8]) -> Option<Text> {
        let shown = String::from_utf8_lossy(name);
        let text = if is_reserved(name) {
            format!("{shown} is a word of the shell's grammar\n")
        } else if builtins::find::<S>(name).is_some_and(|builtin| builtin.is_special) {
            format!("{shown} is a special built-in\n")
        } else if let Some(body) = self.state.functions.get(name) {
            let mut text = format!("{shown} is a function\n").into_bytes();
            text.extend(print_function(name, body));
            return Some(text);
        } else if builtins::find::<S>(name).is_some() {
            format!("{shown} is a built-in\n")
        } else {
            let file = self.find_program(name)?;
            format!("{shown} is {}\n", String::from_utf8_lossy(&file))
        };
        Some(text.into_bytes())
    }

    /// `type name…`
    pub(super) fn describe_names(&mut self, words: &[Text]) -> Flow {
        let mut status = 0;
        for name in &words[1..] {
            if let Some(text) = self.describe(name) {
                self.output(&text)?;
            } else {
                self.complain(words, &format!("{}: no such command", shorten(name)));
                status = NOTHING;
            }
        }
        if status != 0 || words.len() == 1 {
            self.state.status = status;
        }
        Ok(())
    }

    /// `command [-v] name arguments…`: the built-in or program, even if a function has its name.
    pub(super) fn bare_command(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        match &words[1..] {
            [] => Ok(()),
            [option, name] if option == b"-v" => {
                let is_own = is_reserved(name)
                    || builtins::find::<S>(name).is_some()
                    || self.state.functions.contains_key(name);
                let text = if is_own { Some(name.clone()) } else { self.find_program(name) };
                if let Some(text) = text {
                    return self.output(&[&*text, b"\n"].concat());
                }
                self.state.status = NOTHING;
                Ok(())
            }
            [option, names @ ..] if option == b"-V" => {
                let words = [&words[..1], names].concat();
                self.describe_names(&words)
            }
            words => {
                if let Some(builtin) = builtins::find::<S>(&words[0]) {
                    let flow = (builtin.run)(self, words);
                    // Behind `command` no built-in is special: what is wrong with its words ends nothing.
                    return if flow == Err(Leave::Abandon) { Ok(()) } else { flow };
                }
                let streams: Streams<S::Stream> = self.streams.clone();
                match self.launch(words, &streams, &Destination::Here) {
                    Some(child) => self.wait_for([child].into()),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A prefix's name, which may be given as it stands in names.
fn without_brackets(name: &[u8]) -> &[u8] {
    let inner = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]"));
    inner.unwrap_or(name)
}
