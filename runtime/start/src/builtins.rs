//! The memory functions that compiled code calls, and two symbols of the unwinder that is not there.
//!
//! The prebuilt `core` expects the first to come from a C library. Long areas go by `rep movsq` and `rep stosq`, eight
//! bytes a step, with one word over the last eight bytes, which may overlap the step before; areas of less than two
//! words go by two such words, or halves. Loops in Rust would be compiled to calls of these very functions.

use core::arch::asm;

const WORD: usize = size_of::<u64>();
const HALF: usize = size_of::<u32>();

/// Copies `bytes` bytes; the areas do not overlap.
///
/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller says that both areas are valid for `bytes`; every piece below lies within them.
    unsafe {
        if bytes >= 2 * WORD {
            copy_piece::<u64>(to, from, bytes - WORD);
            asm!(
                "rep movsq",
                inout("rcx") bytes / WORD => _,
                inout("rdi") to => _,
                inout("rsi") from => _,
                options(nostack, preserves_flags)
            );
        } else if bytes >= WORD {
            copy_piece::<u64>(to, from, 0);
            copy_piece::<u64>(to, from, bytes - WORD);
        } else if bytes >= HALF {
            copy_piece::<u32>(to, from, 0);
            copy_piece::<u32>(to, from, bytes - HALF);
        } else if bytes > 0 {
            copy_piece::<u8>(to, from, 0);
            copy_piece::<u8>(to, from, bytes / 2);
            copy_piece::<u8>(to, from, bytes - 1);
        }
    }
    to
}

/// Copies one number from an offset in one area to the same offset in another.
///
/// # Safety
/// It must lie in both.
#[inline(always)]
#[allow(clippy::inline_always)] // Two instructions.
unsafe fn copy_piece<T: Copy>(to: *mut u8, from: *const u8, offset: usize) {
    // SAFETY: the caller says that it lies in both.
    unsafe {
        let piece = from.add(offset).cast::<T>().read_unaligned();
        to.add(offset).cast::<T>().write_unaligned(piece);
    }
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
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, bytes: usize) -> *mut u8 {
    let word = u64::from(value.cast_unsigned() as u8) * 0x0101_0101_0101_0101;
    // SAFETY: the caller says that the area is valid for `bytes`; every piece below lies within it.
    unsafe {
        if bytes >= 2 * WORD {
            to.add(bytes - WORD).cast::<u64>().write_unaligned(word);
            asm!(
                "rep stosq",
                inout("rcx") bytes / WORD => _,
                inout("rdi") to => _,
                in("rax") word,
                options(nostack, preserves_flags)
            );
        } else if bytes >= WORD {
            to.cast::<u64>().write_unaligned(word);
            to.add(bytes - WORD).cast::<u64>().write_unaligned(word);
        } else if bytes >= HALF {
            to.cast::<u32>().write_unaligned(word as u32);
            to.add(bytes - HALF).cast::<u32>().write_unaligned(word as u32);
        } else if bytes > 0 {
            *to = word as u8;
            *to.add(bytes / 2) = word as u8;
            *to.add(bytes - 1) = word as u8;
        }
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
        while at + WORD <= bytes {
            let one = left.add(at).cast::<u64>().read_unaligned();
            let other = right.add(at).cast::<u64>().read_unaligned();
            if one != other {
                return if one.swap_bytes() < other.swap_bytes() { -1 } else { 1 };
            }
            at += WORD;
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
    v::process::exit(crate::panic::STATUS)
}

/// As above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    v::process::exit(crate::panic::STATUS)
}
