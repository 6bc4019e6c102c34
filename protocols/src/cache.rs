//! The cache of a node: files of other nodes, read here as long as they are leased (see `leases`). A program that has such a
//! file open tells the cache, and reads through the instance that this gives it, by `io`.
//!
//! A read is refused as [`Busy`](abi::Error::Busy) where the cache cannot help: then the program reads the file itself.
//! Any other refusal is that of the file's server.

use abi::{Pid, protocol};

/// The prefix of a node's cache.
pub const CACHE: &str = "cache";
/// In pieces of so many bytes, at multiples of it, a file is read: what one message carries.
pub const PIECE_BYTES: usize = abi::segment::HEAD_BYTES as usize;

protocol! {
    /// Files of other nodes.
    pub mod cache = 0x1e, enum Cache {
        /// Lets an instance of another node's server, which the sender's user may read, be read here.
        Attach = 1 {
            server: Pid,
            instance: u32,
            /// The team that shall own the instance.
            owner: Pid,
        } => Attached { instance: u32 };
    }
}
