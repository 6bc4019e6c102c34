//! A controller's registers, and those of its ports.

use abi::Error;
use hardware::device::Device;
use hardware::register::Registers;
use v::time::{self, Duration};

/// Base address register of the registers.
const BAR: usize = 5;
/// Offsets of those that concern all ports, and their bits.
const CONTROL: usize = 0x04;
const INTERRUPTS: usize = 0x08;
const IMPLEMENTED: usize = 0x0c;
const RESET: u32 = 1;
const INTERRUPTS_ON: u32 = 1 << 1;
const AHCI_ON: u32 = 1 << 31;
const BYTES: usize = 0x100;

/// Ports that there may be.
pub const PORTS: u32 = 32;
const PORT_BYTES: usize = 0x80;

/// Offsets of a port's.
mod port {
    pub const COMMAND_LIST: usize = 0x00;
    pub const RECEIVED: usize = 0x08;
    pub const INTERRUPTS: usize = 0x10;
    pub const INTERRUPTS_WANTED: usize = 0x14;
    pub const COMMAND: usize = 0x18;
    pub const TASK: usize = 0x20;
    pub const SIGNATURE: usize = 0x24;
    pub const LINK: usize = 0x28;
    pub const LINK_ERRORS: usize = 0x30;
    pub const ISSUED: usize = 0x38;
}

/// In a port's command register: it works on commands; the disk is awake, and has power; what it says is received; and the
/// same two as the port has them.
const START: u32 = 1;
const SPIN_UP: u32 = 1 << 1;
const POWER: u32 = 1 << 2;
const RECEIVE: u32 = 1 << 4;
const IS_STARTED: u32 = 1 << 15;
/// Which slot is at work.
const SLOT_SHIFT: u32 = 8;
const SLOT_MASK: u32 = 0x1f;
/// In a port's task register: the disk is busy, or wants data.
const IS_BUSY: u32 = 0x88;
/// In its link register: there is a disk and a connection to it.
const LINK_MASK: u32 = 0xf;
const LINK_IS_UP: u32 = 3;
/// What a disk, as opposed to a CD drive or the like, says it is.
const DISK: u32 = 0x0000_0101;
/// A port's interrupts: a command has ended in one of four ways, or something has failed.
const ENDED: u32 = 0x0f;
const FAILED: u32 = 0x7900_0000;

const RESET_PATIENCE_NS: u64 = 1_000_000_000;
/// How long a disk that is there may take to be noticed.
const LINK_PATIENCE_NS: u64 = 50_000_000;
/// How long it may take to come up.
const DISK_PATIENCE_NS: u64 = 20_000_000_000;
const PAUSE: Duration = Duration::from_micros(500);
/// How often a port may be asked whether it has stopped.
const STOP_LOOKS: u32 = 1_000_000;

/// Looks again and again; false if it takes too long.
pub fn wait_until(patience_ns: u64, mut is_so: impl FnMut() -> bool) -> bool {
    let end_ns = time::now_ns() + patience_ns;
    while !is_so() {
        if time::now_ns() > end_ns || time::sleep(PAUSE).is_err() {
            return false;
        }
    }
    true
}

/// A controller's registers.
#[derive(Debug)]
pub struct Controller(Registers);

impl Controller {
    /// Resets the controller, and lets it use memory.
    pub fn start(device: &Device) -> Result<Controller, Error> {
        let registers = device.registers(BAR, 0, BYTES)?;
        registers.write(CONTROL, AHCI_ON);
        registers.write(CONTROL, AHCI_ON | RESET);
        let has_reset = || registers.read::<u32>(CONTROL) & RESET == 0;
        if !wait_until(RESET_PATIENCE_NS, has_reset) {
            return Err(Error::DeviceError);
        }
        registers.write(CONTROL, AHCI_ON);
        device.start()?;
        Ok(Controller(registers))
    }

    /// The ports where a disk or something else is connected.
    pub fn connected(&self, device: &Device) -> Result<alloc::vec::Vec<(u32, Port)>, Error> {
        let implemented: u32 = self.0.read(IMPLEMENTED);
        let mut ports = alloc::vec::Vec::new();
        for number in (0..PORTS).filter(|number| implemented >> number & 1 != 0) {
            let port = Port::new(device, number)?;
            port.set(port::COMMAND, SPIN_UP | POWER);
            ports.push((number, port));
        }
        // All of them have the same time.
        wait_until(LINK_PATIENCE_NS, || ports.iter().all(|(_, port)| port.is_connected()));
        ports.retain(|(_, port)| port.is_connected());
        Ok(ports)
    }

    /// Ports interrupt from now on.
    pub fn let_interrupt(&self) {
        self.0.write(CONTROL, AHCI_ON | INTERRUPTS_ON);
    }
}

/// A port's registers.
#[derive(Debug)]
pub struct Port {
    number: u32,
    registers: Registers,
    /// Those of all ports, one of whose bits is this one's.
    shared: Registers,
}

impl Port {
    fn new(device: &Device, number: u32) -> Result<Port, Error> {
        let offset = BYTES + PORT_BYTES * number as usize;
        let registers = device.registers(BAR, offset as u32, PORT_BYTES)?;
        Ok(Port { number, registers, shared: device.registers(BAR, 0, BYTES)? })
    }

    fn get(&self, offset: usize) -> u32 {
        self.registers.read(offset)
    }

    fn set(&self, offset: usize, value: u32) {
        self.registers.write(offset, value);
    }

    fn is_connected(&self) -> bool {
        self.get(port::LINK) & LINK_MASK == LINK_IS_UP
    }

    /// Starts the port with its list of commands, and its place for what the disk says. False if it isn't a disk, or one that
    /// doesn't come up.
    pub fn start(&self, commands: u64, received: u64) -> bool {
        for (at, place) in [(port::COMMAND_LIST, commands), (port::RECEIVED, received)] {
            self.set(at, place as u32);
            self.set(at + 4, (place >> 32) as u32);
        }
        self.set(port::LINK_ERRORS, u32::MAX);
        self.set(port::COMMAND, self.get(port::COMMAND) | RECEIVE);
        let is_up = wait_until(DISK_PATIENCE_NS, || self.get(port::TASK) & IS_BUSY == 0);
        if !is_up || self.get(port::SIGNATURE) != DISK {
            return false;
        }
        self.set(port::INTERRUPTS, u32::MAX);
        self.set(port::COMMAND, self.get(port::COMMAND) | START);
        true
    }

    /// Has the port interrupt.
    pub fn let_interrupt(&self) {
        self.set(port::INTERRUPTS_WANTED, ENDED | FAILED);
    }

    /// Has commands done.
    pub fn issue(&self, slots: u32) {
        if slots != 0 {
            self.set(port::ISSUED, slots);
        }
    }

    /// The commands that are not done. Whoever looks here has asked for [`failure`](Port::failure) before.
    pub fn issued(&self) -> u32 {
        self.get(port::ISSUED)
    }

    /// Takes the cause of the port's interrupt away. If something has failed, the slot that was at work.
    pub fn failure(&self) -> Option<u32> {
        let causes = self.get(port::INTERRUPTS);
        self.set(port::INTERRUPTS, causes);
        self.shared.write(INTERRUPTS, 1_u32 << self.number);
        (causes & FAILED != 0).then(|| self.get(port::COMMAND) >> SLOT_SHIFT & SLOT_MASK)
    }

    /// Starts the port anew after a failure: it has nothing to do any more.
    ///
    /// # Panics
    /// If it does not stop, or the disk is lost. The driver's next life resets both.
    pub fn restart(&self) {
        self.set(port::COMMAND, self.get(port::COMMAND) & !START);
        let has_stopped = (0..STOP_LOOKS).any(|_| self.get(port::COMMAND) & IS_STARTED == 0);
        self.set(port::LINK_ERRORS, u32::MAX);
        self.set(port::INTERRUPTS, u32::MAX);
        let is_usable = has_stopped && self.get(port::TASK) & IS_BUSY == 0;
        assert!(is_usable, "port {} has failed, and needs a reset", self.number);
        self.set(port::COMMAND, self.get(port::COMMAND) | START);
    }
}
