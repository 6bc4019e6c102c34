//! The I/O protocol: V's uniform I/O. Everything that can be read or written is an *instance* in some server.
//!
//! Positions are bytes from the beginning of the object, so a read or a write of a file says all it needs and may
//! be repeated: after a lost packet, or when the server came back. A stream (a pipe, a terminal) has no positions:
//! it ignores them and gives what comes next. A read at or beyond the end gives 0 bytes.
//!
//! An instance has owners, the teams that hold it open. Their number falls with `Release` and when an owner ends,
//! which the server finds out; the last one gone closes the instance. Others of the same user may use it as well.

use abi::{Pid, protocol};

/// Bits of `mode` in `Open`.
pub mod mode {
    /// For reading.
    pub const READ: u32 = 1;
    /// For writing.
    pub const WRITE: u32 = 2;
    /// Every write goes to the end.
    pub const APPEND: u32 = 4;
    /// Makes the file if there is none.
    pub const CREATE: u32 = 8;
    /// With `CREATE`: fails if there is one.
    pub const NEW: u32 = 16;
    /// Empties the file.
    pub const TRUNCATE: u32 = 32;
    /// Reads a directory's descriptors (see `names`).
    pub const DIRECTORY: u32 = 64;
    /// Those with which the content may change.
    pub const WRITES: u32 = WRITE | APPEND | TRUNCATE;
    /// All bits that mean something.
    pub const ALL: u32 = 127;
}

/// What an instance can do: bits of `attributes`.
pub mod attribute {
    /// Can be read.
    pub const READABLE: u32 = 1;
    /// Can be written.
    pub const WRITABLE: u32 = 2;
    /// Has no positions: what was read is gone.
    pub const STREAM: u32 = 4;
    /// Every write goes to the end.
    pub const APPEND_ONLY: u32 = 8;
    /// A person may be at the other end.
    pub const INTERACTIVE: u32 = 16;
    /// Gives descriptors.
    pub const DIRECTORY: u32 = 32;

    /// What may be done with an instance that was opened with these bits of [`mode`](super::mode).
    pub const fn of_mode(mode: u32) -> u32 {
        let readable = if mode & super::mode::READ != 0 { READABLE } else { 0 };
        let writable = if mode & (super::mode::WRITE | super::mode::APPEND) != 0 { WRITABLE } else { 0 };
        readable | writable
    }
}

protocol! {
    /// Instances: open, read, write, release.
    pub mod io = 0x10, enum Io {
        /// Opens the object that the read segment names, relative to a directory of the server.
        Open = 1 {
            /// A directory of the server; 0 for its root.
            context: u32,
            /// Bits of [`mode`](crate::io::mode).
            mode: u32,
            /// The team that shall own the instance.
            owner: Pid,
        } => Opened {
            instance: u32,
            /// Bits of [`attribute`](crate::io::attribute).
            attributes: u32,
            /// The size of read that suits the server best.
            block_bytes: u32,
            /// Bytes, for what has a size.
            size: u64,
        };
        /// What `Open` said, anew.
        QueryInstance = 2 { instance: u32 } => InstanceQueried { attributes: u32, block_bytes: u32, size: u64 };
        /// Reads into the write segment, as much as fits it; fewer bytes are no error, none is the end.
        Read = 3 { instance: u32, position: u64 } => ReadDone { count: u32 };
        /// Writes the read segment; fewer bytes are no error.
        Write = 4 { instance: u32, position: u64 } => Written { count: u32 };
        /// Takes one owner away.
        Release = 5 { instance: u32, owner: Pid } => Released {};
        /// Adds an owner: a program that inherits the instance.
        Share = 6 { instance: u32, owner: Pid } => Shared {};
        /// Cuts or extends with zeros.
        SetSize = 7 { instance: u32, size: u64 } => SizeSet {};
        /// Replies when all that was written will survive what the server survives.
        Synchronize = 8 { instance: u32 } => Synchronized {};
        /// Takes one owner away from each of its standard streams, at its end. 0 is none; that one of them is not its own is
        /// no error.
        ReleaseStreams = 9 { owner: Pid, input: u32, output: u32, error: u32 } => StreamsReleased {};
    }
}
