//! A panic: a report, then the end of the program.

use core::panic::PanicInfo;

/// Exit status of a program that panicked.
pub const STATUS: i32 = 101;

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    v::process::abort(STATUS)
}
