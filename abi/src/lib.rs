//! The contract between the V kernel and its programs: one definition of each number, layout and name.
//!
//! Nothing of ours lies below this crate. The kernel, the runtime, the servers, the simulator and the tools on
//! the host all read the same files:
//!
//! | file | what it defines |
//! |---|---|
//! | `pid` | process identifiers: logical host, generation, index |
//! | `message` | the 32-byte message and its code word |
//! | `words` | how typed values lie in a message's words |
//! | `protocol` | the macro that declares a protocol: requests, replies, name table |
//! | `error` | every way in which an operation can fail |
//! | `segment` | the piece of memory that a Send grants |
//! | `call` | the system calls and their registers |
//! | `kernel` | requests to the kernel servers |
//! | `notice` | what the kernel itself sends: interrupts, exceptions |
//! | `page` | how the kernel asks for pages of files |
//! | `remote` | what the kernel tells the network server |
//! | `rights` | what a team may do |
//! | `information` | the page that every program may read |
//! | `boot` | what the kernel tells the first team |
//! | `trace` | the events in the kernel's trace ring |
//! | `wire` | how message and pid lie in a VMTP packet |

#![no_std]
#![forbid(unsafe_code)]

pub mod boot;
pub mod call;
pub mod error;
pub mod information;
pub mod kernel;
pub mod message;
pub mod notice;
pub mod page;
pub mod pid;
pub mod protocol;
pub mod remote;
pub mod rights;
pub mod segment;
pub mod trace;
pub mod wire;
pub mod words;

pub use error::Error;
pub use message::Message;
pub use pid::{FIRST_GUEST_INDEX, LogicalHost, Pid};
pub use protocol::Request;
pub use rights::{Rights, UserId};
pub use segment::{Access, Grant};
pub use words::Words;

/// Bytes in a page of memory.
pub const PAGE_BYTES: u64 = 4096;

/// First address that a program may not use: the end of the lower half, less one guard page.
pub const USER_ADDRESS_END: u64 = 0x0000_7fff_ffff_f000;
