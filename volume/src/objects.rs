//! Inodes: what is known of each object, and which numbers are free.

use abi::Error;
use alloc::vec::Vec;

use crate::disk::{Disk, Memory};
use crate::layout::{INODE_BYTES, INODES, Inode, Kind, MOST_OBJECTS, Root};
use crate::volume::{MAP, TABLE, Volume};

/// The directory in which all is.
pub const ROOT: u32 = 1;

/// Which numbers are objects'. The numbers of the table and of the root are never free.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    /// By number, a bit.
    used: Vec<u64>,
    /// Behind the number that was given out last, so that none comes back soon.
    next: u32,
}

impl Numbers {
    pub(crate) fn note_used(&mut self, object: u32) {
        let word = object as usize / 64;
        if word >= self.used.len() {
            self.used.resize(word + 1, 0);
        }
        self.used[word] |= 1 << (object % 64);
    }

    fn note_free(&mut self, object: u32) {
        if let Some(word) = self.used.get_mut(object as usize / 64) {
            *word &= !(1 << (object % 64));
        }
    }

    /// A free number below `end`, if there is one.
    fn find(&self, end: u32) -> Option<u32> {
        self.find_between(self.next, end).or_else(|| self.find_between(ROOT + 1, self.next.min(end)))
    }

    fn find_between(&self, from: u32, to: u32) -> Option<u32> {
        let mut at = from;
        while at < to {
            let word = self.used.get(at as usize / 64).copied().unwrap_or_default();
            let free = !word & u64::MAX << (at % 64);
            let first = at / 64 * 64;
            if free != 0 {
                return Some(first + free.trailing_zeros()).filter(|found| *found < to);
            }
            at = first + 64;
        }
        None
    }
}

impl<D: Disk + Memory> Volume<D> {
    /// What is known of an object; [`NotFound`](Error::NotFound) if there is none.
    pub fn inode(&mut self, object: u32) -> Result<Inode, Error> {
        if let Some((last, inode)) = &self.last_inode
            && *last == object
        {
            return Ok(*inode);
        }
        let inode = self.inode_slot(object)?;
        if inode.kind == Kind::None {
            return Err(Error::NotFound);
        }
        self.last_inode = Some((object, inode));
        Ok(inode)
    }

    /// The inode, of an object or free.
    fn inode_slot(&mut self, object: u32) -> Result<Inode, Error> {
        if object == TABLE || u64::from(object) / INODES as u64 >= self.superblock.table_blocks {
            return Err(Error::NotFound);
        }
        match self.load(TABLE, 0, u64::from(object) / INODES as u64)? {
            Some(slot) => Inode::decode(&self.cache.page(slot)[inode_at(object)..]),
            None => Err(Error::NotFound),
        }
    }

    /// Changes an inode, whose page was touched or is.
    pub(crate) fn set_inode(&mut self, object: u32, inode: &Inode) -> Result<(), Error> {
        let slot = self.touch_inode(object)?;
        self.last_inode = self.last_inode.take_if(|(last, _)| *last != object);
        inode.encode(&mut self.cache.page_mut(slot)[inode_at(object)..]);
        Ok(())
    }

    /// Changes an inode by `change`.
    pub(crate) fn change_inode(&mut self, object: u32, change: impl FnOnce(&mut Inode)) -> Result<(), Error> {
        let mut inode = self.inode(object)?;
        change(&mut inode);
        self.set_inode(object, &inode)
    }

    pub(crate) fn root(&mut self, object: u32) -> Result<Root, Error> {
        Ok(match object {
            TABLE => self.superblock.table,
            MAP => self.superblock.map,
            _ => self.inode(object)?.root,
        })
    }

    pub(crate) fn set_root(&mut self, object: u32, root: Root) -> Result<(), Error> {
        match object {
            TABLE => self.superblock.table = root,
            MAP => self.superblock.map = root,
            _ => self.change_inode(object, |inode| inode.root = root)?,
        }
        Ok(())
    }

    /// A number for a new object. Its inode can be changed from now on, and it is given out again unless it is
    /// [set](Volume::set_inode).
    pub(crate) fn free_number(&mut self) -> Result<u32, Error> {
        let end = (self.superblock.table_blocks * INODES as u64) as u32;
        let number = match self.numbers.find(end) {
            Some(number) => number,
            None if end + INODES as u32 > MOST_OBJECTS => return Err(Error::NoSpace),
            None => {
                self.touch(TABLE, 0, self.superblock.table_blocks, true)?;
                self.superblock.table_blocks += 1;
                end
            }
        };
        self.touch_inode(number)?;
        Ok(number)
    }

    /// The number is an object's from now on.
    pub(crate) fn note_object(&mut self, object: u32) {
        self.numbers.note_used(object);
        self.numbers.next = object + 1;
    }

    /// Ends an object that has no name, and gives back all that it takes.
    pub fn destroy(&mut self, object: u32) -> Result<(), Error> {
        self.when_freeing(|volume| {
            volume.cut(object, 0)?;
            volume.set_inode(object, &Inode::default())
        })?;
        self.directories.remove(&object);
        self.numbers.note_free(object);
        Ok(())
    }

    /// Which numbers are used, found out from the table; and objects that have no name, since they were only open.
    pub(crate) fn find_numbers(&mut self) -> Result<(), Error> {
        self.numbers = Numbers { used: Vec::new(), next: ROOT + 1 };
        for number in [TABLE, ROOT] {
            self.numbers.note_used(number);
        }
        for page in 0..self.superblock.table_blocks {
            let first = page as u32 * INODES as u32;
            if page % crate::volume::ROW_PAGES == 0 {
                self.read_ahead(TABLE, page, crate::volume::ROW_PAGES, crate::volume::ROW_PAGES)?;
            }
            for object in first..first + INODES as u32 {
                match self.inode_slot(object) {
                    Ok(inode) if inode.kind == Kind::None => continue,
                    Ok(inode) if inode.parent == 0 && object > ROOT => self.nameless.push(object),
                    // Where it cannot be told, it is not to be had.
                    _ => {}
                }
                self.numbers.note_used(object);
            }
        }
        Ok(())
    }
}

/// Where an inode is in its page of the table.
const fn inode_at(object: u32) -> usize {
    object as usize % INODES * INODE_BYTES
}
