//! Everything on a disk, looked at: whether each block is what who refers to it says, whether none is referred to twice,
//! whether names and objects fit, and whether the map of used blocks is true.
//!
//! It reads the disk itself and believes nothing, so it may be let loose on anything.

use abi::Error;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::disk::Disk;
use crate::layout::{
    BLOCK_BYTES, FANOUT, FANOUT_BITS, INODE_BYTES, INODES, Inode, Kind, MAP_BLOCKS, Pointer, Root,
    SUPERBLOCKS, Superblock, checksum, entries,
};
use crate::objects::ROOT;

/// The most blocks that are read at once.
const RUN_BLOCKS: u64 = 64;
/// The most findings that are noted one by one.
const MOST_FINDINGS: usize = 100;

/// What a finding about the map of used blocks is about.
pub const MAP: &str = "map";

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is about: a path, `table`, `map`.
    pub about: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.what)
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The commit that was looked at.
    pub generation: u64,
    /// Files.
    pub files: u64,
    /// Directories, the root too.
    pub directories: u64,
    /// Blocks that are used, and how many there are.
    pub used: u64,
    /// All blocks.
    pub blocks: u64,
    /// What is wrong, the first hundred.
    pub findings: Vec<Finding>,
    /// How much is wrong.
    pub finding_count: u64,
    seen: Vec<u64>,
}

impl Report {
    /// Whether nothing is wrong.
    pub const fn is_clean(&self) -> bool {
        self.finding_count == 0
    }

    /// The blocks that something refers to.
    pub(crate) fn used_blocks(&self) -> impl Iterator<Item = u64> {
        let bits = |word: u64| (0..64).filter(move |bit| word >> bit & 1 != 0);
        self.seen
            .iter()
            .zip(0..)
            .flat_map(move |(word, at): (&u64, u64)| bits(*word).map(move |bit| at * 64 + bit))
    }

    fn note(&mut self, about: &str, what: String) {
        self.finding_count += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(Finding { about: String::from(about), what });
        }
    }

    fn is_seen(&self, block: u64) -> bool {
        self.seen[(block / 64) as usize] >> (block % 64) & 1 != 0
    }

    fn see(&mut self, block: u64) {
        self.seen[(block / 64) as usize] |= 1 << (block % 64);
    }
}

/// Looks at what a superblock refers to. An error only if there is no memory: all else is in the report.
pub fn check(disk: &mut impl Disk, superblock: &Superblock) -> Result<Report, Error> {
    let mut check = Check::new(disk, superblock)?;
    check.superblocks(superblock);
    check.table(superblock);
    check.objects();
    check.map(superblock);
    check.report.used = check.report.seen.iter().map(|word| u64::from(word.count_ones())).sum();
    Ok(check.report)
}

/// As [`check`], of all but the map of used blocks, of which then nothing is used.
pub(crate) fn check_without_map(disk: &mut impl Disk, superblock: &Superblock) -> Result<Report, Error> {
    let mut check = Check::new(disk, superblock)?;
    check.table(superblock);
    check.objects();
    Ok(check.report)
}

struct Check<'a, D> {
    disk: &'a mut D,
    report: Report,
    inodes: BTreeMap<u32, Inode>,
    /// Where blocks are read to.
    buffer: Vec<u8>,
}

impl<'a, D: Disk> Check<'a, D> {
    fn new(disk: &'a mut D, superblock: &Superblock) -> Result<Check<'a, D>, Error> {
        let mut seen: Vec<u64> = Vec::new();
        let words = superblock.blocks.div_ceil(64) as usize;
        seen.try_reserve_exact(words).map_err(|_| Error::NoMemory)?;
        seen.resize(words, 0);
        let (generation, blocks) = (superblock.generation, superblock.blocks);
        let mut report = Report { generation, blocks, seen, ..Report::default() };
        for block in 0..SUPERBLOCKS {
            report.see(block);
        }
        let buffer = vec![0; RUN_BLOCKS as usize * BLOCK_BYTES];
        Ok(Check { disk, report, inodes: BTreeMap::new(), buffer })
    }

    fn superblocks(&mut self, superblock: &Superblock) {
        let first = Superblock::place(superblock.generation);
        let mut block = vec![0; BLOCK_BYTES];
        for place in first..first + 2 {
            let read = self.disk.read(place, &mut block);
            if read.is_err() || !superblock.may_be_beside(&block) {
                self.report
                    .note("superblock", format!("the copy in block {place} is damaged; the other is not"));
            }
        }
    }

    fn table(&mut self, superblock: &Superblock) {
        let mut inodes = BTreeMap::new();
        let mut wrong = Vec::new();
        self.tree("table", superblock.table, superblock.table_blocks, &mut |index, page| {
            for (inode, at) in page.chunks_exact(INODE_BYTES).zip(0..) {
                let object = index as u32 * INODES as u32 + at;
                match Inode::decode(inode) {
                    Ok(inode) if inode.kind == Kind::None => {}
                    Ok(inode) => {
                        inodes.insert(object, inode);
                    }
                    Err(_) => wrong.push(object),
                }
            }
        });
        for object in wrong {
            self.report.note("table", format!("what is said of object {object} makes no sense"));
        }
        self.inodes = inodes;
    }

    /// Directories from the root on, and their files.
    fn objects(&mut self) {
        let mut due = vec![(ROOT, String::new())];
        let mut reached = BTreeSet::new();
        while let Some((object, path)) = due.pop() {
            let about = if path.is_empty() { "/" } else { &path };
            let Some(inode) = self.inodes.get(&object).copied() else {
                self.report.note(about, format!("its object, {object}, is not there"));
                continue;
            };
            if !reached.insert(object) {
                self.report.note(about, format!("object {object} has a second name"));
                continue;
            }
            if inode.kind == Kind::Directory {
                self.report.directories += 1;
                for (name, below) in self.directory(object, &inode, about) {
                    due.push((below, if path.is_empty() { name } else { format!("{path}/{name}") }));
                }
            } else {
                self.report.files += 1;
                self.tree(about, inode.root, inode.pages(), &mut |_, _| {});
            }
        }
        let others: Vec<(u32, Inode)> = self
            .inodes
            .iter()
            .filter(|(object, _)| !reached.contains(object))
            .map(|(o, i)| (*o, *i))
            .collect();
        for (object, inode) in others {
            let about = format!("object {object}");
            // One that was open when it lost its name ends when the volume is found the next time.
            if inode.parent != 0 {
                self.report.note(&about, String::from("no name leads to it"));
            }
            self.tree(&about, inode.root, inode.pages(), &mut |_, _| {});
        }
    }

    /// The names in a directory.
    fn directory(&mut self, object: u32, inode: &Inode, about: &str) -> Vec<(String, u32)> {
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        let mut wrong = Vec::new();
        self.tree(about, inode.root, inode.pages(), &mut |index, page| {
            for entry in entries(page) {
                match entry {
                    Ok(entry) => {
                        if names.insert(String::from(entry.name), entry.object).is_some() {
                            wrong.push(format!("the name {:?} is there twice", entry.name));
                        }
                    }
                    Err(_) => wrong.push(format!("page {index} has what is no name")),
                }
            }
        });
        for what in wrong {
            self.report.note(about, what);
        }
        if names.len() as u64 != u64::from(inode.names) {
            self.report.note(about, format!("it has {} names and says {}", names.len(), inode.names));
        }
        for (name, below) in &names {
            let parent = self.inodes.get(below).map(|inode| inode.parent);
            if parent.is_some_and(|parent| parent != object) {
                self.report.note(about, format!("{name:?} is said to be elsewhere by what it names"));
            }
        }
        names.into_iter().collect()
    }

    fn map(&mut self, superblock: &Superblock) {
        let mut pages: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        self.tree(MAP, superblock.map, superblock.map_blocks(), &mut |index, page| {
            pages.insert(index, page.to_vec());
        });
        let mut unknown = 0_u64;
        let mut lost = 0_u64;
        for block in 0..superblock.blocks {
            let page = pages.get(&(block / MAP_BLOCKS));
            let at = (block % MAP_BLOCKS) as usize;
            let is_used = page.is_some_and(|page| page[at / 8] >> (at % 8) & 1 != 0);
            match (is_used, self.report.is_seen(block)) {
                (false, true) => unknown += 1,
                (true, false) => lost += 1,
                _ => {}
            }
        }
        if unknown > 0 {
            self.report.note(MAP, format!("{unknown} blocks are used and said to be free"));
        }
        if lost > 0 {
            self.report.note(MAP, format!("{lost} blocks are said to be used and are not"));
        }
    }

    /// Looks at all pages of a tree, and hands those of level 0, of which there may be `pages`, to `leaf`.
    fn tree(&mut self, about: &str, root: Root, pages: u64, leaf: &mut dyn FnMut(u64, &[u8])) {
        if root.pointer.is_none() {
            return;
        }
        let mut due: Vec<(u32, u64, Pointer)> = vec![(root.depth, 0, root.pointer)];
        let mut buffer = core::mem::take(&mut self.buffer);
        while let Some(first) = due.pop() {
            let mut run = vec![first];
            // What is next and lies behind it is read with it.
            while let Some(next) = due.last().copied()
                && (run.len() as u64) < RUN_BLOCKS
                && next.0 == first.0
                && next.2.block == first.2.block.saturating_add(run.len() as u64)
            {
                run.push(next);
                due.pop();
            }
            self.read_run(&run, &mut buffer);
            for ((level, index, pointer), page) in run.iter().zip(buffer.chunks_exact(BLOCK_BYTES)) {
                if let Err(what) = self.judge(*level, *index, *pointer, pages, page) {
                    self.report.note(about, what);
                } else if *level == 0 {
                    leaf(*index, page);
                } else {
                    for at in (0..FANOUT).rev() {
                        let pointer = Pointer::get(page, at as usize);
                        if !pointer.is_none() {
                            due.push((level - 1, index * FANOUT + at, pointer));
                        }
                    }
                }
            }
        }
        self.buffer = buffer;
    }

    /// Reads a run of blocks, one by one if it can't be had as a whole. What can't be read does not fit its checksum.
    fn read_run(&mut self, run: &[(u32, u64, Pointer)], buffer: &mut [u8]) {
        let first = run[0].2.block;
        let end = first.saturating_add(run.len() as u64);
        let is_there = end <= self.report.blocks;
        if is_there && self.disk.read(first, &mut buffer[..run.len() * BLOCK_BYTES]).is_ok() {
            return;
        }
        for ((_, _, pointer), page) in run.iter().zip(buffer.chunks_exact_mut(BLOCK_BYTES)) {
            if pointer.block >= self.report.blocks || self.disk.read(pointer.block, page).is_err() {
                // Nothing has this checksum but by an accident of one in 2^64.
                page.fill(0x5a);
            }
        }
    }

    /// Whether a block may be what is referred to here.
    fn judge(
        &mut self,
        level: u32,
        index: u64,
        pointer: Pointer,
        pages: u64,
        page: &[u8],
    ) -> Result<(), String> {
        let block = pointer.block;
        if !(SUPERBLOCKS..self.report.blocks).contains(&block) {
            return Err(format!(
                "page {index} of level {level} is said to be in block {block}, which is none"
            ));
        }
        if self.report.is_seen(block) {
            return Err(format!("block {block} is used twice, here for page {index} of level {level}"));
        }
        self.report.see(block);
        if checksum(page) != pointer.checksum {
            return Err(format!("page {index} of level {level}, in block {block}, is damaged"));
        }
        if index.checked_shl(FANOUT_BITS * level).is_none_or(|first| first >= pages) {
            return Err(format!("page {index} of level {level} lies beyond the end"));
        }
        Ok(())
    }
}
