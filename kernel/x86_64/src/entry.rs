//! The ways from a program into the kernel and back, in assembly.
//!
//! * A system call saves what may carry arguments straight into the process's `Registers` and calls
//!   `on_system_call`. Everything else that the program had is volatile.
//! * An interrupt or exception saves everything in the process's [`Saved`] and calls `on_trap`. The processor pushes
//!   its frame on an exception stack; it is moved off at once, so that the next may come.
//! * Each of these returns what to do, a `Continuation` in rax and rdx, to `dispatch`: resume a process by its
//!   results, resume one in full, wait for an interrupt, or let pending interrupts in and call `on_step`.
//!
//! The kernel runs on one stack a processor, empty whenever a program runs; interrupts are off but in the two windows
//! below, where nothing is on the stack and no register matters. Compiled code keeps data below its stack pointer (the
//! red zone), so nothing here ever pushes on a stack that compiled code is using.

use core::mem::offset_of;

use abi::call::Registers;

use crate::cpu::{self, Cpu, USER_CODE, USER_DATA};
use crate::features::VECTOR_COMPONENTS;
use crate::instructions::{read_register, write_register};
use crate::saved::{FIXED_FLAGS, Saved, VectorState};

/// What to do next; the entry code knows the numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum How {
    /// Return from the system call whose `Registers` are at `pointer`. The number is also the mask of the vector state
    /// that is made clean on the way.
    Results = VECTOR_COMPONENTS,
    /// Resume what is saved at `pointer`.
    Full = 1,
    /// Wait for an interrupt.
    Idle = 2,
    /// Let pending interrupts in, then step again.
    Work = 3,
}

/// In rax and rdx, by the C calling convention.
#[repr(C)]
pub struct Continuation {
    /// What to do.
    pub how: How,
    /// With what.
    pub pointer: *const u8,
}

unsafe extern "C" {
    fn system_call_entry();
    fn continue_boot(how: How, pointer: *const u8) -> !;
    /// Each vector's entry, [`TRAP_ENTRY_BYTES`] apart.
    pub static trap_entries: u8;
}

/// Bytes from one vector's entry to the next.
pub const TRAP_ENTRY_BYTES: usize = 16;

/// First vector that is no exception; the entry code lets such in from the windows.
pub const FIRST_INTERRUPT_VECTOR: u8 = 32;

#[unsafe(no_mangle)]
static CLEAN_VECTOR_STATE: VectorState = VectorState::CLEAN;

const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const FMASK: u32 = 0xc000_0084;
/// Cleared on entry: trap, interrupts, direction, nested task, alignment check.
const CLEARED_FLAGS: u64 = 1 << 8 | 1 << 9 | 1 << 10 | 1 << 14 | 1 << 18;

/// Sets system calls up.
pub fn initialize() {
    let selectors = u64::from(cpu::KERNEL_CODE) << 32 | u64::from(cpu::KERNEL_DATA | 3) << 48;
    // SAFETY: every 64-bit processor has these registers; they name our segments and our entry, and EFER, set in
    // `boot`, allows system calls.
    unsafe {
        let _ = read_register(STAR);
        write_register(STAR, selectors);
        write_register(LSTAR, (system_call_entry as *const ()).addr() as u64);
        write_register(FMASK, CLEARED_FLAGS);
    }
}

/// Leaves boot for the first continuation; the stack starts over.
pub fn start(next: &Continuation) -> ! {
    // SAFETY: `next` came from the same code as any other continuation.
    unsafe { continue_boot(next.how, next.pointer) }
}

core::arch::global_asm!(
    r#"
    .section .text.entry, "ax"
    .balign 64
system_call_entry:
    swapgs
    mov rbx, gs:[{registers}]
    mov [rbx + {number}], rax
    mov [rbx + {pid}], rdi
    mov [rbx + {message}], rsi
    mov [rbx + {message} + 8], rdx
    mov [rbx + {message} + 16], r8
    mov [rbx + {message} + 24], r9
    mov [rbx + {extra}], r10
    mov [rbx + {extra} + 8], r12
    mov [rbx + {extra} + 16], r13
    mov [rbx + {extra} + 24], r14
    mov [rbx + {extra} + 32], r15
    mov [rbx + {instruction}], rcx
    mov [rbx + {stack}], rsp
    mov [rbx + {flags}], r11
    mov rsp, gs:[{stack_top}]
    xor ebp, ebp                // backtraces end here
    call on_system_call

dispatch:                       // rax: how, rdx: with what
    cmp eax, {how_results}
    jne dispatch_rare
    // sysret to an address that is not canonical would fault in the kernel: programs are below 2^47.
    cmp dword ptr [rdx + {instruction} + 4], 0x7fff
    ja bad_return
    // edx:eax is the mask; no state is turned on that has a bit in edx.
    xrstor [rip + CLEAN_VECTOR_STATE]
    mov rax, [rdx + {number}]
    mov rdi, [rdx + {pid}]
    mov rsi, [rdx + {message}]
    mov r8, [rdx + {message} + 16]
    mov r9, [rdx + {message} + 24]
    mov r10, [rdx + {extra}]
    mov r12, [rdx + {extra} + 8]
    mov r13, [rdx + {extra} + 16]
    mov r14, [rdx + {extra} + 24]
    mov r15, [rdx + {extra} + 32]
    mov rcx, [rdx + {instruction}]
    mov r11, [rdx + {flags}]
    or r11d, {fixed_flags}      // a process that never ran has no flags yet
    mov rsp, [rdx + {stack}]
    mov rdx, [rdx + {message} + 8]
    xor ebx, ebx                // ebp is zero since the entry, and compiled code keeps it
    swapgs
    sysretq

bad_return:
    call on_bad_return
    jmp dispatch

    .globl continue_boot
continue_boot:
    mov rsp, gs:[{stack_top}]
    mov eax, edi
    mov rdx, rsi
    xor ebp, ebp
    jmp dispatch

dispatch_rare:
    cmp eax, {how_idle}
    je idle
    cmp eax, {how_work}
    je work
    mov rbx, rdx
    mov eax, {vector_components}
    xor edx, edx
    xrstor [rbx + {saved_vector}]
    push {user_data}
    push [rbx + {saved_rsp}]
    push [rbx + {saved_rflags}]
    push {user_code}
    push [rbx + {saved_rip}]
    mov rax, [rbx]
    .set at, 16
    .irp register, rcx, rdx, rsi, rdi, rbp
    mov \register, [rbx + at]
    .set at, at + 8
    .endr
    .set at, 64
    .irp register, r8, r9, r10, r11, r12, r13, r14, r15
    mov \register, [rbx + at]
    .set at, at + 8
    .endr
    mov rbx, [rbx + 8]
    swapgs
    iretq

windows_start:
idle:
    sti
    hlt
    cli
    jmp step
work:
    sti
    nop                         // sti takes effect after the instruction that follows it
    cli
windows_end:
step:
    call on_step
    jmp dispatch

    // The processor has pushed ss, rsp, flags, cs, rip; the vector's entry the error code or 0, and the vector.
trap:
    test byte ptr [rsp + 24], 3
    jz trap_in_kernel
    swapgs
    push rax
    mov rax, gs:[{process}]
    shl rax, {saved_shift}
    add rax, gs:[{saved}]
    pop qword ptr [rax]
    .set at, 8
    .irp register, rbx, rcx, rdx, rsi, rdi, rbp
    mov [rax + at], \register
    .set at, at + 8
    .endr
    .set at, 64
    .irp register, r8, r9, r10, r11, r12, r13, r14, r15
    mov [rax + at], \register
    .set at, at + 8
    .endr
    pop rdi                     // first argument: vector
    pop rsi                     // second: error code
    pop qword ptr [rax + {saved_rip}]
    pop rcx
    pop qword ptr [rax + {saved_rflags}]
    pop qword ptr [rax + {saved_rsp}]
    mov rcx, rax
    mov eax, {vector_components}
    xor edx, edx
    xsave [rcx + {saved_vector}]
    mov rsp, gs:[{stack_top}]
    cld
    xor ebp, ebp
    call on_trap
    jmp dispatch

trap_in_kernel:
    cmp qword ptr [rsp], {first_interrupt}
    jb 2f
    push rax
    lea rax, [rip + windows_start]
    cmp [rsp + 24], rax
    jb 1f
    lea rax, [rip + windows_end]
    cmp [rsp + 24], rax
    ja 1f
    mov rdi, [rsp + 8]
    xor esi, esi
    mov rsp, gs:[{stack_top}]
    xor ebp, ebp
    call on_trap
    jmp dispatch
1:  pop rax
2:  .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
    push \register
    .endr
    mov rdi, rsp
    cld
    and rsp, -16
    call on_kernel_exception
    ud2

    .balign 16
    .globl trap_entries
trap_entries:
    .set vector, 0
    .rept 256
    .balign 16
    .if (vector == 8) | ((vector >= 10) & (vector <= 14)) | (vector == 17) | (vector == 21) | (vector == 29) | (vector == 30)
    .else
    push 0
    .endif
    .byte 0x68                  // push the vector, with all four bytes of it
    .long vector
    jmp trap
    .set vector, vector + 1
    .endr
    "#,
    registers = const offset_of!(Cpu, registers),
    stack_top = const offset_of!(Cpu, stack_top),
    process = const offset_of!(Cpu, process),
    saved = const offset_of!(Cpu, saved),
    saved_shift = const size_of::<Saved>().trailing_zeros(),
    how_results = const How::Results as u64,
    how_idle = const How::Idle as u64,
    how_work = const How::Work as u64,
    vector_components = const VECTOR_COMPONENTS,
    number = const offset_of!(Registers, number),
    pid = const offset_of!(Registers, pid),
    message = const offset_of!(Registers, message),
    extra = const offset_of!(Registers, extra),
    instruction = const offset_of!(Registers, instruction),
    stack = const offset_of!(Registers, stack),
    flags = const offset_of!(Registers, flags),
    saved_rsp = const offset_of!(Saved, registers.rsp),
    saved_rip = const offset_of!(Saved, registers.rip),
    saved_rflags = const offset_of!(Saved, registers.rflags),
    saved_vector = const offset_of!(Saved, vector),
    fixed_flags = const FIXED_FLAGS,
    user_data = const USER_DATA,
    user_code = const USER_CODE,
    first_interrupt = const FIRST_INTERRUPT_VECTOR,
);
