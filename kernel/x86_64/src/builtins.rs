//! The memory functions that compiled code calls, and two symbols of the unwinder that is not there.
//!
//! The prebuilt `core` expects the first to come from a C library. `rep movsq` and `rep stosq` are what every
//! x86-64 processor does well at all sizes that matter here, and they count one instruction for eight bytes where
//! instructions are counted; `rep movsb` would count eight.

use core::arch::asm;

/// Copies `bytes` bytes; the areas do not overlap.
///
/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller says that both areas are valid for `bytes`; words and tail together are exactly that many.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {tail:e}",
            "rep movsb",
            tail = in(reg) bytes & 7,
            inout("rcx") bytes / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
    }
    to
}

/// Copies `bytes` bytes; the areas may overlap.
///
/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= bytes {
        // `to` is below `from`, or beyond its end: a forward copy reads every byte before it overwrites it.
        // SAFETY: as this function's; a forward `rep movs` allows this overlap.
        return unsafe { memcpy(to, from, bytes) };
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
            words = in(reg) bytes / 8,
            inout("rcx") bytes & 7 => _,
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
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, bytes: usize) -> *mut u8 {
    // SAFETY: the caller says that the area is valid for `bytes`; words and tail together are exactly that many.
    unsafe {
        asm!(
            "rep stosq",
            "mov ecx, {tail:e}",
            "rep stosb",
            tail = in(reg) bytes & 7,
            inout("rcx") bytes / 8 => _,
            inout("rdi") to => _,
            in("rax") u64::from(value.cast_unsigned() as u8) * 0x0101_0101_0101_0101,
            options(nostack, preserves_flags)
        );
    }
    to
}

/// Compares two areas byte by byte.
///
/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, bytes: usize) -> i32 {
    let mut at = 0;
    // SAFETY: every offset read is below `bytes`, for which the caller says that both areas are valid.
    unsafe {
        while at + 8 <= bytes {
            let one = left.add(at).cast::<u64>().read_unaligned();
            let other = right.add(at).cast::<u64>().read_unaligned();
            if one != other {
                return if one.swap_bytes() < other.swap_bytes() { -1 } else { 1 };
            }
            at += 8;
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

/// Whether two areas differ.
///
/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, bytes: usize) -> i32 {
    // SAFETY: as this function's.
    unsafe { memcmp(left, right, bytes) }
}

/// Named by the prebuilt `core`'s unwind tables; `panic = "abort"` never calls it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    crate::instructions::halt()
}

/// As above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    crate::instructions::halt()
}
