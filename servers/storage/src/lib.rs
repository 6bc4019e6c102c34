//! Files on a disk: `[storage]`, in terms of a [volume](volume::Volume).
//!
//! | module | what it has |
//! |---|---|
//! | `server` | the I/O and naming protocols in terms of the volume, and when it is committed |
//! | `names` | paths, and who may change what |
//! | `configuration` | the services that a volume adds to the node's |
//! | `control` | the volume as a whole: format, check |
//! | `leased` | that files may be leased to caches of other nodes, on the disk |
//! | `describe` | what is said of a file |
//! | `reader` | how far somebody has come in a file, and how much is read ahead for that |
//! | `opened` | who has which file open, and which of its pages the kernel has |
//! | `device` | the disk: a driver's instance, opened anew when the driver was restarted |
//!
//! It waits for nobody but the drivers of disks, which stand below it.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod configuration;
mod control;
mod describe;
pub mod device;
mod disks;
mod leased;
mod names;
mod opened;
mod reader;
pub mod server;

#[cfg(test)]
mod tests;

pub use control::to_be_formatted;
pub use disks::Disks;
pub use server::FileServer;
