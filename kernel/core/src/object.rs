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

/// No object.
pub const NO_OBJECT: ObjectIndex = ObjectIndex::MAX;

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
    /// The next free slot, or the next object that nothing is bound to any more.
    next: ObjectIndex,
}

/// All objects.
#[derive(Debug)]
pub struct Objects {
    slots: Box<[Object]>,
    free: ObjectIndex,
    /// Objects without regions, whose pages are still to be given up.
    unbound: ObjectIndex,
}

impl Objects {
    /// A table of `count` free slots.
    pub fn new(count: u16) -> Objects {
        let slot = |next| Object {
            pager: Pid::NONE,
            instance: 0,
            user: UserId::default(),
            regions: NO_REGION,
            entries: NO_ENTRY,
            requests: 0,
            failure: 0,
            next,
        };
        let slots = (1..=count).map(|next| slot(if next == count { NO_OBJECT } else { next })).collect();
        Objects { slots, free: if count == 0 { NO_OBJECT } else { 0 }, unbound: NO_OBJECT }
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
        if let Some(index) = self.slots.iter().position(is_it) {
            return Ok(index as ObjectIndex);
        }
        let index = self.free;
        let slot = self.slots.get_mut(usize::from(index)).ok_or(Error::NoResources)?;
        self.free = slot.next;
        (slot.pager, slot.instance, slot.user, slot.failure) = (pager, instance, user, 0);
        Ok(index)
    }

    /// How many slots there are, used or not.
    pub fn count(&self) -> ObjectIndex {
        self.slots.len() as ObjectIndex
    }

    /// The last region of an object is gone: its pages are to go as well.
    pub fn became_unbound(&mut self, index: ObjectIndex) {
        let next = core::mem::replace(&mut self.unbound, index);
        self.get_mut(index).next = next;
    }

    /// An object whose pages are to go.
    #[inline]
    pub fn first_unbound(&self) -> Option<ObjectIndex> {
        (self.unbound != NO_OBJECT).then_some(self.unbound)
    }

    /// Frees the slot of the first object whose pages were to go, and are gone.
    pub fn release_first_unbound(&mut self) {
        let index = self.unbound;
        let free = self.free;
        let object = self.get_mut(index);
        debug_assert!(object.regions == NO_REGION && object.entries == NO_ENTRY && object.requests == 0);
        object.pager = Pid::NONE;
        let next = core::mem::replace(&mut object.next, free);
        self.free = index;
        self.unbound = next;
    }

    /// Moves the first object whose pages are to go behind the others: it waits for something.
    pub fn rotate_unbound(&mut self) {
        let first = self.unbound;
        let mut last = first;
        while self.get(last).next != NO_OBJECT {
            last = self.get(last).next;
        }
        if last != first {
            self.unbound = core::mem::replace(&mut self.get_mut(first).next, NO_OBJECT);
            self.get_mut(last).next = first;
        }
    }
}
