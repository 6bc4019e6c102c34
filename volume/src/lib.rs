//! A volume: files and directories on a disk, which survive a power cut at any moment and know when the disk is wrong.
//!
//! **Copy on write.** Nothing that the last commit refers to is overwritten. A [commit](Volume::commit) writes all that was
//! changed to free blocks, flushes, and then writes the *superblock* of the next generation, which refers to it all. So a
//! disk always holds exactly the state of one commit, and a rename, or whatever else happened between two, is there or not.
//!
//! **Checksums.** Whoever refers to a block has its checksum of 64 bits, and every block that comes from the disk is
//! checked against it. What is not as it was written is [`Damaged`](abi::Error::Damaged), never data.
//!
//! **Trees.** A file is a tree of pages: those of level 0 are its data, each page above has [pointers](layout::Pointer)
//! to 256 below. A hole is a pointer to nothing. What a file is besides, its *inode*, lies in a table that is such a tree
//! too, and so is the map of used blocks. A directory is a file of names.
//!
//! | module | what it has |
//! |---|---|
//! | `layout` | what lies on the disk: superblock, inode, pointer, entry |
//! | `disk` | [`Disk`] and [`Memory`]: what a volume needs of others |
//! | `map` | which blocks are used, and which may be |
//! | `cache` | pages in memory: what was read, and what is to be written |
//! | `tree` | pages of files, found, made and cut off |
//! | `objects` | inodes |
//! | `directory` | names |
//! | `commit` | what was changed goes to the disk |
//! | `volume` | [`Volume`]: format, mount, read, write |
//! | `check` | everything on a disk, looked at |
//! | `testing` | a disk in memory whose power can be cut |
//!
//! Who may do what, who has what open and when to commit is its user's business: the storage server's, or the tool's on
//! the host.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cache;
pub mod check;
mod commit;
mod directory;
mod disk;
pub mod layout;
mod map;
mod objects;
pub mod testing;
mod tree;
mod volume;

pub use disk::{Disk, Memory};
pub use layout::{BLOCK_BYTES, Inode, Kind, MAX_SIZE};
pub use objects::ROOT;
pub use volume::{Options, ROW_PAGES, Space, Volume, find};
