//! Files on a FAT volume, for exchange with other systems: `[fat]`.
//!
//! The format is the crate `lamfat`'s business, which is `rust-fatfs` as it stands in its repository; decision 135 says why.
//!
//! | module | what it has |
//! |---|---|
//! | `disk` | the bytes of a disk for `lamfat`, through a cache of pages |
//! | `volume` | files and directories by their paths |
//! | `times` | FAT's dates, and ours |
//! | `server` | the I/O and naming protocols in terms of the volume |
//!
//! Nothing is kept of an open file but its path: each request finds it anew, so that no two of them can disagree. It waits for
//! nobody but the drivers of disks, which stand below it.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod disk;
pub mod server;
mod times;
pub mod volume;

#[cfg(test)]
mod tests;

pub use server::FatServer;
