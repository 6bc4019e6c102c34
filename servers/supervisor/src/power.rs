//! Switching the machine off and restarting it.
//!
//! Off: first the test device of QEMU, where the boot command line says that there is one, because it passes a
//! status on; then ACPI. Restart: ACPI's reset register, then the two ways that PCs have had before. Each way is
//! given a moment to work before the next is tried.

use abi::kernel;
use v::{Segment, time};

use crate::acpi::{self, Power, Register};
use crate::physical::Physical;
use crate::ports::{read_port, write_port};

/// The word of the command line that says that QEMU's `isa-debug-exit` is there, and its port.
const EXIT_WORD: &str = "exit-port";
const EXIT_PORT: u16 = 0xf4;

/// Bits of a control block's port.
const ACPI_IS_ON: u32 = 1;
const SLEEP_TYPE_SHIFT: u32 = 10;
const SLEEP_TYPE_MASK: u32 = 7 << SLEEP_TYPE_SHIFT;
const SLEEP: u32 = 1 << 13;

/// The reset register of Intel's chip sets, and what restarts the machine when written one after the other.
const CHIPSET_RESET_PORT: u16 = 0xcf9;
const CHIPSET_RESET: [u32; 2] = [0x02, 0x06];
/// The keyboard controller's command port, and its command to pulse the processor's reset line.
const KEYBOARD_PORT: u16 = 0x64;
const KEYBOARD_RESET: u32 = 0xfe;

const MOMENT_NS: u64 = 50_000_000;
const ACPI_PATIENCE_NS: u64 = 1_000_000_000;

/// Switches the machine off; returns only if that cannot be done.
pub fn switch_off(status: u32) {
    let command_line = v::entry::boot_command_line();
    if command_line.split_ascii_whitespace().any(|word| word == EXIT_WORD) {
        write_port(EXIT_PORT, 4, status);
        moment();
    }
    let power = acpi::read(Physical, v::entry::acpi_root_table()).unwrap_or_default();
    let (Some(control_a), Some((type_a, type_b))) = (power.control_a, power.off_types) else {
        return;
    };
    turn_acpi_on(&power, control_a);
    sleep(control_a, type_a);
    if let Some(control_b) = power.control_b {
        sleep(control_b, type_b);
    }
    moment();
}

/// Restarts the machine; returns only if none of the ways works.
pub fn restart() {
    let reset = acpi::read(Physical, v::entry::acpi_root_table()).and_then(|power| power.reset);
    if let Some((Register::Port(port), value)) = reset {
        write_port(port, 1, value.into());
        moment();
    }
    for value in CHIPSET_RESET {
        write_port(CHIPSET_RESET_PORT, 1, value);
        moment();
    }
    write_port(KEYBOARD_PORT, 1, KEYBOARD_RESET);
    moment();
}

/// The sleep bits do nothing on a real machine before this.
fn turn_acpi_on(power: &Power, control: u16) {
    let Some((port, value)) = power.enable else {
        return;
    };
    let is_on = || read_port(control, 2) & ACPI_IS_ON != 0;
    if is_on() {
        return;
    }
    write_port(port, 1, value.into());
    let deadline_ns = time::now_ns() + ACPI_PATIENCE_NS;
    while !is_on() && time::now_ns() < deadline_ns {
        moment();
    }
}

fn sleep(control: u16, sleep_type: u8) {
    let others = read_port(control, 2) & !SLEEP_TYPE_MASK;
    let wanted = others | u32::from(sleep_type) << SLEEP_TYPE_SHIFT;
    write_port(control, 2, wanted | SLEEP);
}

fn moment() {
    let until_ns = time::now_ns() + MOMENT_NS;
    // Without a delay the next way is tried sooner.
    let _ = v::call(kernel::server(kernel::TIME), &kernel::time::Delay { until_ns }, Segment::None);
}
