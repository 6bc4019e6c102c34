//! A controller's registers: how it is reset and started, and how it is told of what is in queues.

use abi::{Error, PAGE_BYTES};
use hardware::device::Device;
use hardware::dma::DmaMemory;
use hardware::register::Registers;
use v::time::{self, Duration};

use crate::command::{Command, subject};
use crate::identify;
use crate::queue::{ENTRIES, Queue};

/// Offsets of registers.
mod register {
    pub const CAPABILITIES: usize = 0x00;
    pub const CONFIGURATION: usize = 0x14;
    pub const STATUS: usize = 0x1c;
    pub const ADMINISTRATION_SIZES: usize = 0x24;
    pub const ADMINISTRATION_COMMANDS: usize = 0x28;
    pub const ADMINISTRATION_COMPLETIONS: usize = 0x30;
    pub const DOORBELLS: usize = 0x1000;
}

/// In the configuration: it works; and entries of queues have 64 and 16 bytes.
const ENABLE: u32 = 1;
const ENTRY_SIZES: u32 = 6 << 16 | 4 << 20;
/// In the status: it is ready; it has failed.
const READY: u32 = 1;
const FAILED: u32 = 1 << 1;

/// The unit of the time that a controller says it takes to start or stop.
const PATIENCE_UNIT_NS: u64 = 500_000_000;
/// How long it may take for a command at the start.
const COMMAND_PATIENCE_NS: u64 = 5_000_000_000;
const PAUSE: Duration = Duration::from_micros(100);
/// Base address register of the registers.
const BAR: usize = 0;
/// Bytes of them that are used: the fixed ones, and doorbells for as many pairs as fit a page.
const REGISTER_BYTES: usize = 0x2000;

/// What a controller can, from its first register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Whether it can be driven here: it has queues long enough, and pages as long as the machine's.
    pub const fn suffice(self) -> bool {
        let most_entries = 1 + (self.0 & 0xffff);
        most_entries >= ENTRIES as u64 && self.smallest_page_bytes() <= PAGE_BYTES
    }

    /// How long it may take to start or stop.
    pub const fn patience_ns(self) -> u64 {
        ((self.0 >> 24 & 0xff) + 1) * PATIENCE_UNIT_NS
    }

    /// Bytes between doorbells.
    pub const fn doorbell_step(self) -> usize {
        4 << (self.0 >> 32 & 0xf)
    }

    /// The smallest of its pages, the unit of its limits.
    pub const fn smallest_page_bytes(self) -> u64 {
        PAGE_BYTES << (self.0 >> 48 & 0xf)
    }

    /// Where the doorbells are of the pair with that number: for commands, and for completions. None beyond what is mapped.
    pub fn doorbells(self, pair: u16) -> Option<[usize; 2]> {
        let first = register::DOORBELLS + 2 * usize::from(pair) * self.doorbell_step();
        let second = first + self.doorbell_step();
        (second + 4 <= REGISTER_BYTES).then_some([first, second])
    }
}

/// Where the device is told of a pair.
#[derive(Debug)]
pub struct Doorbells {
    registers: Registers,
    commands: usize,
    completions: usize,
}

impl Doorbells {
    /// Tells the device of new commands, and of completions that were taken.
    pub fn ring(&self, queue: &mut Queue) {
        if let Some(head) = queue.new_head() {
            self.registers.write(self.completions, head);
        }
        if let Some(tail) = queue.new_tail() {
            self.registers.write(self.commands, tail);
        }
    }
}

/// A started controller, with its pair of queues for administration.
#[derive(Debug)]
pub struct Controller {
    capabilities: Capabilities,
    queue: Queue,
    doorbells: Doorbells,
    page: DmaMemory,
}

impl Controller {
    /// Resets the controller and starts it.
    pub fn start(device: &Device) -> Result<Controller, Error> {
        let registers = device.registers(BAR, 0, REGISTER_BYTES)?;
        let halves = [0, 4].map(|half| u64::from(registers.read::<u32>(register::CAPABILITIES + half)));
        let capabilities = Capabilities(halves[0] | halves[1] << 32);
        if !capabilities.suffice() {
            return Err(Error::NotSupported);
        }
        registers.write(register::CONFIGURATION, 0_u32);
        wait_until(capabilities.patience_ns(), || registers.read::<u32>(register::STATUS) & READY == 0)?;
        device.start()?;
        let queue = Queue::allocate()?;
        let page = DmaMemory::allocate(identify::PAGE_BYTES)?;
        let entries = u32::from(ENTRIES - 1);
        registers.write(register::ADMINISTRATION_SIZES, entries << 16 | entries);
        for (at, place) in [
            (register::ADMINISTRATION_COMMANDS, queue.commands()),
            (register::ADMINISTRATION_COMPLETIONS, queue.completions()),
        ] {
            registers.write(at, place as u32);
            registers.write(at + 4, (place >> 32) as u32);
        }
        registers.write(register::CONFIGURATION, ENTRY_SIZES | ENABLE);
        let is_up = || registers.read::<u32>(register::STATUS) & (READY | FAILED) != 0;
        wait_until(capabilities.patience_ns(), is_up)?;
        if registers.read::<u32>(register::STATUS) & FAILED != 0 {
            return Err(Error::DeviceError);
        }
        let [commands, completions] = capabilities.doorbells(0).ok_or(Error::NotSupported)?;
        Ok(Controller {
            capabilities,
            queue,
            doorbells: Doorbells { registers, commands, completions },
            page,
        })
    }

    /// What it says of itself.
    pub fn identify(&mut self) -> Result<identify::Controller, Error> {
        let page = self.identify_page(subject::CONTROLLER, 0)?;
        Ok(identify::Controller::decode(&page, self.capabilities.smallest_page_bytes()))
    }

    /// What it says of a namespace.
    pub fn identify_namespace(&mut self, namespace: u32) -> Result<[u8; identify::PAGE_BYTES], Error> {
        self.identify_page(subject::NAMESPACE, namespace)
    }

    fn identify_page(&mut self, subject: u32, namespace: u32) -> Result<[u8; identify::PAGE_BYTES], Error> {
        self.execute(&Command::identify(subject, namespace, self.page.physical()))?;
        let mut page = [0; identify::PAGE_BYTES];
        self.page.read(0, &mut page);
        Ok(page)
    }

    /// Tells the controller of a pair with that number, from 1 on; where to tell it of what is in there.
    pub fn set_up(&mut self, device: &Device, pair: u16, queue: &Queue) -> Result<Doorbells, Error> {
        let [commands, completions] = self.capabilities.doorbells(pair).ok_or(Error::NoResources)?;
        self.execute(&Command::make_completion_queue(pair, ENTRIES, queue.completions()))?;
        self.execute(&Command::make_submission_queue(pair, ENTRIES, queue.commands()))?;
        Ok(Doorbells { registers: device.registers(BAR, 0, REGISTER_BYTES)?, commands, completions })
    }

    /// Has a command done, and waits for its end.
    fn execute(&mut self, command: &Command) -> Result<(), Error> {
        self.queue.put(command);
        self.doorbells.ring(&mut self.queue);
        let mut completion = None;
        wait_until(COMMAND_PATIENCE_NS, || {
            completion = self.queue.take();
            completion.is_some()
        })?;
        self.doorbells.ring(&mut self.queue);
        if completion.is_some_and(|completion| completion.status == 0) {
            Ok(())
        } else {
            Err(Error::DeviceError)
        }
    }
}

/// Looks again and again; [`DeviceError`](Error::DeviceError) if it takes too long.
fn wait_until(patience_ns: u64, mut is_so: impl FnMut() -> bool) -> Result<(), Error> {
    let end_ns = time::now_ns() + patience_ns;
    while !is_so() {
        if time::now_ns() > end_ns {
            return Err(Error::DeviceError);
        }
        time::sleep(PAUSE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read() {
        // 2048 entries, 8 s, doorbells together, pages of 4 KiB and more.
        let qemu = Capabilities(0x0000_0020_0f03_07ff);
        assert!(qemu.suffice());
        assert_eq!((qemu.patience_ns(), qemu.doorbell_step()), (8_000_000_000, 4));
        assert_eq!(qemu.doorbells(1), Some([0x1008, 0x100c]));
        assert_eq!(qemu.doorbells(511), Some([0x1ff8, 0x1ffc]));
        assert_eq!(qemu.doorbells(512), None);
        assert!(!Capabilities(15).suffice(), "16 entries are too few");
        assert!(!Capabilities(1 << 48 | 0xffff).suffice(), "pages of 8 KiB are too long");
    }
}
