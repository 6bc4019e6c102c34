//! The driver of COM1.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use hardware::interrupt::InterruptLine;
use hardware::port::{Port, PortRange};
use io_server::{IoServer, Limits};
use uart_driver::registers::{self, Registers};
use uart_driver::{SerialPort, UartServer};
use v::log;
use v::prelude::*;

/// Name, first port and interrupt line of the serial port that every PC has.
const NAME: &str = "com1";
const FIRST_PORT: u16 = 0x3f8;
const LINE: u32 = 4;

/// A chip's registers as ports.
struct Ports(PortRange);

impl Ports {
    fn port(&self, register: u16) -> Option<Port> {
        self.0.port(register)
    }
}

impl Registers for Ports {
    /// A port that the kernel refuses is as good as one that isn't there.
    fn read(&mut self, register: u16) -> u8 {
        self.port(register).and_then(|port| port.read().ok()).unwrap_or(0xff)
    }

    fn read_data(&mut self, bytes: &mut [u8]) {
        if let Some(port) = self.port(registers::DATA) {
            let _ = port.read_all(bytes);
        }
    }

    fn write(&mut self, register: u16, value: u8) {
        if let Some(port) = self.port(register) {
            let _ = port.write(value);
        }
    }

    fn write_data(&mut self, bytes: &[u8]) {
        if let Some(port) = self.port(registers::DATA) {
            let _ = port.write_all(bytes);
        }
    }
}

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    // The log server is above the drivers.
    log::use_kernel_log();
    let mut uart = UartServer::new();
    // Claimed first: the edge of an interrupt that nobody has claimed is lost.
    let interrupt = InterruptLine::claim(LINE)?;
    if let Some(port) = SerialPort::start(Ports(PortRange::new(FIRST_PORT, registers::COUNT))) {
        uart.add(NAME, interrupt.sender(), port);
    } else {
        log::notice!("{NAME}: there is no such port");
        interrupt.release()?;
    }
    io_server::serve_prefixes(IoServer::new(uart, Limits::default()), &[("uart", 0)])
}
