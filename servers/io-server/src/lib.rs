//! What every server of the I/O protocol shares, so that each is short: it says only what its objects are.
//!
//! A server implements [`Service`] and hands it to an [`IoServer`], which keeps the table of open instances with
//! their owners, checks who may use them, counts them against users, closes those of teams that have ended, fetches
//! and checks names, serves directory listings, and leaves the rest to the service.
//!
//! | module | what it has |
//! |---|---|
//! | `service` | [`Service`]: what a server says of itself; requests and answers |
//! | `server` | [`IoServer`]: from a message to a call of the service and back to an answer |
//! | `instances` | [`Instances`]: who holds what open |
//! | `table` | things by number: instances, directories |
//! | `leasing` | leases of files, for caches on other nodes |
//! | `path` | the components of a name, hostile ones refused |
//! | `listing` | directories as a stream of descriptors; servers with a fixed list of names |
//! | `system` | [`System`]: the few things of the kernel that a server needs |
//! | `serve` | the serve loop over the real kernel |
//! | `elsewhere` | the processes of other nodes: who has ended, and how to end one |
//! | `ring`, `waiting` | for streams: a bounded buffer, and who waits to read or write it |
//! | `lines` | [`LineServer`]: serial ports and what is like them |
//! | `testing` | a `System` in memory, for tests on the host |
//!
//! Only `serve` and `elsewhere` call the kernel: every server's logic runs under `cargo test`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod elsewhere;
pub mod instances;
mod leasing;
pub mod lines;
pub mod listing;
pub mod path;
pub mod ring;
pub mod serve;
pub mod server;
pub mod service;
mod sweeps;
pub mod system;
pub mod table;
pub mod testing;
pub mod waiting;

pub use instances::{Instances, Limits};
pub use lines::{Line, LineServer, Queues};
pub use listing::{Flat, Listing};
pub use ring::Ring;
pub use serve::{serve, serve_prefixes};
pub use server::IoServer;
pub use service::{AccessChange, Client, Completion, Incoming, Opening, Reading, Request, Service, Writing};
pub use system::System;
pub use table::Table;
pub use v::server::Outcome;
pub use waiting::{Waiter, Waiters};
