//! The few facts that the kernel wants of ACPI: interrupt controllers and the high-precision timer. All else is the
//! supervisor's business.

use crate::{Fields, Memory};

/// Controllers and overrides kept at most.
const CAPACITY: usize = 16;

/// One I/O interrupt controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IoApic {
    /// Physical address of its registers.
    pub address: u64,
    /// The first interrupt line that it serves.
    pub first_line: u32,
}

/// A legacy interrupt that arrives on another line, or otherwise than edge-triggered and active high.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Override {
    /// The legacy interrupt, 0 to 15.
    pub legacy: u8,
    /// The line it arrives on.
    pub line: u32,
    /// Active low.
    pub active_low: bool,
    /// Level-triggered.
    pub level_triggered: bool,
}

/// What was found. Missing tables leave what every PC has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Platform {
    /// Physical address of the local interrupt controller's registers.
    pub local_apic: u64,
    io_apics: [IoApic; CAPACITY],
    io_apic_count: usize,
    overrides: [Override; CAPACITY],
    override_count: usize,
    /// Physical address of the high-precision timer's registers.
    pub timer: Option<u64>,
    /// Processors that may be used.
    pub processors: u32,
}

impl Default for Platform {
    fn default() -> Platform {
        Platform {
            local_apic: 0xfee0_0000,
            io_apics: [IoApic::default(); CAPACITY],
            io_apic_count: 0,
            overrides: [Override::default(); CAPACITY],
            override_count: 0,
            timer: None,
            processors: 1,
        }
    }
}

const HEADER_BYTES: usize = 36;
/// Longest table read.
const TABLE_BYTES_LIMIT: usize = 4 << 20;

const MADT_PROCESSOR: u8 = 0;
const MADT_IO_APIC: u8 = 1;
const MADT_OVERRIDE: u8 = 2;
const MADT_LOCAL_APIC_ADDRESS: u8 = 5;

/// Memory, in a generic address.
const SPACE_MEMORY: u8 = 0;

impl Platform {
    /// Reads the tables that `root_pointer` leads to, or that a scan of the firmware's areas finds.
    pub fn read(memory: &impl Memory, root_pointer: Option<u64>) -> Platform {
        let mut platform = Platform::default();
        if let Some(address) = root_pointer.or_else(|| find_root_pointer(memory)) {
            // A table that cannot be read ends the reading; what was found counts.
            let _ = platform.read_all(memory, address);
        }
        platform
    }

    /// The I/O interrupt controllers.
    pub fn io_apics(&self) -> &[IoApic] {
        &self.io_apics[..self.io_apic_count]
    }

    /// Where legacy interrupt `legacy` arrives, and how.
    pub fn legacy_interrupt(&self, legacy: u8) -> Override {
        self.overrides[..self.override_count]
            .iter()
            .copied()
            .find(|entry| entry.legacy == legacy)
            .unwrap_or(Override { legacy, line: legacy.into(), active_low: false, level_triggered: false })
    }

    fn read_all(&mut self, memory: &impl Memory, root_pointer: u64) -> Option<()> {
        let root = memory.bytes(root_pointer, 20)?;
        if !root.starts_with(b"RSD PTR ") || !sums_to_zero(root) {
            return None;
        }
        let (list, width) = if root.byte(15)? >= 2 {
            (memory.bytes(root_pointer, 36)?.double(24)?, 8)
        } else {
            (root.word(16)?.into(), 4)
        };
        for entry in table(memory, list)?.get(HEADER_BYTES..)?.chunks_exact(width) {
            let address = entry.double(0).or_else(|| entry.word(0).map(u64::from))?;
            let Some(found) = table(memory, address) else {
                continue;
            };
            // As above: a short table gives what it holds.
            let _ = match &found[..4] {
                b"APIC" => self.read_interrupts(found),
                b"HPET" => self.read_timer(found),
                _ => None,
            };
        }
        Some(())
    }

    fn read_interrupts(&mut self, madt: &[u8]) -> Option<()> {
        self.local_apic = madt.word(36)?.into();
        self.processors = 0;
        let mut at = 44;
        while let (Some(kind), Some(length)) = (madt.byte(at), madt.byte(at + 1)) {
            let length = usize::from(length);
            let entry = madt.get(at..at + length).filter(|entry| entry.len() >= 2)?;
            match kind {
                MADT_PROCESSOR => self.processors += entry.word(4)? & 1,
                MADT_IO_APIC if self.io_apic_count < CAPACITY => {
                    self.io_apics[self.io_apic_count] =
                        IoApic { address: entry.word(4)?.into(), first_line: entry.word(8)? };
                    self.io_apic_count += 1;
                }
                MADT_OVERRIDE if self.override_count < CAPACITY => {
                    let flags = entry.half(8)?;
                    self.overrides[self.override_count] = Override {
                        legacy: entry.byte(3)?,
                        line: entry.word(4)?,
                        active_low: flags & 3 == 3,
                        level_triggered: flags >> 2 & 3 == 3,
                    };
                    self.override_count += 1;
                }
                MADT_LOCAL_APIC_ADDRESS => self.local_apic = entry.double(4)?,
                _ => {}
            }
            at += length;
        }
        Some(())
    }

    fn read_timer(&mut self, hpet: &[u8]) -> Option<()> {
        if hpet.byte(40)? == SPACE_MEMORY {
            self.timer = Some(hpet.double(44)?).filter(|address| *address != 0);
        }
        Some(())
    }
}

/// The table at `address`, if its length and checksum are right.
fn table(memory: &impl Memory, address: u64) -> Option<&[u8]> {
    let length = memory.bytes(address, HEADER_BYTES)?.word(4)? as usize;
    if !(HEADER_BYTES..=TABLE_BYTES_LIMIT).contains(&length) {
        return None;
    }
    memory.bytes(address, length).filter(|bytes| sums_to_zero(bytes))
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

/// The root pointer lies on a 16-byte boundary in the first KiB of the extended BIOS area or below 1 MiB.
fn find_root_pointer(memory: &impl Memory) -> Option<u64> {
    let extended = u64::from(memory.bytes(0x40e, 2)?.half(0)?) << 4;
    (extended..extended + 1024).chain(0xe_0000..0x10_0000).step_by(16).find(|address| {
        memory.bytes(*address, 20).is_some_and(|bytes| bytes.starts_with(b"RSD PTR ") && sums_to_zero(bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    struct Bytes(Vec<u8>);

    impl Memory for Bytes {
        fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
            self.0.get(usize::try_from(address).ok()?..)?.get(..length)
        }
    }

    impl Bytes {
        fn put(&mut self, at: usize, bytes: &[u8]) {
            self.0[at..at + bytes.len()].copy_from_slice(bytes);
        }

        /// A table with `body` after its header, checksum right.
        fn put_table(&mut self, at: usize, name: [u8; 4], body: &[u8]) {
            self.put(at, &name);
            self.put(at + 4, &((HEADER_BYTES + body.len()) as u32).to_le_bytes());
            self.put(at + HEADER_BYTES, body);
            let sum = self.0[at..at + HEADER_BYTES + body.len()]
                .iter()
                .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
            self.0[at + 9] = 0u8.wrapping_sub(sum);
        }
    }

    fn machine() -> Bytes {
        let mut memory = Bytes(vec![0; 4096]);
        memory.put(0, b"RSD PTR ");
        memory.put(16, &64u32.to_le_bytes());
        let sum = memory.0[..20].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        memory.0[8] = 0u8.wrapping_sub(sum);
        let list: Vec<u8> = [256u32, 512, 4000].iter().flat_map(|address| address.to_le_bytes()).collect();
        memory.put_table(64, *b"RSDT", &list);

        let mut madt = vec![0, 0, 0xe0, 0xfe, 1, 0, 0, 0];
        madt.extend([0, 8, 0, 0, 1, 0, 0, 0]);
        madt.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
        madt.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
        madt.extend([2, 10, 0, 9, 9, 0, 0, 0, 15, 0]);
        memory.put_table(256, *b"APIC", &madt);

        let mut hpet = vec![0; 20];
        hpet[8..16].copy_from_slice(&0xfed0_0000u64.to_le_bytes());
        memory.put_table(512, *b"HPET", &hpet);

        memory
    }

    #[test]
    fn the_tables_are_read() {
        let platform = Platform::read(&machine(), Some(0));
        assert_eq!(platform.local_apic, 0xfee0_0000);
        assert_eq!(platform.io_apics(), [IoApic { address: 0xfec0_0000, first_line: 0 }]);
        assert_eq!(platform.legacy_interrupt(0).line, 2);
        let nine = platform.legacy_interrupt(9);
        assert!(nine.line == 9 && nine.level_triggered && nine.active_low);
        assert_eq!(platform.legacy_interrupt(4).line, 4);
        assert_eq!((platform.timer, platform.processors), (Some(0xfed0_0000), 1));
    }

    #[test]
    fn a_broken_table_is_left_out() {
        let mut memory = machine();
        memory.0[512 + 20] ^= 1;
        let platform = Platform::read(&memory, Some(0));
        assert_eq!((platform.timer, platform.io_apics().len()), (None, 1));
        assert_eq!(Platform::read(&memory, Some(8)), Platform::default());
        assert_eq!(Platform::read(&Bytes(Vec::new()), None), Platform::default());
    }

    #[test]
    fn no_damage_makes_the_reader_fail_badly() {
        let intact = machine();
        for (start, end) in [(64, 128), (256, 400), (512, 568)] {
            for at in start..end {
                for value in [0, 1, 2, 0xff] {
                    let mut memory = Bytes(intact.0.clone());
                    memory.0[at] = value;
                    // Checksums would hide what comes after them: mend the table that was hit.
                    let length = memory.0[start..].word(4).unwrap_or(0) as usize;
                    if let Some(table) = memory.0.get_mut(start..start.saturating_add(length))
                        && table.len() > 9
                    {
                        table[9] = 0;
                        table[9] =
                            0u8.wrapping_sub(table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
                    }
                    let _ = Platform::read(&memory, Some(0));
                }
            }
        }
    }
}
