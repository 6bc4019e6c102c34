//! The cache of a node: what has been read of other nodes' files, for as long as it is leased.
//!
//! | module | what it has |
//! |---|---|
//! | `server` | what clients ask, and what becomes of it |
//! | `store` | the pieces of files that are in memory, up to a limit |
//! | `jobs` | what the team's other processes do, which may wait for other nodes: leases and pieces, and recalls |
//!
//! The server itself waits for nobody. What it has it gives at once; for the rest its client waits until one of the other
//! processes has it, and if all of them are at something, the client is sent to the file's server itself.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod jobs;
pub mod server;
pub mod store;

#[cfg(test)]
mod history;
#[cfg(test)]
mod tests;

pub use server::FileCache;
