//! Checks of the machine layer on the machine itself, for the word `selftest` on the boot command line: address spaces,
//! copies that cross pages and stop midway, the memory functions, the timer. Each failure is a panic; after success the
//! boot goes on. `selftest=NAME` instead breaks a rule of the kernel's own, which must be a panic too. Only in a kernel
//! built with the feature `selftest`, which the scenarios that say so boot.
//!
//! What the logic above does with all this is tested elsewhere, and so are programs' registers: by programs.

mod copies;
mod faults;
mod large;
mod spaces;

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use kernel_core::frame::{Frame, Frames};
use kernel_core::machine::{Caching, Machine, Place};

use crate::interrupt_table::vector;
use crate::log::say;
use crate::machine::X86;
use crate::space::Space;

/// Two megabytes: what one page table maps.
const TABLE_BYTES: u64 = 2 << 20;

/// Does what the boot command line asks for.
pub fn run(command_line: &str, machine: &mut X86, frames: &mut Frames) {
    for word in command_line.split(' ') {
        match word.strip_prefix("selftest") {
            Some("") => run_all(machine, frames),
            Some(rest) => rest.strip_prefix('=').map_or((), faults::commit),
            None => {}
        }
    }
}

fn run_all(machine: &mut X86, frames: &mut Frames) {
    let before = frames.free_count();
    for (name, test) in [
        ("memory functions", memory_functions as fn(&mut X86, &mut Frames)),
        ("mapping", spaces::mapping),
        ("runs of pages", spaces::runs_of_pages),
        ("written pages", spaces::written_pages),
        ("large pages", large::large_pages),
        ("what is no large page", large::no_large_pages),
        ("looking for pages", spaces::looking_for_pages),
        ("mapping without memory", spaces::mapping_without_memory),
        ("closed addresses", spaces::closed_addresses),
        ("tearing down in steps", spaces::tearing_down),
        ("copies of all alignments", copies::copy_alignments),
        ("copies that stop midway", copies::copy_faults),
        ("copies beyond programs' addresses", copies::copy_outside),
        ("device pages are not copied", copies::copy_device),
        ("the kernel's bytes", copies::kernel_bytes),
        ("cost of 64 KiB", copies::copy_cost),
        ("timer", timer),
    ] {
        test(machine, frames);
        assert_eq!(frames.free_count(), before, "{name}: frames were lost");
        say!("selftest: {name}: passed");
    }
}

/// A space with its pages, which it unmaps and gives back at its end.
struct Area {
    space: Space,
    pages: Vec<u64>,
}

impl Area {
    fn new(machine: &mut X86, frames: &mut Frames) -> Area {
        Area { space: machine.create_space(frames).expect("memory for a space"), pages: Vec::new() }
    }

    fn map(&mut self, machine: &mut X86, frames: &mut Frames, address: u64, protection: u32) -> Frame {
        let frame = frames.allocate().expect("a frame");
        machine.zero_frame(frame);
        machine.map(self.space, address, frame, protection, Caching::Cached, frames).expect("a free place");
        self.pages.push(address);
        frame
    }

    fn place(&self, address: u64) -> Place<Space> {
        Place { space: self.space, address }
    }

    fn end(self, machine: &mut X86, frames: &mut Frames) {
        for address in self.pages {
            frames.release(machine.unmap(self.space, address).expect("the page"));
        }
        while !machine.destroy_space(self.space, 100, frames).1 {}
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
                    let source = if (to..to + count).contains(&at) { at - to + from } else { at };
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

/// Whether the timer's interrupt waits to be taken.
fn is_timer_pending(machine: &X86) -> bool {
    /// Offset of the first register that says which vectors were requested.
    const REQUESTS: usize = 0x200;
    let register = REQUESTS + usize::from(vector::TIMER / 32) * 16;
    machine.apic.read(register) & 1 << (vector::TIMER % 32) != 0
}

fn timer(machine: &mut X86, _: &mut Frames) {
    const SPAN_NS: u64 = 3_000_000;
    let begin = machine.now_ns();
    machine.set_timer(begin + SPAN_NS);
    let mut last = begin;
    while !is_timer_pending(machine) {
        let now = machine.now_ns();
        assert!(now >= last, "the clock went backwards");
        last = now;
        assert!(now < begin + 1_000_000_000, "the timer never came");
    }
    assert!(machine.now_ns() >= begin + SPAN_NS, "the timer came early");
    machine.set_timer(u64::MAX);
}
