//! The built-in commands: which there are, and what they have in common.
//!
//! Special built-ins are POSIX's: assignments before them stay, and an error in one ends a script.

mod declare;
mod flow;
mod place;
mod printing;
mod reading;

use alloc::format;
use alloc::string::String;

use super::ast::Text;
use super::execute::{Flow, Leave, Shell, USAGE};
use super::system::System;
use super::test_expression;

/// What runs a built-in; the first word is its name.
type Run<S> = fn(&mut Shell<S>, &[Text]) -> Flow;

/// A built-in command.
pub(super) struct Builtin<S: System> {
    pub(super) run: Run<S>,
    /// One of POSIX's special built-ins.
    pub(super) is_special: bool,
}

/// The built-ins that people type.
pub(super) const NAMES: [&str; 31] = [
    ".", ":", "[", "break", "cd", "command", "continue", "echo", "eval", "exec", "exit", "export", "false",
    "fg", "getopts", "jobs", "kill", "local", "prefix", "printf", "pwd", "read", "readonly", "return", "set",
    "shift", "test", "trap", "type", "unset", "wait",
];

/// The built-in of this name.
pub(super) fn find<S: System>(name: &[u8]) -> Option<Builtin<S>> {
    let special: Option<Run<S>> = match name {
        b":" => Some(Shell::succeed),
        b"." => Some(Shell::source),
        b"break" => Some(Shell::break_loop),
        b"continue" => Some(Shell::continue_loop),
        b"eval" => Some(Shell::eval),
        b"exec" => Some(Shell::exec),
        b"exit" => Some(Shell::exit),
        b"export" => Some(Shell::export),
        b"readonly" => Some(Shell::read_only),
        b"return" => Some(Shell::return_from),
        b"set" => Some(Shell::set),
        b"shift" => Some(Shell::shift),
        b"trap" => Some(Shell::trap),
        b"unset" => Some(Shell::unset),
        _ => None,
    };
    if let Some(run) = special {
        return Some(Builtin { run, is_special: true });
    }
    let run: Run<S> = match name {
        b"[" | b"test" => Shell::test,
        b"cd" => Shell::change_context,
        b"command" => Shell::bare_command,
        b"echo" => Shell::echo,
        b"false" => Shell::fail_quietly,
        b"fg" => Shell::bring_to_foreground,
        b"getopts" => Shell::next_option,
        b"jobs" => Shell::jobs,
        b"kill" => Shell::kill,
        b"local" => Shell::local,
        b"prefix" => Shell::prefix,
        b"printf" => Shell::printf,
        b"pwd" => Shell::print_context,
        b"read" => Shell::read,
        b"subshell-state" => Shell::take_state,
        b"true" => Shell::succeed,
        b"type" => Shell::describe_names,
        b"wait" => Shell::wait,
        _ => return None,
    };
    Some(Builtin { run, is_special: false })
}

impl<S: System> Shell<S> {
    /// Reports that a built-in failed; the status is 1.
    pub(super) fn complain(&mut self, words: &[Text], message: &str) {
        let name = words.first().map(|name| String::from_utf8_lossy(name)).unwrap_or_default();
        self.report(self.at, &format!("{name}: {message}"));
        self.state.status = 1;
    }

    /// Reports that a special built-in was used wrongly, which ends a script.
    pub(super) fn misuse(&mut self, words: &[Text], message: &str) -> Leave {
        self.complain(words, message);
        self.state.status = USAGE;
        Leave::Abandon
    }

    /// `:` and `true`
    #[expect(clippy::unnecessary_wraps, reason = "built-ins share one signature")]
    fn succeed(&mut self, _words: &[Text]) -> Flow {
        self.state.status = 0;
        Ok(())
    }

    /// `false`
    #[expect(clippy::unnecessary_wraps, reason = "built-ins share one signature")]
    fn fail_quietly(&mut self, _words: &[Text]) -> Flow {
        self.state.status = 1;
        Ok(())
    }

    /// `test` and `[`
    #[expect(clippy::unnecessary_wraps, reason = "built-ins share one signature")]
    fn test(&mut self, words: &[Text]) -> Flow {
        let operands = match words {
            [name, operands @ .., last] if name == b"[" && last == b"]" => operands,
            [name, operands @ ..] if name != b"[" => operands,
            _ => {
                self.complain(words, "expected `]` at the end");
                self.state.status = USAGE;
                return Ok(());
            }
        };
        let stack = self.stack;
        match test_expression::evaluate(operands, self, stack) {
            Ok(holds) => self.state.status = i32::from(!holds),
            Err(message) => {
                self.complain(words, &message);
                self.state.status = USAGE;
            }
        }
        Ok(())
    }
}
