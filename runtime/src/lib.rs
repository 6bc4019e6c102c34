//! What every V program links: messages, files and streams, names, programs, time, memory.
//!
//! ```text
//! #![no_std]
//! #![no_main]
//! use v::prelude::*;
//!
//! v_start::program!(main);
//!
//! fn main() -> i32 {
//!     println!("hello");
//!     0
//! }
//! ```
//!
//! The crate `v-start` adds what only a binary may have, and says how a program's package looks. Everything here is
//! also linked by libraries that are tested on the host; only what is pure works there.
//!
//! | module | what for |
//! |---|---|
//! | [`message`] | to send, receive, reply |
//! | [`server`] | the loop that serves requests |
//! | [`io`] | to read and write; standard input, output and error |
//! | [`file`] | files and directories |
//! | [`name`] | prefixes, the working directory |
//! | [`process`] | to end, to start programs |
//! | [`group`] | groups of processes, on one node or many |
//! | [`parallel`] | to share work among programs on many nodes |
//! | [`pipe`] | pipes between programs |
//! | [`env`] | arguments and environment |
//! | [`log`] | to tell the log |
//! | [`memory`] | pages |
//! | [`device`] | the machine's devices |
//! | [`disk`] | the node's disks |
//! | [`time`] | clocks, sleeping |
//! | [`remote`] | to be the network server |
//! | [`sync`] | locks between the processes of a team |
//! | [`entry`] | what the program was given at its beginning |

#![no_std]
#![deny(unsafe_code)]

extern crate alloc as alloc_crate;

#[allow(unsafe_code)] // Memory from the kernel has no owner until Rust is told.
pub mod alloc;
pub mod device;
pub mod disk;
#[allow(unsafe_code)] // What the creator mapped.
pub mod entry;
pub mod env;
pub mod file;
pub mod group;
pub mod io;
pub mod log;
pub mod memory;
pub mod message;
pub mod name;
pub mod node;
pub mod parallel;
pub mod pipe;
pub mod prelude;
pub mod process;
pub mod remote;
pub mod server;
pub mod sync;
#[allow(unsafe_code)] // The one instruction that traps.
mod syscall;
pub mod time;

pub use abi;
pub use abi::{Error, Message, Pid};
pub use message::{Segment, call};
pub use protocols;
