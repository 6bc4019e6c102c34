//! The few facts that the kernel wants of ACPI: interrupt controllers and the high-precision timer. All else is the
//! supervisor's business.

use formats::{Fields, Memory, acpi};

/// I/O interrupt controllers used at most.
pub const IO_APICS: usize = 8;
/// Interrupts of the old kind.
pub const LEGACY_INTERRUPTS: usize = 16;

/// One I/O interrupt controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApic {
    /// Physical address of its registers.
    pub address: u64,
    /// The first interrupt line that it serves.
    pub first_line: u32,
}

/// How a legacy interrupt arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LegacyInterrupt {
    /// On which line.
    pub line: u32,
    /// Active low, not high.
    pub active_low: bool,
    /// Level-triggered, not edge-triggered.
    pub level_triggered: bool,
}

/// What was found. Missing tables leave what every PC has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Platform {
    /// Physical address of the local interrupt controller's registers.
    pub local_apic: u64,
    /// The I/O interrupt controllers, the first ones of them.
    pub io_apics: [Option<IoApic>; IO_APICS],
    /// The legacy interrupts by number.
    pub legacy: [LegacyInterrupt; LEGACY_INTERRUPTS],
    /// Physical address of the high-precision timer's registers.
    pub timer: Option<u64>,
    /// Processors that may be used.
    pub processors: u32,
}

impl Default for Platform {
    fn default() -> Platform {
        let legacy =
            |number| LegacyInterrupt { line: number as u32, active_low: false, level_triggered: false };
        Platform {
            local_apic: 0xfee0_0000,
            io_apics: [None; IO_APICS],
            legacy: core::array::from_fn(legacy),
            timer: None,
            processors: 1,
        }
    }
}

const MADT_PROCESSOR: u8 = 0;
const MADT_IO_APIC: u8 = 1;
const MADT_OVERRIDE: u8 = 2;
const MADT_LOCAL_APIC_ADDRESS: u8 = 5;

/// Memory, in a generic address.
const SPACE_MEMORY: u8 = 0;

impl Platform {
    /// Reads the tables that the root table at `root_table` lists.
    pub fn read(memory: impl Memory, root_table: Option<u64>) -> Platform {
        let mut platform = Platform::default();
        for table in root_table.into_iter().flat_map(|address| acpi::tables(memory, address)) {
            let table = table.as_ref();
            // A short table gives what it holds.
            let _ = match &table[..4] {
                b"APIC" => platform.read_interrupts(table),
                b"HPET" => platform.read_timer(table),
                _ => None,
            };
        }
        platform
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
                MADT_IO_APIC => {
                    let found = IoApic { address: entry.word(4)?.into(), first_line: entry.word(8)? };
                    if let Some(place) = self.io_apics.iter_mut().find(|place| place.is_none()) {
                        *place = Some(found);
                    }
                }
                MADT_OVERRIDE => {
                    let flags = entry.half(8)?;
                    *self.legacy.get_mut(usize::from(entry.byte(3)?))? = LegacyInterrupt {
                        line: entry.word(4)?,
                        active_low: flags & 3 == 3,
                        level_triggered: flags >> 2 & 3 == 3,
                    };
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

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use formats::acpi::HEADER_BYTES;
    use std::vec;
    use std::vec::Vec;

    fn interrupts() -> Vec<u8> {
        let mut madt = vec![0; HEADER_BYTES];
        madt.extend([0, 0, 0xe0, 0xfe, 1, 0, 0, 0]);
        madt.extend([0, 8, 0, 0, 1, 0, 0, 0]);
        madt.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
        madt.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
        madt.extend([2, 10, 0, 9, 9, 0, 0, 0, 15, 0]);
        madt
    }

    #[test]
    fn the_tables_are_read() {
        let mut platform = Platform::default();
        platform.read_interrupts(&interrupts());
        assert_eq!(platform.local_apic, 0xfee0_0000);
        assert_eq!(platform.io_apics[0], Some(IoApic { address: 0xfec0_0000, first_line: 0 }));
        assert_eq!(platform.io_apics[1], None);
        assert_eq!(platform.legacy[0].line, 2);
        let nine = platform.legacy[9];
        assert!(nine.line == 9 && nine.level_triggered && nine.active_low);
        assert_eq!(platform.legacy[4].line, 4);
        let mut hpet = vec![0; HEADER_BYTES + 20];
        hpet[44..52].copy_from_slice(&0xfed0_0000u64.to_le_bytes());
        platform.read_timer(&hpet);
        assert_eq!((platform.timer, platform.processors), (Some(0xfed0_0000), 1));
    }

    #[test]
    fn no_damage_makes_the_reader_fail_badly() {
        let intact = interrupts();
        for at in 0..intact.len() {
            let _ = Platform::default().read_interrupts(&intact[..at]);
            let _ = Platform::default().read_timer(&intact[..at]);
            for value in [0, 1, 2, 0xff] {
                let mut damaged = intact.clone();
                damaged[at] = value;
                let _ = Platform::default().read_interrupts(&damaged);
            }
        }
    }
}
