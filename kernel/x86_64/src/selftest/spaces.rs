//! Address spaces: mapping, what must not be mapped, and tearing down in steps.

use alloc::vec::Vec;

use abi::information;
use abi::kernel::protection::{EXECUTE, READ, WRITE};
use abi::{Error, PAGE_BYTES, USER_ADDRESS_END};
use kernel_core::frame::{Frame, Frames};
use kernel_core::machine::{Caching, Machine};

use super::{Area, TABLE_BYTES};
use crate::instructions::counter;
use crate::machine::{X86, load};
use crate::space::SHARED_ADDRESS;

pub fn mapping(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    let last = SHARED_ADDRESS - PAGE_BYTES;
    for address in [0, PAGE_BYTES, TABLE_BYTES - PAGE_BYTES, TABLE_BYTES, 1 << 30, 1 << 39, last] {
        let frame = area.map(machine, frames, address, READ);
        let space = area.space;
        assert_eq!(machine.translate(space, address, READ), Some(frame));
        assert_eq!(machine.translate(space, address, READ | WRITE), None);
        assert_eq!(machine.translate(space, address, EXECUTE), None);
        assert!(machine.protect(space, address, READ | WRITE));
        assert_eq!(machine.translate(space, address, WRITE), Some(frame));
        assert!(machine.protect(space, address, READ | EXECUTE));
        assert_eq!(machine.translate(space, address, EXECUTE), Some(frame));
        assert_eq!(machine.translate(space, address, WRITE), None);
        assert!(machine.protect(space, address, 0));
        assert_eq!(machine.translate(space, address, READ), None);
        let again = machine.map(space, address, frame, READ, Caching::Cached, frames);
        assert_eq!(again, Err(Error::BadAddress));
        assert!(machine.protect(space, address, READ));
    }
    let space = area.space;
    assert!(!machine.protect(space, 2 * PAGE_BYTES, READ));
    assert_eq!(machine.unmap(space, 2 * PAGE_BYTES), None);
    assert_eq!(machine.unmap(space, 2 << 39), None);
    area.end(machine, frames);
}

pub fn written_pages(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    let space = area.space;
    for page in 0..2 {
        area.map(machine, frames, page * PAGE_BYTES, READ | WRITE);
    }
    // A page counts as written when it is mapped; then when a copy writes it, over a page's end or within.
    let taken = |machine: &mut X86| [0, 1].map(|page| machine.take_written(space, page * PAGE_BYTES));
    assert_eq!(taken(machine), [true, true]);
    assert_eq!(taken(machine), [false, false]);
    machine.write(area.place(PAGE_BYTES - 1), b"ab").expect("mapped pages");
    assert_eq!(taken(machine), [true, true]);
    machine.copy(area.place(0), area.place(PAGE_BYTES), 8).expect("mapped pages");
    assert_eq!(taken(machine), [false, true]);
    assert!(machine.read(area.place(0), &mut [0; 8]).is_ok());
    assert!(machine.protect(space, 0, READ) && machine.write(area.place(0), b"a").is_err());
    assert!(machine.protect(space, 0, READ | WRITE));
    assert_eq!(taken(machine), [false, false]);
    machine.write(area.place(0), b"a").expect("a mapped page");
    assert!(machine.protect(space, 0, 0) && machine.translate(space, 0, 0).is_some());
    assert_eq!(taken(machine), [true, false], "whatever may be done with it");
    assert!(machine.protect(space, 0, READ) && !machine.take_written(space, 2 * PAGE_BYTES));
    area.end(machine, frames);
}

pub fn runs_of_pages(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    let space = area.space;
    let frame = area.map(machine, frames, TABLE_BYTES - 2 * PAGE_BYTES, READ);
    area.pages.clear();
    // Beside it, but not on it, nor where there is no table.
    let beside = TABLE_BYTES - PAGE_BYTES;
    let run = |machine: &mut X86, address| machine.map_run(space, address, 2, |_| Some((frame, READ)));
    assert_eq!(run(machine, beside), 1, "up to the table's end");
    assert_eq!(machine.translate(space, beside, READ), Some(frame));
    assert_eq!(machine.translate(space, beside, WRITE), None);
    assert_eq!(run(machine, beside), 0);
    assert_eq!(run(machine, TABLE_BYTES), 0);
    assert_eq!(run(machine, information::ADDRESS + PAGE_BYTES), 0);
    let second = area.map(machine, frames, TABLE_BYTES + 5 * PAGE_BYTES, READ);
    area.pages.clear();
    let end = TABLE_BYTES + 6 * PAGE_BYTES;
    let mut taken = Vec::new();
    let (next, count) = machine.unmap_run(space, 0, end, 1, |frame| taken.push(frame));
    assert_eq!((next, count, &taken[..]), (beside, 1, &[frame][..]));
    let (next, count) = machine.unmap_run(space, next, end - PAGE_BYTES, 9, |frame| taken.push(frame));
    assert_eq!((next, count, &taken[..]), (end - PAGE_BYTES, 1, &[frame, frame][..]));
    let (next, count) = machine.unmap_run(space, next, end, 9, |frame| taken.push(frame));
    assert_eq!((next, count, &taken[..]), (end, 1, &[frame, frame, second][..]));
    assert_eq!(machine.unmap_run(space, 0, end, 9, |_| panic!("nothing is left")), (end, 0));
    frames.release(frame);
    frames.release(second);
    area.end(machine, frames);
}

pub fn looking_for_pages(machine: &mut X86, frames: &mut Frames) {
    const TABLES: u64 = 200;
    const FIRST: u64 = 1 << 40;
    let mut area = Area::new(machine, frames);
    let address = |table: u64| FIRST + table * TABLE_BYTES + 7 * PAGE_BYTES;
    for table in 0..TABLES {
        area.map(machine, frames, address(table), READ);
    }
    let (space, end) = (area.space, FIRST + TABLES * TABLE_BYTES);
    let mut found = 0;
    for table in 0..TABLES {
        found = machine.next_mapped(space, found, end);
        // What lies below is two empty entries of the root, and passed over with few looks.
        assert_eq!(found, address(table));
        found += PAGE_BYTES;
    }
    assert_eq!(machine.next_mapped(space, found, end), end);
    assert_eq!(machine.next_mapped(space, FIRST, address(0)), address(0));
    // Of pages that were written, one look passes over what is empty, or over one table without any.
    assert_eq!(machine.next_written(space, address(0), end), address(0));
    assert!(machine.take_written(space, address(0)));
    assert_eq!(machine.next_written(space, address(0), end), FIRST + TABLE_BYTES);
    assert_eq!(machine.next_written(space, FIRST + TABLE_BYTES, end), address(1));
    assert_eq!(machine.next_written(space, FIRST, FIRST + PAGE_BYTES), FIRST + PAGE_BYTES);
    // Every table but the last is emptied, and stays.
    for table in 0..TABLES - 1 {
        frames.release(machine.unmap(space, address(table)).expect("the page"));
    }
    area.pages.drain(..TABLES as usize - 1);
    let begin = counter();
    let mut next = machine.next_mapped(space, FIRST, end);
    let ticks = counter() - begin;
    let mut looks = 1;
    while next < address(TABLES - 1) {
        assert_eq!(next % TABLE_BYTES, 0, "whole tables are passed over");
        next = machine.next_mapped(space, next, end);
        looks += 1;
    }
    assert_eq!((next, looks), (address(TABLES - 1), 4));
    // Where a tick is an instruction, one look is bounded.
    assert!(machine.clock.counter_hz().abs_diff(1_000_000_000) > 1000 || ticks <= 3000, "{ticks} ticks");
    area.end(machine, frames);
}

pub fn mapping_without_memory(machine: &mut X86, frames: &mut Frames) {
    for (address, tables) in [(1 << 39, 3), (1 << 30, 2), (TABLE_BYTES, 1)] {
        let mut area = Area::new(machine, frames);
        let frame = area.map(machine, frames, 0, READ);
        for have in 0..tables {
            let mut poor = Frames::new(1 << 16);
            let lent: Vec<Frame> = (0..have).filter_map(|_| frames.allocate()).collect();
            for frame in &lent {
                poor.add(*frame, Frame(frame.0 + 1));
            }
            let result = machine.map(area.space, address, frame, READ, Caching::Cached, &mut poor);
            assert_eq!(result, Err(Error::NoMemory), "{address:#x}");
            assert_eq!(poor.free_count(), have);
            for frame in lent {
                frames.release(frame);
            }
        }
        let added = machine.map(area.space, address, frame, READ, Caching::Cached, frames);
        assert_eq!(added, Ok(tables));
        assert_eq!(machine.unmap(area.space, address), Some(frame));
        area.end(machine, frames);
    }
}

pub fn closed_addresses(machine: &mut X86, frames: &mut Frames) {
    let area = Area::new(machine, frames);
    let space = area.space;
    let page = machine.translate(space, information::ADDRESS, READ);
    assert_eq!(page, Some(Frame::containing(machine.information)));
    assert_eq!(machine.translate(space, information::ADDRESS, WRITE), None);
    assert_eq!(machine.unmap(space, information::ADDRESS), None);
    assert!(!machine.protect(space, information::ADDRESS, READ | WRITE));
    for address in [
        information::ADDRESS,
        information::ADDRESS + PAGE_BYTES,
        SHARED_ADDRESS,
        USER_ADDRESS_END - PAGE_BYTES,
        USER_ADDRESS_END,
        1 << 47,
        crate::physical::DIRECT_MAP,
        crate::boot::KERNEL_BASE,
        !(PAGE_BYTES - 1),
    ] {
        let result = machine.map(space, address, Frame(0), READ, Caching::Cached, frames);
        assert_eq!(result, Err(Error::BadAddress), "{address:#x}");
        assert_eq!(machine.unmap(space, address), None);
    }
    assert_eq!(machine.translate(space, crate::boot::KERNEL_BASE + (2 << 20), READ), None);
    area.end(machine, frames);
}

pub fn tearing_down(machine: &mut X86, frames: &mut Frames) {
    for limit in 1..16 {
        let before = frames.free_count();
        let mut area = Area::new(machine, frames);
        for number in 0..6 {
            area.map(machine, frames, number << 21, READ);
            area.map(machine, frames, (number + 1) << 39, READ);
        }
        for address in core::mem::take(&mut area.pages) {
            frames.release(machine.unmap(area.space, address).expect("the page"));
        }
        // Also the space in use can be torn down.
        load(area.space.root());
        let tables = before - frames.free_count();
        let mut freed = 0;
        loop {
            let (step, gone) = machine.destroy_space(area.space, limit, frames);
            freed += step;
            assert!(step <= limit);
            if gone {
                break;
            }
        }
        assert_eq!((freed, frames.free_count()), (tables, before), "limit {limit}");
    }
}
