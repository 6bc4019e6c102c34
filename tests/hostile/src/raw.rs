//! System calls as no well-behaved program makes them, and everything that a program can see of the registers after.

use core::arch::{asm, global_asm};
use core::mem::offset_of;

use abi::call::Registers;

/// Calls the kernel with these registers, whatever they are.
///
/// # Safety
/// Where the registers name memory of this program, the kernel may write there: it must be nobody else's.
pub unsafe fn system_call(registers: &mut Registers) {
    let Registers { number, pid, message, extra, .. } = registers;
    // SAFETY: rbx and rbp are restored, every other register is named as an output or clobbered; memory is written
    // only as the caller vouches for.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "syscall",
            "pop rbp",
            "pop rbx",
            inlateout("rax") *number,
            inlateout("rdi") *pid,
            inlateout("rsi") message[0],
            inlateout("rdx") message[1],
            inlateout("r8") message[2],
            inlateout("r9") message[3],
            inlateout("r10") extra[0],
            inlateout("r12") extra[1],
            inlateout("r13") extra[2],
            inlateout("r14") extra[3],
            inlateout("r15") extra[4],
            clobber_abi("sysv64"),
        );
    }
}

/// A system call and what the program finds in its registers afterwards.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Look {
    /// Before: rax, rdi, rsi, rdx, r8, r9, r10, r12, r13, r14, r15. The others are filled with ones.
    pub call: [u64; 11],
    /// Before: what every vector register holds.
    pub pattern: [u64; 2],
    /// Before: MXCSR.
    pub control: u64,
    /// After: rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 to r15.
    pub general: [u64; 16],
    /// After: where the stack was before the call, for comparison with rsp.
    pub stack: u64,
    /// After: x87, MXCSR and vector registers as FXSAVE stores them.
    pub saved: FxSave,
    /// After: the upper halves of ymm0 to ymm15, where the processor has them.
    pub upper: [[u64; 2]; 16],
}

/// The image of FXSAVE.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct FxSave(pub [u64; 64]);

impl Look {
    /// A call that is yet to be made.
    pub fn new(call: [u64; 11]) -> Look {
        Look {
            call,
            pattern: [u64::MAX; 2],
            control: 0x1f80 | 0x6000, // rounding towards zero
            general: [0; 16],
            stack: 0,
            saved: FxSave([0; 64]),
            upper: [[0; 2]; 16],
        }
    }

    /// Makes the call.
    ///
    /// # Safety
    /// As for [`system_call`].
    pub unsafe fn make(&mut self) {
        // SAFETY: `look` keeps what the C convention says, writes to `self` alone, and the rest is the caller's.
        unsafe { look(self) }
    }
}

unsafe extern "C" {
    fn look(look: *mut Look);
}

global_asm!(
    "look:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "push rdi",
    "mov [rdi + {stack}], rsp",
    "ldmxcsr [rdi + {control}]",
    "fld1",
    "fld1",
    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
    "vbroadcastf128 ymm\\n, [rdi + {pattern}]",
    ".endr",
    "mov rax, [rdi]",
    "mov rsi, [rdi + 16]",
    "mov rdx, [rdi + 24]",
    "mov r8, [rdi + 32]",
    "mov r9, [rdi + 40]",
    "mov r10, [rdi + 48]",
    "mov r12, [rdi + 56]",
    "mov r13, [rdi + 64]",
    "mov r14, [rdi + 72]",
    "mov r15, [rdi + 80]",
    "mov rdi, [rdi + 8]",
    "mov rbx, -1",
    "mov rbp, -1",
    "syscall",
    "xchg rcx, [rsp]", // the pointer for where the program went on
    "mov [rcx + {general}], rax",
    "mov [rcx + {general} + 8], rbx",
    "mov [rcx + {general} + 24], rdx",
    "mov [rcx + {general} + 32], rsi",
    "mov [rcx + {general} + 40], rdi",
    "mov [rcx + {general} + 48], rbp",
    "mov [rcx + {general} + 56], rsp",
    "mov [rcx + {general} + 64], r8",
    "mov [rcx + {general} + 72], r9",
    "mov [rcx + {general} + 80], r10",
    "mov [rcx + {general} + 88], r11",
    "mov [rcx + {general} + 96], r12",
    "mov [rcx + {general} + 104], r13",
    "mov [rcx + {general} + 112], r14",
    "mov [rcx + {general} + 120], r15",
    "pop rax",
    "mov [rcx + {general} + 16], rax",
    "fxsave64 [rcx + {saved}]",
    ".set at, 0",
    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
    "vextractf128 [rcx + {upper} + at], ymm\\n, 1",
    ".set at, at + 16",
    ".endr",
    "vzeroupper",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
    stack = const offset_of!(Look, stack),
    control = const offset_of!(Look, control),
    pattern = const offset_of!(Look, pattern),
    general = const offset_of!(Look, general),
    saved = const offset_of!(Look, saved),
    upper = const offset_of!(Look, upper),
);
