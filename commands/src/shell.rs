//! The shell: POSIX's command language, with V's names and `@NODE`.
//!
//! A text goes through [`parser`] (with `lexer`, `word` and `cursor` under it) into the tree of [`ast`].
//! [`Shell`] runs trees: `execute` has the compound commands, `simple` and `pipeline` what starts programs,
//! `expand` what becomes of words, `builtins` the built-in commands, `session` the ways to run a whole shell.
//! [`System`] is all that it needs of the world, so the language is tested without V; `node` is V's, and `program`
//! the program `exec` over it.
//!
//! Invariants: whatever the text, parsing and running end with a status or an error that has a position, and
//! nesting is bounded by the stack there is (`stack`). A tree prints (`print`) to a text that parses to it.

pub(crate) mod arithmetic;
pub mod ast;
mod builtins;
mod completion;
mod cursor;
pub(crate) mod elsewhere;
mod execute;
mod expand;
mod fields;
mod history;
mod jobs;
pub(crate) mod lexer;
mod names;
mod node;
pub mod parser;
pub(crate) mod pattern;
mod pipeline;
pub mod print;
pub mod program;
mod redirect;
mod room;
mod session;
mod simple;
mod stack;
mod state;
mod suspend;
mod system;
mod test_expression;
mod word;

#[cfg(test)]
mod tests;

pub use builtins::{builtin_help, nearest};
pub use cursor::ParseError;
pub use execute::Shell;
pub use stack::Stack;
pub use system::{Constraints, Ended, Object, ObjectKind, Placement, Program, Start, System, Waited};
