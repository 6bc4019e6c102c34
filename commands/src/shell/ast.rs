//! The syntax tree of a script: what the parser makes, the executor runs and the printer writes out again.
//!
//! Quoting is kept in the tree (what was quoted is never split or matched), so that printing a tree and
//! parsing the text gives the same tree; child shells are started with such text.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::OnceCell;
use core::fmt;

/// Bytes of a script or of a value; usually UTF-8, but nothing depends on it.
pub type Text = Vec<u8>;

/// A place in a script, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character in the line.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Commands run one after the other.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct List {
    /// In the order of running.
    pub items: Vec<Item>,
}

/// One element of a list, with what ended it.
#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    /// The pipelines.
    pub and_or: AndOr,
    /// Ended by `&`: nobody waits for it.
    pub background: bool,
}

/// Pipelines joined by `&&` and `||`, which bind equally and to the left.
#[derive(Clone, PartialEq, Debug)]
pub struct AndOr {
    /// Runs always.
    pub first: Pipeline,
    /// Run depending on the status so far.
    pub rest: Vec<(Connector, Pipeline)>,
}

/// What decides whether the next pipeline runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connector {
    /// `&&`: after success.
    And,
    /// `||`: after failure.
    Or,
}

/// Commands whose outputs feed the next one's input.
#[derive(Clone, PartialEq, Debug)]
pub struct Pipeline {
    /// `!`: success and failure change places.
    pub negated: bool,
    /// At least one.
    pub stages: Vec<Command>,
}

/// One command with its redirections.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// What to do.
    pub kind: Kind,
    /// Streams changed for its duration, from left to right.
    pub redirections: Vec<Redirection>,
    /// Where it starts.
    pub at: Position,
}

/// The kinds of command.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// Assignments, or a program, built-in or function with arguments.
    Simple(Simple),
    /// `{ list; }`
    Group(List),
    /// `( list )`, and where it runs if `@NODE` or `@ *` follows.
    Subshell(List, Option<Where>),
    /// `if`: conditions with what follows each, and the `else`.
    If(Vec<(List, List)>, Option<List>),
    /// `while` (or, negated, `until`) a condition, a body.
    While {
        /// `until`.
        until: bool,
        /// Decides.
        condition: List,
        /// Repeats.
        body: List,
    },
    /// `for name in words; do list; done`
    For {
        /// The variable.
        name: Text,
        /// The words; `None` is `"$@"`.
        words: Option<Vec<Word>>,
        /// Repeats.
        body: List,
    },
    /// `case word in pattern) list;; esac`
    Case {
        /// What is matched.
        subject: Word,
        /// Alternatives, of which the first that matches runs.
        arms: Vec<(Vec<Word>, List)>,
    },
    /// `name() command`
    Function {
        /// Its name.
        name: Text,
        /// A compound command; shared, for a running function may be defined anew.
        body: Rc<Command>,
    },
}

/// A simple command.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Simple {
    /// `name=value` before the command.
    pub assignments: Vec<(Text, Word)>,
    /// The command's name and arguments.
    pub words: Vec<Word>,
    /// `@NODE` or `@ *` at the end: where it runs.
    pub placement: Option<Where>,
}

/// Where a command asks to run.
#[derive(Clone, PartialEq, Debug)]
pub enum Where {
    /// `@NODE`; what is expanded may turn out to mean the other.
    Node(Word),
    /// `@ *` or `@ '* constraints'`: on the node that is idle most. The word begins with the star.
    Anywhere(Word),
}

/// `2> name` and its like.
#[derive(Clone, PartialEq, Debug)]
pub struct Redirection {
    /// The stream that changes.
    pub descriptor: u8,
    /// What it becomes.
    pub target: Target,
    /// Where it starts.
    pub at: Position,
}

/// What a redirected stream becomes.
#[derive(Clone, PartialEq, Debug)]
pub enum Target {
    /// A file.
    File(Mode, Word),
    /// `<&` or `>&`: the same as another stream, or closed for `-`.
    Same(Word),
    /// `<<`: the text that follows the line.
    Here(Here),
}

/// How a redirection opens its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// `<`
    Read,
    /// `>`: created, or emptied.
    Write,
    /// `>|`: as `>`, whatever `set -C` says.
    Overwrite,
    /// `>>`: created, or written at its end.
    Append,
    /// `<>`: created, read and written.
    ReadWrite,
}

/// A here-document. Its body stands after the line, so the parser fills it in later.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Here {
    /// The body; set once the parser has passed it.
    pub body: Rc<OnceCell<Word>>,
}

/// Pieces that stand together without a blank.
#[derive(Clone, PartialEq, Debug)]
pub struct Word {
    /// From left to right.
    pub pieces: Vec<Piece>,
    /// Where it starts.
    pub at: Position,
}

impl Word {
    /// The text of a word that is not quoted and needs no expansion.
    pub fn literal(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

/// A piece of a word.
#[derive(Clone, PartialEq, Debug)]
pub enum Piece {
    /// Unquoted text; its `*`, `?` and `[` make patterns.
    Literal(Text),
    /// Text from `'…'` or after a backslash.
    Quoted(Text),
    /// `"…"`: expanded, but neither split nor matched.
    Double(Vec<Piece>),
    /// `~` at the start of a word.
    Home,
    /// `$name` and `${…}`.
    Parameter(Box<Parameter>),
    /// `$(…)` and backquotes.
    Command(Rc<List>, Position),
    /// `$((…))`.
    Arithmetic(Vec<Piece>, Position),
}

/// A parameter expansion.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameter {
    /// Which parameter.
    pub name: Name,
    /// What to make of it.
    pub operation: Operation,
    /// Where it starts.
    pub at: Position,
}

/// The name of a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Name {
    /// A variable.
    Variable(Text),
    /// `$1`, `${12}`; 0 is the script's name.
    Positional(u32),
    /// `@ * # ? - $ !`
    Special(u8),
}

/// What a parameter expansion does with the value.
#[derive(Clone, PartialEq, Debug)]
pub enum Operation {
    /// The value itself.
    Value,
    /// `${#name}`: its length in characters.
    Length,
    /// `${name:-word}` and its like.
    Otherwise {
        /// What to do.
        action: Otherwise,
        /// With the colon, an empty value counts as unset.
        empty_too: bool,
        /// The word.
        word: Word,
    },
    /// `${name#pattern}` and its like.
    Trim {
        /// `%`, not `#`.
        suffix: bool,
        /// Doubled: the longest match.
        longest: bool,
        /// What is cut away.
        pattern: Word,
    },
}

/// The four operations on parameters that may be unset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Otherwise {
    /// `-`: the word instead.
    Use,
    /// `=`: the word, which is also assigned.
    Assign,
    /// `?`: the word is an error message.
    Fail,
    /// `+`: the word if it is set, nothing if it is not.
    Alternative,
}
