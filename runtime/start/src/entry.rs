//! Where a program begins.
//!
//! A process is born awaiting a reply, and what it finds in its registers is that reply: rdi the creator, rsi, rdx,
//! r8 and r9 the message. The root process of a team begins at `_start`; further ones begin in `v::process`.

use core::arch::naked_asm;

use v::Pid;

unsafe extern "Rust" {
    /// What `program!` makes of the program's `main`.
    safe fn v_program_main() -> i32;
}

/// Where the image says that the program begins.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        // The chain of frame pointers ends here.
        "xor ebp, ebp",
        "and rsp, -16",
        // The message's last two registers, as the C convention has its fourth and fifth arguments.
        "mov rcx, r8",
        "mov r8, r9",
        "call {begin}",
        "ud2",
        begin = sym begin,
    )
}

extern "C" fn begin(creator: u64, first: u64, second: u64, third: u64, fourth: u64) -> ! {
    // SAFETY: `_start` runs once, before anything else of the program, and hands on the creator's message untouched.
    unsafe { v::entry::begin(Pid::from_bits(creator), [first, second, third, fourth]) };
    v::process::exit(v_program_main())
}

/// The program's heap.
#[global_allocator]
static HEAP: v::alloc::Heap = v::alloc::heap();
