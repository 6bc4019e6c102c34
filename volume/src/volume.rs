//! A volume: made on a disk, found there again, read and written.

use abi::Error;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::cache::{Cache, Key};
use crate::directory::Directory;
use crate::disk::{Disk, Memory};
use crate::layout::{
    BLOCK_BYTES, FANOUT, Inode, Kind, LEAST_BLOCKS, MAX_SIZE, MOST_BLOCKS, MOST_OBJECTS, Root, SUPERBLOCKS,
    Superblock,
};
use crate::map::Map;
use crate::objects::{Numbers, ROOT};

/// The table of inodes, as an object.
pub(crate) const TABLE: u32 = 0;
/// The map of used blocks, as an object.
pub(crate) const MAP: u32 = MOST_OBJECTS;
/// The most pages that are read or written at once: as many as a page of pointers has.
pub const ROW_PAGES: u64 = FANOUT;
/// The most of them that are brought together in the buffer, where they lie all about in memory.
pub(crate) const BUFFER_PAGES: usize = 64;

static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// How a volume is used.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Pages that are kept in memory.
    pub pages: usize,
}

/// How much there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Bytes of the volume.
    pub total_bytes: u64,
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Bytes of pages in memory.
    pub cached_bytes: u64,
    /// Bytes of pages that the next commit writes.
    pub dirty_bytes: u64,
    /// Commits since the volume was made.
    pub generation: u64,
}

/// What blocks are taken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// To have more.
    Changing,
    /// To have less: what frees blocks needs some itself.
    Freeing,
    /// To make what was changed safe.
    Committing,
}

/// A volume on a disk.
#[derive(Debug)]
pub struct Volume<D: Memory> {
    pub(crate) disk: D,
    pub(crate) superblock: Superblock,
    pub(crate) map: Map,
    pub(crate) cache: Cache<D>,
    pub(crate) numbers: Numbers,
    /// The inode that was asked for last, as it is in the table.
    pub(crate) last_inode: Option<(u32, Inode)>,
    /// Objects that had no name when the volume was found.
    pub(crate) nameless: Vec<u32>,
    pub(crate) directories: BTreeMap<u32, Directory>,
    /// How often directories were used.
    pub(crate) uses: u64,
    /// Dirty pages for which no block has been taken yet.
    pub(crate) unplaced: u64,
    /// Something was changed since the last commit.
    pub(crate) needs_commit: bool,
    /// The map or a copy of the superblock was not whole.
    was_mended: bool,
    /// What is read or written in one piece.
    pub(crate) buffer: Vec<u8>,
    purpose: Purpose,
}

/// The newest superblock of a disk, if it has any.
pub fn find(disk: &mut impl Disk) -> Result<Option<Superblock>, Error> {
    if disk.blocks() < LEAST_BLOCKS {
        return Ok(None);
    }
    let mut newest: Option<Superblock> = None;
    let mut block = vec![0; BLOCK_BYTES];
    for place in 0..SUPERBLOCKS {
        disk.read(place, &mut block)?;
        if let Some(found) = Superblock::decode(&block)
            && found.blocks <= disk.blocks()
            && Superblock::place(found.generation) == place & !1
            && newest.is_none_or(|newest| newest.generation < found.generation)
        {
            newest = Some(found);
        }
    }
    Ok(newest)
}

impl<D: Disk + Memory> Volume<D> {
    fn new(disk: D, superblock: Superblock, options: Options) -> Result<Volume<D>, Error> {
        Ok(Volume {
            map: Map::new(superblock.blocks)?,
            disk,
            superblock,
            cache: Cache::new(options.pages),
            numbers: Numbers::default(),
            last_inode: None,
            nameless: Vec::new(),
            directories: BTreeMap::new(),
            uses: 0,
            unplaced: 0,
            needs_commit: false,
            was_mended: false,
            buffer: vec![0; BUFFER_PAGES * BLOCK_BYTES],
            purpose: Purpose::Changing,
        })
    }

    /// Makes a volume of the whole disk. What was on it is lost. `id` should be like no other.
    pub fn format(mut disk: D, id: [u8; 16], now_ns: u64, options: Options) -> Result<Volume<D>, Error> {
        let blocks = disk.blocks().min(MOST_BLOCKS);
        if blocks < LEAST_BLOCKS {
            return Err(Error::NoSpace);
        }
        disk.write(0, &vec![0; SUPERBLOCKS as usize * BLOCK_BYTES])?;
        disk.flush()?;
        let superblock = Superblock { id, blocks, next_serial: 2, table_blocks: 1, ..Superblock::default() };
        let mut volume = Volume::new(disk, superblock, options)?;
        volume.numbers.note_used(TABLE);
        volume.touch(TABLE, 0, 0, true)?;
        let root = Inode {
            kind: Kind::Directory,
            modified_ns: now_ns,
            created_ns: now_ns,
            serial: 1,
            parent: ROOT,
            ..Inode::default()
        };
        volume.set_inode(ROOT, &root)?;
        volume.note_object(ROOT);
        volume.commit(now_ns)?;
        Ok(volume)
    }

    /// Finds the volume on a disk; [`NotFound`](Error::NotFound) if there is none. A map that is damaged is made anew.
    pub fn mount(mut disk: D, options: Options) -> Result<Volume<D>, Error> {
        let superblock = find(&mut disk)?.ok_or(Error::NotFound)?;
        let mut volume = Volume::new(disk, superblock, options)?;
        if volume.load_map().is_ok() {
            volume.map.finish_loading();
        } else {
            volume.rebuild_map()?;
            volume.was_mended = true;
        }
        volume.find_numbers()?;
        for object in core::mem::take(&mut volume.nameless) {
            // One that is damaged stays.
            let _ = volume.destroy(object);
        }
        if !volume.has_both_superblocks()? {
            volume.needs_commit = true;
            volume.was_mended = true;
        }
        Ok(volume)
    }

    /// Whether there are two copies of the superblock. If not, the next commit makes them.
    fn has_both_superblocks(&mut self) -> Result<bool, Error> {
        let mut blocks = vec![0; 2 * BLOCK_BYTES];
        self.disk.read(Superblock::place(self.superblock.generation), &mut blocks)?;
        Ok(blocks.chunks_exact(BLOCK_BYTES).all(|block| Superblock::decode(block) == Some(self.superblock)))
    }

    fn load_map(&mut self) -> Result<(), Error> {
        for page in 0..self.superblock.map_blocks() {
            let slot = self.load(MAP, 0, page)?.ok_or(Error::Damaged)?;
            self.map.load(page, self.cache.page(slot))?;
        }
        Ok(())
    }

    /// The map by what refers to blocks, instead of by itself. The next commit writes it.
    fn rebuild_map(&mut self) -> Result<(), Error> {
        let report = crate::check::check_without_map(&mut self.disk, &self.superblock)?;
        // What is in memory of the old one would take its blocks along.
        self.cache.remove_object(MAP, &mut self.disk);
        self.map = Map::new(self.superblock.blocks)?;
        for block in report.used_blocks() {
            self.map.note_used(block);
        }
        self.map.note_doubt();
        self.superblock.map = Root::default();
        self.needs_commit = true;
        Ok(())
    }

    /// Whether the map, or a copy of the superblock, was not whole when the volume was found. The next commit makes them anew. That
    /// of the superblock may be so after a power cut, too.
    pub const fn was_mended(&self) -> bool {
        self.was_mended
    }

    /// What the volume knows of its state.
    pub const fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// The disk.
    pub const fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    /// The disk, and no volume any more. What was not committed is lost.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// How much there is.
    pub fn space(&self) -> Space {
        let bytes = |blocks: u64| blocks * BLOCK_BYTES as u64;
        Space {
            total_bytes: bytes(self.superblock.blocks),
            free_bytes: bytes(
                self.map.free().saturating_sub(self.unplaced + self.kept_back_for(Purpose::Changing)),
            ),
            cached_bytes: bytes(self.cache.count() as u64),
            dirty_bytes: bytes(self.cache.dirty_count() as u64),
            generation: self.superblock.generation,
        }
    }

    /// What lies at `position` of a file, at most `room` bytes: as far as its pages lie in a row in memory. None at the end and
    /// beyond.
    #[inline]
    pub fn piece(&mut self, object: u32, position: u64, room: usize) -> Result<&[u8], Error> {
        let size = self.inode(object)?.size;
        if position >= size {
            return Ok(&[]);
        }
        let begin = (position % BLOCK_BYTES as u64) as usize;
        let rest = usize::try_from(size - position).unwrap_or(usize::MAX);
        let end = begin.saturating_add(room.min(rest));
        let index = position / BLOCK_BYTES as u64;
        let pages = match self.load(object, 0, index)? {
            Some(slot) if end <= BLOCK_BYTES => self.cache.page(slot),
            Some(slot) => {
                let count = self.cache.row(Key::new(object, 0, index), slot, end.div_ceil(BLOCK_BYTES));
                self.cache.pages(slot, count)
            }
            None => &ZEROS,
        };
        Ok(&pages[begin..end.min(pages.len())])
    }

    /// Sees to it that `bytes` from `position` on are in memory, as far as they lie in a row on the disk. What cannot be had
    /// is not the matter here. If `following` bytes behind them will be wanted next, the disk may read these before it is asked to.
    pub fn fetch(&mut self, object: u32, position: u64, bytes: u64, following: u64) {
        let index = position / BLOCK_BYTES as u64;
        let end = position.saturating_add(bytes).div_ceil(BLOCK_BYTES as u64);
        let end = end.min(self.inode(object).map_or(0, |inode| inode.pages()));
        if index < end {
            let following = following.div_ceil(BLOCK_BYTES as u64);
            let _ = self.read_ahead(object, index, end - index, following);
        }
    }

    /// Pages of a file from page `index` on, as they lie in memory, up to `most` of them. None if there is a hole. Whoever gets
    /// them may keep them: see [`take_given_up`](Volume::take_given_up).
    pub fn lend(&mut self, object: u32, index: u64, most: usize) -> Result<&[u8], Error> {
        let pages = self.inode(object)?.pages();
        if index >= pages {
            return Ok(&[]);
        }
        let Some(first) = self.load(object, 0, index)? else { return Ok(&[]) };
        let most = most.min((pages - index) as usize);
        let count = self.cache.row(Key::new(object, 0, index), first, most);
        for slot in first..first + count as u32 {
            self.cache.set_lent(slot);
        }
        Ok(self.cache.pages(first, count))
    }

    /// Pages of files, by object and number, that were lent and are here no more: changes of them will be seen only by who
    /// asks for them anew.
    pub fn take_given_up(&mut self) -> Vec<(u32, u64)> {
        let keys = self.cache.take_given_up();
        keys.into_iter().filter(|key| key.level() == 0).map(|key| (key.object(), key.index())).collect()
    }

    /// A page of a file, to be changed. If all of it will be, `whole`, what it was is not read.
    pub fn page_to_change(&mut self, object: u32, index: u64, whole: bool) -> Result<&mut [u8], Error> {
        if index >= MAX_SIZE / BLOCK_BYTES as u64 {
            return Err(Error::NoSpace);
        }
        let slot = self.touch(object, 0, index, whole)?;
        Ok(self.cache.page_mut(slot))
    }

    /// Whether a page of a file is there, and no hole.
    pub fn is_present(&mut self, object: u32, index: u64) -> Result<bool, Error> {
        Ok(self.load(object, 0, index)?.is_some())
    }

    /// Notes that a file was written up to `end`.
    pub fn note_written(&mut self, object: u32, end: u64, now_ns: u64) -> Result<(), Error> {
        self.change_inode(object, |inode| {
            inode.size = inode.size.max(end);
            inode.modified_ns = now_ns;
        })
    }

    /// Sets the time of last change.
    pub fn set_modified(&mut self, object: u32, modified_ns: u64) -> Result<(), Error> {
        self.change_inode(object, |inode| inode.modified_ns = modified_ns)
    }

    /// Sets whose an object is, and who may read and write it: bits of [`PERMISSIONS`](crate::layout::PERMISSIONS).
    pub fn set_access(&mut self, object: u32, owner: u32, permissions: u32) -> Result<(), Error> {
        self.change_inode(object, |inode| (inode.owner, inode.permissions) = (owner, permissions))
    }

    /// Cuts, or extends with a hole.
    pub fn set_size(&mut self, object: u32, size: u64, now_ns: u64) -> Result<(), Error> {
        if size > MAX_SIZE {
            return Err(Error::NoSpace);
        }
        let old_size = self.inode(object)?.size;
        self.when_freeing(|volume| {
            if size < old_size {
                let (index, begin) = (size / BLOCK_BYTES as u64, (size % BLOCK_BYTES as u64) as usize);
                if begin > 0 && volume.load(object, 0, index)?.is_some() {
                    volume.page_to_change(object, index, false)?[begin..].fill(0);
                }
                volume.cut(object, size.div_ceil(BLOCK_BYTES as u64))?;
            }
            volume.change_inode(object, |inode| {
                inode.size = size;
                inode.modified_ns = now_ns;
            })
        })
    }

    /// Looks at everything on the disk, as of the last commit.
    pub fn check(&mut self) -> Result<crate::check::Report, Error> {
        crate::check::check(&mut self.disk, &self.superblock)
    }

    /// Where a page of a file is on the disk, as of the last commit; none for a hole. Level 0 is its data.
    pub fn block_of(&mut self, object: u32, level: u32, index: u64) -> Result<Option<u64>, Error> {
        let slot = self.load(object, level, index)?;
        Ok(slot.map(|slot| self.cache.block(slot)))
    }

    /// The page of a file at an address in memory, which was [lent](Volume::lend). For tests, which look where the kernel maps.
    pub fn page_at(&self, address: usize) -> Option<&[u8]> {
        self.cache.page_at(address)
    }

    /// Repairs what can be of what a check of the committed state found: a superblock's copy, and the map.
    pub fn repair(&mut self, report: &crate::check::Report, now_ns: u64) -> Result<(), Error> {
        if report.findings.iter().any(|finding| finding.about == crate::check::MAP) {
            self.rebuild_map()?;
        }
        self.needs_commit = true;
        self.commit(now_ns)
    }

    /// Blocks that are kept back from what is done now, so that what must be done later can be.
    pub(crate) fn kept_back(&self) -> u64 {
        self.kept_back_for(self.purpose)
    }

    fn kept_back_for(&self, purpose: Purpose) -> u64 {
        match purpose {
            Purpose::Changing => self.map_cost() + (self.superblock.blocks / 64).clamp(32, 4096),
            Purpose::Freeing => self.map_cost(),
            Purpose::Committing => 0,
        }
    }

    /// Does what gives blocks back, for which some are kept.
    pub(crate) fn when_freeing<T>(
        &mut self,
        what: impl FnOnce(&mut Volume<D>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.when(Purpose::Freeing, what)
    }

    pub(crate) fn when_committing<T>(
        &mut self,
        what: impl FnOnce(&mut Volume<D>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.when(Purpose::Committing, what)
    }

    fn when<T>(
        &mut self,
        purpose: Purpose,
        what: impl FnOnce(&mut Volume<D>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = core::mem::replace(&mut self.purpose, purpose);
        let outcome = what(self);
        self.purpose = before;
        outcome
    }
}
