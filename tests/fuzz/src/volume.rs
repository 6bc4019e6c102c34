//! Disks that others have written, which a node with the disk finds, reads, checks and writes.
//!
//! An input is a disk of few blocks and what is done with it. Since nothing but zeros has the right checksum by chance, every
//! pointer that the input asks for is given the one that is right: blocks refer to blocks behind them, so these are
//! finished first. Each 12 bytes say what is put where:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | block, and in its highest bit whether it is a pointer |
//! | 2 | where in the block, in units of 8 bytes |
//! | 1 | the block that is pointed to; one that does not lie behind means that all that follows is filled |
//! | 8 | a number, which is put there where it is no pointer, or the byte of which all is full |

use ::volume::layout::{BLOCK_BYTES, CHECKSUM_AT, Superblock, checksum};
use ::volume::testing::TestDisk;
use ::volume::{Disk, Kind, Options, ROOT, Volume, find};

const BLOCKS: u64 = 256;
/// Blocks that the input says something of.
const OWN_BLOCKS: usize = 32;
const STEP_BYTES: usize = 12;
/// Most steps of an input.
const MOST_STEPS: usize = 400;
const OPTIONS: Options = Options { pages: 64 };
/// How much of a file is looked at.
const MOST_READ: u64 = 16;

/// Whatever a disk holds, it is taken or refused, and nothing else happens; and what can be written to it can be read again.
pub fn check(input: &[u8]) {
    let mut disk = build(input);
    let Ok(Some(superblock)) = find(&mut disk) else { return };
    let report = ::volume::check::check(&mut disk, &superblock).expect("there is memory");
    let Ok(mut volume) = Volume::mount(disk, OPTIONS) else { return };
    use_it(&mut volume);
    let was_clean = report.is_clean();
    let Ok(file) = volume.create(ROOT, "written now", Kind::File, 1, 1) else { return };
    let Ok(page) = volume.page_to_change(file, 0, true) else { return };
    page.fill(7);
    volume.note_written(file, 100, 2).expect("the page above is there");
    if volume.commit(3).is_err() {
        assert!(!was_clean, "a volume without fault can be committed");
        return;
    }
    assert_eq!(volume.piece(file, 0, 100).expect("it was just written"), [7; 100]);
    if was_clean {
        let report = volume.check().expect("there is memory");
        assert!(report.is_clean(), "{:?}", report.findings);
    }
}

/// Reads, writes, renames and removes all that is there.
fn use_it(volume: &mut Volume<TestDisk>) {
    let mut due = vec![ROOT];
    let mut left = 200;
    while let Some(directory) = due.pop() {
        let Ok(names) = volume.names(directory) else { continue };
        for (name, object) in names {
            left -= 1;
            if left == 0 {
                return;
            }
            let Ok(inode) = volume.inode(object) else { continue };
            let _ = volume.name_of(object);
            if inode.kind == Kind::Directory {
                if object != directory && left > 100 {
                    due.push(object);
                }
                continue;
            }
            for index in (0..inode.pages().min(MOST_READ)).chain([inode.pages() / 2]) {
                volume.fetch(object, index * BLOCK_BYTES as u64, 1 << 16, 1 << 17);
                let _ = volume.piece(object, index * BLOCK_BYTES as u64, BLOCK_BYTES);
                let _ = volume.lend(object, index, 16);
            }
            if let Ok(page) = volume.page_to_change(object, inode.pages() / 2, false) {
                page[0] = 1;
            }
            let _ = volume.set_size(object, inode.size / 3, 5);
            if volume
                .rename((directory, &name), (ROOT, "renamed"), 6)
                .is_ok_and(|replaced| replaced.is_none())
                && let Ok(gone) = volume.unlink(ROOT, "renamed", 7)
            {
                let _ = volume.destroy(gone);
            }
        }
    }
    let _ = volume.commit(8);
}

fn build(input: &[u8]) -> TestDisk {
    let mut blocks = vec![vec![0_u8; BLOCK_BYTES]; OWN_BLOCKS];
    let mut pointers: Vec<(usize, usize, usize)> = Vec::new();
    for step in input.chunks_exact(STEP_BYTES).take(MOST_STEPS) {
        let block = usize::from(step[0] & 0x7f) % OWN_BLOCKS;
        let at = usize::from(u16::from_le_bytes([step[1], step[2]])) % (BLOCK_BYTES / 8) * 8;
        let to = usize::from(step[3]) % OWN_BLOCKS;
        if step[0] & 0x80 == 0 {
            blocks[block][at..at + 8].copy_from_slice(&step[4..12]);
        } else if to <= block {
            blocks[block][at..].fill(step[4]);
        } else if at + 16 <= BLOCK_BYTES {
            pointers.push((block, at, to));
        }
    }
    pointers.sort_unstable_by_key(|(block, ..)| core::cmp::Reverse(*block));
    for (block, at, to) in pointers {
        let sum = checksum(&blocks[to]);
        blocks[block][at..at + 8].copy_from_slice(&(to as u64).to_le_bytes());
        blocks[block][at + 8..at + 16].copy_from_slice(&sum.to_le_bytes());
    }
    let mut disk = TestDisk::new(BLOCKS);
    for (number, block) in blocks.iter_mut().enumerate() {
        if number < 4 {
            seal(block);
        }
        disk.put(number as u64, block);
    }
    disk.flush().expect("a disk in memory does not fail");
    disk
}

/// Makes a superblock of it whose checksum fits, and which is of this disk.
fn seal(block: &mut [u8]) {
    let mut whole = vec![0; BLOCK_BYTES];
    Superblock { blocks: BLOCKS, ..Superblock::default() }.encode(&mut whole);
    whole[40..CHECKSUM_AT].copy_from_slice(&block[40..CHECKSUM_AT]);
    let sum = checksum(&whole[..CHECKSUM_AT]);
    whole[CHECKSUM_AT..CHECKSUM_AT + 8].copy_from_slice(&sum.to_le_bytes());
    block.copy_from_slice(&whole);
}

/// An input that makes a volume without fault: for the corpus.
#[cfg(test)]
mod tests {
    use super::*;

    fn step(block: usize, at: usize, number: u64) -> Vec<u8> {
        let mut step = vec![0; STEP_BYTES];
        step[0] = block as u8;
        step[1..3].copy_from_slice(&((at / 8) as u16).to_le_bytes());
        step[4..12].copy_from_slice(&number.to_le_bytes());
        step
    }

    fn pointer(block: usize, at: usize, to: usize) -> Vec<u8> {
        let mut step = step(block, at, 0);
        step[0] |= 0x80;
        step[3] = to as u8;
        step
    }

    /// What a volume with a directory and two files writes, as steps. Pointers are known by the checksum that follows.
    fn of_a_volume() -> Vec<u8> {
        let mut volume = Volume::format(TestDisk::new(BLOCKS), [0; 16], 1, OPTIONS).unwrap();
        let directory = volume.create(ROOT, "d", Kind::Directory, 1, 1).unwrap();
        for (parent, name, pages) in [(ROOT, "a", 1), (directory, "b", 3)] {
            let file = volume.create(parent, name, Kind::File, 1, 1).unwrap();
            for index in 0..pages {
                volume.page_to_change(file, index, true).unwrap()[0] = 1;
            }
            volume.note_written(file, pages * BLOCK_BYTES as u64, 1).unwrap();
        }
        volume.commit(2).unwrap();
        let map = volume.superblock().map.pointer.block as usize;
        let mut disk = volume.into_disk();
        let mut blocks = vec![vec![0; BLOCK_BYTES]; OWN_BLOCKS];
        for (number, block) in blocks.iter_mut().enumerate() {
            disk.read(number as u64, block).unwrap();
        }
        // Of a commit what is referred to may lie before what refers to it: blocks get numbers in the order of references.
        let sums: Vec<u64> = blocks.iter().map(|block| checksum(block)).collect();
        let word = |block: &[u8], at: usize| u64::from_le_bytes(block[at..at + 8].try_into().unwrap());
        let to = |block: &[u8], at: usize| {
            let number = word(block, at) as usize;
            (at + 16 <= BLOCK_BYTES
                && (4..OWN_BLOCKS).contains(&number)
                && word(block, at + 8) == sums[number])
                .then_some(number)
        };
        let mut order = vec![0, 1, 2, 3];
        let mut next = 0;
        while next < order.len() {
            let block = &blocks[order[next]];
            for at in (0..BLOCK_BYTES - 8).step_by(8) {
                if let Some(number) = to(block, at)
                    && !order.contains(&number)
                {
                    order.push(number);
                }
            }
            next += 1;
        }
        // Which are used changes with that.
        for (number, byte) in blocks[map].iter_mut().enumerate().take(BLOCKS as usize / 8) {
            let used = |bit: &usize| number * 8 + bit < order.len();
            *byte = (0..8).filter(used).fold(0, |byte, bit| byte | 1 << bit);
        }
        let mut steps = Vec::new();
        for (number, old) in order.iter().enumerate() {
            let block = &blocks[*old];
            let mut at = if number < 4 { 40 } else { 0 };
            let last = block[BLOCK_BYTES - 1];
            let end = block.iter().rposition(|byte| *byte != last).map_or(0, |at| at / 8 * 8 + 8);
            if number >= 4 && last != 0 {
                let mut fill = pointer(number, end, number);
                fill[4] = last;
                steps.extend(fill);
            }
            let block = if number >= 4 && last != 0 { &block[..end] } else { &block[..] };
            // The checksum of a superblock is put in when it is made.
            let end = if number < 4 { CHECKSUM_AT } else { block.len() };
            while at < end {
                if let Some(to) = to(block, at) {
                    let new = order.iter().position(|other| *other == to).unwrap();
                    steps.extend(pointer(number, at, new));
                    at += 16;
                    continue;
                }
                if word(block, at) != 0 {
                    steps.extend(step(number, at, word(block, at)));
                }
                at += 8;
            }
        }
        steps
    }

    #[test]
    fn a_volume_can_be_said_in_steps() {
        let steps = of_a_volume();
        assert!(steps.len() <= MOST_STEPS * STEP_BYTES && steps.len() < 8192, "{} bytes", steps.len());
        let mut disk = build(&steps);
        let superblock = find(&mut disk).unwrap().expect("there is a superblock");
        let mut volume = Volume::mount(disk, OPTIONS).unwrap();
        assert_eq!(volume.names(ROOT).unwrap().len(), 2, "{superblock:?}");
        check(&steps);
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/volume/whole");
        assert_eq!(std::fs::read(path).expect("it is in the corpus"), steps);
    }
}
