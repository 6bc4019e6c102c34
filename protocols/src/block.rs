//! The block protocol: disks and their partitions, beside `io`.
//!
//! Each disk has a prefix, `[disk0]`, `[disk1]` and so on, which its driver registers. Below it are the objects
//! [`ALL`](crate::block::ALL), the whole disk, and `1`, `2` and so on, its partitions. The number of a disk is the same at
//! each start of the machine with the same devices, and does not change when a driver is restarted.
//!
//! **Instances** are opened, read, written and released by the [I/O protocol](crate::io). As everywhere positions are
//! bytes; the answer to `Open` says how long a block is (`block_bytes`: 512 or 4096, say) and how long the object (`size`).
//!
//! * A *read* may begin and end anywhere. It gives at most [`largest_transfer_bytes`](Geometry::largest_transfer_bytes),
//!   whatever the segment's length; none at the end.
//! * A *write* may begin and end anywhere too; of a block that is written in part the driver reads the rest first, so whole
//!   blocks are faster. One that reaches beyond the end is [`NoSpace`](abi::Error::NoSpace), and nothing is written. Of one that
//!   is longer than `largest_transfer_bytes` so much is written, and the count says so.
//! * A client that reads on says by [`ReadAhead`](block::ReadAhead) what it will read next, before it reads what is next: so
//!   the disk is at work while the client is.
//! * When a write is answered, the device has it, but it may lie in the device's cache. When a
//!   [`Synchronize`](crate::io::io::Synchronize) is answered, all writes of the same disk that were answered before it was
//!   sent are on the medium.
//! * Requests of several processes are at the device at the same time, and are executed in any order. Of a read or write
//!   that meets a write which isn't answered yet, any blocks may be the old or the new ones.
//! * [`DeviceError`](abi::Error::DeviceError): the device failed to. Of a write any blocks may have been written.
//!   [`DiedBeforeReply`](abi::Error::DiedBeforeReply): the driver died; as after `DeviceError`, it is not known what was
//!   written. Writing the same blocks again, through an instance opened anew, is right in both cases.
//!
//! **Who may.** Disks are the system's and the operator's. Of objects that overlap (the same one, or the whole disk and one
//! of its partitions) at most one instance is open for writing: another is [`Busy`](abi::Error::Busy). Reading one that is
//! being written is allowed. When an instance of `all` that could write is closed, the partitions are looked for anew; those
//! that are open stay what they are.

use abi::protocol;

/// What all disks' prefixes begin with; a decimal number follows.
pub const PREFIX: &str = "disk";
/// The name of the whole disk.
pub const ALL: &str = "all";

/// The number in a disk's prefix; none if it is no such prefix.
pub fn number_of(prefix: &str) -> Option<u32> {
    let digits = prefix.strip_prefix(PREFIX)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

protocol! {
    /// What disks can beyond I/O.
    pub mod block = 0x1b, enum Block {
        /// What the object of an instance is: a [`Geometry`](crate::block::Geometry) into the write segment.
        QueryGeometry = 1 { instance: u32 } => GeometryQueried { count: u32 };
        /// Nobody needs what these bytes of the object hold: whole blocks, of an instance that can be written. They read
        /// as anything until they are written again. [`NotSupported`](abi::Error::NotSupported) if the device has no use
        /// for that.
        Discard = 2 { instance: u32, position: u64, bytes: u64 } => Discarded {};
        /// These bytes will be read soon, from their beginning on. The driver may read them meanwhile, as many as one read
        /// has, so that the read finds them done; it is answered at once. What is written meanwhile is in what is read then.
        ReadAhead = 3 { instance: u32, position: u64, bytes: u64 } => Expected {};
    }
}

/// Facts of a disk: bits of [`Geometry::flags`].
pub mod flag {
    /// What was written is safe only after a `Synchronize`.
    pub const HAS_WRITE_CACHE: u32 = 1;
    /// It cannot be written.
    pub const IS_READ_ONLY: u32 = 2;
    /// It takes `Discard`.
    pub const DISCARDS: u32 = 4;
    /// Somebody has the object, or one that overlaps it, open for writing.
    pub const IS_BEING_WRITTEN: u32 = 8;
}

/// What a disk or a partition is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Geometry<'a> {
    /// Bits of [`flag`].
    pub flags: u32,
    /// Bytes of a block, the least that is read or written at once.
    pub block_bytes: u32,
    /// Bytes of a block as the medium has it: shorter writes cost a read. A multiple of `block_bytes`.
    pub physical_block_bytes: u32,
    /// Most bytes of one read or write. A multiple of `block_bytes`.
    pub largest_transfer_bytes: u32,
    /// Which block of the disk is the object's first.
    pub first_block: u64,
    /// How many the object has.
    pub block_count: u64,
    /// The service that drives the disk.
    pub driver: &'a str,
    /// What the disk calls itself.
    pub model: &'a str,
    /// Its serial number.
    pub serial: &'a str,
    /// Of a partition, its type: a GUID, or two hexadecimal digits of the older kind of table. Of a whole disk, which
    /// table it has: `gpt`, `mbr`, or nothing.
    pub kind: &'a str,
    /// Of a partition with a name, that.
    pub label: &'a str,
}

const TEXTS: usize = 5;
const TEXTS_AT: usize = 32;

impl<'a> Geometry<'a> {
    /// Most bytes of one of its texts.
    pub const MAX_TEXT_BYTES: usize = 128;
    /// Most bytes of all.
    pub const MAX_BYTES: usize = TEXTS_AT + TEXTS * (1 + Geometry::MAX_TEXT_BYTES);

    /// Bytes of the object.
    pub const fn bytes(&self) -> u64 {
        self.block_count.saturating_mul(self.block_bytes as u64)
    }

    /// Writes it to the beginning of `place`: little-endian numbers, then each text behind its length. Its length, or none
    /// if the place is too short, or a text too long.
    pub fn encode(&self, place: &mut [u8]) -> Option<usize> {
        let numbers = place.get_mut(..TEXTS_AT)?;
        let small = [self.flags, self.block_bytes, self.physical_block_bytes, self.largest_transfer_bytes];
        for (four, value) in numbers.chunks_exact_mut(4).zip(small) {
            four.copy_from_slice(&value.to_le_bytes());
        }
        for (eight, value) in numbers[16..].chunks_exact_mut(8).zip([self.first_block, self.block_count]) {
            eight.copy_from_slice(&value.to_le_bytes());
        }
        let mut at = TEXTS_AT;
        for text in [self.driver, self.model, self.serial, self.kind, self.label] {
            if text.len() > Geometry::MAX_TEXT_BYTES {
                return None;
            }
            let (length, bytes) = place.get_mut(at..=at + text.len())?.split_first_mut()?;
            *length = text.len() as u8;
            bytes.copy_from_slice(text.as_bytes());
            at += 1 + text.len();
        }
        Some(at)
    }

    /// Reads one; none if it is malformed.
    pub fn decode(bytes: &'a [u8]) -> Option<Geometry<'a>> {
        let small = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let large = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let mut rest = bytes.get(TEXTS_AT..)?;
        let mut texts = [""; TEXTS];
        for text in &mut texts {
            let (length, behind) = rest.split_first()?;
            let (own, next) = behind.split_at_checked(usize::from(*length))?;
            *text = core::str::from_utf8(own).ok()?;
            rest = next;
        }
        let [driver, model, serial, kind, label] = texts;
        Some(Geometry {
            flags: small(0)?,
            block_bytes: small(4)?,
            physical_block_bytes: small(8)?,
            largest_transfer_bytes: small(12)?,
            first_block: large(16)?,
            block_count: large(24)?,
            driver,
            model,
            serial,
            kind,
            label,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_disks_have_a_number() {
        for (prefix, number) in [
            ("disk0", Some(0)),
            ("disk12", Some(12)),
            ("disk", None),
            ("disk-1", None),
            ("disk+1", None),
            ("disc0", None),
        ] {
            assert_eq!(number_of(prefix), number, "{prefix}");
        }
    }

    #[test]
    fn geometries_come_back() {
        let geometry = Geometry {
            flags: flag::HAS_WRITE_CACHE | flag::DISCARDS,
            block_bytes: 512,
            physical_block_bytes: 4096,
            largest_transfer_bytes: 128 * 1024,
            first_block: 2048,
            block_count: 1 << 33,
            driver: "nvme",
            model: "QEMU NVMe Ctrl",
            serial: "",
            kind: "0fc63daf-8483-4772-8e79-3d69d8477de4",
            label: "Größe",
        };
        let mut place = [0xff; Geometry::MAX_BYTES];
        let bytes = geometry.encode(&mut place).unwrap();
        assert_eq!(Geometry::decode(&place[..bytes]), Some(geometry));
        assert_eq!(geometry.bytes(), 1 << 42);
        for end in 0..bytes {
            assert_eq!(Geometry::decode(&place[..end]), None);
            assert_eq!(geometry.encode(&mut [0; Geometry::MAX_BYTES][..end]), None);
        }
        let long = core::str::from_utf8(&[b'x'; 1 + Geometry::MAX_TEXT_BYTES]).unwrap();
        assert_eq!(Geometry { label: long, ..geometry }.encode(&mut place), None);
        let label = &long[1..];
        let longest = Geometry { driver: label, model: label, serial: label, kind: label, label, ..geometry };
        assert_eq!(longest.encode(&mut place), Some(Geometry::MAX_BYTES));
    }
}
