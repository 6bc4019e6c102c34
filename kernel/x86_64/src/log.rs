//! Where the kernel's words go: the Bochs debug console at port 0xE9, which QEMU's `-debugcon` listens to, or the
//! first serial port where there is none. A panic uses both.
//!
//! The serial port belongs to a user-level driver; only a panic, which ends that driver too, may disturb it.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU8, Ordering};

use crate::instructions::{read_port_u8, write_port_u8};

const CONSOLE_PORT: u16 = 0xe9;
/// What the console's port reads as, where there is a console.
const CONSOLE_PRESENT: u8 = 0xe9;

const SERIAL_PORT: u16 = 0x3f8;
const LINE_STATUS: u16 = SERIAL_PORT + 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
/// Status reads before a byte is dropped: longer than one byte takes at 115,200 baud.
const SERIAL_PATIENCE: u32 = 100_000;

const CONSOLE: u8 = 1;
const SERIAL: u8 = 2;
/// The devices in use.
static DEVICES: AtomicU8 = AtomicU8::new(0);

/// Finds the device. Before this, everything said is lost.
pub fn initialize() {
    // SAFETY: the port is the debug console's or nobody's.
    if unsafe { read_port_u8(CONSOLE_PORT) } == CONSOLE_PRESENT {
        DEVICES.store(CONSOLE, Ordering::Relaxed);
    } else {
        use_serial_port();
    }
}

/// From now on to the serial port as well.
pub fn use_serial_port() {
    if DEVICES.fetch_or(SERIAL, Ordering::Relaxed) & SERIAL != 0 {
        return;
    }
    // 115,200 baud, eight bits, no parity, no interrupts, queues cleared.
    for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 7), (4, 3)] {
        // SAFETY: registers of the first serial port, which does no direct memory access.
        unsafe { write_port_u8(SERIAL_PORT + register, value) };
    }
}

/// Writes bytes as they are.
pub fn write_bytes(bytes: &[u8]) {
    let devices = DEVICES.load(Ordering::Relaxed);
    for &byte in bytes {
        if devices & CONSOLE != 0 {
            // SAFETY: the debug console's port; it only prints.
            unsafe { write_port_u8(CONSOLE_PORT, byte) };
        }
        if devices & SERIAL != 0 {
            if byte == b'\n' {
                write_serial(b'\r');
            }
            write_serial(byte);
        }
    }
}

fn write_serial(byte: u8) {
    for _ in 0..SERIAL_PATIENCE {
        // SAFETY: registers of the first serial port, which does no direct memory access.
        unsafe {
            if read_port_u8(LINE_STATUS) & TRANSMITTER_EMPTY != 0 {
                write_port_u8(SERIAL_PORT, byte);
                return;
            }
        }
    }
}

/// The log as a formatter's destination.
pub struct Log;

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_bytes(text.as_bytes());
        Ok(())
    }
}

/// Writes a line to the log.
pub fn write_line(line: fmt::Arguments) {
    // Writing to the log cannot fail.
    let _ = writeln!(Log, "{line}");
}

/// Writes a formatted line to the log.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::log::write_line(format_args!($($argument)*))
    };
}
pub(crate) use say;
