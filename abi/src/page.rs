//! Page requests: how the kernel asks for a page of an instance, and gives one back.
//!
//! They are reads and writes of the I/O protocol, of one page, from a sender that has no code of its own; so whatever
//! serves files serves pages, on this machine or another. A read grants one page for writing. What a reply leaves out of
//! it is zeros.
//!
//! A server that keeps the content in whole pages of its own memory need not have it copied: it *lends*
//! them: where a reply says how many bytes its data are, it adds an [`Access`](crate::Access), and the kernel maps the very
//! pages that these lie in, for reading or for writing too, and as many as it likes. They stay lent until it [revokes](crate::kernel::memory::Revoke) them; what it
//! writes there is seen by all. To any other sender such a reply is one like others.

use crate::protocol;

protocol! {
    /// The kernel's page requests.
    pub mod page = 0x10, enum Page {
        /// Reads a page.
        Read = 3 { instance: u32, position: u64 } => PageRead { count: u32 };
        /// Writes a page: the read segment, which the end of the instance may cut short.
        Write = 4 { instance: u32, position: u64 } => PageWritten { count: u32 };
    }
}

/// How long the kernel waits for an answer to one, in nanoseconds. After that a read becomes an exception of whoever
/// touched the page.
pub const DEADLINE_NS: u64 = 30_000_000_000;

/// Most pages that a reply may lend.
pub const MOST_LENT: u64 = 16;
