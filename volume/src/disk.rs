//! What a volume needs of others: a disk, and memory whose pages may have been lent.

use core::ops::DerefMut;

use abi::Error;

/// A disk, in blocks of [`BLOCK_BYTES`](crate::BLOCK_BYTES).
pub trait Disk {
    /// How many blocks it has.
    fn blocks(&self) -> u64;

    /// Reads blocks from `first` on until `place`, whole blocks long, is full.
    fn read(&mut self, first: u64, place: &mut [u8]) -> Result<(), Error>;

    /// These blocks will be read soon. A disk that can do its part of that meanwhile may; what it must not do is wait for it.
    fn expect(&mut self, first: u64, blocks: u64) {
        let _ = (first, blocks);
    }

    /// Writes whole blocks from `first` on. They are safe after the next [`flush`](Disk::flush); until then, if power fails,
    /// each may be the old one, the new one, or neither.
    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Returns when all that was written is safe.
    fn flush(&mut self) -> Result<(), Error>;
}

/// Memory of the machine's. Where no pages are lent to others there is hardly anything to do.
pub trait Memory {
    /// Pages in a row, which begin where one of the machine's does.
    type Pages: DerefMut<Target = [u8]>;

    /// So many bytes, in whole pages. They may be written once they are [made present](Memory::make_present).
    fn allocate(&mut self, bytes: usize) -> Result<Self::Pages, Error>;

    /// Makes a page, which was lent, one that nobody else has.
    fn discard(&mut self, page: &mut [u8]) -> Result<(), Error> {
        let _ = page;
        Ok(())
    }

    /// Sees to it that pages from `address` on can be written, which were never before.
    fn make_present(&mut self, address: usize, pages: u32) -> Result<(), Error> {
        let _ = (address, pages);
        Ok(())
    }
}
