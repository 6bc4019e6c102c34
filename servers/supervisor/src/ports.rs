//! I/O ports through the kernel.

use abi::kernel::{self, device};
use v::Segment;

/// A port that the kernel will not let us at is as good as one that does nothing.
pub fn write_port(port: u16, width: u32, value: u32) {
    let request = device::WritePort { port: port.into(), width, value };
    let _ = v::call(kernel::server(kernel::DEVICE), &request, Segment::None);
}

/// All ones where there is nothing to be read.
pub fn read_port(port: u16, width: u32) -> u32 {
    let request = device::ReadPort { port: port.into(), width };
    v::call(kernel::server(kernel::DEVICE), &request, Segment::None).map_or(u32::MAX, |read| read.value)
}
