//! Breaches of the kernel's own rules, made on purpose: each must end in a panic that says what happened. Tests boot a
//! node for each and read its log.

use core::hint::black_box;

use crate::log::say;

/// Does what the boot command line names after `selftest=`.
pub fn commit(name: &str) {
    match name {
        "panic" => panic!("as it was told"),
        "write-text" => {
            let text = (commit as *const ()).cast_mut().cast::<u8>();
            // SAFETY: none: the page is read-only, so this ends the kernel.
            unsafe { text.write_volatile(0) };
        }
        "execute-data" => {
            // A function that returns at once, were it executed.
            static RETURN: [u8; 1] = [0xc3];
            // SAFETY: none: the page is not executable, so this ends the kernel.
            let function: extern "C" fn() = unsafe { core::mem::transmute(RETURN.as_ptr()) };
            function();
        }
        "read-user" => {
            // SAFETY: none: nothing is mapped for the kernel in the lower half, so this ends it.
            unsafe { core::ptr::without_provenance::<u8>(0x40_0000).read_volatile() };
        }
        "overflow" => {
            black_box(descend(0));
        }
        _ => {}
    }
    say!("selftest: {name}: nothing came of it");
}

/// Takes stack until there is none.
fn descend(depth: u64) -> u64 {
    let page = black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { descend(depth + 1) + page[black_box(5)] }
}
