//! Names: a directory is a file of entries, of which none reaches from one page into another.
//!
//! To be looked up, the names of a directory are read as a whole and kept in memory, as long as they are used and there
//! is room. What is found on the way that is no entry is left out, and is the business of the [check](crate::check).

use abi::Error;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::borrow::Borrow;

use crate::disk::{Disk, Memory};
use crate::layout::{BLOCK_BYTES, ENTRY_HEADER_BYTES, Entry, Inode, Kind, entries, is_name};
use crate::objects::ROOT;
use crate::volume::{ROW_PAGES, Volume};

/// Most names that are kept in memory beside those of the directory that is at hand.
const MOST_NAMES: usize = 64 * 1024;

/// A name, which is looked for as bytes, in whose order text is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Name(Rc<str>);

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    object: u32,
    /// The page in which the entry is.
    page: u32,
}

/// The names of a directory.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    names: BTreeMap<Name, Named>,
    /// By page, bytes behind the last entry.
    room: Vec<u16>,
    used_at: u64,
}

impl<D: Disk + Memory> Volume<D> {
    /// The object of a name in a directory.
    pub fn look_up(&mut self, directory: u32, name: &[u8]) -> Result<u32, Error> {
        Ok(self.directory(directory)?.names.get(name).ok_or(Error::NotFound)?.object)
    }

    /// The names in a directory with their objects, in order.
    pub fn names(&mut self, directory: u32) -> Result<Vec<(Rc<str>, u32)>, Error> {
        let names = &self.directory(directory)?.names;
        Ok(names.iter().map(|(name, named)| (Rc::clone(&name.0), named.object)).collect())
    }

    /// An object's name in its directory; none of the root, and of what has none.
    pub fn name_of(&mut self, object: u32) -> Result<String, Error> {
        let parent = self.inode(object)?.parent;
        if object == ROOT || parent == 0 {
            return Ok(String::new());
        }
        let names = &self.directory(parent)?.names;
        let name = names.iter().find(|(_, named)| named.object == object);
        Ok(name.map_or_else(String::new, |(name, _)| String::from(&*name.0)))
    }

    /// Makes an object under a name that is free.
    pub fn create(
        &mut self,
        directory: u32,
        name: &str,
        kind: Kind,
        owner: u32,
        now_ns: u64,
    ) -> Result<u32, Error> {
        let object = self.free_number()?;
        let page = self.make_room(directory, name)?;
        let inode = Inode {
            kind,
            owner,
            modified_ns: now_ns,
            created_ns: now_ns,
            serial: self.superblock.next_serial,
            parent: directory,
            ..Inode::default()
        };
        self.set_inode(object, &inode)?;
        self.superblock.next_serial += 1;
        self.note_object(object);
        self.add_entry(directory, page, name, object, now_ns)?;
        Ok(object)
    }

    /// Takes a name away. The object has none then, and is to be [destroyed](Volume::destroy) when nobody needs it.
    pub fn unlink(&mut self, directory: u32, name: &str, now_ns: u64) -> Result<u32, Error> {
        self.when_freeing(|volume| {
            let named = volume.named(directory, name)?;
            volume.touch(directory, 0, u64::from(named.page), false)?;
            volume.touch_inode(named.object)?;
            volume.remove_entry(directory, name, now_ns)?;
            volume.change_inode(named.object, |inode| inode.parent = 0)?;
            Ok(named.object)
        })
    }

    /// Gives an object another name at once. What had that has none then, and comes back.
    pub fn rename(
        &mut self,
        (old_directory, old_name): (u32, &str),
        (new_directory, new_name): (u32, &str),
        now_ns: u64,
    ) -> Result<Option<u32>, Error> {
        let old = self.named(old_directory, old_name)?;
        let replaced = match self.named(new_directory, new_name) {
            Ok(replaced) => Some(replaced),
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        // All that will change is made ready first, so that nothing stops half way.
        self.touch(old_directory, 0, u64::from(old.page), false)?;
        self.touch_inode(old.object)?;
        let page = match replaced {
            Some(replaced) => {
                self.touch_inode(replaced.object)?;
                self.touch(new_directory, 0, u64::from(replaced.page), false)?;
                replaced.page
            }
            None => self.make_room(new_directory, new_name)?,
        };
        self.remove_entry(old_directory, old_name, now_ns)?;
        if let Some(replaced) = replaced {
            self.remove_entry(new_directory, new_name, now_ns)?;
            self.change_inode(replaced.object, |inode| inode.parent = 0)?;
        }
        self.add_entry(new_directory, page, new_name, old.object, now_ns)?;
        self.change_inode(old.object, |inode| inode.parent = new_directory)?;
        Ok(replaced.map(|replaced| replaced.object))
    }

    fn named(&mut self, directory: u32, name: &str) -> Result<Named, Error> {
        self.directory(directory)?.names.get(name.as_bytes()).copied().ok_or(Error::NotFound)
    }

    /// The names of a directory, read if need be.
    fn directory(&mut self, number: u32) -> Result<&mut Directory, Error> {
        self.uses += 1;
        let uses = self.uses;
        if !self.directories.contains_key(&number) {
            let read = self.read_directory(number)?;
            self.make_room_in_memory(read.names.len());
            self.directories.insert(number, read);
        }
        let directory = self.directories.get_mut(&number).ok_or(Error::NotFound)?;
        directory.used_at = uses;
        Ok(directory)
    }

    fn read_directory(&mut self, number: u32) -> Result<Directory, Error> {
        let inode = self.inode(number)?;
        if inode.kind != Kind::Directory {
            return Err(Error::NotADirectory);
        }
        // It has no holes, so it cannot be longer than the disk.
        if inode.pages() > self.superblock.blocks {
            return Err(Error::Damaged);
        }
        let mut directory = Directory::default();
        for page in 0..inode.pages() {
            if page % ROW_PAGES == 0 {
                self.read_ahead(number, page, ROW_PAGES, ROW_PAGES)?;
            }
            let mut end = 0;
            if let Some(slot) = self.load(number, 0, page)? {
                for entry in entries(self.cache.page(slot)) {
                    let entry = entry?;
                    let named = Named { object: entry.object, page: page as u32 };
                    directory.names.insert(Name(Rc::from(entry.name)), named);
                    end = entry.at + entry.bytes();
                }
            }
            directory.room.push((BLOCK_BYTES - end) as u16);
        }
        Ok(directory)
    }

    /// Forgets the names of directories that were not used for longest, until there is room for `count` more.
    fn make_room_in_memory(&mut self, count: usize) {
        let mut names: usize = self.directories.values().map(|directory| directory.names.len()).sum();
        while names + count > MOST_NAMES
            && let Some((number, oldest)) =
                self.directories.iter().min_by_key(|(_, directory)| directory.used_at)
        {
            let number = *number;
            names -= oldest.names.len();
            self.directories.remove(&number);
        }
    }

    /// Makes a page ready to take an entry more: which one.
    fn make_room(&mut self, number: u32, name: &str) -> Result<u32, Error> {
        if !is_name(name) {
            return Err(Error::BadName);
        }
        let bytes = ENTRY_HEADER_BYTES + name.len();
        let directory = self.directory(number)?;
        // The last page has room most often.
        let last = directory.room.len().wrapping_sub(1);
        let has_room =
            |page: &usize| directory.room.get(*page).is_some_and(|room| usize::from(*room) >= bytes);
        let page = Some(last).filter(has_room).or_else(|| (0..directory.room.len()).find(has_room));
        let page = page.unwrap_or(directory.room.len()) as u32;
        self.touch(number, 0, u64::from(page), false)?;
        self.touch_inode(number)?;
        let directory = self.directory(number)?;
        if page as usize == directory.room.len() {
            directory.room.push(BLOCK_BYTES as u16);
            self.change_inode(number, |inode| inode.size = (u64::from(page) + 1) * BLOCK_BYTES as u64)?;
        }
        Ok(page)
    }

    /// Adds an entry to a page that was made ready.
    fn add_entry(
        &mut self,
        number: u32,
        page: u32,
        name: &str,
        object: u32,
        now_ns: u64,
    ) -> Result<(), Error> {
        let slot = self.touch(number, 0, u64::from(page), false)?;
        let directory = self.directory(number)?;
        let room = directory.room.get_mut(page as usize).ok_or(Error::Damaged)?;
        let at = BLOCK_BYTES - usize::from(*room);
        *room -= (ENTRY_HEADER_BYTES + name.len()) as u16;
        directory.names.insert(Name(Rc::from(name)), Named { object, page });
        Entry::put(self.cache.page_mut(slot), at, object, name);
        self.change_inode(number, |inode| {
            // What another wrote there may be any number.
            inode.names = inode.names.saturating_add(1);
            inode.modified_ns = now_ns;
        })
    }

    /// Takes an entry out of a page that was made ready.
    fn remove_entry(&mut self, number: u32, name: &str, now_ns: u64) -> Result<(), Error> {
        let named = self.named(number, name)?;
        let slot = self.touch(number, 0, u64::from(named.page), false)?;
        let page = self.cache.page_mut(slot);
        let found = entries(page).flatten().find(|entry| entry.name == name).ok_or(Error::Damaged)?;
        let (at, bytes) = (found.at, found.bytes());
        page.copy_within(at + bytes.., at);
        page[BLOCK_BYTES - bytes..].fill(0);
        let directory = self.directory(number)?;
        directory.names.remove(name.as_bytes());
        if let Some(room) = directory.room.get_mut(named.page as usize) {
            *room += bytes as u16;
        }
        self.change_inode(number, |inode| {
            inode.names = inode.names.saturating_sub(1);
            inode.modified_ns = now_ns;
        })
    }
}
