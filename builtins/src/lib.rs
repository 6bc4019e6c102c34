//! The memory functions that compiled code calls, and two symbols of the unwinder that is not there.
//!
//! The prebuilt `core` expects the first to come from a C library. Long areas go by `rep movsq` and `rep stosq`, eight
//! bytes a step, with one word over the last eight bytes, which may overlap the step before; areas of less than two
//! words go by two such words, or halves. Loops in Rust would be compiled to calls of these very functions, and a frame
//! would cost the short ones a third more.
//!
//! Loaded by the freestanding binaries only, the kernel and (by `v-start`) the programs: on the host these names are the
//! C library's. What they do is tested on the machine, by the kernel's self-test and the scenario `runtime`.

#![no_std]

use core::arch::{asm, naked_asm};

const WORD: usize = size_of::<u64>();

/// Copies `bytes` bytes; the areas do not overlap.
///
/// # Safety
/// As C's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 16",
        "jb 2f",
        "mov rcx, [rsi + rdx - 8]",
        "mov [rdi + rdx - 8], rcx",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep movsq",
        "ret",
        "2:",
        "cmp edx, 8",
        "jb 3f",
        "mov rcx, [rsi]",
        "mov r8, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], r8",
        "ret",
        "3:",
        "cmp edx, 4",
        "jb 4f",
        "mov ecx, [rsi]",
        "mov r8d, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], r8d",
        "ret",
        "4:", // Up to three: the first, the one in the middle, the last.
        "test edx, edx",
        "jz 5f",
        "mov cl, [rsi]",
        "mov r8b, [rsi + rdx - 1]",
        "mov [rdi], cl",
        "mov [rdi + rdx - 1], r8b",
        "shr edx, 1",
        "mov cl, [rsi + rdx]",
        "mov [rdi + rdx], cl",
        "5:",
        "ret",
    )
}

/// Copies `bytes` bytes; the areas may overlap.
///
/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    let distance = to.addr().wrapping_sub(from.addr());
    if distance >= bytes {
        if distance.wrapping_neg() >= bytes {
            // SAFETY: as this function's, and the areas are apart.
            return unsafe { memcpy(to, from, bytes) };
        }
        // SAFETY: both areas are valid for `bytes`, and `to` is below `from`: a copy from the first byte up reads each
        // word before it writes over it.
        unsafe {
            asm!(
                "rep movsq",
                "mov ecx, {tail:e}",
                "rep movsb",
                tail = in(reg) bytes % WORD,
                inout("rcx") bytes / WORD => _,
                inout("rdi") to => _,
                inout("rsi") from => _,
                options(nostack, preserves_flags)
            );
        }
        return to;
    }
    // SAFETY: both areas are valid for `bytes`; copied from the last byte down, tail first, and the direction flag
    // is clear again at the end, as compiled code expects.
    unsafe {
        asm!(
            "std",
            "rep movsb",
            "sub rdi, 7",
            "sub rsi, 7",
            "mov rcx, {words}",
            "rep movsq",
            "cld",
            words = in(reg) bytes / WORD,
            inout("rcx") bytes % WORD => _,
            inout("rdi") to.wrapping_add(bytes).wrapping_sub(1) => _,
            inout("rsi") from.wrapping_add(bytes).wrapping_sub(1) => _,
            options(nostack)
        );
    }
    to
}

/// Fills `bytes` bytes with `value`.
///
/// # Safety
/// As C's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, bytes: usize) -> *mut u8 {
    naked_asm!(
        "movzx esi, sil",
        "movabs rax, 0x0101010101010101",
        "imul rax, rsi",
        "mov r8, rdi",
        "cmp rdx, 8",
        "jb 2f",
        "mov [rdi + rdx - 8], rax",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep stosq",
        "mov rax, r8",
        "ret",
        "2:",
        "cmp edx, 4",
        "jb 3f",
        "mov [rdi], eax",
        "mov [rdi + rdx - 4], eax",
        "mov rax, r8",
        "ret",
        "3:", // Up to three: the first, the one in the middle, the last.
        "test edx, edx",
        "jz 4f",
        "mov [rdi], al",
        "mov [rdi + rdx - 1], al",
        "shr edx, 1",
        "mov [rdi + rdx], al",
        "4:",
        "mov rax, r8",
        "ret",
    )
}

/// Compares two areas byte by byte.
///
/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, bytes: usize) -> i32 {
    let mut at = 0;
    // SAFETY: every piece read ends at `bytes` at the latest, for which the caller says that both areas are valid.
    unsafe {
        if bytes >= WORD {
            while at + WORD < bytes {
                let order = compare_words(left, right, at);
                if order != 0 {
                    return order;
                }
                at += WORD;
            }
            // The last word may overlap what is known to be equal.
            return compare_words(left, right, bytes - WORD);
        }
        while at < bytes {
            let difference = i32::from(*left.add(at)) - i32::from(*right.add(at));
            if difference != 0 {
                return difference;
            }
            at += 1;
        }
    }
    0
}

/// Compares the words at an offset in two areas as their bytes compare.
///
/// # Safety
/// They must lie in them.
#[inline(always)]
#[allow(clippy::inline_always)] // Few instructions where they are equal.
unsafe fn compare_words(left: *const u8, right: *const u8, offset: usize) -> i32 {
    // SAFETY: the caller says that they lie in the areas.
    let (one, other) = unsafe {
        (left.add(offset).cast::<u64>().read_unaligned(), right.add(offset).cast::<u64>().read_unaligned())
    };
    match one == other {
        true => 0,
        false if one.swap_bytes() < other.swap_bytes() => -1,
        false => 1,
    }
}

/// Whether two areas differ: not 0 if they do.
///
/// # Safety
/// As C's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, bytes: usize) -> i32 {
    naked_asm!(
        "cmp rdx, 8",
        "jb 4f",
        "xor ecx, ecx",
        "sub rdx, 8",
        "2:", // Word for word, but for the last, which may overlap what is known to be equal.
        "cmp rcx, rdx",
        "jae 3f",
        "mov rax, [rdi + rcx]",
        "add rcx, 8",
        "cmp rax, [rsi + rcx - 8]",
        "je 2b",
        "mov eax, 1",
        "ret",
        "3:",
        "mov rax, [rdi + rdx]",
        "xor rax, [rsi + rdx]",
        "setne al",
        "movzx eax, al",
        "ret",
        "4:",
        "xor eax, eax",
        "cmp edx, 4",
        "jb 5f",
        "mov eax, [rdi]",
        "mov ecx, [rdi + rdx - 4]",
        "xor eax, [rsi]",
        "xor ecx, [rsi + rdx - 4]",
        "or eax, ecx",
        "ret",
        "5:", // Up to three: the first, the one in the middle, the last.
        "test edx, edx",
        "jz 6f",
        "mov al, [rdi]",
        "mov cl, [rdi + rdx - 1]",
        "xor al, [rsi]",
        "xor cl, [rsi + rdx - 1]",
        "or al, cl",
        "shr edx, 1",
        "mov cl, [rdi + rdx]",
        "xor cl, [rsi + rdx]",
        "or al, cl",
        "6:",
        "ret",
    )
}

/// Named by the prebuilt `core`'s unwind tables; `panic = "abort"` never calls it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    undefined()
}

/// As above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    undefined()
}

/// An exception, which the kernel reports of itself and of a program alike.
fn undefined() -> ! {
    // SAFETY: the instruction does nothing but raise the exception.
    unsafe { asm!("ud2", options(noreturn, nomem, nostack)) }
}
