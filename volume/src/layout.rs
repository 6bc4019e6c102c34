//! What lies on the disk. Numbers are little-endian.
//!
//! Blocks 0 to 3 are superblocks: 0 and 1, alike, of even generations, 2 and 3 of odd ones. The rest is wherever a pointer
//! says.

use abi::Error;

/// Bytes of a block, which is a page.
pub const BLOCK_BYTES: usize = 4096;
/// What a superblock begins with.
pub const MAGIC: [u8; 8] = *b"V volume";
/// The version of all this.
pub const VERSION: u32 = 3;
/// Blocks that are superblocks.
pub const SUPERBLOCKS: u64 = 4;
/// The fewest blocks of a volume.
pub const LEAST_BLOCKS: u64 = 256;
/// The most.
pub const MOST_BLOCKS: u64 = 1 << 34;
/// Bits of the number of a pointer in its page.
pub const FANOUT_BITS: u32 = 8;
/// Pointers of a page.
pub const FANOUT: u64 = 1 << FANOUT_BITS;
/// The highest level of a tree.
pub const MAX_DEPTH: u32 = 5;
/// No volume has counted so many commits, or objects made: what says so was made to overflow.
const MOST_COUNTED: u64 = 1 << 62;
/// Largest size of a file.
pub const MAX_SIZE: u64 = 1 << 46;
/// Bits that an inode's permissions may have.
pub const PERMISSIONS: u32 = 0o66;
/// Bytes of an inode.
pub const INODE_BYTES: usize = 128;
/// Inodes of a block.
pub const INODES: usize = BLOCK_BYTES / INODE_BYTES;
/// The most objects: their numbers are below.
pub const MOST_OBJECTS: u32 = (1 << 27) - 1;
/// Bytes of a directory's entry before the name.
pub const ENTRY_HEADER_BYTES: usize = 5;
/// Blocks that a block of the map says of whether they are used.
pub const MAP_BLOCKS: u64 = BLOCK_BYTES as u64 * 8;

/// What a checksum begins with, and what data is mixed with: odd numbers with as many ones as zeros.
const SUM_BEGIN: u64 = 0x2d35_8dcc_aa6c_78a5;
const SUM_MIX: u64 = 0x8bb8_4b93_962e_acc9;
const PAIR_BYTES: usize = 16;
/// So much is done for each turn of a loop.
const TURN_BYTES: usize = 8 * PAIR_BYTES;

/// The checksum of a block: each 16 bytes are two numbers, of which one is mixed with what came before and multiplied by
/// the other, and both halves of the product are what goes on. So it is the hash of the wyhash family, as one chain: that is the
/// fewest instructions, and a block is short (decision 145).
pub fn checksum(block: &[u8]) -> u64 {
    let (turns, rest) = block.as_chunks::<TURN_BYTES>();
    let mut sum = SUM_BEGIN;
    for turn in turns {
        let (halves, _) = turn.as_chunks::<{ TURN_BYTES / 2 }>();
        sum = add_half_turn(add_half_turn(sum, &halves[0]), &halves[1]);
    }
    let (pairs, rest) = rest.as_chunks();
    sum = pairs.iter().fold(sum, add_pair);
    let mut last = [0; PAIR_BYTES];
    last[..rest.len()].copy_from_slice(rest);
    sum = add_pair(sum, &last);
    mix(sum ^ block.len() as u64, SUM_MIX)
}

/// Half a turn. The compiler unrolls this loop to the end, and one of twice the length not.
#[inline]
fn add_half_turn(sum: u64, half: &[u8; TURN_BYTES / 2]) -> u64 {
    half.as_chunks().0.iter().fold(sum, add_pair)
}

#[inline]
fn add_pair(sum: u64, pair: &[u8; PAIR_BYTES]) -> u64 {
    mix(sum ^ large(pair, 8), large(pair, 0) ^ SUM_MIX)
}

#[inline]
fn mix(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

fn small(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn large(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

fn put_small(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

fn put_large(bytes: &mut [u8], at: usize, number: u64) {
    bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
}

/// Where a block is, and what it must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pointer {
    /// The block; 0 for none.
    pub block: u64,
    /// Its [checksum].
    pub checksum: u64,
}

impl Pointer {
    /// To nothing: a hole.
    pub const NONE: Pointer = Pointer { block: 0, checksum: 0 };
    const BYTES: usize = 16;

    /// Whether it points to nothing.
    pub const fn is_none(self) -> bool {
        self.block == 0
    }

    /// The pointer at `index` of a page of them.
    pub fn get(page: &[u8], index: usize) -> Pointer {
        Pointer::at(page, index * Pointer::BYTES)
    }

    /// Puts it at `index` of a page of pointers.
    pub fn put(self, page: &mut [u8], index: usize) {
        self.put_at(page, index * Pointer::BYTES);
    }

    fn at(bytes: &[u8], at: usize) -> Pointer {
        Pointer { block: large(bytes, at), checksum: large(bytes, at + 8) }
    }

    fn put_at(self, bytes: &mut [u8], at: usize) {
        put_large(bytes, at, self.block);
        put_large(bytes, at + 8, self.checksum);
    }
}

/// A tree of pages: its highest one, and of which level that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Root {
    /// The level.
    pub depth: u32,
    /// The page.
    pub pointer: Pointer,
}

impl Root {
    const BYTES: usize = 24;

    /// Pages of level 0 that a tree of this depth has.
    pub const fn pages(self) -> u64 {
        1 << (FANOUT_BITS * self.depth)
    }

    fn at(bytes: &[u8], at: usize) -> Result<Root, Error> {
        let root = Root { depth: small(bytes, at), pointer: Pointer::at(bytes, at + 8) };
        if root.depth > MAX_DEPTH { Err(Error::Damaged) } else { Ok(root) }
    }

    fn put_at(self, bytes: &mut [u8], at: usize) {
        put_small(bytes, at, self.depth);
        put_small(bytes, at + 4, 0);
        self.pointer.put_at(bytes, at + 8);
    }
}

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u32)]
pub enum Kind {
    /// Nothing: the inode is free.
    #[default]
    None = 0,
    /// A file.
    File = 1,
    /// A directory.
    Directory = 2,
}

/// What is known of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Inode {
    /// What it is.
    pub kind: Kind,
    /// User id of its owner.
    pub owner: u32,
    /// Bytes.
    pub size: u64,
    /// Last change, in nanoseconds since 1970.
    pub modified_ns: u64,
    /// Creation, in nanoseconds since 1970.
    pub created_ns: u64,
    /// Tells it from all others that the volume ever has.
    pub serial: u64,
    /// The directory in which its name is, the root's being itself. 0 when it has no name and is only open.
    pub parent: u32,
    /// Of a directory, how many names are in it.
    pub names: u32,
    /// Its pages.
    pub root: Root,
    /// Who may read and write it, as its user counts that: nothing but bits of [`PERMISSIONS`]. Volumes of before have 0.
    pub permissions: u32,
}

impl Inode {
    /// Reads the inode at the beginning of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Inode, Error> {
        let kind = match small(bytes, 0) {
            0 => Kind::None,
            1 => Kind::File,
            2 => Kind::Directory,
            _ => return Err(Error::Damaged),
        };
        let inode = Inode {
            kind,
            owner: small(bytes, 4),
            size: large(bytes, 8),
            modified_ns: large(bytes, 16),
            created_ns: large(bytes, 24),
            serial: large(bytes, 32),
            parent: small(bytes, 40),
            names: small(bytes, 44),
            root: Root::at(bytes, 48)?,
            permissions: small(bytes, 48 + Root::BYTES),
        };
        if inode.size > MAX_SIZE || inode.permissions & !PERMISSIONS != 0 {
            Err(Error::Damaged)
        } else {
            Ok(inode)
        }
    }

    /// Writes it to the beginning of `bytes`.
    pub fn encode(&self, bytes: &mut [u8]) {
        bytes[..INODE_BYTES].fill(0);
        put_small(bytes, 0, self.kind as u32);
        put_small(bytes, 4, self.owner);
        put_large(bytes, 8, self.size);
        put_large(bytes, 16, self.modified_ns);
        put_large(bytes, 24, self.created_ns);
        put_large(bytes, 32, self.serial);
        put_small(bytes, 40, self.parent);
        put_small(bytes, 44, self.names);
        self.root.put_at(bytes, 48);
        put_small(bytes, 48 + Root::BYTES, self.permissions);
    }

    /// Pages of level 0 that its size needs.
    pub const fn pages(&self) -> u64 {
        self.size.div_ceil(BLOCK_BYTES as u64)
    }
}

/// What refers to all else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Superblock {
    /// Tells the volume from others.
    pub id: [u8; 16],
    /// Blocks of the volume.
    pub blocks: u64,
    /// Which commit it is of.
    pub generation: u64,
    /// When that was, in nanoseconds since 1970.
    pub committed_ns: u64,
    /// The serial number of the object that is made next.
    pub next_serial: u64,
    /// Blocks of the table of inodes.
    pub table_blocks: u64,
    /// The table of inodes.
    pub table: Root,
    /// The map of used blocks.
    pub map: Root,
    /// Files may be leased to caches of other machines.
    pub leased: bool,
}

/// A superblock lies within the first 512 bytes of its block, which disks write as a whole or not at all; the others are zero.
/// So a copy that is no superblock was damaged: no power cut makes one.
pub const CHECKSUM_AT: usize = 512 - 8;

/// Behind what volumes had from the beginning, where older ones have zeros.
const LEASED_AT: usize = 72 + 2 * Root::BYTES;

impl Superblock {
    /// Whether a commit can have left `block` as the other copy: the same, or, where the power went while the two were written,
    /// what was there before.
    pub fn may_be_beside(&self, block: &[u8]) -> bool {
        match Superblock::decode(block) {
            Some(copy) => copy == *self || copy.id == self.id && copy.generation < self.generation,
            None => block.iter().all(|byte| *byte == 0),
        }
    }

    /// Reads a superblock: none if it is no whole one.
    pub fn decode(block: &[u8]) -> Option<Superblock> {
        let is_ours = block[..8] == MAGIC
            && small(block, 8) == VERSION
            && small(block, 12) == BLOCK_BYTES as u32
            && large(block, CHECKSUM_AT) == checksum(&block[..CHECKSUM_AT])
            && block[CHECKSUM_AT + 8..].iter().all(|byte| *byte == 0);
        if !is_ours {
            return None;
        }
        let mut id = [0; 16];
        id.copy_from_slice(&block[16..32]);
        let superblock = Superblock {
            id,
            blocks: large(block, 32),
            generation: large(block, 40),
            committed_ns: large(block, 48),
            next_serial: large(block, 56),
            table_blocks: large(block, 64),
            table: Root::at(block, 72).ok()?,
            map: Root::at(block, 72 + Root::BYTES).ok()?,
            leased: small(block, LEASED_AT) != 0,
        };
        let is_sound = (LEAST_BLOCKS..=MOST_BLOCKS).contains(&superblock.blocks)
            && superblock.generation.max(superblock.next_serial) < MOST_COUNTED
            && superblock.table_blocks <= superblock.blocks.min(u64::from(MOST_OBJECTS) / INODES as u64);
        is_sound.then_some(superblock)
    }

    /// Writes it.
    pub fn encode(&self, block: &mut [u8]) {
        block.fill(0);
        block[..8].copy_from_slice(&MAGIC);
        put_small(block, 8, VERSION);
        put_small(block, 12, BLOCK_BYTES as u32);
        block[16..32].copy_from_slice(&self.id);
        put_large(block, 32, self.blocks);
        put_large(block, 40, self.generation);
        put_large(block, 48, self.committed_ns);
        put_large(block, 56, self.next_serial);
        put_large(block, 64, self.table_blocks);
        self.table.put_at(block, 72);
        self.map.put_at(block, 72 + Root::BYTES);
        put_small(block, LEASED_AT, self.leased.into());
        let sum = checksum(&block[..CHECKSUM_AT]);
        put_large(block, CHECKSUM_AT, sum);
    }

    /// The first of the two blocks in which one of a generation lies.
    pub const fn place(generation: u64) -> u64 {
        generation % 2 * 2
    }

    /// Blocks of the map.
    pub const fn map_blocks(&self) -> u64 {
        self.blocks.div_ceil(MAP_BLOCKS)
    }
}

/// An entry of a directory's page: a number, and the name behind its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Where it begins in the page.
    pub at: usize,
    /// The object.
    pub object: u32,
    /// Its name.
    pub name: &'a str,
}

impl Entry<'_> {
    /// Its length.
    pub const fn bytes(&self) -> usize {
        ENTRY_HEADER_BYTES + self.name.len()
    }

    /// Writes one at `at` of a page that has room for it.
    pub fn put(page: &mut [u8], at: usize, object: u32, name: &str) {
        put_small(page, at, object);
        page[at + 4] = name.len() as u8;
        page[at + ENTRY_HEADER_BYTES..][..name.len()].copy_from_slice(name.as_bytes());
    }

    /// Puts another object in the place of the one at `at`.
    pub fn replace(page: &mut [u8], at: usize, object: u32) {
        put_small(page, at, object);
    }
}

/// The entries of a directory's page. What is none ends them with [`Damaged`](Error::Damaged).
pub fn entries(page: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Error>> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let header = page.get(at..at + ENTRY_HEADER_BYTES)?;
        let object = small(header, 0);
        if object == 0 {
            return None;
        }
        let begin = at + ENTRY_HEADER_BYTES;
        let name = page.get(begin..begin + usize::from(header[4])).and_then(|name| str::from_utf8(name).ok());
        let entry = match name {
            Some(name) if is_name(name) && object < MOST_OBJECTS => Entry { at, object, name },
            _ => {
                at = page.len();
                return Some(Err(Error::Damaged));
            }
        };
        at += entry.bytes();
        Some(Ok(entry))
    })
}

/// Whether an object may have this name.
pub fn is_name(name: &str) -> bool {
    let is_step = matches!(name, "" | "." | "..");
    !is_step && name.len() <= 255 && !name.bytes().any(|byte| byte == b'/' || byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn superblocks_come_back_and_no_bit_may_be_another() {
        let root = Root { depth: 2, pointer: Pointer { block: 7, checksum: 8 } };
        let superblock = Superblock {
            id: *b"0123456789abcdef",
            blocks: 1 << 20,
            generation: 5,
            committed_ns: 6,
            next_serial: 9,
            table_blocks: 3,
            table: root,
            map: Root { depth: 1, ..root },
            leased: true,
        };
        let mut block = vec![0xff; BLOCK_BYTES];
        superblock.encode(&mut block);
        assert_eq!(Superblock::decode(&block), Some(superblock));
        for bit in 0..BLOCK_BYTES * 8 {
            block[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Superblock::decode(&block), None, "bit {bit}");
            block[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// Blocks as there are many of: zeros, equal bytes, counted numbers, and what looks random.
    fn samples() -> [Vec<u8>; 4] {
        let numbers = (0..BLOCK_BYTES as u64 / 8).flat_map(u64::to_le_bytes).collect();
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let random = (0..BLOCK_BYTES).map(|_| next()).collect();
        [vec![0; BLOCK_BYTES], vec![7; BLOCK_BYTES], numbers, random]
    }

    #[test]
    fn checksums_are_what_they_were() {
        // Volumes are read by later versions of this. Computed by a program in another language.
        let known =
            [0x57e7_602f_c49c_889e, 0xdf82_d806_7917_8951, 0xaef6_6edd_2f42_1ce6, 0x262f_c33c_9b4c_6343];
        assert_eq!(samples().map(|sample| checksum(&sample)), known);
    }

    #[test]
    fn a_checksum_notices_bits_pairs_of_bits_and_places() {
        for sample in samples() {
            let mut block = sample;
            let whole = checksum(&block);
            let mut sums = std::collections::HashSet::from([whole]);
            for bit in 0..BLOCK_BYTES * 8 {
                block[bit / 8] ^= 1 << (bit % 8);
                assert!(sums.insert(checksum(&block)), "bit {bit}");
                block[bit / 8] ^= 1 << (bit % 8);
            }
            // The top bits of numbers are those that multiplications lose.
            let tops: Vec<usize> = (7..BLOCK_BYTES).step_by(8).collect();
            for (at, first) in tops.iter().enumerate() {
                for second in &tops[..at] {
                    block[*first] ^= 0x80;
                    block[*second] ^= 0x80;
                    assert!(sums.insert(checksum(&block)), "bytes {first} and {second}");
                    block[*first] ^= 0x80;
                    block[*second] ^= 0x80;
                }
            }
            // Lengths, and sectors that were not written, or are each other's.
            for length in 0..BLOCK_BYTES {
                assert!(sums.insert(checksum(&block[..length])), "{length} bytes");
            }
            for sector in 0..BLOCK_BYTES / 512 {
                let mut other = block.clone();
                other[sector * 512..][..512].fill(0);
                assert!(other == block || sums.insert(checksum(&other)), "sector {sector} is lost");
                let mut other = block.clone();
                other[..(sector + 1) * 512].rotate_left(512);
                assert!(other == block || sums.insert(checksum(&other)), "sector {sector} is another");
            }
        }
    }

    #[test]
    fn a_superblock_that_would_overflow_is_none() {
        let sound =
            Superblock { blocks: LEAST_BLOCKS, generation: MOST_COUNTED - 1, ..Superblock::default() };
        let mut block = vec![0; BLOCK_BYTES];
        sound.encode(&mut block);
        assert_eq!(Superblock::decode(&block), Some(sound));
        for superblock in [
            Superblock { generation: u64::MAX, ..sound },
            Superblock { next_serial: MOST_COUNTED, ..sound },
            Superblock { blocks: LEAST_BLOCKS - 1, ..sound },
        ] {
            superblock.encode(&mut block);
            assert_eq!(Superblock::decode(&block), None, "{superblock:?}");
        }
    }

    #[test]
    fn inodes_come_back() {
        let inode = Inode {
            kind: Kind::Directory,
            owner: 1,
            size: 2,
            modified_ns: 3,
            created_ns: 4,
            serial: 5,
            parent: 6,
            names: 7,
            root: Root { depth: 5, pointer: Pointer { block: 8, checksum: 9 } },
            permissions: 0o20,
        };
        let mut bytes = [0xff; INODE_BYTES];
        inode.encode(&mut bytes);
        assert_eq!(Inode::decode(&bytes), Ok(inode));
        for (at, value) in [(0, 3), (48, 6), (15, 1), (72, 1), (75, 1)] {
            let mut damaged = bytes;
            damaged[at] = value;
            assert_eq!(Inode::decode(&damaged), Err(Error::Damaged));
        }
    }

    #[test]
    fn what_is_no_entry_ends_them() {
        let mut page = vec![0; BLOCK_BYTES];
        Entry::put(&mut page, 0, 5, "a");
        Entry::put(&mut page, 6, 6, "ä");
        let found: Vec<_> =
            entries(&page).map(|entry| entry.map(|entry| (entry.object, entry.name))).collect();
        assert_eq!(found, [Ok((5, "a")), Ok((6, "ä"))]);
        for (at, byte) in [(4, 0), (5, b'/'), (4, 255), (11, 0xff), (3, 0xff)] {
            let mut page = page.clone();
            page[at] = byte;
            assert!(entries(&page).any(|entry| entry == Err(Error::Damaged)), "{at} {byte}");
        }
        // A name that would reach beyond the page.
        let mut page = vec![b'x'; 12];
        Entry::put(&mut page, 0, 5, "abcdefg");
        page[4] = 8;
        assert_eq!(entries(&page).collect::<Vec<_>>(), [Err(Error::Damaged)]);
    }
}
