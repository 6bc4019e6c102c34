//! Address spaces against a map of pages; quotas and frames that must balance; what ends early.

extern crate std;

use std::collections::BTreeMap;
use std::vec::Vec;

use abi::USER_ADDRESS_END;
use abi::kernel::protection::WRITE;
use proptest::prelude::*;

use super::*;
use crate::test_machine::{FakeMachine, kernel, release, team};

const READ_WRITE: Protection = READ | WRITE;

fn range(address: u64, pages: u32) -> PageRange {
    PageRange::new(address, pages).unwrap()
}

fn unmap_all(kernel: &mut Kernel<FakeMachine>, team: TeamIndex, mut range: PageRange) -> Result<(), Error> {
    while range.start < range.end {
        range.start = kernel.unmap_some(team, range)?;
    }
    Ok(())
}

fn protect_all(kernel: &mut Kernel<FakeMachine>, team: TeamIndex, mut range: PageRange) {
    while range.start < range.end {
        range.start = kernel.protect_some(team, range);
    }
}

#[test]
fn a_touched_page_is_zero_and_charged() {
    let mut kernel = kernel(2048);
    let free = kernel.frames.free_count();
    let (team, root) = team(&mut kernel, 100);
    let empty = kernel.team(team).pages.used;
    let address = 0x40_0000;
    kernel.add_region(team, address, 3, READ_WRITE, Backing::Zero).unwrap();
    assert_eq!(kernel.team(team).pages.used, empty);
    assert_eq!(kernel.touch(team, address + 5000, WRITE), Ok(()));
    // Three tables and the page.
    assert_eq!(kernel.team(team).pages.used, empty + 4);
    assert_eq!(kernel.touch(team, address, READ), Ok(()));
    assert_eq!(kernel.team(team).pages.used, empty + 5);
    // Once more changes nothing.
    assert_eq!(kernel.touch(team, address, WRITE), Ok(()));
    assert_eq!(kernel.team(team).pages.used, empty + 5);
    let mut bytes = [1; 100];
    kernel.read_from(root, address + 4050, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 100]);
    for (address, access) in [
        (address - 1, READ),
        (address + 3 * PAGE_BYTES, READ),
        (address, EXECUTE),
        (0, READ),
        (u64::MAX, READ),
        (USER_ADDRESS_END, READ),
        (information::ADDRESS, WRITE),
    ] {
        assert_eq!(kernel.touch(team, address, access), Err(Error::BadAddress), "{address:#x}");
    }
    release(&mut kernel, team);
    assert_eq!(kernel.frames.free_count(), free);
}

#[test]
fn quota_and_memory_run_out_with_an_error_each() {
    let mut kernel = kernel(64);
    let (small, _) = team(&mut kernel, 8);
    let (large, _) = team(&mut kernel, 1000);
    for team in [small, large] {
        kernel.add_region(team, 0x10_0000, 200, READ_WRITE, Backing::Zero).unwrap();
    }
    let mut count = 0;
    let refusal = loop {
        match kernel.touch(small, 0x10_0000 + count * PAGE_BYTES, WRITE) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    // Two tables are there at birth, three come with the first page.
    assert_eq!((refusal, count), (Error::NoQuota, 3));
    let refusal = loop {
        match kernel.touch(large, 0x10_0000 + count * PAGE_BYTES, WRITE) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    // The last frames are for those who may wire memory.
    assert_eq!((refusal, kernel.frames.free_count()), (Error::NoMemory, 64 / 32));
    release(&mut kernel, small);
    assert_eq!(kernel.touch(large, 0x10_0000 + count * PAGE_BYTES, WRITE), Ok(()));
    release(&mut kernel, large);
}

#[test]
fn nothing_lies_over_the_information_page() {
    let mut kernel = kernel(1024);
    let (team, _) = team(&mut kernel, 100);
    for (address, pages) in
        [(RESERVED.start, 1), (RESERVED.start - PAGE_BYTES, 2), (RESERVED.end - PAGE_BYTES, 1)]
    {
        let result = kernel.add_region(team, address, pages, READ, Backing::Zero);
        assert_eq!(result, Err(Error::AlreadyMapped));
    }
    kernel.add_region(team, RESERVED.start - PAGE_BYTES, 1, READ, Backing::Zero).unwrap();
    assert_eq!(kernel.touch(team, RESERVED.start - 1, READ), Ok(()));
    assert_eq!(kernel.touch(team, RESERVED.start, READ), Err(Error::BadAddress));
}

#[test]
fn a_change_of_protection_reaches_pages_late_but_surely() {
    let mut kernel = kernel(1024);
    let (team, _) = team(&mut kernel, 400);
    let all = range(0x40_0000, 200);
    kernel.add_region(team, all.start, 200, READ_WRITE, Backing::Zero).unwrap();
    for page in 0..200 {
        kernel.touch(team, all.start + page * PAGE_BYTES, WRITE).unwrap();
    }
    let space = kernel.team(team).space;
    kernel.protect_regions(team, all, READ | EXECUTE).unwrap();
    // Not done yet, and another process runs into it.
    let last = all.end - PAGE_BYTES;
    assert_eq!(kernel.machine.page(space, last).unwrap().1, READ_WRITE);
    assert_eq!(kernel.touch(team, last, EXECUTE), Ok(()));
    assert_eq!(kernel.machine.page(space, last).unwrap().1, READ | EXECUTE);
    assert_eq!(kernel.touch(team, last, WRITE), Err(Error::BadAddress));
    protect_all(&mut kernel, team, all);
    for page in 0..200 {
        let address = all.start + page * PAGE_BYTES;
        assert_eq!(kernel.machine.page(space, address).unwrap().1, READ | EXECUTE);
    }
}

#[test]
fn steps_are_bounded_and_sparse_regions_are_quick() {
    let mut kernel = kernel(2048);
    let (team, _) = team(&mut kernel, 1000);
    let huge = kernel.add_region(team, 0, u32::MAX, READ_WRITE, Backing::Zero).unwrap();
    for page in [0, 1, 77, 1 << 20, u64::from(u32::MAX) - 1] {
        kernel.touch(team, huge.start + page * PAGE_BYTES, WRITE).unwrap();
    }
    let next = kernel.unmap_some(team, huge).unwrap();
    assert_eq!(next, huge.end);
    assert!(kernel.team(team).regions.count() == 0);
    kernel.add_region(team, 0x40_0000, 300, READ_WRITE, Backing::Zero).unwrap();
    let all = range(0x40_0000, 300);
    let mut address = all.start;
    while address < all.end {
        address = kernel.populate_some(team, PageRange { start: address, ..all }).unwrap();
    }
    let used = kernel.team(team).pages.used;
    let next = kernel.unmap_some(team, all).unwrap();
    assert!(next < all.end);
    assert!(used - kernel.team(team).pages.used <= PAGES_PER_STEP);
    let mut steps = 0;
    while !kernel.release_regions_step(team).unwrap() {
        steps += 1;
    }
    assert!(steps >= 3, "{steps}");
    release(&mut kernel, team);
}

#[test]
fn dma_memory_of_an_ended_team_is_held_back() {
    let mut kernel = kernel(1024);
    let (team, root) = team(&mut kernel, 400);
    let free = kernel.frames.free_count();
    let first = kernel.frames.allocate_contiguous(5, Frame(1024)).unwrap();
    kernel.team_mut(team).pages.take(5).unwrap();
    kernel.team_mut(team).dma_pages = 5;
    let place = kernel.add_region(team, 0, 5, READ_WRITE, Backing::Dma { first }).unwrap();
    kernel.touch(team, place.start + PAGE_BYTES, WRITE).unwrap();
    // What is unmapped while the team lives is free at once, mapped or not.
    unmap_all(&mut kernel, team, range(place.start, 2)).unwrap();
    assert_eq!(kernel.team(team).dma_pages, 3);
    let pid = kernel.processes[root].pid;
    kernel.touch(team, place.start + 2 * PAGE_BYTES, WRITE).unwrap();
    release(&mut kernel, team);
    let held: Vec<Region> = kernel.regions.iter(&kernel.held).copied().collect();
    let backing = Backing::Held { first: Frame(first.0 + 2), team: pid };
    assert_eq!((held[0].pages, held[0].backing), (3, backing));
    // The team's own two tables came back as well.
    assert_eq!(kernel.frames.free_count(), free + 2 - 3);
}

#[test]
fn a_thousand_teams_fit_into_256_mib_and_leave_nothing() {
    // What firmware, image and tables leave of it.
    let mut kernel = kernel(58_000);
    let free = kernel.frames.free_count();
    let teams: Vec<TeamIndex> = (0..1000).map(|_| team(&mut kernel, 58).0).collect();
    for team in &teams {
        for (address, pages) in [(0x40_0000, 4), (0x40_4000, 2), (abi::boot::STACK_TOP - PAGE_BYTES, 1)] {
            kernel.add_region(*team, address, pages, READ_WRITE, Backing::Zero).unwrap();
            kernel.touch(*team, address, WRITE).unwrap();
        }
    }
    for team in teams {
        release(&mut kernel, team);
    }
    assert_eq!((kernel.frames.free_count(), kernel.regions.used()), (free, 0));
}

#[derive(Clone, Debug)]
enum Operation {
    Map(u64, u32, Protection),
    Unmap(u64, u32),
    Protect(u64, u32, Protection),
    Touch(u64, Protection),
    Write(u64, u8),
}

fn operation() -> impl Strategy<Value = Operation> {
    let page = 1..48u64;
    let pages = 1..20u32;
    let protection = prop::sample::select(&[READ, READ | WRITE, READ | EXECUTE][..]);
    let access = prop::sample::select(&[READ, WRITE, EXECUTE][..]);
    prop_oneof![
        3 => (page.clone(), pages.clone(), protection.clone())
            .prop_map(|(page, pages, protection)| Operation::Map(page, pages, protection)),
        2 => (page.clone(), pages.clone()).prop_map(|(page, pages)| Operation::Unmap(page, pages)),
        2 => (page.clone(), pages, protection)
            .prop_map(|(page, pages, protection)| Operation::Protect(page, pages, protection)),
        4 => (page.clone(), access).prop_map(|(page, access)| Operation::Touch(page, access)),
        4 => (page, any::<u8>()).prop_map(|(page, byte)| Operation::Write(page, byte)),
    ]
}

proptest! {
    #[test]
    fn address_spaces_are_maps_of_pages(operations in prop::collection::vec(operation(), 1..60)) {
        let mut kernel = kernel(512);
        let free = kernel.frames.free_count();
        let (team, root) = team(&mut kernel, 200);
        let tables = kernel.team(team).pages.used;
        // By page: what may be done, and the byte at its start if it has a frame.
        let mut model: BTreeMap<u64, (Protection, Option<u8>)> = BTreeMap::new();
        for operation in operations {
            match operation {
                Operation::Map(page, pages, protection) => {
                    let all = page..page + u64::from(pages);
                    let result = kernel.add_region(team, page * PAGE_BYTES, pages, protection, Backing::Zero);
                    let room = all.clone().all(|page| !model.contains_key(&page));
                    prop_assert_eq!(result.is_ok(), room);
                    if room {
                        model.extend(all.map(|page| (page, (protection, None))));
                    }
                }
                Operation::Unmap(page, pages) => {
                    unmap_all(&mut kernel, team, range(page * PAGE_BYTES, pages)).unwrap();
                    model.retain(|mapped, _| !(page..page + u64::from(pages)).contains(mapped));
                }
                Operation::Protect(page, pages, protection) => {
                    let place = range(page * PAGE_BYTES, pages);
                    let all = page..page + u64::from(pages);
                    let result = kernel.protect_regions(team, place, protection);
                    prop_assert_eq!(result.is_ok(), all.clone().all(|page| model.contains_key(&page)));
                    if result.is_ok() {
                        protect_all(&mut kernel, team, place);
                        for page in all {
                            model.get_mut(&page).unwrap().0 = protection;
                        }
                    }
                }
                Operation::Touch(page, access) => {
                    let result = kernel.touch(team, page * PAGE_BYTES + 9, access);
                    match model.get_mut(&page) {
                        Some((protection, byte)) if *protection & access != 0 => {
                            prop_assert_eq!(result, Ok(()));
                            byte.get_or_insert(0);
                        }
                        _ => prop_assert_eq!(result, Err(Error::BadAddress)),
                    }
                }
                Operation::Write(page, byte) => {
                    let result = kernel.write_to(root, page * PAGE_BYTES, &[byte]);
                    match model.get_mut(&page) {
                        Some((protection, old)) if *protection & WRITE != 0 => {
                            prop_assert_eq!(result, Ok(()));
                            *old = Some(byte);
                        }
                        _ => prop_assert_eq!(result, Err(Error::BadAddress)),
                    }
                }
            }
            let resident = model.values().filter(|(_, byte)| byte.is_some()).count();
            let space = kernel.team(team).space;
            prop_assert_eq!(kernel.machine.page_count(space), resident);
            let used = kernel.team(team).pages.used;
            prop_assert_eq!(used, free - kernel.frames.free_count());
            prop_assert!(used <= tables + 3 + resident as u32);
            for (page, (protection, byte)) in &model {
                let found = kernel.machine.page(space, page * PAGE_BYTES);
                prop_assert_eq!(found.map(|page| page.1), byte.map(|_| *protection));
                if let (Some((frame, ..)), Some(byte)) = (found, byte) {
                    let mut start = [0];
                    kernel.machine.read_frame(frame, 0, &mut start);
                    prop_assert_eq!(start[0], *byte);
                }
            }
        }
        release(&mut kernel, team);
        prop_assert_eq!(kernel.frames.free_count(), free);
        prop_assert_eq!(kernel.regions.used(), 0);
    }
}
