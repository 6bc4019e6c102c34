//! What the server needs of the node: its disks, and a word to the outside. The node's own are in `main.rs`.

use abi::Error;
use volume::{Disk, Memory};

/// Where disks come from.
pub trait Disks {
    /// What they are.
    type Disk: Disk + Memory;

    /// Opens a disk or partition for reading and writing, by its name.
    fn open(&mut self, name: &str) -> Result<Self::Disk, Error>;

    /// Sixteen bytes that nobody else has.
    fn unique(&mut self) -> [u8; 16];

    /// There is a volume now: `[storage]` is to be had.
    fn announce(&mut self) -> Result<(), Error>;

    /// Says something in the log.
    fn tell(&mut self, what: &str);
}
