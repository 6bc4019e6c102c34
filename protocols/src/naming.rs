//! Prefixes: which server answers for `[prefix]`.
//!
//! A program looks in the table that it was started with, then asks the group
//! [`NAMING`](abi::kernel::well_known_group::NAMING), which is its node's naming server. What that does not know may be a
//! *global* prefix, which means the same on every node: the naming servers of all of them are asked at once, the group
//! [`ALL_NAMING`](abi::kernel::well_known_group::ALL_NAMING), and the one answers that has it. There is no central name
//! server. Each node's name is a global prefix, that of the directory of the node's prefixes. A look-up of a prefix whose server has died waits for its restart, up to
//! [`RESTART_PATIENCE_NS`].

use abi::{Pid, protocol};

/// Longest prefix, in bytes; letters, digits, `-`, `_` and `.`.
pub const MAX_PREFIX_BYTES: usize = 32;
/// The context, at a naming server, of the directory of all its prefixes. What a name says below it is another server's:
/// so whoever has this as working directory looks names up in full.
pub const PREFIXES: u32 = u32::MAX;
/// How long a look-up waits for a server that is being restarted.
pub const RESTART_PATIENCE_NS: u64 = 10_000_000_000;

/// Whether `name` may be a prefix.
pub fn is_prefix(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_PREFIX_BYTES && name.bytes().all(is_prefix_byte)
}

/// Whether a prefix may have this byte in it.
#[inline]
pub const fn is_prefix_byte(byte: u8) -> bool {
    PREFIX_BYTES[byte as usize]
}

/// The answer for each byte. Every name that is looked up is searched for the end of its prefix.
static PREFIX_BYTES: [bool; 256] = {
    let mut may = [false; 256];
    let mut byte = 0;
    while byte < may.len() {
        may[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'_' | b'.');
        byte += 1;
    }
    may
};

protocol! {
    /// Prefixes.
    pub mod naming = 0x12, enum Naming {
        /// Who answers for the prefix in the read segment, which has no brackets.
        Resolve = 1 {} => Resolved { server: Pid, context: u32 };
        /// The caller's server answers for the prefix in the read segment from now on. Needs the right; a prefix
        /// whose server lives can be taken only by the same process.
        Register = 2 {
            server: Pid,
            context: u32,
            /// 1 if it is a global prefix, else 0.
            is_global: u32,
        } => Registered {};
        /// Nobody answers for it any more.
        Unregister = 3 {} => Unregistered {};
        /// The prefix at a position, into the write segment; positions end with
        /// [`NotFound`](abi::Error::NotFound).
        Enumerate = 4 { position: u32 } => Enumerated { server: Pid, context: u32, count: u32 };
        /// Who answers for the global prefix in the read segment. Asked of all naming servers: who does not have it says
        /// [`NothingToSay`](abi::Error::NothingToSay).
        Locate = 5 {} => Located { server: Pid, context: u32 };
    }
}
