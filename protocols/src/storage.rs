//! Volumes: files on a disk, as a whole. What is in them is read and written by the I/O and naming protocols.
//!
//! The storage server answers for `[volume]`, where these requests go, from its start on, and for `[storage]`, the files,
//! as long as it has a volume.

use abi::protocol;

/// The prefix to which these requests go.
pub const CONTROL: &str = "volume";
/// The prefix of the files.
pub const FILES: &str = "storage";
/// The directory in `[storage]` that `[home]` is.
pub const HOME: &str = "home";
/// The file in `[storage]` with further services, and the word of the boot command line that has it left out.
pub const CONFIGURATION: &str = "configuration/services";
/// See [`CONFIGURATION`].
pub const OWN_CONFIGURATION_WORD: &str = "own-configuration";
/// What the word of the boot command line begins with that lets a blank disk be made a volume; the disk's serial number
/// follows.
pub const FORMAT_WORD: &str = "format=";

/// Bits of `flags` in `Format`.
pub mod format_flag {
    /// What is on the disk may be lost.
    pub const FORCE: u32 = 1;
}

protocol! {
    /// Volumes.
    pub mod storage = 0x1c, enum Storage {
        /// What the volume is: a [`VolumeRecord`](crate::storage::VolumeRecord) into the write segment;
        /// [`NotFound`](abi::Error::NotFound) if there is none.
        Query = 1 {} => Queried { count: u32 };
        /// Makes a volume of the disk or partition that the read segment names, such as `[disk0]all`, and takes it for
        /// `[storage]`. Only the operator and the system may. [`AlreadyExists`](abi::Error::AlreadyExists) if it is not
        /// blank, unless that is said to be right; [`Busy`](abi::Error::Busy) if there is a volume already.
        Format = 2 {
            /// Bits of [`format_flag`](crate::storage::format_flag).
            flags: u32,
        } => Formatted {};
        /// Looks at all that is on the disk, and says what is wrong by lines of text in the write segment, as many as fit.
        /// What can be repaired is. Only the operator and the system may.
        Check = 3 {} => Checked {
            /// Bytes of text.
            count: u32,
            /// How much is wrong.
            findings: u32,
            files: u32,
            directories: u32,
        };
        /// Makes everything safe.
        Synchronize = 4 {} => Synchronized {};
    }
}

/// What a volume is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VolumeRecord<'a> {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Bytes of files in memory.
    pub cached_bytes: u64,
    /// Bytes in memory that are not on the disk yet.
    pub dirty_bytes: u64,
    /// Commits since it was made.
    pub generation: u64,
    /// On which disk or partition it is.
    pub disk: &'a str,
}

const NUMBERS_BYTES: usize = 40;

impl<'a> VolumeRecord<'a> {
    /// Most bytes of one.
    pub const MAX_BYTES: usize = NUMBERS_BYTES + 256;

    /// Writes it to the beginning of `place`; its length, or none if the place is too short.
    pub fn encode(&self, place: &mut [u8]) -> Option<usize> {
        let numbers =
            [self.total_bytes, self.free_bytes, self.cached_bytes, self.dirty_bytes, self.generation];
        let bytes = NUMBERS_BYTES + self.disk.len();
        let place = place.get_mut(..bytes)?;
        for (eight, number) in place.chunks_exact_mut(8).zip(numbers) {
            eight.copy_from_slice(&number.to_le_bytes());
        }
        place[NUMBERS_BYTES..].copy_from_slice(self.disk.as_bytes());
        Some(bytes)
    }

    /// Reads one that fills `bytes`.
    pub fn decode(bytes: &'a [u8]) -> Option<VolumeRecord<'a>> {
        let (numbers, disk) = bytes.split_at_checked(NUMBERS_BYTES)?;
        let number = |at: usize| Some(u64::from_le_bytes(*numbers.get(at * 8..)?.first_chunk()?));
        Some(VolumeRecord {
            total_bytes: number(0)?,
            free_bytes: number(1)?,
            cached_bytes: number(2)?,
            dirty_bytes: number(3)?,
            generation: number(4)?,
            disk: core::str::from_utf8(disk).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let record = VolumeRecord {
            total_bytes: 1,
            free_bytes: 2,
            cached_bytes: 3,
            dirty_bytes: 4,
            generation: 5,
            disk: "[disk0]all",
        };
        let mut place = [0xff; VolumeRecord::MAX_BYTES];
        let bytes = record.encode(&mut place).unwrap();
        assert_eq!(VolumeRecord::decode(&place[..bytes]), Some(record));
        assert_eq!(record.encode(&mut place[..bytes - 1]), None);
        assert_eq!(VolumeRecord::decode(&place[..NUMBERS_BYTES - 1]), None);
    }
}
