//! Terminals: line editing, history, ^C and all that, over a serial line or a console on a screen.
//!
//! | module | what it has |
//! |---|---|
//! | `keys` | from bytes to keys |
//! | `line` | the line being edited |
//! | `history` | the lines before it |
//! | `view` | the line on the screen |
//! | `editor` | what each key does |
//! | `terminal` | modes, who reads, who is ended by ^C, what was typed ahead, what is on its way to the screen |
//! | `server` | the I/O and terminal protocols in terms of it |
//!
//! The server itself waits for nobody. Two further processes of the team wait for the serial line, one for each
//! direction, and send to the first what they got and for what they can write: see [`channel`].
//!
//! The crate `vte` parses what programs send to a terminal; what a keyboard sends is a small part of that, with
//! meanings of its own, so `keys` reads it by itself.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod channel;
pub mod editor;
pub mod history;
pub mod keys;
pub mod line;
pub mod server;
pub mod terminal;
pub mod view;

#[cfg(test)]
mod screen_tests;
#[cfg(test)]
mod tests;

pub use server::TerminalServer;
