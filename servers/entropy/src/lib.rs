//! Random numbers: whoever reads `[entropy]` gets as many random bytes as asked for; what is written is mixed in.
//!
//! | module | what it has |
//! |---|---|
//! | `pool` | the generator |
//! | `server` | the generator as an instance of the I/O protocol |

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod pool;
pub mod server;

pub use pool::Pool;
pub use server::EntropyServer;
