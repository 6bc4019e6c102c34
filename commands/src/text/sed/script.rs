//! A script's parts.

use alloc::string::String;
use alloc::vec::Vec;

use crate::text::pattern::Pattern;

/// A pattern: its place in [`Script::patterns`]; none for the last used.
pub type PatternIndex = Option<usize>;

/// Which lines are meant.
#[derive(Clone, Copy, Debug)]
pub enum Address {
    /// The line of this number.
    Line(u64),
    /// The last line.
    Last,
    /// Each that matches.
    Match(PatternIndex),
    /// As a second address: so many lines further.
    More(u64),
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// `{`: what follows, up to this command.
    Block(usize),
    /// `}` and `:`
    Nothing,
    /// `b` and `t`: go on with this command; `t` only after a replacement.
    Branch { to: usize, if_replaced: bool },
    /// `a`
    Append(String),
    /// `i`
    Insert(String),
    /// `c`
    Change(String),
    /// `s`
    Substitute(Substitution),
    /// `y`
    Map(Vec<(char, char)>),
    /// `q`
    Quit(i32),
    /// A command that is its letter: `d D p P n N g G h H x =`.
    Letter(u8),
}

/// `s/pattern/text/flags`
#[derive(Debug)]
pub struct Substitution {
    /// What is replaced.
    pub pattern: PatternIndex,
    /// By what.
    pub replacement: Vec<Piece>,
    /// The first match that is.
    pub from: u64,
    /// Whether all after it are too.
    pub is_global: bool,
    /// Whether the line is written if something was replaced.
    pub prints: bool,
}

/// A part of a replacement.
#[derive(Debug)]
pub enum Piece {
    /// These bytes.
    Text(Vec<u8>),
    /// What a group matched; 0 is the whole match.
    Group(usize),
}

/// A command with its addresses.
#[derive(Debug)]
pub struct Step {
    /// No, one or two.
    pub addresses: [Option<Address>; 2],
    /// `!`
    pub is_negated: bool,
    /// What it does.
    pub action: Action,
}

/// A whole script.
pub struct Script {
    /// Its commands.
    pub steps: Vec<Step>,
    /// Its patterns.
    pub patterns: Vec<Pattern>,
}
