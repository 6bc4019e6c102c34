//! Copies: all alignments, pages that are missing or protected on either side, addresses where no program is.

use alloc::vec;

use abi::kernel::protection::{READ, WRITE};
use abi::{PAGE_BYTES, USER_ADDRESS_END, information};
use kernel_core::frame::{Frame, Frames};
use kernel_core::machine::{Caching, CopyFault, Machine, Side};

use super::{Area, TABLE_BYTES, pattern};
use crate::instructions::counter;
use crate::log::say;
use crate::machine::X86;
use crate::space::SHARED_ADDRESS;

pub fn copy_alignments(machine: &mut X86, frames: &mut Frames) {
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
                machine.write(other.place(destination), &blank).expect("mapped pages");
                machine
                    .copy(area.place(source + from), other.place(destination + to), count)
                    .expect("mapped pages");
                machine.read(other.place(destination), &mut found).expect("mapped pages");
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

pub fn copy_faults(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    for page in [0, 1, 2, 8, 9, 10] {
        area.map(machine, frames, page * PAGE_BYTES, READ | WRITE);
    }
    // Page 11 may be read, not written.
    area.map(machine, frames, 11 * PAGE_BYTES, READ);
    let byte = |page: u64, offset: u64| area.place(page * PAGE_BYTES + offset);
    let source_ends = Err(CopyFault { done: 3 * PAGE_BYTES - 5, side: Side::Source });
    assert_eq!(machine.copy(byte(0, 5), byte(8, 0), 4 * PAGE_BYTES), source_ends);
    let destination_ends = Err(CopyFault { done: 3 * PAGE_BYTES - 9, side: Side::Destination });
    assert_eq!(machine.copy(byte(0, 0), byte(8, 9), 3 * PAGE_BYTES), destination_ends);
    for (from, to, side) in [(3, 8, Side::Source), (0, 3, Side::Destination), (0, 11, Side::Destination)] {
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

pub fn copy_outside(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    let last = SHARED_ADDRESS - PAGE_BYTES;
    area.map(machine, frames, last, READ | WRITE);
    area.map(machine, frames, 0, READ | WRITE);
    let fault = |done, side| Err(CopyFault { done, side });
    let place = |address| area.place(address);
    assert_eq!(machine.copy(place(last + 4000), place(0), 1000), fault(96, Side::Source));
    assert_eq!(machine.copy(place(0), place(last + 4000), 1000), fault(96, Side::Destination));
    for address in [
        USER_ADDRESS_END,
        1 << 47,
        crate::physical::DIRECT_MAP,
        crate::boot::KERNEL_BASE + (1 << 20),
        u64::MAX - 3,
    ] {
        assert_eq!(machine.copy(place(address), place(0), 8), fault(0, Side::Source));
        assert_eq!(machine.copy(place(0), place(address), 8), fault(0, Side::Destination));
        assert_eq!(machine.read(place(address), &mut [0; 8]), fault(0, Side::Source));
        assert_eq!(machine.write(place(address), &[0; 8]), fault(0, Side::Destination));
    }
    // The information page can be read like any other, and not written.
    assert_eq!(machine.copy(place(information::ADDRESS), place(0), 64), Ok(()));
    assert_eq!(machine.copy(place(0), place(information::ADDRESS), 8), fault(0, Side::Destination));
    area.end(machine, frames);
}

pub fn copy_device(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    area.map(machine, frames, 0, READ | WRITE);
    // The local controller's registers, which are no memory.
    let device = Frame::containing(0xfee0_0000);
    machine
        .map(area.space, PAGE_BYTES, device, READ | WRITE, Caching::Uncached, frames)
        .expect("a free place");
    let fault = |done, side| Err(CopyFault { done, side });
    let place = |address| area.place(address);
    assert_eq!(machine.copy(place(4090), place(0), 10), fault(6, Side::Source));
    assert_eq!(machine.write(place(PAGE_BYTES), &[0; 4]), fault(0, Side::Destination));
    assert!(machine.protect(area.space, PAGE_BYTES, READ));
    assert_eq!(machine.read(place(PAGE_BYTES), &mut [0; 4]), fault(0, Side::Source));
    assert_eq!(machine.unmap(area.space, PAGE_BYTES), Some(device));
    area.end(machine, frames);
}

pub fn kernel_bytes(machine: &mut X86, frames: &mut Frames) {
    let mut area = Area::new(machine, frames);
    let frame = area.map(machine, frames, 0, READ | WRITE);
    let bytes = pattern(100);
    machine.write_frame(frame, PAGE_BYTES as usize - 100, &bytes);
    let mut found = [0; 100];
    machine.read(area.place(PAGE_BYTES - 100), &mut found).expect("a mapped page");
    assert!(found == bytes[..]);
    assert_eq!(
        machine.read(area.place(PAGE_BYTES - 100), &mut [0; 101]),
        Err(CopyFault { done: 100, side: Side::Source })
    );
    let mut again = [0; 100];
    machine.read_frame(frame, PAGE_BYTES as usize - 100, &mut again);
    assert!(again == found);
    area.end(machine, frames);
}

pub fn copy_cost(machine: &mut X86, frames: &mut Frames) {
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
