//! The end: a report on the log and the serial line, and a halt, or a line of why the machine starts over.
//!
//! A report begins with a line `kernel panic: ` and names the registers, where an exception gives them, and the
//! return addresses on the stack, one `  at 0x…` a line; the host's tool adds the symbols. With `panic=exit` on the
//! boot command line QEMU's debug-exit device then ends the machine.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::boot::{KERNEL_BASE, STACK_BYTES};
use crate::instructions::{fault_address, halt, reset, root_table, write_port_u8};
use crate::log::{self, say};

/// QEMU's `isa-debug-exit` at its usual place; QEMU ends with status `value * 2 + 1`.
const DEBUG_EXIT_PORT: u16 = 0xf4;
/// What a panic writes there.
const EXIT_PANIC: u8 = 1;

/// Return addresses printed at most.
const BACKTRACE_FRAMES: usize = 32;

/// Whether a panic ends the machine by the debug-exit device.
static EXIT_ON_PANIC: AtomicBool = AtomicBool::new(false);

static PANICKING: AtomicBool = AtomicBool::new(false);

/// Heeds `panic=exit` on the boot command line.
pub fn configure(command_line: &str) {
    let exit = command_line.split(' ').any(|word| word == "panic=exit");
    EXIT_ON_PANIC.store(exit, Ordering::Relaxed);
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    begin();
    match info.location() {
        Some(place) => say!("kernel panic: {} ({}:{})", info.message(), place.file(), place.line()),
        None => say!("kernel panic: {}", info.message()),
    }
    let frame: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    say!("  cr2 {:016x}  cr3 {:016x}", fault_address(), root_table());
    backtrace(frame);
    end()
}

/// What the entry code pushes, and the processor before it, when an exception meets the kernel itself.
#[repr(C)]
struct KernelException {
    /// rax, rbx, rcx, rdx, rsi, rdi, rbp, r8 to r15.
    general: [u64; 15],
    vector: u64,
    code: u64,
    instruction: u64,
    code_selector: u64,
    flags: u64,
    stack: u64,
}

/// Reports an exception in the kernel, and ends.
#[unsafe(no_mangle)]
extern "C" fn on_kernel_exception(exception: &KernelException) -> ! {
    const NAMES: [&str; 15] = [
        "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ];
    const FRAME_POINTER: usize = 6;
    begin();
    let (vector, code) = (exception.vector, exception.code);
    say!("kernel panic: exception {vector} in the kernel, code {code:#x}");
    for (names, values) in NAMES.chunks(3).zip(exception.general.chunks(3)) {
        for (name, value) in names.iter().zip(values) {
            let _ = write!(log::Log, "  {name:3} {value:016x}");
        }
        say!("");
    }
    say!("  rsp {:016x}  flags {:x}", exception.stack, exception.flags);
    say!("  cr2 {:016x}  cr3 {:016x}", fault_address(), root_table());
    say!("  at {:#018x}", exception.instruction);
    backtrace(exception.general[FRAME_POINTER]);
    end()
}

/// Starts a report; if one is under way already, stops at once.
fn begin() {
    log::use_serial_port();
    if PANICKING.swap(true, Ordering::Relaxed) {
        log::write_bytes(b"kernel panic: again, during the report\n");
        end();
    }
}

/// Prints the return addresses that the chain of frame pointers beginning at `frame` leads to.
fn backtrace(mut frame: u64) {
    for _ in 0..BACKTRACE_FRAMES {
        let Some([next, return_address]) = read_frame(frame) else {
            break;
        };
        if return_address < KERNEL_BASE {
            break;
        }
        say!("  at {return_address:#018x}");
        if next <= frame {
            break;
        }
        frame = next;
    }
}

/// Two words of the kernel's stack, if `address` is on it.
fn read_frame(address: u64) -> Option<[u64; 2]> {
    unsafe extern "C" {
        static kernel_stack: u8;
    }
    let bottom = (&raw const kernel_stack).addr() as u64 + abi::PAGE_BYTES;
    let top = bottom + STACK_BYTES as u64;
    if address < bottom || address > top - 16 || !address.is_multiple_of(8) {
        return None;
    }
    // SAFETY: the words lie on the kernel's stack, which is always mapped, and are aligned.
    Some(unsafe { core::ptr::with_exposed_provenance::<[u64; 2]>(address as usize).read_volatile() })
}

/// Ends the machine, after a report.
fn end() -> ! {
    if EXIT_ON_PANIC.load(Ordering::Relaxed) {
        // SAFETY: the port is the debug-exit device's or nobody's.
        unsafe { write_port_u8(DEBUG_EXIT_PORT, EXIT_PANIC) };
    }
    halt()
}

/// Says why, and starts the machine over.
pub fn restart(why: fmt::Arguments) -> ! {
    log::use_serial_port();
    log::write_line(why);
    reset()
}
