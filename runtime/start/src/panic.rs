//! A panic: a report, then the end of the program with status 101.
//!
//! The report relies on neither the heap nor locks nor another process of the team: whatever went wrong may have
//! been in them. The program says where and why it panicked, on standard error, or, if it has none, in the kernel's
//! log. Then it executes a breakpoint (see `abi::notice::PANIC_MARK`), to which the exception server adds a backtrace
//! with symbols.

use core::arch::asm;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

/// Exit status of a program that panicked.
pub const STATUS: i32 = v::abi::notice::STATUS_PANIC.cast_signed();

/// Bytes of a report; what is longer is cut.
const REPORT_BYTES: usize = 512;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    if !PANICKING.swap(true, Ordering::Relaxed) {
        report(info);
        // SAFETY: a breakpoint changes nothing; who receives it as an exception reads the registers and replies.
        unsafe { asm!("int3", inout("rax") v::abi::notice::PANIC_MARK => _) };
    }
    v::process::abort(STATUS)
}

fn report(info: &PanicInfo<'_>) {
    let mut report = Report { bytes: [0; REPORT_BYTES], length: 0 };
    // A report that does not fit is cut, which is no failure.
    let _ = write!(report, "{}: panic", v::env::program_name());
    if let Some(place) = info.location() {
        let _ = write!(report, " at {}:{}", place.file(), place.line());
    }
    let _ = writeln!(report, ": {}", info.message());
    let text = &report.bytes[..report.length];
    // Only whole characters were written.
    v::io::write_fatal(core::str::from_utf8(text).unwrap_or("panic\n"));
}

/// Text of bounded length.
struct Report {
    bytes: [u8; REPORT_BYTES],
    length: usize,
}

impl Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - self.length;
        let part = &text[..text.floor_char_boundary(room)];
        self.bytes[self.length..self.length + part.len()].copy_from_slice(part.as_bytes());
        self.length += part.len();
        if part.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}
