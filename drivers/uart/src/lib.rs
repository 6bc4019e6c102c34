//! The driver of the serial ports: 16550 chips at the two places where PCs have them, as `[uart]com1` and `[uart]com2`.
//!
//! | module | what it has |
//! |---|---|
//! | `registers` | the chip's registers and their bits |
//! | `port` | one port: buffers, who waits, what an interrupt means |
//!
//! Both ways are driven by interrupts, which come as messages. Each access to a register is a message to the kernel,
//! so as few are made as can be: the chip's queue is filled by one message, and while it says that it is full enough
//! it is emptied without asking for each byte. No byte is dropped here: when nobody reads, the port is told to hold
//! the other side.
//!
//! The ports as instances of the I/O protocol are [lines](io_server::lines).
//!
//! The crate `uart_16550` drives such a chip well where an access is an instruction; it does not fit here.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod port;
pub mod registers;

#[cfg(test)]
mod chip;
#[cfg(test)]
mod tests;

pub use port::SerialPort;
pub use registers::Registers;
