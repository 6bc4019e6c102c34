//! Leases of files, for caches on other nodes. Whoever serves files that can be cached speaks this beside `io`; only the
//! system's processes may ask.
//!
//! A lease is of a *content*: what a file's bytes are now, by a number that means the same as long as the server lives. Until
//! the lease has ended, by the cache's count from when it asked, nobody changes the file without the cache having been
//! told: before it lets anyone open the file for writing, the server recalls the leases, by answering the `Await` that
//! each cache has with it. What counts when is told in the crate `leases`, which has the state of either side.

use abi::{Pid, protocol};

protocol! {
    /// Leases.
    pub mod leases = 0x1d, enum Leases {
        /// Asks for a lease of the file that an instance is, or for a longer one, for a user who may read it.
        Lease = 1 {
            instance: u32,
            user: u32,
            /// The cache: a process of the sender's node.
            holder: Pid,
        } => Leased {
            /// What is leased; 0 for nothing: then somebody writes the file, or waits to, and its bytes may change at once.
            content: u32,
            /// How long it lasts.
            term_ms: u32,
            /// The grant's number.
            grant: u64,
            /// Bytes of the file.
            size: u64,
        };
        /// Waits for a lease to be recalled, and says which of those recalled before is given up; 0 for none. Answered also
        /// when the holder has no lease left: 0 then.
        Await = 2 { holder: Pid, content: u32, grant: u64 } => Recalled { content: u32, grant: u64 };
    }
}
