//! The local interrupt controller: its timer, and the end of each interrupt.
//!
//! By model-specific registers (x2APIC) where the processor has them, else by registers in memory. The timer counts
//! down once.

use crate::clock::Clock;
use crate::device::Registers;
use crate::features::Features;
use crate::instructions::{read_register, write_port_u8, write_register};
use crate::interrupt_table::vector;

const APIC_BASE: u32 = 0x1b;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2APIC: u64 = 1 << 10;
const X2APIC_FIRST: u32 = 0x800;

/// Offsets of registers.
const IDENTITY: usize = 0x20;
const TASK_PRIORITY: usize = 0x80;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS_VECTOR: usize = 0xf0;
const COMMAND: usize = 0x300;
const TIMER: usize = 0x320;
const LINE_0: usize = 0x350;
const LINE_1: usize = 0x360;
const ERROR: usize = 0x370;
const TIMER_START: usize = 0x380;
const TIMER_COUNT: usize = 0x390;
const TIMER_DIVISOR: usize = 0x3e0;

const MASKED: u32 = 1 << 16;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const TO_SELF: u32 = 1 << 18 | 1 << 14;
const DIVIDE_BY_ONE: u32 = 0xb;

/// This processor's controller.
#[derive(Clone, Copy, Debug)]
pub struct LocalApic {
    /// Registers in memory; none with x2APIC.
    registers: Option<Registers>,
}

impl LocalApic {
    /// Turns it on, with every source masked but for what comes from I/O controllers. `registers` is only used without
    /// x2APIC.
    pub fn initialize(features: &Features, registers: Registers) -> LocalApic {
        mask_legacy_controllers();
        let mode = if features.x2apic { BASE_X2APIC } else { 0 };
        // SAFETY: every x86-64 processor has this register; the mode is one that the processor says it has.
        unsafe { write_register(APIC_BASE, read_register(APIC_BASE) | BASE_ENABLE | mode) };
        let apic = LocalApic { registers: (!features.x2apic).then_some(registers) };
        apic.write(TASK_PRIORITY, 0);
        apic.write(LINE_0, MASKED);
        apic.write(LINE_1, MASKED);
        apic.write(ERROR, MASKED);
        apic.write(TIMER, MASKED | u32::from(vector::TIMER));
        apic.write(TIMER_DIVISOR, DIVIDE_BY_ONE);
        apic.write(SPURIOUS_VECTOR, SOFTWARE_ENABLE | u32::from(vector::SPURIOUS));
        apic
    }

    /// The controller's number, by which I/O controllers address it.
    pub fn identity(&self) -> u32 {
        let value = self.read(IDENTITY);
        if self.registers.is_some() { value >> 24 } else { value }
    }

    /// Tells it that an interrupt has been dealt with.
    #[inline]
    pub fn end_interrupt(&self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    /// Delivers a vector to this processor, as soon as it takes interrupts.
    pub fn send_to_self(&self, vector: u8) {
        self.write(COMMAND, TO_SELF | u32::from(vector));
    }

    /// Lets the timer count, silently.
    pub fn start_measuring(&self) {
        self.write(TIMER_START, u32::MAX);
    }

    /// Ticks since `start_measuring`; and the timer is ready for use.
    pub fn stop_measuring(&self) -> u32 {
        let ticks = u32::MAX - self.read(TIMER_COUNT);
        self.write(TIMER_START, 0);
        self.write(TIMER, u32::from(vector::TIMER));
        ticks
    }

    /// Asks for one interrupt at or soon after a time; with `u64::MAX` for none.
    ///
    /// Where the timer cannot count that far the interrupt comes earlier, and the kernel asks again.
    #[inline]
    pub fn set_timer(&self, clock: &Clock, at_ns: u64) {
        let none = at_ns == u64::MAX;
        self.write(
            TIMER_START,
            if none { 0 } else { clock.timer_ticks(at_ns.saturating_sub(clock.now_ns())) },
        );
    }

    /// Reads a register, by its offset.
    #[inline]
    pub fn read(&self, offset: usize) -> u32 {
        match self.registers {
            Some(registers) => registers.read(offset),
            // SAFETY: x2APIC is on, and has each of the registers named here.
            None => unsafe { read_register(X2APIC_FIRST + offset as u32 / 16) as u32 },
        }
    }

    #[inline]
    fn write(&self, offset: usize, value: u32) {
        match self.registers {
            Some(registers) => registers.write(offset, value),
            // SAFETY: as in `read`; the values are ones that the controller takes.
            None => unsafe { write_register(X2APIC_FIRST + offset as u32 / 16, value.into()) },
        }
    }
}

/// Masks the two interrupt controllers of old. The line on which they would reach this processor, the first of the
/// local controller's two, stays masked as well.
fn mask_legacy_controllers() {
    for port in [0x21, 0xa1] {
        // SAFETY: the old controllers' mask registers, all of whose lines may be masked at any time.
        unsafe { write_port_u8(port, 0xff) };
    }
}
