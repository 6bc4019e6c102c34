//! The kernel of this node: the one `Kernel`, and what the entry code calls.
//!
//! Each function here takes the kernel, lets its logic decide, and turns the decision into a [`Continuation`]. There is
//! one processor and interrupts are off, so whoever is here has the kernel to himself; with more processors the lock
//! goes into [`kernel`].

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use abi::call::Registers;
use abi::kernel::protection;
use kernel_core::kernel::Kernel;
use kernel_core::machine::{Next, ProcessIndex, Protection, Resume};
use kernel_core::short_path::ShortCall;

use crate::cpu::Cpu;
use crate::entry::{Continuation, How};
use crate::instructions::fault_address;
use crate::interrupt_table::vector;
use crate::machine::{X86, load};
use crate::space::Space;

/// For the kernel's logic, an interrupt that means nothing: the process goes on where it was.
const NO_LINE: u32 = u32::MAX;

struct Node(UnsafeCell<MaybeUninit<Kernel<X86>>>);

// SAFETY: one processor, interrupts off: see the head of this file.
unsafe impl Sync for Node {}

static NODE: Node = Node(UnsafeCell::new(MaybeUninit::uninit()));

/// Puts the kernel in its place.
///
/// # Safety
/// Called once, before anything else here.
pub unsafe fn install(new: Kernel<X86>) -> &'static mut Kernel<X86> {
    // SAFETY: the caller says that nobody has a reference yet.
    unsafe { (*NODE.0.get()).write(new) }
}

/// The kernel.
///
/// # Safety
/// It has been installed, and no other reference to it is alive: each function that the entry code calls takes one
/// and drops it before it returns.
#[inline]
unsafe fn kernel() -> &'static mut Kernel<X86> {
    // SAFETY: the caller's.
    unsafe { (*NODE.0.get()).assume_init_mut() }
}

/// Turns a decision of the kernel's logic into what the entry code does.
#[inline]
fn continuation(kernel: &mut Kernel<X86>, next: Next<Space>) -> Continuation {
    let Next::Run { process, space, resume } = next else {
        return nothing(next);
    };
    let by_results = by_results(process, space, &raw mut kernel.processes[process].registers);
    match resume {
        Resume::Results => by_results,
        Resume::Full => resume_in_full(kernel, process),
    }
}

#[cold]
fn nothing(next: Next<Space>) -> Continuation {
    Continuation { how: if next == Next::Work { How::Work } else { How::Idle }, pointer: core::ptr::null() }
}

#[inline(never)]
fn resume_in_full(kernel: &mut Kernel<X86>, process: ProcessIndex) -> Continuation {
    let saved = kernel.machine.saved.get_mut(process);
    if saved.is_resumable() {
        return Continuation { how: How::Full, pointer: (&raw const *saved).cast() };
    }
    // Returning there would fault in the kernel. It is the program's fault, so it gets the exception; each program that
    // this finds stops or ends, so it comes to an end.
    let next = kernel.exception(vector::GENERAL_PROTECTION.into(), 0, 0);
    continuation(kernel, next)
}

/// Leaves boot for what comes first.
pub fn leave(kernel: &mut Kernel<X86>, next: Next<Space>) -> ! {
    crate::entry::start(&continuation(kernel, next))
}

#[unsafe(no_mangle)]
extern "C" fn on_system_call() -> Continuation {
    // SAFETY: called by the entry code, after boot has installed the kernel.
    let kernel = unsafe { kernel() };
    match kernel.short_call() {
        ShortCall::Run { process, space, registers } => by_results(process, space, registers),
        ShortCall::Stay => Continuation {
            how: How::Results,
            // SAFETY: the reference lives for this expression, and nobody else holds one.
            pointer: unsafe { Cpu::this() }.registers.cast(),
        },
        ShortCall::Choose => choose(),
        ShortCall::Segment => segment_call(),
        ShortCall::General => general_call(),
    }
}

/// Runs another process, by its results: tells the entry code whose registers come and go.
#[inline]
fn by_results(process: ProcessIndex, space: Space, registers: *mut Registers) -> Continuation {
    load(space.root());
    // SAFETY: the reference lives for this block, and nobody else holds one.
    let cpu = unsafe { Cpu::this() };
    cpu.process = process.into();
    cpu.registers = registers;
    Continuation { how: How::Results, pointer: registers.cast() }
}

#[inline(never)]
extern "C" fn choose() -> Continuation {
    // SAFETY: `on_system_call` has dropped its reference.
    let kernel = unsafe { kernel() };
    let next = kernel.choose();
    continuation(kernel, next)
}

#[inline(never)]
extern "C" fn segment_call() -> Continuation {
    // SAFETY: `on_system_call` has dropped its reference.
    let kernel = unsafe { kernel() };
    match kernel.short_call_with_segment() {
        ShortCall::Run { process, space, registers } => by_results(process, space, registers),
        _ => general_call(),
    }
}

#[inline(never)]
extern "C" fn general_call() -> Continuation {
    // SAFETY: `on_system_call` has dropped its reference.
    let kernel = unsafe { kernel() };
    let next = kernel.general_call();
    continuation(kernel, next)
}

/// The running process was to return from a system call to an address where no program can be.
#[unsafe(no_mangle)]
extern "C" fn on_bad_return() -> Continuation {
    // SAFETY: as in `on_system_call`.
    let kernel = unsafe { kernel() };
    let process = kernel.cpu().current;
    let registers = kernel.processes[process].registers;
    kernel.machine.saved.get_mut(process).set_results(&registers);
    let next = kernel.exception(vector::GENERAL_PROTECTION.into(), 0, 0);
    continuation(kernel, next)
}

#[unsafe(no_mangle)]
extern "C" fn on_step() -> Continuation {
    // SAFETY: as in `on_system_call`.
    let kernel = unsafe { kernel() };
    let next = kernel.step();
    continuation(kernel, next)
}

/// An interrupt, or an exception of a program.
#[unsafe(no_mangle)]
extern "C" fn on_trap(number: u64, code: u64) -> Continuation {
    // SAFETY: as in `on_system_call`.
    let kernel = unsafe { kernel() };
    let number = number as u8;
    let next = match number {
        vector::NON_MASKABLE | vector::MACHINE_CHECK | vector::DOUBLE_FAULT => {
            panic!("hardware failure: exception {number}, code {code:#x}");
        }
        vector::PAGE_FAULT => kernel.page_fault(fault_address(), fault_access(code), code as u32),
        vector::FIRST_LINE..vector::LINES_END => {
            let line = kernel.machine.io_apics.arrived((number - vector::FIRST_LINE).into());
            let next = kernel.interrupt(line.unwrap_or(NO_LINE));
            kernel.machine.apic.end_interrupt();
            next
        }
        vector::TIMER => {
            kernel.machine.apic.end_interrupt();
            kernel.timer()
        }
        0..32 => kernel.exception(number.into(), code as u32, 0),
        // Spurious: the controller wants no end of interrupt.
        _ => kernel.interrupt(NO_LINE),
    };
    continuation(kernel, next)
}

/// What a program wanted of the page that it touched.
fn fault_access(code: u64) -> Protection {
    const WRITE: u64 = 1 << 1;
    const FETCH: u64 = 1 << 4;
    if code & FETCH != 0 {
        protection::EXECUTE
    } else if code & WRITE != 0 {
        protection::WRITE
    } else {
        protection::READ
    }
}
