//! A PCI device that the supervisor has given to this service: what it says of itself, its registers, its interrupt.

use alloc::vec::Vec;

use pci::Header;
use pci::header::MessageTable;
use protocols::device::{BARS, BarRecord, DeviceRecord, bar};
use v::Error;

use crate::interrupt::InterruptLine;
use crate::register::Registers;

/// Which entry of the table of message interrupts is used: a device has one line.
pub const MESSAGE_ENTRY: u16 = 0;

/// Offsets in an entry of the table of message interrupts, and the bit that masks it.
const ENTRY_ADDRESS_LOW: usize = 0;
const ENTRY_ADDRESS_HIGH: usize = 4;
const ENTRY_DATA: usize = 8;
const ENTRY_CONTROL: usize = 12;
const ENTRY_MASKED: u32 = 1;

/// A device of this service's.
#[derive(Clone, Debug)]
pub struct Device {
    address: u32,
    line: u32,
    bars: [BarRecord; BARS],
    header: Header,
}

impl Device {
    /// The devices that the supervisor has given to the service with this name, which is its argument 0.
    pub fn all_of(service: &str) -> Result<Vec<Device>, Error> {
        let mut devices = Vec::new();
        let mut buffer = [0; DeviceRecord::MAX_BYTES];
        for position in 0.. {
            let Some(record) = v::device::query(v::entry::creator(), position, &mut buffer)? else {
                break;
            };
            if record.service == service {
                devices.push(Device::new(&record));
            }
        }
        Ok(devices)
    }

    /// The device of a record.
    pub fn new(record: &DeviceRecord<'_>) -> Device {
        Device {
            address: record.address,
            line: record.line,
            bars: record.bars,
            header: Header(record.configuration),
        }
    }

    /// Where it sits.
    pub const fn address(&self) -> pci::Address {
        pci::Address::from_bits(self.address as u16)
    }

    /// What it says of itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Where `bytes` bytes of registers from `offset` on in a base address register's memory are; an error if they lie
    /// beyond it, or it is no memory.
    pub fn place(&self, number: usize, offset: u32, bytes: usize) -> Result<u64, Error> {
        let range = self.bars.get(number).filter(|range| range.kind == bar::MEMORY).ok_or(Error::NotFound)?;
        let end = u64::from(offset).checked_add(bytes as u64);
        end.filter(|end| *end <= range.count).ok_or(Error::BadArgument)?;
        Ok(range.start + u64::from(offset))
    }

    /// Whether so many bytes from a physical address on are in its memory.
    pub fn has(&self, physical: u64, bytes: usize) -> bool {
        let Some(end) = physical.checked_add(bytes as u64) else { return false };
        let within = |range: &BarRecord| {
            range.start <= physical && range.start.checked_add(range.count).is_some_and(|last| end <= last)
        };
        self.bars.iter().any(|range| range.kind == bar::MEMORY && within(range))
    }

    /// Maps such registers.
    pub fn registers(&self, number: usize, offset: u32, bytes: usize) -> Result<Registers, Error> {
        Registers::map(self.place(number, offset, bytes)?, bytes)
    }

    /// Tells the supervisor that the device was reset. Only from now on it may use memory by itself.
    pub fn start(&self) -> Result<(), Error> {
        v::device::start(self.address)?;
        Ok(())
    }

    /// Claims the device's interrupt for the calling process: a message, entry [`MESSAGE_ENTRY`] of its table or the one in its
    /// configuration space, or else a wired line. [`NotSupported`](Error::NotSupported) if it has none.
    pub fn claim_interrupt(&self) -> Result<InterruptLine, Error> {
        if self.line == 0 {
            return Err(Error::NotSupported);
        }
        let Some(table) = self.header.message_table() else {
            let line = InterruptLine::claim(self.line)?;
            if self.header.message_registers().is_some() {
                v::device::set_message(self.address, line.message())?;
            }
            return Ok(line);
        };
        let entry = u32::from(MESSAGE_ENTRY) * MessageTable::ENTRY_BYTES as u32;
        let registers = self.registers(table.bar.into(), table.offset + entry, MessageTable::ENTRY_BYTES)?;
        let line = InterruptLine::claim(self.line)?;
        let (address, data) = line.message();
        registers.write(ENTRY_CONTROL, ENTRY_MASKED);
        registers.write(ENTRY_ADDRESS_LOW, address as u32);
        registers.write(ENTRY_ADDRESS_HIGH, (address >> 32) as u32);
        registers.write(ENTRY_DATA, data);
        registers.write(ENTRY_CONTROL, 0_u32);
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_lie_within_their_memory() {
        let mut bars = [BarRecord::default(); BARS];
        bars[0] = BarRecord { kind: bar::PORTS, start: 0xc000, count: 32 };
        bars[4] = BarRecord { kind: bar::MEMORY, start: 0xfe00_0000, count: 0x4000 };
        let record =
            DeviceRecord { address: 8, state: 1, line: 0, bars, configuration: [0; 256], service: "" };
        let device = Device::new(&record);
        assert_eq!(device.place(4, 0x3000, 0x1000), Ok(0xfe00_3000));
        for (number, offset, bytes, error) in [
            (4, 0x3001, 0x1000, Error::BadArgument),
            (4, u32::MAX, usize::MAX, Error::BadArgument),
            (0, 0, 1, Error::NotFound),
            (1, 0, 1, Error::NotFound),
            (6, 0, 1, Error::NotFound),
        ] {
            assert_eq!(device.place(number, offset, bytes), Err(error), "{number} {offset:#x}");
        }
        for (physical, bytes, expected) in [
            (0xfe00_0000, 0x4000, true),
            (0xfe00_3fff, 1, true),
            (0xfe00_0000, 0x4001, false),
            (0xfdff_ffff, 2, false),
            (0xfe00_4000, 1, false),
            (0xc000, 32, false),
            (u64::MAX, 1, false),
            (0xfe00_0001, usize::MAX, false),
        ] {
            assert_eq!(device.has(physical, bytes), expected, "{physical:#x} {bytes:#x}");
        }
        assert!(matches!(device.claim_interrupt(), Err(Error::NotSupported)));
    }
}
