//! What ACPI's tables say about switching the machine off and restarting it.
//!
//! Only static tables are read, and of the machine language in the DSDT only the package `\_S5`, whose two first
//! numbers are the sleep types of "off". Nothing in it is run, so a firmware that wants its `_PTS` method run first
//! is not served. The tables are the firmware's; they are checked like everything that comes from outside: signature,
//! length, checksum, and a table is never read beyond [`MAX_TABLE_BYTES`].

use alloc::vec::Vec;

/// Reads physical memory; none if it can't be had.
pub trait PhysicalMemory {
    /// Copies `bytes` bytes from `address` on.
    fn read(&mut self, address: u64, bytes: usize) -> Option<Vec<u8>>;
}

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

/// Where a PC's firmware leaves the root pointer.
pub const ROOT_AREA: (u64, usize) = (0xe_0000, 0x2_0000);

const MAX_TABLE_BYTES: u32 = 4 * 1024 * 1024;
const HEADER_BYTES: usize = 36;
const RESET_SUPPORTED: u32 = 1 << 10;

/// Finds and reads the tables. None if there are none, or none that can be believed.
pub fn read(memory: &mut impl PhysicalMemory) -> Option<Power> {
    let area = memory.read(ROOT_AREA.0, ROOT_AREA.1)?;
    let (root, entry_bytes) = root_table(&area)?;
    let root = table(memory, root)?;
    let signature: &[u8; 4] = if entry_bytes == 8 { b"XSDT" } else { b"RSDT" };
    if !root.starts_with(signature) {
        return None;
    }
    for entry in root[HEADER_BYTES..].chunks_exact(entry_bytes) {
        let address = if entry_bytes == 8 { u64_at(entry, 0)? } else { u64::from(u32_at(entry, 0)?) };
        let Some(found) = table(memory, address) else {
            continue;
        };
        if found.starts_with(b"FACP") {
            return fixed_table(memory, &found);
        }
    }
    None
}

/// The address of the root table and the size of its entries.
fn root_table(area: &[u8]) -> Option<(u64, usize)> {
    const FIRST_VERSION_BYTES: usize = 20;
    (0..area.len()).step_by(16).find_map(|at| {
        let candidate = &area[at..];
        if !candidate.starts_with(b"RSD PTR ") || !sums_to_zero(candidate.get(..FIRST_VERSION_BYTES)?) {
            return None;
        }
        let extended = || {
            let whole = candidate.get(..u32_at(candidate, 20)? as usize)?;
            let address = u64_at(whole, 24).filter(|address| *address != 0)?;
            sums_to_zero(whole).then_some(address)
        };
        let is_extended = candidate[15] >= 2;
        match is_extended.then(extended).flatten() {
            Some(address) => Some((address, 8)),
            None => Some((u64::from(u32_at(candidate, 16)?), 4)),
        }
    })
}

/// A whole table, its length and checksum right.
fn table(memory: &mut impl PhysicalMemory, address: u64) -> Option<Vec<u8>> {
    let header = memory.read(address, HEADER_BYTES)?;
    let bytes = u32_at(&header, 4).filter(|bytes| (HEADER_BYTES as u32..=MAX_TABLE_BYTES).contains(bytes))?;
    let table = memory.read(address, bytes as usize)?;
    (table.len() == bytes as usize && sums_to_zero(&table)).then_some(table)
}

/// Reads the "fixed ACPI description table", and the DSDT that it names.
fn fixed_table(memory: &mut impl PhysicalMemory, fixed: &[u8]) -> Option<Power> {
    let flags = u32_at(fixed, 112).unwrap_or(0);
    let reset = (flags & RESET_SUPPORTED != 0)
        .then(|| Some((generic_register(fixed, 116)?, *fixed.get(128)?)))
        .flatten();
    let enable_port = port(u32_at(fixed, 48)?);
    let enable_value = *fixed.get(52)?;
    let description_address =
        u64_at(fixed, 140).filter(|address| *address != 0).or_else(|| u32_at(fixed, 40).map(u64::from))?;
    Some(Power {
        control_a: control(fixed, 172, 64),
        control_b: control(fixed, 184, 68),
        off_types: table(memory, description_address).and_then(|description| off_types(&description)),
        enable: enable_port.filter(|_| enable_value != 0).map(|port| (port, enable_value)),
        reset,
    })
}

/// A control block's port: the extended field's, where it is filled in, else the old field's.
fn control(fixed: &[u8], extended: usize, old: usize) -> Option<u16> {
    match generic_register(fixed, extended) {
        Some(Register::Port(port)) => Some(port),
        _ => port(u32_at(fixed, old)?),
    }
}

fn port(number: u32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port != 0)
}

/// A "generic address structure"; none if it is empty or of a kind that a PC doesn't have.
fn generic_register(table: &[u8], at: usize) -> Option<Register> {
    let address = u64_at(table, at + 4).filter(|address| *address != 0)?;
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

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)) == 0
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|eight| u64::from_le_bytes(*eight))
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use proptest::prelude::*;
    use std::vec;

    /// The first megabyte and a bit, with tables like those of QEMU's q35.
    struct Machine(Vec<u8>);

    const ROOT_AT: usize = 0xf_5a00;
    const RSDT_AT: usize = 0x10_1000;
    const XSDT_AT: usize = 0x10_1800;
    const FIXED_AT: usize = 0x10_2000;
    const DSDT_AT: usize = 0x10_3000;

    impl PhysicalMemory for Machine {
        fn read(&mut self, address: u64, bytes: usize) -> Option<Vec<u8>> {
            let begin = usize::try_from(address).ok()?;
            self.0.get(begin..)?.get(..bytes).map(<[u8]>::to_vec)
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

        fn put_root(&mut self, version: u8) {
            let mut root = vec![0; 36];
            root[..8].copy_from_slice(b"RSD PTR ");
            root[15] = version;
            root[16..20].copy_from_slice(&(RSDT_AT as u32).to_le_bytes());
            root[8] = 0_u8.wrapping_sub(root[..20].iter().fold(0, |sum, byte| sum.wrapping_add(*byte)));
            root[20] = 36;
            root[24..32].copy_from_slice(&(XSDT_AT as u64).to_le_bytes());
            root[32] = 0_u8.wrapping_sub(root.iter().fold(0, |sum, byte| sum.wrapping_add(*byte)));
            self.put(ROOT_AT, &root);
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

    fn machine() -> Machine {
        let mut machine = Machine(vec![0; 0x10_4000]);
        machine.put_root(0);
        let entries = [0_u32, FIXED_AT as u32];
        machine.put_table(
            RSDT_AT,
            b"RSDT",
            &entries.iter().flat_map(|entry| entry.to_le_bytes()).collect::<Vec<_>>(),
        );
        machine.put_table(XSDT_AT, b"XSDT", &(FIXED_AT as u64).to_le_bytes());
        machine.put_table(FIXED_AT, b"FACP", &fixed());
        machine.put_table(DSDT_AT, b"DSDT", b"junk _S5_ \x08_S5_\x12\x07\x04\x0a\x05\x0b\x06\0\0\0");
        machine
    }

    #[test]
    fn tables_of_both_versions_are_read() {
        let mut machine = machine();
        let expected = Power {
            control_a: Some(0x604),
            control_b: None,
            off_types: Some((5, 6)),
            enable: Some((0xb2, 2)),
            reset: Some((Register::Port(0xcf9), 0xf)),
        };
        assert_eq!(read(&mut machine), Some(expected));
        machine.put_root(2);
        machine.put(RSDT_AT, b"gone");
        assert_eq!(read(&mut machine), Some(expected));
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
        let power = read(&mut machine).unwrap();
        assert_eq!((power.control_a, power.off_types), (Some(0x1804), Some((0, 1))));
        assert_eq!(power.reset, Some((Register::Memory(0xcf9), 0xf)));
    }

    #[test]
    fn a_wrong_checksum_is_not_believed() {
        for at in [ROOT_AT + 16, RSDT_AT + 40, FIXED_AT + 64] {
            let mut machine = machine();
            machine.0[at] ^= 1;
            assert_eq!(read(&mut machine), None);
        }
        let mut machine = machine();
        machine.0[DSDT_AT + 40] ^= 1;
        assert_eq!(read(&mut machine).unwrap().off_types, None);
    }

    proptest! {
        #[test]
        fn no_table_confuses_the_reader(at in 0..400_usize, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            for table in [ROOT_AT, RSDT_AT, FIXED_AT, DSDT_AT] {
                let mut machine = machine();
                machine.put(table + at, &bytes);
                let _ = read(&mut machine);
            }
            let mut fixed = fixed();
            fixed.truncate(at);
            let mut machine = machine();
            machine.put_table(FIXED_AT, b"FACP", &fixed);
            let _ = read(&mut machine);
            let _ = off_types(&bytes);
            let _ = off_types(&[b"\x08_S5_\x12".as_slice(), &bytes].concat());
        }
    }
}
