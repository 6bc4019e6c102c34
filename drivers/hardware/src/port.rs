//! I/O ports. Each access is a message to the kernel, so drivers do much with few: see [`Port::read_all`], [`Port::write_all`].

use v::abi::kernel::{self, device};
use v::{Error, Segment, call};

/// Most bytes that one message writes to a port.
pub const MAX_BYTES_WRITTEN: usize = 256;
/// Most bytes that one message reads from a port.
pub const MAX_BYTES_READ: usize = 16;

/// A port that the team was granted, or thinks so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Port(u16);

impl Port {
    /// The port with this number.
    pub const fn new(number: u16) -> Port {
        Port(number)
    }

    /// Reads a byte.
    pub fn read(self) -> Result<u8, Error> {
        let request = device::ReadPort { port: u32::from(self.0), width: 1 };
        Ok(call(kernel::server(kernel::DEVICE), &request, Segment::None)?.value as u8)
    }

    /// Reads as many bytes as `buffer` has, at most [`MAX_BYTES_READ`], one after the other.
    pub fn read_all(self, buffer: &mut [u8]) -> Result<(), Error> {
        let request = device::ReadPortBytes {
            port: u32::from(self.0),
            count: u32::try_from(buffer.len()).map_err(|_| Error::TooLong)?,
        };
        let read = call(kernel::server(kernel::DEVICE), &request, Segment::None)?;
        let mut bytes = [0; MAX_BYTES_READ];
        bytes[..8].copy_from_slice(&read.first_bytes.to_le_bytes());
        bytes[8..].copy_from_slice(&read.last_bytes.to_le_bytes());
        let count = buffer.len();
        // The kernel has refused a longer one.
        buffer.copy_from_slice(bytes.get(..count).ok_or(Error::TooLong)?);
        Ok(())
    }

    /// Writes a byte.
    pub fn write(self, value: u8) -> Result<(), Error> {
        let request = device::WritePort { port: u32::from(self.0), width: 1, value: u32::from(value) };
        call(kernel::server(kernel::DEVICE), &request, Segment::None)?;
        Ok(())
    }

    /// Writes bytes, at most [`MAX_BYTES_WRITTEN`], one after the other.
    pub fn write_all(self, bytes: &[u8]) -> Result<(), Error> {
        let request = device::WritePortBytes { port: u32::from(self.0) };
        call(kernel::server(kernel::DEVICE), &request, Segment::Read(bytes))?;
        Ok(())
    }
}

/// Consecutive ports: a device's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortRange {
    first: u16,
    count: u16,
}

impl PortRange {
    /// `count` ports from `first` on.
    pub const fn new(first: u16, count: u16) -> PortRange {
        PortRange { first, count }
    }

    /// The port at `offset`; none beyond the range.
    pub const fn port(self, offset: u16) -> Option<Port> {
        match self.first.checked_add(offset) {
            Some(number) if offset < self.count => Some(Port(number)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end() {
        let range = PortRange::new(0xfffc, 8);
        assert_eq!(range.port(3), Some(Port(0xffff)));
        assert_eq!(range.port(4), None, "beyond the last port");
        assert_eq!(PortRange::new(0x3f8, 8).port(8), None, "beyond the range");
    }
}
