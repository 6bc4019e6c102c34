//! The first 256 bytes of a function's configuration space, as they were read.

use crate::Identity;

/// Its length: what every function has, and where all capabilities lie that drivers here need.
pub const HEADER_BYTES: usize = 256;

/// Offsets of what is in it.
pub mod offset {
    /// Vendor, then device.
    pub const IDENTITY: u16 = 0x00;
    /// Command, then status.
    pub const COMMAND: u16 = 0x04;
    /// Revision, then class code.
    pub const CLASS: u16 = 0x08;
    /// In its third byte, the kind of header.
    pub const KIND: u16 = 0x0c;
    /// The first base address register.
    pub const FIRST_BAR: u16 = 0x10;
    /// Of a bridge, in the second byte: the bus behind it.
    pub const BUSES: u16 = 0x18;
    /// Where the list of capabilities begins.
    pub const CAPABILITIES: u16 = 0x34;
}

/// Bits of the command register.
pub mod command {
    /// Answers at its ports.
    pub const PORTS: u16 = 1;
    /// Answers at its memory.
    pub const MEMORY: u16 = 1 << 1;
    /// May read and write memory by itself.
    pub const BUS_MASTER: u16 = 1 << 2;
    /// Does not use the wired interrupt.
    pub const NO_WIRED_INTERRUPT: u16 = 1 << 10;
}

/// Numbers of capabilities.
pub mod capability {
    /// The maker's own; virtio devices say in such ones where their registers are.
    pub const VENDOR: u8 = 0x09;
    /// Interrupts by messages, which are in the capability itself.
    pub const MSI: u8 = 0x05;
    /// Interrupts by messages, out of a table in the device's memory.
    pub const MSI_X: u8 = 0x11;
}

/// Where the firmware has written which line a wired interrupt arrives on, and which of its four pins the device uses, 0 if
/// none.
const WIRED_LINE: usize = 0x3c;
const WIRED_PIN: usize = 0x3d;
/// The lines that firmware can write there: those of the old interrupt controllers, but the timer's.
const WIRED_LINES: core::ops::RangeInclusive<u8> = 1..=15;

const HAS_CAPABILITIES: u16 = 1 << 4;
/// The first capability lies behind the fixed part of the header; each takes at least four bytes.
const FIRST_CAPABILITY: u8 = 0x40;
const MOST_CAPABILITIES: usize = (HEADER_BYTES - FIRST_CAPABILITY as usize) / 4;

/// A header that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header(pub [u8; HEADER_BYTES]);

/// Where a device's table of message interrupts is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageTable {
    /// The offset of its capability.
    pub capability: u8,
    /// How many interrupts it has.
    pub entries: u16,
    /// Which base address register it is in.
    pub bar: u8,
    /// Where in that.
    pub offset: u32,
}

impl MessageTable {
    /// Bytes of an entry: address (8), data, and the mask in the lowest bit of the last four.
    pub const ENTRY_BYTES: usize = 16;
    /// In the upper half of the capability's first four bytes: interrupts by messages are on.
    pub const ENABLE: u32 = 1 << 31;
    /// In the same place: all of them are masked.
    pub const MASK_ALL: u32 = 1 << 30;
}

/// Where the message is in a device's configuration space by which it interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageRegisters {
    /// The offset of its capability. What the address's lower half is comes behind the first four bytes.
    pub capability: u8,
    /// The address has 64 bits.
    pub is_wide: bool,
    /// Messages can be masked.
    pub has_mask: bool,
}

impl MessageRegisters {
    /// In the upper half of the capability's first four bytes: interrupts by messages are on.
    pub const ENABLE: u32 = 1 << 16;
    /// In the same place: how many messages there are instead of one, as a power of two.
    pub const MORE_MESSAGES: u32 = 0x7 << 20;
    const WIDE: u16 = 1 << 7;
    const MASK: u16 = 1 << 8;

    /// The registers behind the first one, and what is in them for one message, not masked.
    pub fn of_message(&self, address: u64, data: u32) -> impl Iterator<Item = (u16, u32)> {
        let upper = self.is_wide.then_some((address >> 32) as u32);
        let mask = self.has_mask.then_some(0);
        let values = [Some(address as u32), upper, Some(data), mask];
        (u16::from(self.capability) + 4..).step_by(4).zip(values.into_iter().flatten())
    }

    /// Bytes of the capability.
    const fn bytes(self) -> usize {
        12 + 4 * (self.is_wide as usize + self.has_mask as usize)
    }
}

impl Header {
    /// Vendor and device.
    pub fn identity(&self) -> Identity {
        Identity { vendor: self.u16(0), device: self.u16(2) }
    }

    /// Class, subclass, programming interface.
    pub fn class(&self) -> [u8; 3] {
        [self.0[11], self.0[10], self.0[9]]
    }

    /// The kind of header: 0 of a device, 1 of a bridge.
    pub fn kind(&self) -> u8 {
        self.0[0x0e] & 0x7f
    }

    /// The capabilities: number and offset. A list that is none ends where that shows.
    pub fn capabilities(&self) -> impl Iterator<Item = (u8, u8)> {
        let has_any = self.u16(usize::from(offset::COMMAND) + 2) & HAS_CAPABILITIES != 0;
        let first = if has_any { self.0[usize::from(offset::CAPABILITIES)] } else { 0 };
        let follow = |at: u8| Some(at & !3).filter(|at| *at >= FIRST_CAPABILITY);
        core::iter::successors(follow(first), move |at| follow(self.0[usize::from(*at) + 1]))
            .take(MOST_CAPABILITIES)
            .map(|at| (self.0[usize::from(at)], at))
    }

    /// The table of message interrupts, if the device has one.
    pub fn message_table(&self) -> Option<MessageTable> {
        let (_, at) = self.capabilities().find(|(number, _)| *number == capability::MSI_X)?;
        let place = self.u32_at(usize::from(at) + 4)?;
        let bar = (place & 7) as u8;
        (bar < 6).then_some(MessageTable {
            capability: at,
            entries: (self.u16(usize::from(at) + 2) & 0x7ff) + 1,
            bar,
            offset: place & !7,
        })
    }

    /// Where its message is, if it has one and no table of them.
    pub fn message_registers(&self) -> Option<MessageRegisters> {
        let (_, at) = self.capabilities().find(|(number, _)| *number == capability::MSI)?;
        let control = self.u16(usize::from(at) + 2);
        let registers = MessageRegisters {
            capability: at,
            is_wide: control & MessageRegisters::WIDE != 0,
            has_mask: control & MessageRegisters::MASK != 0,
        };
        let fits = usize::from(at) + registers.bytes() <= HEADER_BYTES;
        (fits && self.message_table().is_none()).then_some(registers)
    }

    /// Whether it can interrupt by messages.
    pub fn has_messages(&self) -> bool {
        self.message_table().is_some() || self.message_registers().is_some()
    }

    /// The line that the device's wired interrupt arrives on, if it has one and the firmware says where.
    pub fn wired_line(&self) -> Option<u8> {
        let has_pin = (1..=4).contains(&self.0[WIRED_PIN]);
        Some(self.0[WIRED_LINE]).filter(|line| has_pin && WIRED_LINES.contains(line))
    }

    /// Four bytes at any offset; none beyond the end.
    pub fn u32_at(&self, at: usize) -> Option<u32> {
        self.0.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four))
    }

    /// A byte at any offset; none beyond the end.
    pub fn u8_at(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn header() -> Header {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&[0xf4, 0x1a, 0x41, 0x10]);
        bytes[6] = 0x10;
        bytes[8..12].copy_from_slice(&[1, 0, 0, 2]);
        bytes[0x34] = 0x98;
        bytes[0x98..0xa4].copy_from_slice(&[0x11, 0x84, 3, 0, 1, 0x10, 0, 0, 1, 0x18, 0, 0]);
        bytes[0x84..0x86].copy_from_slice(&[0x09, 0]);
        Header(bytes)
    }

    #[test]
    fn capabilities_are_found() {
        let header = header();
        assert_eq!(header.capabilities().collect::<Vec<_>>(), [(0x11, 0x98), (0x09, 0x84)]);
        let table = MessageTable { capability: 0x98, entries: 4, bar: 1, offset: 0x1000 };
        assert_eq!(header.message_table(), Some(table));
        assert_eq!((header.class(), header.kind()), ([2, 0, 0], 0));
    }

    #[test]
    fn a_message_has_its_registers() {
        let mut header = header();
        assert_eq!(header.message_registers(), None, "it has a table");
        header.0[0x98] = 0x05;
        for (control, places) in [
            (0x00, &[0x9c_u16, 0xa0][..]),
            (0x80, &[0x9c, 0xa0, 0xa4][..]),
            (0x180, &[0x9c, 0xa0, 0xa4, 0xa8][..]),
        ] {
            header.0[0x9a..0x9c].copy_from_slice(&u16::to_le_bytes(control));
            let registers = header.message_registers().unwrap();
            let values: Vec<_> = registers.of_message(0x1_fee0_1000, 0x41).collect();
            assert_eq!(values.iter().map(|(at, _)| *at).collect::<Vec<_>>(), places, "{control:#x}");
            assert_eq!(values[0].1, 0xfee0_1000);
            assert!(values.iter().any(|(_, value)| *value == 0x41));
            assert_eq!(values[1].1 == 1, registers.is_wide);
        }
        // It would reach over the end.
        (header.0[0x34], header.0[0xf8]) = (0xf8, 0x05);
        assert_eq!(header.message_registers(), None);
    }

    #[test]
    fn a_wired_line_is_one_that_there_is() {
        let mut header = header();
        for (line, pin, said) in
            [(11, 1, Some(11)), (11, 0, None), (255, 1, None), (0, 1, None), (11, 5, None)]
        {
            (header.0[WIRED_LINE], header.0[WIRED_PIN]) = (line, pin);
            assert_eq!(header.wired_line(), said, "line {line}, pin {pin}");
        }
    }

    #[test]
    fn a_list_that_bites_its_tail_ends() {
        let mut header = header();
        header.0[0x85] = 0x98;
        assert_eq!(header.capabilities().count(), MOST_CAPABILITIES);
        header.0[6] = 0;
        assert_eq!(header.capabilities().count(), 0);
    }

    proptest! {
        #[test]
        fn no_header_confuses_the_reader(bytes in prop::collection::vec(any::<u8>(), HEADER_BYTES)) {
            let mut header = Header([0; HEADER_BYTES]);
            header.0.copy_from_slice(&bytes);
            header.0[6] |= 0x10;
            let _ = header.capabilities().count();
            if let Some(table) = header.message_table() {
                assert!(table.bar < 6 && table.entries <= 2048);
            }
            if let Some(registers) = header.message_registers() {
                let last = registers.of_message(0, 0).map(|(at, _)| usize::from(at)).max();
                assert!(last.is_some_and(|last| last + 4 <= HEADER_BYTES));
            }
        }
    }
}
