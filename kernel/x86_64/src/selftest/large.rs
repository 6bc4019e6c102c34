//! Large pages: made of pages that follow one another, looked at as these, and taken apart by whatever changes one.

use abi::kernel::protection::{EXECUTE, READ, WRITE};
use abi::{Error, PAGE_BYTES};
use kernel_core::frame::{BLOCK_FRAMES, Frame, Frames};
use kernel_core::machine::{Caching, Machine};

use super::{Area, TABLE_BYTES};
use crate::machine::X86;
use crate::paging::{ADDRESS, DIRECTORY_SHIFT, LARGE, POINTERS_SHIFT, PRESENT, ROOT_SHIFT, entry, index};
use crate::space::Space;

const PAGES: u64 = BLOCK_FRAMES as u64;
/// Pages that are looked at: those at the ends, and some in between.
const LOOKED_AT: [u64; 5] = [0, 1, 200, PAGES - 2, PAGES - 1];

/// Where the page is.
fn at(page: u64) -> u64 {
    TABLE_BYTES + page * PAGE_BYTES
}

/// Maps a block with a block of frames, each of which begins with its page's number; and a page on either side.
fn fill(machine: &mut X86, frames: &mut Frames, area: &mut Area) -> Frame {
    let first = frames.find_block().expect("a block");
    for page in 0..PAGES as u32 {
        let frame = Frame(first.0 + page);
        assert!(frames.take_row(frame, 1));
        let address = at(page.into());
        machine.map(area.space, address, frame, READ | WRITE, Caching::Cached, frames).expect("a free place");
        area.pages.push(address);
        machine.write(area.place(address), &page.to_le_bytes()).expect("a page");
    }
    for address in [TABLE_BYTES - PAGE_BYTES, 2 * TABLE_BYTES] {
        area.map(machine, frames, address, READ);
    }
    first
}

/// Whether an address is in a large page.
fn is_large(space: Space, address: u64) -> bool {
    let mut found = space.root();
    for shift in [ROOT_SHIFT, POINTERS_SHIFT, DIRECTORY_SHIFT] {
        // SAFETY: the space is not loaded, and nobody changes its tables meanwhile; an entry that is not large leads to one.
        found = unsafe { *entry(found & ADDRESS, index(address, shift)) };
        if found & PRESENT == 0 || found & LARGE != 0 {
            break;
        }
    }
    found & LARGE != 0
}

fn number_in(machine: &mut X86, area: &Area, page: u64) -> u64 {
    let mut bytes = [0; 4];
    machine.read(area.place(at(page)), &mut bytes).expect("a page");
    u32::from_le_bytes(bytes).into()
}

/// Whether all pages but one are what they were.
fn check_others(machine: &mut X86, area: &Area, first: Frame, changed: u64) {
    for page in (0..PAGES).filter(|page| *page != changed) {
        let frame = machine.translate(area.space, at(page) + 7, READ | WRITE);
        assert_eq!(frame, Some(Frame(first.0 + page as u32)), "page {page}");
        assert_eq!(number_in(machine, area, page), page);
    }
}

type Change = fn(&mut X86, Space, u64, Frame);

/// What is done to a page, and undone.
const CHANGES: [Change; 5] = [
    |machine, space, address, frame| {
        assert_eq!(machine.unmap(space, address), Some(frame));
        assert_eq!(machine.translate(space, address, 0), None);
        assert_eq!(machine.map_run(space, address, 9, |_| Some((frame, READ | WRITE))), 1);
    },
    |machine, space, address, frame| {
        assert!(machine.protect(space, address, READ));
        assert_eq!(machine.translate(space, address, WRITE), None);
        assert_eq!(machine.translate(space, address, READ), Some(frame));
        assert!(machine.protect(space, address, READ | WRITE));
    },
    |machine, space, address, frame| {
        assert!(machine.protect(space, address, 0));
        assert_eq!(
            (machine.translate(space, address, READ), machine.translate(space, address, 0)),
            (None, Some(frame))
        );
        assert!(machine.protect(space, address, READ | WRITE));
    },
    |machine, space, address, _| {
        assert!(machine.take_written(space, address), "as when it was mapped");
        assert!(!machine.take_written(space, address));
        let place = kernel_core::machine::Place { space, address: address + 100 };
        machine.write(place, &[1]).expect("a page");
    },
    |machine, space, address, frame| {
        let mut found = None;
        let (next, count) =
            machine.unmap_run(space, address, address + PAGE_BYTES, 9, |frame| found = Some(frame));
        assert_eq!((next, count, found), (address + PAGE_BYTES, 1, Some(frame)));
        assert_eq!(machine.map_run(space, address, 1, |_| Some((frame, READ | WRITE))), 1);
    },
];

pub fn large_pages(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    let first = fill(machine, frames, &mut area);
    let space = area.space;
    for change in CHANGES {
        for page in LOOKED_AT {
            machine.make_large(space, at(0));
            assert!(is_large(space, at(page)) && !is_large(space, at(PAGES)));
            // Looking takes nothing apart, nor does a copy to it.
            check_others(machine, &area, first, PAGES);
            assert_eq!(machine.next_mapped(space, at(page), at(PAGES)), at(page));
            assert_eq!(machine.next_mapped(space, at(PAGES), at(PAGES + 9)), at(PAGES));
            assert_eq!(machine.translate(space, at(page), EXECUTE), None);
            let frame = Frame(first.0 + page as u32);
            let again = machine.map(space, at(page), frame, READ, Caching::Cached, frames);
            assert_eq!(again, Err(Error::BadAddress));
            machine.copy(area.place(at(page)), area.place(at(page)), 8).expect("a page");
            assert!(is_large(space, at(page)));

            change(machine, space, at(page), frame);
            assert!(!is_large(space, at(page)));
            assert_eq!(number_in(machine, &area, page), page);
            check_others(machine, &area, first, page);
        }
    }
    // Large to the end: taken apart when it is torn down.
    machine.make_large(space, at(0));
    assert!(is_large(space, at(0)));
    let mut count = 0;
    let mut address = at(0);
    while address < at(PAGES) {
        let (next, some) = machine.unmap_run(space, address, at(PAGES), 100, |frame| {
            assert_eq!(frame, Frame(first.0 + count));
            frames.release(frame);
            count += 1;
        });
        assert!(some <= 100);
        address = next;
    }
    assert_eq!(u64::from(count), PAGES);
    area.pages.drain(..PAGES as usize);
    area.end(machine, frames);
}

pub fn no_large_pages(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    let first = fill(machine, frames, &mut area);
    let space = area.space;
    for page in LOOKED_AT {
        let other = frames.allocate().expect("a frame");
        let own = Frame(first.0 + page as u32);
        let replace = |machine: &mut X86, new, protection| {
            let old = machine.unmap(space, at(page)).expect("a page");
            assert_eq!(machine.map_run(space, at(page), 1, |_| Some((new, protection))), 1);
            machine.make_large(space, at(0));
            (old, is_large(space, at(page)))
        };
        assert_eq!(replace(machine, other, READ | WRITE), (own, false), "another frame");
        assert_eq!(replace(machine, own, READ), (other, false), "another protection");
        assert_eq!(replace(machine, own, READ | WRITE), (own, true));
        // A page that was not written since it was looked at would count as written again.
        assert!(machine.take_written(space, at(page)));
        machine.make_large(space, at(0));
        assert!(!is_large(space, at(page)));
        assert_eq!(replace(machine, own, READ | WRITE), (own, true));
        frames.release(other);
    }
    // Where there is no table.
    machine.make_large(space, 1 << 40);
    assert!(!is_large(space, 1 << 40));
    area.end(machine, frames);
}
