//! A pattern in every register, kept through many interrupts.

use core::arch::global_asm;

use abi::Error;
use v::process::spawn_thread;

/// Rounds of each process: long enough for many time slices.
const ROUNDS: u64 = 60_000_000;

/// Two processes of one priority keep their patterns side by side; returns how often one found its pattern changed.
pub fn run() -> Result<u64, Error> {
    static OTHER: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);
    let other = spawn_thread(4096, || {
        OTHER.store(keep_pattern(0x5555_5555_5555_5555), core::sync::atomic::Ordering::Release);
    })?;
    let mine = keep_pattern(0xaaaa_aaaa_aaaa_aaaa);
    other.join()?;
    Ok(mine + OTHER.load(core::sync::atomic::Ordering::Acquire))
}

fn keep_pattern(pattern: u64) -> u64 {
    // SAFETY: the function keeps what the C convention says and touches no memory.
    unsafe { keep_pattern_in_registers(pattern, ROUNDS) }
}

unsafe extern "C" {
    fn keep_pattern_in_registers(pattern: u64, rounds: u64) -> u64;
}

global_asm!(
    "keep_pattern_in_registers:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "vmovq xmm0, rdi",
    "vpbroadcastq ymm0, xmm0",
    ".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
    "vmovdqa ymm\\n, ymm0",
    ".endr",
    ".irp r, rbx, rdx, rbp, r8, r9, r10, r11, r12, r13, r14, r15",
    "mov \\r, rdi",
    ".endr",
    "mov rcx, rsi",
    // The loop changes rcx alone: whatever differs after it, an interrupt changed.
    "2:",
    "dec rcx",
    "jnz 2b",
    "xor eax, eax",
    ".irp r, rbx, rdx, rbp, r8, r9, r10, r11, r12, r13, r14, r15",
    "xor \\r, rdi",
    "or rax, \\r",
    ".endr",
    ".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
    "vpxor ymm\\n, ymm\\n, ymm0",
    "vpor ymm1, ymm1, ymm\\n",
    ".endr",
    "vmovq rcx, xmm0",
    "xor rcx, rdi",
    "or rax, rcx",
    "vextracti128 xmm2, ymm1, 1",
    "vpor xmm1, xmm1, xmm2",
    "vmovq rcx, xmm1",
    "or rax, rcx",
    "vpextrq rcx, xmm1, 1",
    "or rax, rcx",
    "setnz al",
    "movzx eax, al",
    "vzeroupper",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
);
