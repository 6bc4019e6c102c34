//! The I/O interrupt controllers: device lines (global system interrupts) to vectors of this processor.
//!
//! A line's vector is [`vector::FIRST_LINE`] plus its number, so the vector tells the line without a table. Lines are
//! masked until a driver claims them.

use firmware::acpi::Platform;

use crate::device::Registers;
use crate::interrupt_table::vector;

const SELECT: usize = 0;
const WINDOW: usize = 0x10;
const VERSION: u32 = 1;
const FIRST_ENTRY: u32 = 0x10;

const MASKED: u32 = 1 << 16;
const LEVEL_TRIGGERED: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

/// Controllers used at most.
const CONTROLLERS: usize = 8;
/// Lines that have a vector.
const LINES: u32 = (vector::LINES_END - vector::FIRST_LINE) as u32;
/// Interrupts of the old kind: edge-triggered and active high unless ACPI says otherwise.
const LEGACY: u8 = 16;

#[derive(Clone, Copy, Debug)]
struct Controller {
    registers: Registers,
    first_line: u32,
    lines: u32,
}

/// All of them.
#[derive(Clone, Copy, Debug)]
pub struct IoApics {
    controllers: [Option<Controller>; CONTROLLERS],
}

impl IoApics {
    /// Masks every line and gives it its vector, to go to the processor whose controller is `identity`. `map` makes a
    /// controller's registers accessible.
    pub fn initialize(platform: &Platform, identity: u32, mut map: impl FnMut(u64) -> Registers) -> IoApics {
        let mut all = IoApics {
            controllers: [None; CONTROLLERS],
        };
        for (place, found) in all.controllers.iter_mut().zip(platform.io_apics()) {
            let registers = map(found.address);
            registers.write(SELECT, VERSION);
            let lines = (registers.read(WINDOW) >> 16 & 0xff) + 1;
            *place = Some(Controller {
                registers,
                first_line: found.first_line,
                lines: lines.min(LINES.saturating_sub(found.first_line)),
            });
        }
        for controller in all.controllers.iter().flatten() {
            for entry in 0..controller.lines {
                let line = controller.first_line + entry;
                let low = MASKED | (u32::from(vector::FIRST_LINE) + line) | trigger(platform, line);
                controller.write_entry(entry, 0, low);
                controller.write_entry(entry, 1, identity << 24);
            }
        }
        all
    }

    /// Lets a line through or holds it back; false if there is no such line.
    pub fn set_masked(&self, line: u32, masked: bool) -> bool {
        let found = self.controllers.iter().flatten().find(|controller| {
            line.checked_sub(controller.first_line)
                .is_some_and(|entry| entry < controller.lines)
        });
        let Some(controller) = found else {
            return false;
        };
        let entry = line - controller.first_line;
        let low = controller.read_entry(entry, 0);
        controller.write_entry(entry, 0, if masked { low | MASKED } else { low & !MASKED });
        true
    }
}

impl Controller {
    fn read_entry(&self, entry: u32, half: u32) -> u32 {
        self.registers.write(SELECT, FIRST_ENTRY + entry * 2 + half);
        self.registers.read(WINDOW)
    }

    fn write_entry(&self, entry: u32, half: u32, value: u32) {
        self.registers.write(SELECT, FIRST_ENTRY + entry * 2 + half);
        self.registers.write(WINDOW, value);
    }
}

/// How a line is triggered: legacy interrupts as ACPI says, all others as PCI's are.
fn trigger(platform: &Platform, line: u32) -> u32 {
    let legacy = (0..LEGACY)
        .map(|legacy| platform.legacy_interrupt(legacy))
        .find(|entry| entry.line == line);
    match legacy {
        Some(entry) => {
            (if entry.level_triggered { LEVEL_TRIGGERED } else { 0 }) | (if entry.active_low { ACTIVE_LOW } else { 0 })
        }
        None => LEVEL_TRIGGERED | ACTIVE_LOW,
    }
}
