//! What ACPI's tables say about switching the machine off and restarting it, and where PCI configuration space is.
//!
//! Only static tables are read, and of the machine language in the DSDT only the package `\_S5`, whose two first
//! numbers are the sleep types of "off". Nothing in it is run, so a firmware that wants its `_PTS` method run first
//! is not served. The tables are the firmware's, and checked like everything that comes from outside.

use formats::{Fields, Memory, acpi};

/// A register as the tables describe it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// An I/O port.
    Port(u16),
    /// A place in physical memory.
    Memory(u64),
}

/// How to switch off and restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Power {
    /// The control port of block a.
    pub control_a: Option<u16>,
    /// The control port of block b, where there is one.
    pub control_b: Option<u16>,
    /// Sleep types of "off" for a and b.
    pub off_types: Option<(u8, u8)>,
    /// Port and value that turn ACPI on, where it must be turned on.
    pub enable: Option<(u16, u8)>,
    /// Register and value that restart the machine.
    pub reset: Option<(Register, u8)>,
}

const RESET_SUPPORTED: u32 = 1 << 10;

/// What the tables that the root table at `root_table` lists say about power. None if there are none that can be
/// believed.
pub fn read(memory: impl Memory, root_table: Option<u64>) -> Option<Power> {
    let fixed = acpi::tables(memory, root_table?).find(|table| table.as_ref().starts_with(b"FACP"))?;
    fixed_table(memory, fixed.as_ref())
}

/// The part of PCI configuration space that is reached as memory: 4 KiB for each function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EnhancedConfiguration {
    /// Where bus 0 would be.
    base: u64,
    first_bus: u8,
    last_bus: u8,
}

impl EnhancedConfiguration {
    /// Where a function's 4 KiB are; none if its bus is elsewhere.
    pub fn function(&self, address: pci::Address) -> Option<u64> {
        let is_here = (self.first_bus..=self.last_bus).contains(&address.bus());
        is_here.then(|| self.base + (u64::from(address.to_bits()) << 12))
    }
}

/// Where configuration space of the first PCI segment is in memory. None if the tables do not say, or nothing that
/// makes sense.
pub fn enhanced_configuration(memory: impl Memory, root_table: Option<u64>) -> Option<EnhancedConfiguration> {
    const FIRST_ENTRY: usize = acpi::HEADER_BYTES + 8;
    const ENTRY_BYTES: usize = 16;
    const ALL_BUSES_BYTES: u64 = 256 << 20;
    let table = acpi::tables(memory, root_table?).find(|table| table.as_ref().starts_with(b"MCFG"))?;
    table.as_ref().get(FIRST_ENTRY..)?.chunks_exact(ENTRY_BYTES).find_map(|entry| {
        let (base, segment) = (entry.double(0)?, entry.word(8)? & 0xffff);
        let fits = base != 0 && base.is_multiple_of(1 << 20) && base.checked_add(ALL_BUSES_BYTES).is_some();
        (segment == 0 && fits).then_some(EnhancedConfiguration {
            base,
            first_bus: entry[10],
            last_bus: entry[11],
        })
    })
}

/// Reads the "fixed ACPI description table", and the DSDT that it names.
fn fixed_table(memory: impl Memory, fixed: &[u8]) -> Option<Power> {
    let flags = fixed.word(112).unwrap_or(0);
    let reset = (flags & RESET_SUPPORTED != 0)
        .then(|| Some((generic_register(fixed, 116)?, fixed.byte(128)?)))
        .flatten();
    let enable_port = port(fixed.word(48)?);
    let enable_value = fixed.byte(52)?;
    let description_address =
        fixed.double(140).filter(|address| *address != 0).or_else(|| fixed.word(40).map(u64::from))?;
    Some(Power {
        control_a: control(fixed, 172, 64),
        control_b: control(fixed, 184, 68),
        off_types: acpi::table(memory, description_address).and_then(|code| off_types(code.as_ref())),
        enable: enable_port.filter(|_| enable_value != 0).map(|port| (port, enable_value)),
        reset,
    })
}

/// A control block's port: the extended field's, where it is filled in, else the old field's.
fn control(fixed: &[u8], extended: usize, old: usize) -> Option<u16> {
    match generic_register(fixed, extended) {
        Some(Register::Port(port)) => Some(port),
        _ => port(fixed.word(old)?),
    }
}

fn port(number: u32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port != 0)
}

/// A "generic address structure"; none if it is empty or of a kind that a PC doesn't have.
fn generic_register(table: &[u8], at: usize) -> Option<Register> {
    let address = table.double(at + 4).filter(|address| *address != 0)?;
    match table.get(at)? {
        0 => Some(Register::Memory(address)),
        1 => u16::try_from(address).ok().map(Register::Port),
        _ => None,
    }
}

/// The two first numbers of the package named `_S5_`.
fn off_types(code: &[u8]) -> Option<(u8, u8)> {
    const NAME_OPERATION: u8 = 0x08;
    const PACKAGE_OPERATION: u8 = 0x12;
    const NAME: &[u8] = b"_S5_";
    code.windows(NAME.len()).enumerate().find_map(|(at, window)| {
        let named = matches!(code.get(..at)?, [.., NAME_OPERATION] | [.., NAME_OPERATION, b'\\']);
        if window != NAME || !named {
            return None;
        }
        let rest = code.get(at + NAME.len()..)?;
        let (&PACKAGE_OPERATION, rest) = rest.split_first()? else {
            return None;
        };
        // The two top bits of the package's length say how many bytes of it follow; then comes the element count.
        let length_bytes = 1 + usize::from(rest.first()? >> 6);
        let (first, rest) = integer(rest.get(length_bytes + 1..)?)?;
        let (second, _) = integer(rest)?;
        Some((first & 7, second & 7))
    })
}

/// A small constant of the machine language, and what follows it.
fn integer(code: &[u8]) -> Option<(u8, &[u8])> {
    match code {
        [value @ (0 | 1), rest @ ..] | [0x0a, value, rest @ ..] | [0x0b, value, _, rest @ ..] => {
            Some((*value, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use formats::acpi::HEADER_BYTES;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// Memory with tables like those of QEMU's q35.
    struct Machine(Vec<u8>);

    const ROOT: Option<u64> = Some(0x1000);
    const RSDT_AT: usize = 0x1000;
    const FIXED_AT: usize = 0x2000;
    const DSDT_AT: usize = 0x3000;
    const MCFG_AT: usize = 0x3800;

    impl Memory for &Machine {
        type Bytes = Vec<u8>;

        fn bytes(self, address: u64, length: usize) -> Option<Vec<u8>> {
            let begin = usize::try_from(address).ok()?;
            self.0.get(begin..)?.get(..length).map(<[u8]>::to_vec)
        }
    }

    impl Machine {
        fn put(&mut self, at: usize, bytes: &[u8]) {
            self.0[at..at + bytes.len()].copy_from_slice(bytes);
        }

        fn put_table(&mut self, at: usize, signature: &[u8], content: &[u8]) {
            let mut table = vec![0; HEADER_BYTES];
            table[..4].copy_from_slice(signature);
            table[4..8].copy_from_slice(&((HEADER_BYTES + content.len()) as u32).to_le_bytes());
            table.extend(content);
            table[9] = 0_u8.wrapping_sub(table.iter().fold(0, |sum, byte| sum.wrapping_add(*byte)));
            self.put(at, &table);
        }
    }

    fn fixed() -> Vec<u8> {
        let mut fixed = vec![0; 244];
        fixed[40..44].copy_from_slice(&(DSDT_AT as u32).to_le_bytes());
        fixed[48] = 0xb2;
        fixed[52] = 2;
        fixed[64..66].copy_from_slice(&0x604_u16.to_le_bytes());
        fixed[112..116].copy_from_slice(&RESET_SUPPORTED.to_le_bytes());
        fixed[116] = 1;
        fixed[120..122].copy_from_slice(&0xcf9_u16.to_le_bytes());
        fixed[128] = 0xf;
        fixed.drain(..HEADER_BYTES);
        fixed
    }

    fn configuration(base: u64, segment: u8, first_bus: u8, last_bus: u8) -> Vec<u8> {
        [[0; 8], base.to_le_bytes(), [segment, 0, first_bus, last_bus, 0, 0, 0, 0]].concat()
    }

    fn machine() -> Machine {
        let mut machine = Machine(vec![0; 0x4000]);
        let entries = [0_u32, FIXED_AT as u32, MCFG_AT as u32];
        machine.put_table(
            RSDT_AT,
            b"RSDT",
            &entries.iter().flat_map(|entry| entry.to_le_bytes()).collect::<Vec<_>>(),
        );
        machine.put_table(MCFG_AT, b"MCFG", &configuration(0xb000_0000, 0, 0, 255));
        machine.put_table(FIXED_AT, b"FACP", &fixed());
        machine.put_table(DSDT_AT, b"DSDT", b"junk _S5_ \x08_S5_\x12\x07\x04\x0a\x05\x0b\x06\0\0\0");
        machine
    }

    #[test]
    fn the_tables_say_how_to_switch_off() {
        let expected = Power {
            control_a: Some(0x604),
            control_b: None,
            off_types: Some((5, 6)),
            enable: Some((0xb2, 2)),
            reset: Some((Register::Port(0xcf9), 0xf)),
        };
        assert_eq!(read(&machine(), ROOT), Some(expected));
        assert_eq!(read(&machine(), None), None);
    }

    #[test]
    fn configuration_space_is_found() {
        let mut machine = machine();
        let found = enhanced_configuration(&machine, ROOT).unwrap();
        let function = pci::Address::new(1, 2, 3);
        assert_eq!(found.function(function), Some(0xb011_3000));
        machine.put_table(MCFG_AT, b"MCFG", &configuration(0xb000_0000, 0, 2, 4));
        assert_eq!(enhanced_configuration(&machine, ROOT).unwrap().function(function), None);
        for (base, segment) in [(0, 0), (0xb000_1000, 0), (0xffff_ffff_fff0_0000, 0), (0xb000_0000, 1)] {
            machine.put_table(MCFG_AT, b"MCFG", &configuration(base, segment, 0, 255));
            assert_eq!(enhanced_configuration(&machine, ROOT), None, "{base:#x}, segment {segment}");
        }
        assert_eq!(enhanced_configuration(&machine, None), None);
    }

    #[test]
    fn extended_fields_come_first() {
        let mut machine = machine();
        let mut content = fixed();
        content[140 - HEADER_BYTES..][..4].copy_from_slice(&(DSDT_AT as u32 + 0x800).to_le_bytes());
        content[172 - HEADER_BYTES] = 1;
        content[176 - HEADER_BYTES..][..2].copy_from_slice(&0x1804_u16.to_le_bytes());
        content[116 - HEADER_BYTES] = 0;
        machine.put_table(FIXED_AT, b"FACP", &content);
        machine.put_table(DSDT_AT + 0x800, b"DSDT", b"\x08\\_S5_\x12\x06\x04\x00\x01\0\0");
        let power = read(&machine, ROOT).unwrap();
        assert_eq!((power.control_a, power.off_types), (Some(0x1804), Some((0, 1))));
        assert_eq!(power.reset, Some((Register::Memory(0xcf9), 0xf)));
    }

    #[test]
    fn a_wrong_checksum_is_not_believed() {
        for at in [RSDT_AT + 40, FIXED_AT + 64] {
            let mut machine = machine();
            machine.0[at] ^= 1;
            assert_eq!(read(&machine, ROOT), None);
        }
        let mut machine = machine();
        machine.0[DSDT_AT + 40] ^= 1;
        assert_eq!(read(&machine, ROOT).unwrap().off_types, None);
    }

    proptest! {
        #[test]
        fn no_table_confuses_the_reader(at in 0..400_usize, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            for table in [RSDT_AT, FIXED_AT, DSDT_AT] {
                let mut machine = machine();
                machine.put(table + at, &bytes);
                let _ = read(&machine, ROOT);
            }
            let mut fixed = fixed();
            fixed.truncate(at);
            let mut machine = machine();
            machine.put_table(MCFG_AT, b"MCFG", &bytes);
            let _ = enhanced_configuration(&machine, ROOT);
            machine.put_table(FIXED_AT, b"FACP", &fixed);
            let _ = read(&machine, ROOT);
            let _ = off_types(&bytes);
            let _ = off_types(&[b"\x08_S5_\x12".as_slice(), &bytes].concat());
        }
    }
}
