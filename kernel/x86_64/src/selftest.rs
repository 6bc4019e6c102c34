//! Checks of the machine layer on the machine itself, for the boot command line `selftest`: address spaces, copies that
//! cross pages and stop midway, the memory functions, the timer. Each failure is a panic; success ends the machine by
//! QEMU's debug-exit device.
//!
//! What the logic above does with all this is tested elsewhere, and so are programs' registers: by programs.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use abi::kernel::protection::{EXECUTE, READ, WRITE};
use abi::{PAGE_BYTES, USER_ADDRESS_END, information};
use kernel_core::frame::{Frame, Frames};
use kernel_core::machine::{Caching, CopyFault, Machine, MapError, Place, Side};

use crate::instructions::counter;
use crate::log::say;
use crate::machine::{X86, load};
use crate::panic;
use crate::space::Space;

/// QEMU ends with status `2 * 16 + 1`.
const EXIT_SUCCESS: u8 = 16;

/// Two megabytes: what one page table maps.
const TABLE_BYTES: u64 = 2 << 20;

/// Runs all of it.
pub fn run(machine: &mut X86, frames: &mut Frames) -> ! {
    let before = frames.free_count();
    for (name, test) in [
        ("memory functions", memory_functions as fn(&mut X86, &mut Frames)),
        ("mapping", mapping),
        ("mapping without memory", mapping_without_memory),
        ("closed addresses", closed_addresses),
        ("tearing down in steps", tearing_down),
        ("copies of all alignments", copy_alignments),
        ("copies that stop midway", copy_faults),
        ("copies beyond programs' addresses", copy_outside),
        ("device pages are not copied", copy_device),
        ("the kernel's bytes", kernel_bytes),
        ("cost of 64 KiB", copy_cost),
        ("timer", timer),
    ] {
        test(machine, frames);
        assert_eq!(frames.free_count(), before, "{name}: frames were lost");
        say!("selftest: {name}: passed");
    }
    panic::exit(EXIT_SUCCESS)
}

/// A space with its pages, which it unmaps and gives back at its end.
struct Area {
    space: Space,
    pages: Vec<u64>,
}

impl Area {
    fn new(machine: &mut X86, frames: &mut Frames) -> Area {
        Area {
            space: machine.create_space(frames).expect("memory for a space"),
            pages: Vec::new(),
        }
    }

    fn map(&mut self, machine: &mut X86, frames: &mut Frames, address: u64, protection: u32) -> Frame {
        let frame = frames.allocate().expect("a frame");
        machine.zero_frame(frame);
        machine
            .map(self.space, address, frame, protection, Caching::Cached, frames)
            .expect("a free place");
        self.pages.push(address);
        frame
    }

    fn place(&self, address: u64) -> Place<Space> {
        Place {
            space: self.space,
            address,
        }
    }

    fn end(self, machine: &mut X86, frames: &mut Frames) {
        for address in self.pages {
            frames.release(machine.unmap(self.space, address).expect("the page"));
        }
        while machine.destroy_space(self.space, 100, frames) == 100 {}
    }
}

/// Bytes that differ from their neighbours and from those a page further.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 7 + at / 251 + 1) as u8).collect()
}

fn memory_functions(_: &mut X86, _: &mut Frames) {
    let original: [u8; 64] = core::array::from_fn(|at| at as u8 + 1);
    for from in 0..16 {
        for to in 0..16 {
            for count in 0..40 {
                let mut bytes = original;
                bytes.copy_within(from..from + count, to);
                for (at, byte) in bytes.iter().enumerate() {
                    let source = if (to..to + count).contains(&at) {
                        at - to + from
                    } else {
                        at
                    };
                    assert_eq!(*byte, original[source], "{from} to {to}, {count}: byte {at}");
                }
            }
        }
    }
    let (mut low, mut high) = (vec![5u8; 33], vec![5u8; 33]);
    for at in 0..33 {
        (low[at], high[at]) = (4, 0xf0);
        assert_eq!(low.cmp(&high), Ordering::Less, "difference at {at}");
        (low[at], high[at]) = (5, 5);
    }
    assert!(low == high && low[..32] < high[..]);
}

fn mapping(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    let last = USER_ADDRESS_END - PAGE_BYTES;
    for address in [
        0,
        PAGE_BYTES,
        TABLE_BYTES - PAGE_BYTES,
        TABLE_BYTES,
        1 << 30,
        1 << 39,
        last,
    ] {
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
        assert_eq!(again, Err(MapError::Occupied));
        assert!(machine.protect(space, address, READ));
    }
    let space = area.space;
    assert!(!machine.protect(space, 2 * PAGE_BYTES, READ));
    assert_eq!(machine.unmap(space, 2 * PAGE_BYTES), None);
    assert_eq!(machine.unmap(space, 2 << 39), None);
    area.end(machine, frames);
}

fn mapping_without_memory(machine: &mut X86, frames: &mut Frames) {
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
            assert_eq!(result, Err(MapError::NoMemory), "{address:#x}");
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

fn closed_addresses(machine: &mut X86, frames: &mut Frames) {
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
        USER_ADDRESS_END,
        1 << 47,
        crate::physical::DIRECT_MAP,
        crate::boot::KERNEL_BASE,
        !(PAGE_BYTES - 1),
    ] {
        let result = machine.map(space, address, Frame(0), READ, Caching::Cached, frames);
        assert_eq!(result, Err(MapError::Occupied), "{address:#x}");
        assert_eq!(machine.unmap(space, address), None);
    }
    assert_eq!(
        machine.translate(space, crate::boot::KERNEL_BASE + (2 << 20), READ),
        None
    );
    area.end(machine, frames);
}

fn tearing_down(machine: &mut X86, frames: &mut Frames) {
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
            let step = machine.destroy_space(area.space, limit, frames);
            freed += step;
            assert!(step <= limit);
            if step < limit {
                break;
            }
        }
        assert_eq!((freed, frames.free_count()), (tables, before), "limit {limit}");
    }
}

fn copy_alignments(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    // Two pages each, across the border of a page table; source and destination in different spaces.
    let source = TABLE_BYTES - PAGE_BYTES;
    let destination = (1 << 39) - PAGE_BYTES;
    let mut other = Area::new(machine, frames);
    for page in 0..2 {
        area.map(machine, frames, source + page * PAGE_BYTES, READ);
        other.map(machine, frames, destination + page * PAGE_BYTES, READ | WRITE);
    }
    let bytes = pattern(2 * PAGE_BYTES as usize);
    assert!(machine.protect(area.space, source, READ | WRITE));
    assert!(machine.protect(area.space, source + PAGE_BYTES, READ | WRITE));
    machine.write(area.place(source), &bytes).expect("mapped pages");
    assert!(machine.protect(area.space, source, READ));
    assert!(machine.protect(area.space, source + PAGE_BYTES, READ));
    let blank = vec![0; bytes.len()];
    // The heap takes nothing back: these are made once.
    let (mut found, mut expected) = (blank.clone(), blank.clone());
    for from in [0, 1, 8, 4087, 4088, 4095, 4096, 4097] {
        for to in [0, 3, 8, 4089, 4095, 4096, 4100] {
            for count in [0, 1, 7, 8, 9, 64, 1000, 4092] {
                machine
                    .write(other.place(destination), &blank)
                    .expect("mapped pages");
                machine
                    .copy(area.place(source + from), other.place(destination + to), count)
                    .expect("mapped pages");
                machine
                    .read(other.place(destination), &mut found)
                    .expect("mapped pages");
                expected.copy_from_slice(&blank);
                let (from, to, count) = (from as usize, to as usize, count as usize);
                expected[to..to + count].copy_from_slice(&bytes[from..from + count]);
                assert!(found == expected, "{from} to {to}, {count}");
            }
        }
    }
    area.end(machine, frames);
    other.end(machine, frames);
}

fn copy_faults(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    for page in [0, 1, 2, 8, 9, 10] {
        area.map(machine, frames, page * PAGE_BYTES, READ | WRITE);
    }
    // Page 11 may be read, not written.
    area.map(machine, frames, 11 * PAGE_BYTES, READ);
    let byte = |page: u64, offset: u64| area.place(page * PAGE_BYTES + offset);
    let source_ends = Err(CopyFault {
        done: 3 * PAGE_BYTES - 5,
        side: Side::Source,
    });
    assert_eq!(machine.copy(byte(0, 5), byte(8, 0), 4 * PAGE_BYTES), source_ends);
    let destination_ends = Err(CopyFault {
        done: 3 * PAGE_BYTES - 9,
        side: Side::Destination,
    });
    assert_eq!(
        machine.copy(byte(0, 0), byte(8, 9), 3 * PAGE_BYTES),
        destination_ends
    );
    for (from, to, side) in [
        (3, 8, Side::Source),
        (0, 3, Side::Destination),
        (0, 11, Side::Destination),
    ] {
        let fault = Err(CopyFault { done: 0, side });
        assert_eq!(machine.copy(byte(from, 0), byte(to, 0), 1), fault);
    }
    // What was copied before the fault is there, and the last byte before it.
    let bytes = pattern(3 * PAGE_BYTES as usize);
    machine.write(byte(0, 0), &bytes).expect("mapped pages");
    let _ = machine.copy(byte(0, 0), byte(8, 9), 3 * PAGE_BYTES);
    let mut found = vec![0; bytes.len() - 9];
    machine.read(byte(8, 9), &mut found).expect("mapped pages");
    assert!(found == bytes[..found.len()]);
    assert_eq!(machine.copy(byte(3, 0), byte(3, 0), 0), Ok(()));
    area.end(machine, frames);
}

fn copy_outside(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    let last = USER_ADDRESS_END - PAGE_BYTES;
    area.map(machine, frames, last, READ | WRITE);
    area.map(machine, frames, 0, READ | WRITE);
    let fault = |done, side| Err(CopyFault { done, side });
    let place = |address| area.place(address);
    assert_eq!(
        machine.copy(place(last + 4000), place(0), 1000),
        fault(96, Side::Source)
    );
    assert_eq!(
        machine.copy(place(0), place(last + 4000), 1000),
        fault(96, Side::Destination)
    );
    for address in [
        USER_ADDRESS_END,
        1 << 47,
        crate::physical::DIRECT_MAP,
        crate::boot::KERNEL_BASE + (1 << 20),
        u64::MAX - 3,
    ] {
        assert_eq!(machine.copy(place(address), place(0), 8), fault(0, Side::Source));
        assert_eq!(
            machine.copy(place(0), place(address), 8),
            fault(0, Side::Destination)
        );
        assert_eq!(machine.read(place(address), &mut [0; 8]), fault(0, Side::Source));
        assert_eq!(
            machine.write(place(address), &[0; 8]),
            fault(0, Side::Destination)
        );
    }
    // The information page can be read like any other, and not written.
    assert_eq!(machine.copy(place(information::ADDRESS), place(0), 64), Ok(()));
    assert_eq!(
        machine.copy(place(0), place(information::ADDRESS), 8),
        fault(0, Side::Destination)
    );
    area.end(machine, frames);
}

fn copy_device(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    area.map(machine, frames, 0, READ | WRITE);
    // The local controller's registers, which are no memory.
    let device = Frame::containing(0xfee0_0000);
    machine
        .map(
            area.space,
            PAGE_BYTES,
            device,
            READ | WRITE,
            Caching::Uncached,
            frames,
        )
        .expect("a free place");
    let fault = |done, side| Err(CopyFault { done, side });
    let place = |address| area.place(address);
    assert_eq!(machine.copy(place(4090), place(0), 10), fault(6, Side::Source));
    assert_eq!(
        machine.write(place(PAGE_BYTES), &[0; 4]),
        fault(0, Side::Destination)
    );
    assert!(machine.protect(area.space, PAGE_BYTES, READ));
    assert_eq!(
        machine.read(place(PAGE_BYTES), &mut [0; 4]),
        fault(0, Side::Source)
    );
    assert_eq!(machine.unmap(area.space, PAGE_BYTES), Some(device));
    area.end(machine, frames);
}

fn kernel_bytes(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    let frame = area.map(machine, frames, 0, READ | WRITE);
    let bytes = pattern(100);
    machine.write_frame(frame, PAGE_BYTES as usize - 100, &bytes);
    let mut found = [0; 100];
    machine
        .read(area.place(PAGE_BYTES - 100), &mut found)
        .expect("a mapped page");
    assert!(found == bytes[..]);
    assert_eq!(
        machine.read(area.place(PAGE_BYTES - 100), &mut [0; 101]),
        Err(CopyFault {
            done: 100,
            side: Side::Source
        })
    );
    let mut again = [0; 100];
    machine.read_frame(frame, PAGE_BYTES as usize - 100, &mut again);
    assert!(again == found);
    area.end(machine, frames);
}

fn copy_cost(machine: &mut X86, frames: &mut Frames) {
    const BYTES: u64 = 64 << 10;
    let mut area = Area::new(machine, frames);
    for address in (0..2 * BYTES).step_by(PAGE_BYTES as usize) {
        area.map(machine, frames, address, READ | WRITE);
    }
    let begin = counter();
    let result = machine.copy(area.place(0), area.place(BYTES), BYTES);
    let ticks = counter() - begin;
    assert_eq!(result, Ok(()));
    say!("selftest: copying 64 KiB took {ticks} ticks");
    // Where a tick is an instruction, there is a budget.
    assert!(machine.clock.counter_hz().abs_diff(1_000_000_000) > 1000 || ticks <= 9000);
    area.end(machine, frames);
}

fn timer(machine: &mut X86, _: &mut Frames) {
    const SPAN_NS: u64 = 3_000_000;
    let begin = machine.now_ns();
    machine.set_timer(begin + SPAN_NS);
    let mut last = begin;
    while !machine.apic.is_timer_pending() {
        let now = machine.now_ns();
        assert!(now >= last, "the clock went backwards");
        last = now;
        assert!(now < begin + 1_000_000_000, "the timer never came");
    }
    assert!(machine.now_ns() >= begin + SPAN_NS, "the timer came early");
    machine.set_timer(u64::MAX);
}
