//! Files in memory: `[boot]`, the boot archive where it lies, and `[tmp]`, which can be written.
//!
//! | module | what it has |
//! |---|---|
//! | `server` | the I/O and naming protocols in terms of the tree |
//! | `tree` | directories and files by name, and who may change what |
//! | `content` | a file's bytes |
//! | `pool` | the pages that these are in, which the kernel may map |
//! | `quota` | what users have and may have |
//! | `boot` | the boot archive as a tree |
//!
//! Its clients are all programs; it asks nobody but the kernel, so it answers at once, always.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod boot;
pub mod content;
pub mod pool;
pub mod quota;
pub mod server;
pub mod tree;

#[cfg(test)]
mod lease_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod permission_tests;
#[cfg(test)]
mod tests;

pub use quota::Quota;
pub use server::FileServer;
