//! The built-in commands: which there are, and what they have in common.
//!
//! Special built-ins are POSIX's: assignments before them stay, and an error in one ends a script.

mod declare;
mod flow;
mod help;
mod place;
mod printing;
mod reading;

use alloc::format;
use alloc::string::String;

use super::ast::Text;
pub use help::{builtin_help, nearest};

use super::execute::{Flow, Leave, Shell, USAGE};
use super::system::System;
use super::test_expression;

/// What runs a built-in; the first word is its name.
type Run<S> = fn(&mut Shell<S>, &[Text]) -> Flow;

/// A built-in command.
pub(super) struct Builtin<S: System> {
    pub(super) name: &'static str,
    /// What follows the name.
    pub(super) synopsis: &'static str,
    /// What it does, in one line; empty for what nobody types.
    summary: &'static str,
    pub(super) run: Run<S>,
    /// One of POSIX's special built-ins.
    pub(super) is_special: bool,
}

impl<S: System> Builtin<S> {
    const fn new(name: &'static str, synopsis: &'static str, summary: &'static str, run: Run<S>) -> Self {
        Builtin { name, synopsis, summary, run, is_special: false }
    }

    const fn special(name: &'static str, synopsis: &'static str, summary: &'static str, run: Run<S>) -> Self {
        Builtin { is_special: true, ..Builtin::new(name, synopsis, summary, run) }
    }

    /// Whether people type it.
    pub(super) const fn is_for_people(&self) -> bool {
        !self.summary.is_empty()
    }

    /// Whether `--help` is for it, rather than text like any other.
    pub(super) fn has_help(&self) -> bool {
        self.is_for_people() && !matches!(self.name, ":" | "[" | "echo" | "false" | "kill" | "test" | "true")
    }
}

/// The built-in of this name.
pub(super) fn find<S: System>(name: &[u8]) -> Option<&'static Builtin<S>> {
    let builtins = Shell::<S>::BUILTINS;
    let index = builtins.binary_search_by(|builtin| builtin.name.as_bytes().cmp(name)).ok()?;
    builtins.get(index)
}

impl<S: System> Shell<S> {
    /// The built-ins, in the order of their names' bytes.
    pub(super) const BUILTINS: &'static [Builtin<S>] = &[
        Builtin::special(".", "FILE", "Runs the commands of a file in this shell.", Shell::source),
        Builtin::special(":", "[WORD...]", "Does nothing, successfully.", Shell::succeed),
        Builtin::new("[", "EXPRESSION ]", "Tests names, texts and numbers, as test does.", Shell::test),
        Builtin::new(
            "bg",
            "[%JOB]",
            "Lets a stopped job go on in the background.",
            Shell::send_to_background,
        ),
        Builtin::special("break", "[COUNT]", "Leaves loops.", Shell::break_loop),
        Builtin::new("cd", "[DIRECTORY | -]", "Changes the working directory.", Shell::change_context),
        Builtin::new("clear", "", "Clears the screen.", Shell::clear),
        Builtin::new(
            "command",
            "[-v | -V] COMMAND [ARGUMENT...]",
            "Runs a command even if a function has its name, or says what it is.",
            Shell::bare_command,
        ),
        Builtin::special("continue", "[COUNT]", "Goes on with a loop's next round.", Shell::continue_loop),
        Builtin::new("echo", "[-n] [WORD...]", "Writes its words; -n leaves the newline out.", Shell::echo),
        Builtin::special("eval", "[WORD...]", "Runs its words as commands.", Shell::eval),
        Builtin::special(
            "exec",
            "[PROGRAM [ARGUMENT...]]",
            "Ends the shell with a program, or keeps redirections.",
            Shell::exec,
        ),
        Builtin::special("exit", "[STATUS]", "Ends the shell.", Shell::exit),
        Builtin::special(
            "export",
            "[VARIABLE[=VALUE]...]",
            "Passes variables on to programs.",
            Shell::export,
        ),
        Builtin::new("false", "", "Does nothing, unsuccessfully.", Shell::fail_quietly),
        Builtin::new(
            "fg",
            "[%JOB]",
            "Goes on with a job in the foreground, where ^C ends and ^Z stops it.",
            Shell::bring_to_foreground,
        ),
        Builtin::new(
            "getopts",
            "LETTERS VARIABLE [WORD...]",
            "Takes the next option of a script's arguments.",
            Shell::next_option,
        ),
        Builtin::new("help", "[COMMAND...]", "Lists the commands, or explains one.", Shell::help),
        Builtin::new("jobs", "[-p]", "Lists what runs in the background.", Shell::jobs),
        Builtin::new(
            "kill",
            "%JOB... | PID... | -s SERVICE...",
            "Ends jobs, processes or services.",
            Shell::kill,
        ),
        Builtin::new(
            "local",
            "VARIABLE[=VALUE]...",
            "Makes variables that end with the function.",
            Shell::local,
        ),
        Builtin::new(
            "prefix",
            "[NAME=TARGET... | -d NAME...]",
            "Shows, sets or removes prefixes of names.",
            Shell::prefix,
        ),
        Builtin::new("printf", "FORMAT [WORD...]", "Writes words in a format.", Shell::printf),
        Builtin::new("pwd", "", "Shows the working directory.", Shell::print_context),
        Builtin::new("read", "[-r] [-p PROMPT] VARIABLE...", "Reads a line into variables.", Shell::read),
        Builtin::special(
            "readonly",
            "[VARIABLE[=VALUE]...]",
            "Keeps variables from being changed.",
            Shell::read_only,
        ),
        Builtin::special("return", "[STATUS]", "Ends a function or a sourced file.", Shell::return_from),
        Builtin::special(
            "set",
            "[-aCefnuvx] [-o OPTION] [--] [WORD...]",
            "Shows variables; sets options and arguments.",
            Shell::set,
        ),
        Builtin::special("shift", "[COUNT]", "Drops the first arguments.", Shell::shift),
        Builtin::new("subshell-state", "", "", Shell::take_state),
        Builtin::new("test", "EXPRESSION", "Tests names, texts and numbers.", Shell::test),
        Builtin::special(
            "trap",
            "[COMMANDS | -] [EXIT] [INT]",
            "Sets what runs when the shell ends, or on ^C.",
            Shell::trap,
        ),
        Builtin::new("true", "", "Does nothing, successfully.", Shell::succeed),
        Builtin::new("type", "COMMAND...", "Says what would run.", Shell::describe_names),
        Builtin::special("unset", "[-f | -v] VARIABLE...", "Forgets variables or functions.", Shell::unset),
        Builtin::new("wait", "[%JOB | PID]...", "Waits for what runs in the background.", Shell::wait),
    ];

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
