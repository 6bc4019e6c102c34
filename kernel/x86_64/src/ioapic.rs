//! Device interrupts: the lines of the I/O interrupt controllers (global system interrupts), and the message lines, on
//! which devices write to this processor's local controller themselves. All lead to vectors of this processor.
//!
//! A line's vector is [`vector::FIRST_LINE`] plus its number, so the vector tells the line without a table. Lines are
//! masked until a driver claims them. Programs know the sixteen legacy interrupts by their old numbers, whichever line
//! they arrive on, and all others by their line. A message line has no controller that could mask it: like an edge, its
//! interrupt is remembered while it is held back.

use abi::kernel::message_line;
use firmware::platform::{IO_APICS, LEGACY_INTERRUPTS, Platform};

use crate::device::Registers;
use crate::interrupt_table::vector;

const SELECT: usize = 0;
const WINDOW: usize = 0x10;
const VERSION: u32 = 1;
const FIRST_ENTRY: u32 = 0x10;

const MASKED: u32 = 1 << 16;
const LEVEL_TRIGGERED: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

/// Lines that have a vector.
const LINES: u32 = (vector::LINES_END - vector::FIRST_LINE) as u32;
/// Where processors' local controllers take interrupts that are written, and where in the address the processor's
/// number lies.
const MESSAGE_ADDRESS: u64 = 0xfee0_0000;
const MESSAGE_PROCESSOR_SHIFT: u32 = 12;

#[derive(Clone, Copy, Debug)]
struct Controller {
    registers: Registers,
    first_line: u32,
    lines: u32,
}

const _: () = assert!(message_line::FIRST + message_line::COUNT <= LINES, "each message line needs a vector");

/// What is known of a line.
#[derive(Clone, Copy, Debug)]
struct Line {
    edge_triggered: bool,
    /// Held back.
    held: bool,
    /// An interrupt came while it was.
    pending: bool,
}

/// All of them.
#[derive(Clone, Copy, Debug)]
pub struct IoApics {
    /// The processor that gets all interrupts, by its controller's number.
    processor: u32,
    controllers: [Option<Controller>; IO_APICS],
    /// The line of each legacy interrupt.
    legacy: [u32; LEGACY_INTERRUPTS],
    lines: [Line; LINES as usize],
}

impl IoApics {
    /// Masks every line and gives it its vector, to go to the processor whose controller is `identity`. `map` makes a
    /// controller's registers accessible.
    pub fn initialize(platform: &Platform, identity: u32, mut map: impl FnMut(u64) -> Registers) -> IoApics {
        let controllers = platform.io_apics.map(|found| {
            let found = found?;
            let registers = map(found.address);
            registers.write(SELECT, VERSION);
            let lines = (registers.read(WINDOW) >> 16 & 0xff) + 1;
            let lines = lines.min(message_line::FIRST.saturating_sub(found.first_line));
            Some(Controller { registers, first_line: found.first_line, lines })
        });
        let mut all = IoApics {
            processor: identity,
            controllers,
            legacy: platform.legacy.map(|interrupt| interrupt.line),
            lines: [Line { edge_triggered: false, held: true, pending: false }; LINES as usize],
        };
        for controller in all.controllers.iter().flatten() {
            for entry in 0..controller.lines {
                let line = controller.first_line + entry;
                let trigger = trigger(platform, line);
                let low = MASKED | (u32::from(vector::FIRST_LINE) + line) | trigger;
                controller.write_entry(entry, 0, low);
                controller.write_entry(entry, 1, identity << 24);
                all.lines[line as usize].edge_triggered = trigger & LEVEL_TRIGGERED == 0;
            }
        }
        all
    }

    /// An interrupt has arrived on a line. Returns the number by which programs know the line, or none if it is held
    /// back and will be delivered later.
    pub fn arrived(&mut self, line: u32) -> Option<u32> {
        let state = &mut self.lines[line as usize];
        if state.held {
            state.pending = true;
            return None;
        }
        if message_line::contains(line) {
            return Some(line);
        }
        let legacy = (0u32..).zip(&self.legacy).find(|(_, arrives_on)| **arrives_on == line);
        Some(legacy.map_or(line, |(number, _)| number))
    }

    /// Lets a line through, by the number that programs use; none if there is no such line. True if an interrupt came
    /// while it was held back, to be delivered now.
    pub fn unmask(&mut self, number: u32) -> Option<(u32, bool)> {
        let line = self.line(number);
        if self.message(line).is_none() {
            let (controller, entry) = self.find(line)?;
            controller.set_masked(entry, false);
        }
        let state = &mut self.lines[line as usize];
        state.held = false;
        Some((line, core::mem::take(&mut state.pending)))
    }

    /// Holds a line back.
    ///
    /// An edge that comes while its line is masked would be lost, so edge-triggered lines stay open once they have been
    /// claimed, and what comes is remembered here.
    pub fn mask(&mut self, number: u32) {
        let line = self.line(number);
        let controller = self.find(line);
        if controller.is_none() && !message_line::contains(line) {
            return;
        }
        let state = &mut self.lines[line as usize];
        state.held = true;
        if let (Some((controller, entry)), false) = (controller, state.edge_triggered) {
            controller.set_masked(entry, true);
        }
    }

    /// What a device writes, and where, to interrupt on a message line. None for other lines, and where the processor's
    /// number is too large for such an address.
    pub fn message(&self, line: u32) -> Option<(u64, u32)> {
        let processor = u8::try_from(self.processor).ok().filter(|_| message_line::contains(line))?;
        let address = MESSAGE_ADDRESS | u64::from(processor) << MESSAGE_PROCESSOR_SHIFT;
        Some((address, u32::from(vector::FIRST_LINE) + line))
    }

    fn line(&self, number: u32) -> u32 {
        self.legacy.get(number as usize).copied().unwrap_or(number)
    }

    fn find(&self, line: u32) -> Option<(Controller, u32)> {
        self.controllers.iter().flatten().find_map(|controller| {
            let entry = line.checked_sub(controller.first_line)?;
            (entry < controller.lines).then_some((*controller, entry))
        })
    }
}

impl Controller {
    fn set_masked(&self, entry: u32, masked: bool) {
        let low = self.read_entry(entry, 0);
        let new = if masked { low | MASKED } else { low & !MASKED };
        if new != low {
            self.write_entry(entry, 0, new);
        }
    }

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
    match platform.legacy.iter().find(|interrupt| interrupt.line == line) {
        Some(interrupt) => {
            (if interrupt.level_triggered { LEVEL_TRIGGERED } else { 0 })
                | (if interrupt.active_low { ACTIVE_LOW } else { 0 })
        }
        None => LEVEL_TRIGGERED | ACTIVE_LOW,
    }
}
