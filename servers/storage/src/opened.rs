//! Who has which file open, and which of its pages the kernel has.
//!
//! An instance that cannot write is lent the volume's own pages, which change when the file does; one that can has copies.
//! What the kernel has and is the file's no more is *revoked*.

use abi::PAGE_BYTES;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use io_server::System;

/// An object that is open.
#[derive(Debug, Default)]
struct Opened {
    instances: u32,
    /// Instances of which the kernel has pages, and whether they are copies.
    paged: Vec<(u32, bool)>,
}

/// All that are open.
#[derive(Debug, Default)]
pub(crate) struct OpenObjects {
    objects: BTreeMap<u32, Opened>,
}

impl OpenObjects {
    pub(crate) fn open(&mut self, object: u32) {
        self.objects.entry(object).or_default().instances += 1;
    }

    /// One instance less, which was `paged`. Whether it was the last.
    pub(crate) fn close(&mut self, object: u32, paged: Option<u32>) -> bool {
        let Some(opened) = self.objects.get_mut(&object) else { return true };
        opened.instances -= 1;
        opened.paged.retain(|(instance, _)| Some(*instance) != paged);
        let is_last = opened.instances == 0;
        if is_last {
            self.objects.remove(&object);
        }
        is_last
    }

    pub(crate) fn is_open(&self, object: u32) -> bool {
        self.objects.contains_key(&object)
    }

    /// The kernel gets pages of an instance.
    pub(crate) fn note_paged(&mut self, object: u32, instance: u32, are_copies: bool) {
        if let Some(opened) = self.objects.get_mut(&object) {
            opened.paged.push((instance, are_copies));
        }
    }

    /// Whether the kernel may have pages of the object.
    pub(crate) fn is_paged(&self, object: u32) -> bool {
        self.objects.get(&object).is_some_and(|opened| !opened.paged.is_empty())
    }

    /// What the kernel has of pages of an object, from page `first` on, is out of date: of all instances, or of those that
    /// have copies; but not of `writer`, who has just written them.
    pub(crate) fn revoke(
        &self,
        object: u32,
        (first, count): (u64, u32),
        copies_only: bool,
        writer: Option<u32>,
        system: &mut dyn System,
    ) {
        let Some(opened) = self.objects.get(&object) else { return };
        for (instance, are_copies) in &opened.paged {
            if Some(*instance) != writer && (*are_copies || !copies_only) {
                // It is an error only if there can be no such page.
                let _ = system.revoke(*instance, first * PAGE_BYTES, count);
            }
        }
    }
}
