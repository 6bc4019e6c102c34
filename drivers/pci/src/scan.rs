//! Looking for functions, bus by bus, and for how much memory and how many ports each wants.

use alloc::vec::Vec;

use crate::header::{HEADER_BYTES, command, offset};
use crate::{Address, Configuration, Header};

/// Base address registers of a device.
pub const BARS: usize = 6;

const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;
/// In the word with the kind of header: the device has more than one function.
const MANY_FUNCTIONS: u32 = 1 << 23;
const KIND_DEVICE: u8 = 0;
const KIND_BRIDGE: u8 = 1;

/// What a base address register describes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Bar {
    /// Nothing.
    #[default]
    None,
    /// Ports.
    Ports {
        /// The first one.
        first: u16,
        /// How many.
        count: u16,
    },
    /// Memory.
    Memory {
        /// Its physical address.
        address: u64,
        /// Its length.
        bytes: u64,
    },
}

/// A function that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function {
    /// Where.
    pub address: Address,
    /// What it says of itself.
    pub header: Header,
    /// Its base address registers, by number. Of a 64-bit one the second is `None`.
    pub bars: [Bar; BARS],
}

/// All functions that can be reached from bus 0, as the firmware has numbered the buses behind bridges.
pub fn scan(configuration: &mut impl Configuration) -> Vec<Function> {
    let mut functions = Vec::new();
    let mut buses = Vec::from([0_u8]);
    let mut next = 0;
    while let Some(&bus) = buses.get(next) {
        next += 1;
        for device in 0..DEVICES {
            let first = Address::new(bus, device, 0);
            if !is_there(configuration, first) {
                continue;
            }
            let many = configuration.read(first, offset::KIND) & MANY_FUNCTIONS != 0;
            for function in 0..if many { FUNCTIONS } else { 1 } {
                let address = Address::new(bus, device, function);
                if function > 0 && !is_there(configuration, address) {
                    continue;
                }
                let found = look(configuration, address);
                let behind = found.header.0[usize::from(offset::BUSES) + 1];
                if found.header.kind() == KIND_BRIDGE && !buses.contains(&behind) {
                    buses.push(behind);
                }
                functions.push(found);
            }
        }
    }
    functions
}

fn is_there(configuration: &mut impl Configuration, address: Address) -> bool {
    !matches!(configuration.read(address, offset::IDENTITY) & 0xffff, 0 | 0xffff)
}

fn look(configuration: &mut impl Configuration, address: Address) -> Function {
    let mut header = Header([0; HEADER_BYTES]);
    for (at, four) in (0_u16..).step_by(4).zip(header.0.chunks_exact_mut(4)) {
        four.copy_from_slice(&configuration.read(address, at).to_le_bytes());
    }
    let mut bars = [Bar::None; BARS];
    if header.kind() == KIND_DEVICE {
        // While its registers hold sizes it must answer nowhere. Status bits are cleared by writing ones: write none.
        let command = configuration.read(address, offset::COMMAND) & 0xffff;
        let silent = command & !u32::from(command::PORTS | command::MEMORY);
        configuration.write(address, offset::COMMAND, silent);
        bars = measure(configuration, address);
        configuration.write(address, offset::COMMAND, command);
    }
    Function { address, header, bars }
}

fn measure(configuration: &mut impl Configuration, address: Address) -> [Bar; BARS] {
    let mut bars = [Bar::None; BARS];
    let mut at = 0;
    while at < BARS {
        let (low, low_mask) = probe(configuration, address, at);
        let is_wide = low & 0b111 == 0b100 && at + 1 < BARS;
        bars[at] = if low & 1 != 0 {
            let count = (!(low_mask & !3) as u16).wrapping_add(1);
            Bar::Ports { first: (low & !3) as u16, count }
        } else {
            let (high, high_mask) =
                if is_wide { probe(configuration, address, at + 1) } else { (0, u32::MAX) };
            let mask = u64::from(high_mask) << 32 | u64::from(low_mask & !15);
            Bar::Memory {
                address: u64::from(high) << 32 | u64::from(low & !15),
                bytes: (!mask).wrapping_add(1),
            }
        };
        if !is_real(bars[at], low_mask) {
            bars[at] = Bar::None;
        }
        at += if is_wide { 2 } else { 1 };
    }
    bars
}

/// The register's value, and which of its bits can be set.
fn probe(configuration: &mut impl Configuration, address: Address, bar: usize) -> (u32, u32) {
    let at = offset::FIRST_BAR + 4 * bar as u16;
    let value = configuration.read(address, at);
    configuration.write(address, at, u32::MAX);
    let mask = configuration.read(address, at);
    configuration.write(address, at, value);
    (value, mask)
}

/// Whether there is such a thing at a place that the firmware chose: sizes are powers of two, and places multiples of
/// them.
fn is_real(bar: Bar, mask: u32) -> bool {
    let (start, size) = match bar {
        Bar::None => return false,
        Bar::Ports { first, count } => (u64::from(first), u64::from(count)),
        Bar::Memory { address, bytes } => (address, bytes),
    };
    mask != 0 && start != 0 && size.is_power_of_two() && start.is_multiple_of(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Functions with registers of which some bits can be set.
    #[derive(Default)]
    struct Machine {
        words: BTreeMap<(Address, u16), u32>,
        masks: BTreeMap<(Address, u16), u32>,
        /// Registers were measured while the device answered.
        disturbed: bool,
    }

    impl Configuration for Machine {
        fn read(&mut self, address: Address, offset: u16) -> u32 {
            if !self.words.contains_key(&(address, 0)) {
                return u32::MAX;
            }
            self.words.get(&(address, offset)).copied().unwrap_or(0)
        }

        fn write(&mut self, address: Address, offset: u16, value: u32) {
            if (0x10..0x28).contains(&offset) {
                self.disturbed |= self.read(address, super::offset::COMMAND) & 3 != 0;
                let mask = self.masks.get(&(address, offset)).copied().unwrap_or(0);
                let fixed = self.read(address, offset) & !mask;
                self.words.insert((address, offset), fixed | value & mask);
            } else {
                self.words.insert((address, offset), value);
            }
        }
    }

    impl Machine {
        fn add(&mut self, address: Address, words: &[(u16, u32)]) {
            self.words.extend(words.iter().map(|(offset, value)| ((address, *offset), *value)));
        }

        fn add_bar(&mut self, address: Address, bar: u16, value: u32, mask: u32) {
            self.words.insert((address, 0x10 + 4 * bar), value);
            self.masks.insert((address, 0x10 + 4 * bar), mask);
        }
    }

    #[test]
    fn functions_behind_bridges_are_found() {
        let mut machine = Machine::default();
        machine.add(Address::new(0, 0, 0), &[(0, 0x29c0_8086)]);
        machine.add(Address::new(0, 3, 0), &[(0, 0x000c_1b36), (0x0c, 0x0081_0000), (0x18, 0x0001_0100)]);
        machine.add(Address::new(0, 3, 2), &[(0, 0x000c_1b36), (0x0c, 0x0001_0000), (0x18, 0x0000_0000)]);
        let card = Address::new(1, 0, 0);
        machine.add(card, &[(0, 0x1041_1af4), (4, 0x0010_0007), (0x0c, 0)]);
        machine.add_bar(card, 0, 0xc001, 0xffff_ffe0);
        machine.add_bar(card, 1, 0xfe00_0000, 0xffff_f000);
        machine.add_bar(card, 4, 0x4000_000c, 0xffff_c000);
        machine.add_bar(card, 5, 0x38, 0xffff_ffff);
        let found = scan(&mut machine);
        let places: Vec<_> = found.iter().map(|function| function.address).collect();
        assert_eq!(places, [Address::new(0, 0, 0), Address::new(0, 3, 0), Address::new(0, 3, 2), card]);
        let bars = found[3].bars;
        assert_eq!(bars[0], Bar::Ports { first: 0xc000, count: 32 });
        assert_eq!(bars[1], Bar::Memory { address: 0xfe00_0000, bytes: 4096 });
        assert_eq!(bars[4], Bar::Memory { address: 0x38_4000_0000, bytes: 0x4000 });
        assert_eq!((bars[2], bars[3], bars[5]), (Bar::None, Bar::None, Bar::None));
        assert!(!machine.disturbed, "a device was measured while it answered");
        assert_eq!(machine.read(card, 4) & 0xffff, 7);
        assert_eq!(machine.read(card, 0x20), 0x4000_000c);
    }

    proptest! {
        #[test]
        fn no_device_confuses_the_scan(
            words in prop::collection::vec((0_u16..64, any::<u32>()), 0..64),
            masks in prop::collection::vec(any::<u32>(), 6),
        ) {
            let mut machine = Machine::default();
            let address = Address::new(0, 1, 0);
            machine.add(address, &[(0, 0x1041_1af4)]);
            for (word, value) in words {
                machine.words.insert((address, 4 * word), value);
            }
            for (bar, mask) in (0..).zip(masks) {
                machine.masks.insert((address, 0x10 + 4 * bar), mask);
            }
            for function in scan(&mut machine) {
                for bar in function.bars {
                    if let Bar::Memory { address, bytes } = bar {
                        prop_assert!(address.checked_add(bytes - 1).is_some());
                    }
                }
            }
        }
    }
}
