//! Leases (Gray and Cheriton, 1989): a cache may rely on what it has of a file until a time, and nobody writes the file
//! before that without the cache's approval.
//!
//! | part | whose | what it knows |
//! |---|---|---|
//! | [`Grants`] | a file server's | who holds a lease of which file until when, and which files are waited for |
//! | [`Holdings`] | a cache's, for one server | which contents it may rely on until when |
//!
//! Neither has a clock, sends anything or reads a file: who uses them says what time it is and carries the messages.
//!
//! **What is leased is a content**, a state of a file's bytes, by a number that the server gives it. Who opens the file for
//! writing ends it: the file has another number then, and no number comes twice. So a cache keeps what it has of a
//! content for as long as it likes, and after its lease has ended it only asks whether the file still has that number.
//!
//! **Time.** A lease's term is measured by two clocks, of which neither knows what the other says. The cache counts from the
//! moment when it *asked*, the server from the moment when it *granted*, which is later. The cache takes one part in
//! [`DRIFT_PARTS`] off the term, so the clocks may differ in rate by so much, and by anything in what they say.
//!
//! **Messages** may be lost, repeated and late. Grants are numbered; a recall names the last one that it takes back, and
//! whatever was granted before and comes later is void. An approval names the grant that it gives up, and gives up no other.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod grants;
mod holdings;

pub use grants::{Grants, Permission};
pub use holdings::Holdings;

/// How long a lease lasts, and so how long a writer waits at most for a cache that does not answer, and a restarted server
/// before it lets anyone write.
pub const TERM_MS: u32 = 5_000;

/// The same in nanoseconds.
pub const TERM_NS: u64 = term_ns(TERM_MS);

/// Clocks may differ in rate by one part in so many.
pub const DRIFT_PARTS: u64 = 100;

const NS_OF_MS: u64 = 1_000_000;

/// A lease as the server grants it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// What is leased; 0 if nothing is.
    pub content: u32,
    /// The number of the grant: later ones have larger numbers.
    pub number: u64,
    /// How long it lasts, in milliseconds; 0 if nothing is leased.
    pub term_ms: u32,
}

impl Grant {
    /// No lease: somebody writes, or is about to.
    pub const NONE: Grant = Grant { content: 0, number: 0, term_ms: 0 };

    /// Whether anything is leased.
    pub const fn is_lease(&self) -> bool {
        self.content != 0 && self.term_ms != 0
    }
}

/// The server takes back a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recall {
    /// What was leased.
    pub content: u32,
    /// The last grant of it.
    pub grant: u64,
}

/// A term in nanoseconds.
const fn term_ns(term_ms: u32) -> u64 {
    term_ms as u64 * NS_OF_MS
}
