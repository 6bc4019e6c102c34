//! Regions against a map of pages, and the edges of what a program may name.

extern crate std;

use std::collections::BTreeMap;
use std::vec::Vec;

use abi::kernel::protection::{EXECUTE, READ, WIRED, WRITE};
use proptest::prelude::*;

use super::*;

impl RegionList {
    /// The region with the lowest address.
    pub const fn first(&self) -> RegionIndex {
        self.first
    }

    /// How many.
    pub const fn count(&self) -> u32 {
        self.count
    }
}

impl Regions {
    /// The regions of a list in their order.
    pub fn iter(&self, list: &RegionList) -> impl Iterator<Item = &Region> {
        let mut index = list.first;
        core::iter::from_fn(move || {
            let region = self.slots.get(index as usize)?;
            index = region.next;
            Some(region)
        })
    }
}

const READ_WRITE: Protection = READ | WRITE;

fn range(address: u64, pages: u32) -> PageRange {
    PageRange::new(address, pages).unwrap()
}

fn summary(regions: &Regions, list: &RegionList) -> Vec<(u64, u32, Protection)> {
    regions.iter(list).map(|region| (region.start / PAGE_BYTES, region.pages, region.protection)).collect()
}

#[test]
fn ranges_end_where_programs_may_not_go() {
    let last = USER_ADDRESS_END - PAGE_BYTES;
    assert_eq!(range(last, 1).pages(), 1);
    assert_eq!(range(PAGE_BYTES, 1).end, 2 * PAGE_BYTES);
    for (address, pages) in [
        (0, 1),
        (PAGE_BYTES, 0),
        (PAGE_BYTES + 1, 1),
        (last, 2),
        (USER_ADDRESS_END, 1),
        (u64::MAX - PAGE_BYTES + 1, 1),
        (u64::MAX - PAGE_BYTES + 1, u32::MAX),
        (u64::MAX, 1),
        (USER_ADDRESS_END - PAGE_BYTES * u64::from(u32::MAX) + PAGE_BYTES, u32::MAX),
    ] {
        assert_eq!(PageRange::new(address, pages), Err(Error::BadArgument), "{address:#x} {pages}");
    }
}

#[test]
fn protections_are_never_writable_and_executable() {
    let all = READ | WRITE | EXECUTE | WIRED;
    for legal in [READ, READ | WRITE, READ | EXECUTE, READ | WRITE | WIRED] {
        assert_eq!(check_protection(legal, all), Ok(()));
    }
    for bad in [0, WRITE, EXECUTE, WRITE | EXECUTE, READ | WRITE | EXECUTE, WIRED, READ | 16, u32::MAX] {
        assert_eq!(check_protection(bad, all), Err(Error::BadArgument), "{bad}");
    }
    assert_eq!(check_protection(READ | WIRED, READ | WRITE), Err(Error::BadArgument));
}

#[test]
fn neighbours_become_one_where_they_are_alike() {
    let mut regions = Regions::new(8);
    let mut list = RegionList::EMPTY;
    for (page, protection) in [(10, READ_WRITE), (12, READ_WRITE), (13, READ), (11, READ_WRITE)] {
        regions.insert(&mut list, range(page * PAGE_BYTES, 1), protection, Backing::Zero).unwrap();
    }
    assert_eq!(summary(&regions, &list), [(10, 3, READ_WRITE), (13, 1, READ)]);
    regions.protect(&mut list, range(11 * PAGE_BYTES, 1), READ | EXECUTE).unwrap();
    assert_eq!(list.count(), 4);
    regions.protect(&mut list, range(10 * PAGE_BYTES, 4), READ).unwrap();
    assert_eq!(summary(&regions, &list), [(10, 4, READ)]);
    assert_eq!(regions.used(), 1);
    assert_eq!(regions.protect(&mut list, range(13 * PAGE_BYTES, 2), READ), Err(Error::NotMapped));
}

#[test]
fn device_memory_is_one_only_where_the_frames_go_on() {
    let mut regions = Regions::new(8);
    let mut list = RegionList::EMPTY;
    let physical = |first| Backing::Physical { first: Frame(first), caching: Caching::Uncached };
    for (page, first) in [(10, 100), (11, 101), (12, 103)] {
        regions.insert(&mut list, range(page * PAGE_BYTES, 1), READ, physical(first)).unwrap();
    }
    assert_eq!(summary(&regions, &list), [(10, 2, READ), (12, 1, READ)]);
    let first = list.first();
    let second = regions.split(&mut list, first, 11 * PAGE_BYTES).unwrap();
    assert_eq!(regions.get(second).backing, physical(101));
    regions.drop_front(&mut list, first, 1);
    let remaining = *regions.find(&mut list, 11 * PAGE_BYTES + 5).unwrap();
    assert_eq!((remaining.pages, remaining.backing), (1, physical(101)));
}

#[test]
fn chosen_addresses_keep_a_page_away_from_everything() {
    const FORBIDDEN: PageRange =
        PageRange { start: abi::information::ADDRESS, end: abi::information::ADDRESS + (1 << 30) };
    let mut regions = Regions::new(64);
    let mut list = RegionList::EMPTY;
    let start = CHOSEN_ADDRESS_START;
    regions.insert(&mut list, range(start - PAGE_BYTES, 1), READ, Backing::Zero).unwrap();
    regions.insert(&mut list, range(start + 4 * PAGE_BYTES, 1), READ, Backing::Zero).unwrap();
    let gap = |regions: &Regions, list: &RegionList, pages| {
        regions.gap(list, pages, FORBIDDEN).map(|found| (found.start - start) / PAGE_BYTES)
    };
    assert_eq!(gap(&regions, &list, 2), Ok(1));
    assert_eq!(gap(&regions, &list, 3), Ok(6));
    // The largest that a request can name still fits, twice; what is forbidden is stepped over.
    let huge = regions.gap(&list, u32::MAX, FORBIDDEN).unwrap();
    regions.insert(&mut list, huge, READ, Backing::Zero).unwrap();
    let below = PageRange { start: huge.end + PAGE_BYTES, end: FORBIDDEN.start - PAGE_BYTES };
    let mut at = below.start;
    while at < below.end {
        let pages = ((below.end - at) / PAGE_BYTES).min(u64::from(u32::MAX)) as u32;
        let filler = range(at, pages);
        regions.insert(&mut list, filler, READ_WRITE, Backing::Zero).unwrap();
        at = filler.end;
    }
    let above = regions.gap(&list, 100, FORBIDDEN).unwrap();
    assert_eq!(above.start, FORBIDDEN.end + PAGE_BYTES);
    assert_eq!(regions.gap(&list, u32::MAX, FORBIDDEN), Err(Error::NoMemory));
}

#[test]
fn a_full_table_changes_nothing() {
    let mut regions = Regions::new(2);
    let mut list = RegionList::EMPTY;
    regions.insert(&mut list, range(10 * PAGE_BYTES, 9), READ_WRITE, Backing::Zero).unwrap();
    let before = summary(&regions, &list);
    assert_eq!(regions.protect(&mut list, range(12 * PAGE_BYTES, 2), READ), Err(Error::NoResources));
    assert_eq!(summary(&regions, &list), before);
    assert_eq!(
        Regions::new(0).insert(&mut RegionList::EMPTY.clone(), range(PAGE_BYTES, 1), READ, Backing::Zero),
        Err(Error::NoResources)
    );
}

#[derive(Clone, Debug)]
enum Operation {
    Insert { page: u64, pages: u32, protection: Protection },
    Remove { page: u64, pages: u32 },
    Protect { page: u64, pages: u32, protection: Protection },
    Find { page: u64 },
}

fn protection() -> impl Strategy<Value = Protection> {
    prop::sample::select(&[READ, READ | WRITE, READ | EXECUTE][..])
}

fn operation() -> impl Strategy<Value = Operation> {
    let page = || prop_oneof![1..40u64, 1..6u64, 34..40u64];
    let pages = || 1..12u32;
    prop_oneof![
        3 => (page(), pages(), protection())
            .prop_map(|(page, pages, protection)| Operation::Insert { page, pages, protection }),
        3 => (page(), pages()).prop_map(|(page, pages)| Operation::Remove { page, pages }),
        2 => (page(), pages(), protection())
            .prop_map(|(page, pages, protection)| Operation::Protect { page, pages, protection }),
        2 => page().prop_map(|page| Operation::Find { page }),
    ]
}

/// Removes what is mapped in a range, the way `memory` does.
fn remove(regions: &mut Regions, list: &mut RegionList, range: PageRange) -> Result<(), Error> {
    let mut address = range.start;
    while let Some(mut index) = regions.first_ending_after(list, address) {
        let start = regions.get(index).start;
        if start >= range.end {
            break;
        }
        if start < address {
            index = regions.split(list, index, address)?;
        }
        let region = *regions.get(index);
        address = region.end().min(range.end);
        regions.drop_front(list, index, ((address - region.start) / PAGE_BYTES) as u32);
    }
    Ok(())
}

/// A map of pages as the shortest list of regions.
fn runs(model: &BTreeMap<u64, Protection>) -> Vec<(u64, u32, Protection)> {
    let mut runs: Vec<(u64, u32, Protection)> = Vec::new();
    for (page, protection) in model {
        match runs.last_mut() {
            Some((start, pages, same)) if *start + u64::from(*pages) == *page && same == protection => {
                *pages += 1;
            }
            _ => runs.push((*page, 1, *protection)),
        }
    }
    runs
}

proptest! {
    #[test]
    fn regions_are_a_map_of_pages(operations in prop::collection::vec(operation(), 1..60)) {
        let mut regions = Regions::new(64);
        let mut list = RegionList::EMPTY;
        let mut model = BTreeMap::new();
        for operation in operations {
            match operation {
                Operation::Insert { page, pages, protection } => {
                    let free = (page..page + u64::from(pages)).all(|page| !model.contains_key(&page));
                    let expected = if free { Ok(()) } else { Err(Error::AlreadyMapped) };
                    let place = range(page * PAGE_BYTES, pages);
                    prop_assert_eq!(regions.insert(&mut list, place, protection, Backing::Zero), expected);
                    if free {
                        model.extend((page..page + u64::from(pages)).map(|page| (page, protection)));
                    }
                }
                Operation::Remove { page, pages } => {
                    prop_assert_eq!(remove(&mut regions, &mut list, range(page * PAGE_BYTES, pages)), Ok(()));
                    model.retain(|mapped, _| !(page..page + u64::from(pages)).contains(mapped));
                }
                Operation::Protect { page, pages, protection } => {
                    let mapped = (page..page + u64::from(pages)).all(|page| model.contains_key(&page));
                    let place = range(page * PAGE_BYTES, pages);
                    let expected = if mapped { Ok(()) } else { Err(Error::NotMapped) };
                    prop_assert_eq!(regions.covers(&list, place, |_| true), mapped);
                    prop_assert_eq!(regions.protect(&mut list, place, protection), expected);
                    if mapped {
                        model.extend((page..page + u64::from(pages)).map(|page| (page, protection)));
                    }
                }
                Operation::Find { page } => {
                    let found = regions.find(&mut list, page * PAGE_BYTES + 7).map(|region| region.protection);
                    prop_assert_eq!(found, model.get(&page).copied());
                }
            }
            prop_assert_eq!(summary(&regions, &list), runs(&model));
            prop_assert_eq!(regions.used(), list.count());
        }
        prop_assert_eq!(remove(&mut regions, &mut list, range(PAGE_BYTES, 100)), Ok(()));
        prop_assert_eq!((regions.used(), list), (0, RegionList { hint: NO_REGION, ..RegionList::EMPTY }));
    }
}
