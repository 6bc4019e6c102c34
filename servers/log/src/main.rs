//! The log server.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use io_server::{IoServer, Limits};
use log_server::serve::{KernelLog, LogServer, name};
use v::abi::kernel::{self, statistics};
use v::prelude::*;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    v::log::use_kernel_log();
    let server = LogServer::new(Kernel);
    io_server::serve_prefixes(IoServer::new(server, Limits::default()), &[("log", 0)])
}

/// The kernel itself.
struct Kernel;

impl KernelLog for Kernel {
    fn write(&mut self, line: &str) -> Result<(), Error> {
        let server = kernel::server(kernel::STATISTICS);
        call(server, &statistics::WriteLog {}, Segment::Read(line.as_bytes()))?;
        Ok(())
    }

    fn read(&mut self, from: u64, buffer: &mut [u8]) -> Result<(usize, u64), Error> {
        let server = kernel::server(kernel::STATISTICS);
        let read = call(server, &statistics::ReadLog { from }, Segment::Write(buffer))?;
        Ok((read.count as usize, read.next))
    }

    fn name_of(&mut self, process: Pid) -> Result<String, Error> {
        Ok(name(v::process::query(process)?.name_bytes()))
    }
}
