//! The driver of COM1 and COM2.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use hardware::interrupt::InterruptLine;
use hardware::port::{Port, PortRange};
use io_server::{IoServer, Limits, LineServer};
use uart_driver::SerialPort;
use uart_driver::registers::{self, Registers};
use v::log;
use v::prelude::*;

/// Names, first ports and interrupt lines of the serial ports that every PC has if it has any.
const PORTS: [(&str, u16, u32); 2] = [("com1", 0x3f8, 4), ("com2", 0x2f8, 3)];

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
    let mut uart = LineServer::new();
    for (name, first_port, line) in PORTS {
        // Claimed first: the edge of an interrupt that nobody has claimed is lost.
        let interrupt = InterruptLine::claim(line)?;
        let ports = Ports(PortRange::new(first_port, registers::COUNT));
        if let Some(port) = SerialPort::start(ports, interrupt.sender()) {
            uart.add(name.into(), port);
        } else {
            interrupt.release()?;
        }
    }
    io_server::serve_prefixes(IoServer::new(uart, Limits::default()), &[("uart", 0)])
}
