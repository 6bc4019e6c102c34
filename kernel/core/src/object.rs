//! Objects: the instances of servers to which regions are bound.
//!
//! Who binds a region names an instance; regions that name the same one, for the same user, share an object and so its
//! pages in the [cache](crate::cache). An object is there as long as a region is bound to it, and until its pages are
//! gone: then its slot is free, since the instance's number may soon mean something else.
//!
//! `region` keeps the list of an object's regions, by which all mappings of a page are found; `cache` the list of its
//! pages.

use alloc::boxed::Box;

use abi::{Error, Pid, UserId};

use crate::Result;
use crate::cache::NO_ENTRY;
use crate::region::{NO_REGION, RegionIndex};

/// Index of an object's slot.
pub type ObjectIndex = u16;

/// One slot of the object table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Object {
    /// The instance's server; [`Pid::NONE`] while the slot is free.
    pub pager: Pid,
    /// The instance.
    pub instance: u32,
    /// For whom its pages are read and written.
    pub user: UserId,
    /// The first of the regions that are bound to it.
    pub regions: RegionIndex,
    /// The first of its pages in the cache.
    pub entries: u32,
    /// Page requests under way.
    pub requests: u16,
    /// The error with which a page could not be written back, until someone is told; 0 for none.
    pub failure: u32,
}

const FREE: Object = Object {
    pager: Pid::NONE,
    instance: 0,
    user: UserId::SYSTEM,
    regions: NO_REGION,
    entries: NO_ENTRY,
    requests: 0,
    failure: 0,
};

/// All objects.
#[derive(Debug)]
pub struct Objects {
    slots: Box<[Object]>,
    /// How many are without regions, with pages still to be given up.
    pub unbound: u16,
}

impl Objects {
    /// A table of `count` free slots.
    pub fn new(count: u16) -> Objects {
        Objects { slots: (0..count).map(|_| FREE).collect(), unbound: 0 }
    }

    /// A slot.
    pub fn get(&self, index: ObjectIndex) -> &Object {
        &self.slots[usize::from(index)]
    }

    /// A slot.
    pub fn get_mut(&mut self, index: ObjectIndex) -> &mut Object {
        &mut self.slots[usize::from(index)]
    }

    /// The object of an instance and a user, an unused one if there is none yet: it must be bound at once.
    pub fn find_or_allocate(&mut self, pager: Pid, instance: u32, user: UserId) -> Result<ObjectIndex> {
        let is_it = |object: &Object| {
            (object.pager, object.instance, object.user) == (pager, instance, user)
                && object.regions != NO_REGION
        };
        let found = self.slots.iter().position(is_it);
        let index = found.or_else(|| self.slots.iter().position(|object| object.pager.is_none()));
        let index = index.ok_or(Error::NoResources)?;
        let slot = &mut self.slots[index];
        (slot.pager, slot.instance, slot.user) = (pager, instance, user);
        Ok(index as ObjectIndex)
    }

    /// How many slots there are, used or not.
    pub fn count(&self) -> ObjectIndex {
        self.slots.len() as ObjectIndex
    }

    /// An object whose last region is gone, and of which no page is asked for or written back: its pages are to go as well.
    pub fn next_unbound(&self) -> Option<ObjectIndex> {
        let is_ready =
            |object: &Object| object.regions == NO_REGION && object.requests == 0 && !object.pager.is_none();
        self.slots.iter().position(is_ready).filter(|_| self.unbound > 0).map(|index| index as ObjectIndex)
    }

    /// Frees the slot of one whose pages are gone.
    pub fn release(&mut self, index: ObjectIndex) {
        *self.get_mut(index) = FREE;
        self.unbound -= 1;
    }
}
