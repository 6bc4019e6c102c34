//! PCI configuration space: in memory where the firmware's tables say so, else by the two ports that every PC has.

use hardware::register::Registers;
use pci::{Address, Configuration};

use crate::acpi::{self, EnhancedConfiguration};
use crate::physical::Physical;
use crate::ports::{read_port, write_port};

const SELECTION_PORT: u16 = 0xcf8;
const DATA_PORT: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;
/// Each function has a page.
const FUNCTION_BYTES: usize = 4096;

/// This machine's.
#[derive(Debug)]
pub struct ConfigurationSpace {
    enhanced: Option<EnhancedConfiguration>,
    /// The function that was reached last, and its page.
    mapped: Option<(Address, Registers)>,
}

impl ConfigurationSpace {
    /// Finds out how it is reached.
    pub fn new() -> ConfigurationSpace {
        ConfigurationSpace {
            enhanced: acpi::enhanced_configuration(Physical, v::entry::acpi_root_table()),
            mapped: None,
        }
    }

    /// The function's registers, if it has any in memory.
    fn registers(&mut self, address: Address) -> Option<&Registers> {
        let physical = self.enhanced?.function(address)?;
        if self.mapped.as_ref().is_none_or(|(mapped, _)| *mapped != address) {
            self.mapped = None;
            self.mapped = Some((address, Registers::map(physical, FUNCTION_BYTES).ok()?));
        }
        self.mapped.as_ref().map(|(_, registers)| registers)
    }
}

impl Default for ConfigurationSpace {
    fn default() -> ConfigurationSpace {
        ConfigurationSpace::new()
    }
}

/// Selects a function's register: its content is at the data port now.
fn select(address: Address, offset: u16) {
    let selection = ENABLE | u32::from(address.to_bits()) << 8 | u32::from(offset & 0xfc);
    write_port(SELECTION_PORT, 4, selection);
}

impl Configuration for ConfigurationSpace {
    fn read(&mut self, address: Address, offset: u16) -> u32 {
        if let Some(registers) = self.registers(address) {
            return registers.read(usize::from(offset));
        }
        select(address, offset);
        read_port(DATA_PORT, 4)
    }

    fn write(&mut self, address: Address, offset: u16, value: u32) {
        if let Some(registers) = self.registers(address) {
            registers.write(usize::from(offset), value);
        } else {
            select(address, offset);
            write_port(DATA_PORT, 4, value);
        }
    }
}
