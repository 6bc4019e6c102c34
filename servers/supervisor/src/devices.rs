//! The machine's devices, and which service has which.
//!
//! A device goes to the first service whose configuration names it. Until that service has reset it, it may not use
//! memory by itself (bus mastering is off), and when the service ends, that is taken from it again at once. So memory
//! that an ended driver had told its device of is safe, and it is free when the driver's next life has reset the
//! device: [`Devices::start`].
//!
//! Pure bookkeeping but for the devices' configuration space, which a test can imitate.

use alloc::vec::Vec;

use abi::kernel::{message_line, resource};
use abi::{Error, PAGE_BYTES, Pid};
use pci::header::{MessageRegisters, MessageTable, command, offset};
use pci::{Address, Bar, Configuration, Function};
use protocols::device::{BarRecord, DeviceRecord, bar, state};

use crate::configuration::{Resource, Service};

const KIND_BRIDGE: u8 = 1;

#[derive(Debug)]
struct Device {
    function: Function,
    /// The place of the service that has it.
    service: Option<usize>,
    /// The line of its interrupts: a message line, or of a device that cannot, the wired one.
    line: Option<u32>,
    is_started: bool,
}

/// All devices.
#[derive(Debug)]
pub struct Devices<C> {
    configuration: C,
    found: Vec<Device>,
    /// Ended teams whose DMA memory is held back, each with its service's place.
    held: Vec<(usize, Pid)>,
}

impl<C: Configuration> Devices<C> {
    /// Looks for them.
    pub fn find(mut configuration: C) -> Devices<C> {
        let functions = pci::scan(&mut configuration);
        let device = |function| Device { function, service: None, line: None, is_started: false };
        let found = functions.into_iter().map(device).collect();
        Devices { configuration, found, held: Vec::new() }
    }

    /// Whether there is a device that the service is for; a service that is for none needs none.
    pub fn has_any_for(&self, service: &Service) -> bool {
        service.devices.is_empty() || self.found.iter().any(|device| is_for(service, device))
    }

    /// Gives each device to the first service that is for it. A device that does not interrupt by messages has its wired
    /// line for itself, or none: of two on one line, each would hear of the other's interrupts.
    pub fn assign(&mut self, services: &[&Service]) {
        let mut lines = message_line::FIRST..message_line::FIRST + message_line::COUNT;
        let granted = services.iter().flat_map(|service| &service.resources);
        let mut taken: Vec<_> =
            granted.filter(|granted| granted.kind == resource::INTERRUPTS).copied().collect();
        for device in &mut self.found {
            device.service = services.iter().position(|service| is_for(service, device));
            if device.service.is_some() {
                device.line = if device.interrupts_by_messages() {
                    lines.next()
                } else {
                    let wired = device.function.header.wired_line().map(u32::from);
                    wired.filter(|line| !taken.iter().any(|taken| has(taken, *line)))
                };
                taken.extend(device.line.map(interrupt));
            }
            let address = device.function.address;
            // Nobody would answer, and it may be on a line with one that is used.
            change_command(&mut self.configuration, address, command::NO_WIRED_INTERRUPT, 0);
            if device.function.header.kind() == KIND_BRIDGE {
                // What is behind a bridge gets to memory only where the bridge may.
                let all = command::PORTS | command::MEMORY | command::BUS_MASTER;
                change_command(&mut self.configuration, address, all, 0);
            } else if device.service.is_some() {
                change_command(&mut self.configuration, address, 0, command::BUS_MASTER);
            }
        }
    }

    /// What the service's devices need.
    pub fn resources(&self, place: usize) -> Vec<Resource> {
        let mut resources = Vec::new();
        for device in self.found.iter().filter(|device| device.service == Some(place)) {
            resources.extend(device.function.bars.iter().filter_map(resource_of));
            resources.extend(device.line.map(interrupt));
        }
        resources
    }

    /// The service will be started: its devices answer, but do nothing by themselves yet.
    pub fn prepare(&mut self, place: usize) {
        for device in self.found.iter_mut().filter(|device| device.service == Some(place)) {
            quieten(&mut self.configuration, device);
            let address = device.function.address;
            let on = command::PORTS | command::MEMORY;
            change_command(&mut self.configuration, address, on, 0);
            if device.line.is_some() {
                change_table(&mut self.configuration, &device.function, true);
            }
        }
    }

    /// The service's team has ended.
    pub fn ended(&mut self, place: usize, team: Pid) {
        let mut has_any = false;
        for device in self.found.iter_mut().filter(|device| device.service == Some(place)) {
            has_any = true;
            quieten(&mut self.configuration, device);
        }
        if has_any {
            self.held.push((place, team));
        }
    }

    /// The service has reset a device. Gives the ended teams whose memory no device of the service uses any more.
    pub fn start(&mut self, place: usize, address: u32) -> Result<Vec<Pid>, Error> {
        let device = self.own(place, address)?;
        let device = &mut self.found[device];
        device.is_started = true;
        let wire = if device.line.is_some() && !device.interrupts_by_messages() {
            command::NO_WIRED_INTERRUPT
        } else {
            0
        };
        change_command(&mut self.configuration, device.function.address, command::BUS_MASTER, wire);
        let mut own = self.found.iter().filter(|device| device.service == Some(place));
        if !own.all(|device| device.is_started) {
            return Ok(Vec::new());
        }
        let released = self.held.extract_if(.., |(of, _)| *of == place).map(|(_, team)| team).collect();
        Ok(released)
    }

    /// Where a device is among those that were found, which must be the service's.
    fn own(&self, place: usize, address: u32) -> Result<usize, Error> {
        let is_it = |device: &Device| u32::from(device.function.address.to_bits()) == address;
        let at = self.found.iter().position(is_it).ok_or(Error::NotFound)?;
        if self.found[at].service == Some(place) { Ok(at) } else { Err(Error::NoPermission) }
    }

    /// The service says by what message a device interrupts.
    pub fn set_message(&mut self, place: usize, address: u32, message: (u64, u32)) -> Result<(), Error> {
        let device = &self.found[self.own(place, address)?];
        let registers = device.function.header.message_registers().filter(|_| device.line.is_some());
        let registers = registers.ok_or(Error::NotSupported)?;
        let function = device.function.address;
        for (at, value) in registers.of_message(message.0, message.1) {
            self.configuration.write(function, at, value);
        }
        let at = u16::from(registers.capability);
        let others = self.configuration.read(function, at) & !MessageRegisters::MORE_MESSAGES;
        self.configuration.write(function, at, others | MessageRegisters::ENABLE);
        Ok(())
    }

    /// The device at a position, for others to see. `name` gives a service's name.
    pub fn record<'s>(&self, position: usize, name: impl Fn(usize) -> &'s str) -> Option<DeviceRecord<'s>> {
        let device = self.found.get(position)?;
        Some(DeviceRecord {
            address: device.function.address.to_bits().into(),
            state: match device.service {
                None => state::UNUSED,
                Some(_) if device.is_started => state::RUNNING,
                Some(_) => state::WAITING,
            },
            line: device.line.unwrap_or(0),
            bars: device.function.bars.map(bar_record),
            configuration: device.function.header.0,
            service: device.service.map(name).unwrap_or_default(),
        })
    }
}

impl Device {
    fn interrupts_by_messages(&self) -> bool {
        self.function.header.has_messages()
    }
}

const fn interrupt(line: u32) -> Resource {
    Resource { kind: resource::INTERRUPTS, start: line as u64, count: 1 }
}

fn has(resource: &Resource, line: u32) -> bool {
    (resource.start..resource.start + u64::from(resource.count)).contains(&line.into())
}

fn is_for(service: &Service, device: &Device) -> bool {
    service.devices.iter().any(|kind| kind.is_of(&device.function.header))
}

/// Takes from a device what it could do by itself.
fn quieten(configuration: &mut impl Configuration, device: &mut Device) {
    device.is_started = false;
    let address = device.function.address;
    change_command(configuration, address, command::NO_WIRED_INTERRUPT, command::BUS_MASTER);
    change_table(configuration, &device.function, false);
    if let Some(registers) = device.function.header.message_registers() {
        let at = u16::from(registers.capability);
        let others = configuration.read(address, at) & !MessageRegisters::ENABLE;
        configuration.write(address, at, others);
    }
}

fn change_command(configuration: &mut impl Configuration, address: Address, set: u16, clear: u16) {
    // The upper half is the status, whose bits are cleared by writing ones: write none.
    let before = configuration.read(address, offset::COMMAND) & 0xffff;
    let after = before & !u32::from(clear) | u32::from(set);
    configuration.write(address, offset::COMMAND, after);
}

/// Turns interrupts by messages out of a device's table on or off; those of a driver that has not set it up are masked there.
fn change_table(configuration: &mut impl Configuration, function: &Function, on: bool) {
    let Some(table) = function.header.message_table() else {
        return;
    };
    let at = u16::from(table.capability);
    let others = configuration.read(function.address, at) & !(MessageTable::ENABLE | MessageTable::MASK_ALL);
    let value = if on { others | MessageTable::ENABLE } else { others };
    configuration.write(function.address, at, value);
}

fn resource_of(bar: &Bar) -> Option<Resource> {
    match *bar {
        Bar::None => None,
        Bar::Ports { first, count } => {
            Some(Resource { kind: resource::PORTS, start: first.into(), count: count.into() })
        }
        Bar::Memory { address, bytes } => {
            let start = address / PAGE_BYTES;
            let last = (address + (bytes - 1)) / PAGE_BYTES;
            let count = u32::try_from(last - start + 1).ok()?;
            Some(Resource { kind: resource::MEMORY, start, count })
        }
    }
}

fn bar_record(bar: Bar) -> BarRecord {
    match bar {
        Bar::None => BarRecord::default(),
        Bar::Ports { first, count } => {
            BarRecord { kind: bar::PORTS, start: first.into(), count: count.into() }
        }
        Bar::Memory { address, bytes } => BarRecord { kind: bar::MEMORY, start: address, count: bytes },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::collections::BTreeMap;
    use std::vec;

    /// Configuration space that remembers, with two network cards and a bridge.
    struct Machine(BTreeMap<(Address, u16), u32>);

    impl Configuration for Machine {
        fn read(&mut self, address: Address, offset: u16) -> u32 {
            let absent = if self.0.contains_key(&(address, 0)) { 0 } else { u32::MAX };
            self.0.get(&(address, offset)).copied().unwrap_or(absent)
        }

        fn write(&mut self, address: Address, offset: u16, value: u32) {
            // The base address register can be set above its lowest 14 bits.
            let value = if offset == 0x10 { value & 0xffff_c000 } else { value };
            self.0.insert((address, offset), value);
        }
    }

    const FIRST: Address = Address::new(0, 2, 0);
    const SECOND: Address = Address::new(0, 3, 0);
    const BRIDGE: Address = Address::new(0, 4, 0);
    const STATUS_HAS_CAPABILITIES: u32 = 1 << 20;

    fn devices() -> Devices<Machine> {
        let mut words = BTreeMap::new();
        words.insert((BRIDGE, 0), 0x0001_8086);
        words.insert((BRIDGE, 0x0c), 0x0001_0000);
        for (address, memory) in [(FIRST, 0xfe00_0000), (SECOND, 0xfe00_4000)] {
            words.insert((address, 0), 0x1041_1af4);
            // The firmware has left the card's bus mastering on.
            words.insert((address, 4), STATUS_HAS_CAPABILITIES | 7);
            words.insert((address, 0x10), memory);
            words.insert((address, 0x34), 0x40);
            words.insert((address, 0x40), 0x0003_0011);
        }
        let mut devices = Devices::find(Machine(words));
        let mut network = Service::new("network");
        network.devices = vec!["1af4:1041".parse().unwrap()];
        let other = Service::new("other");
        assert!(devices.has_any_for(&network) && devices.has_any_for(&other));
        devices.assign(&[&other, &network]);
        devices
    }

    fn command_of(devices: &Devices<Machine>, address: Address) -> u16 {
        devices.configuration.0[&(address, 4)] as u16
    }

    fn messages_are_on(devices: &Devices<Machine>) -> bool {
        devices.configuration.0[&(FIRST, 0x40)] & MessageTable::ENABLE != 0
    }

    #[test]
    fn a_device_gets_to_memory_only_between_its_reset_and_its_drivers_end() {
        let mut devices = devices();
        assert_eq!(command_of(&devices, FIRST) & command::BUS_MASTER, 0, "the firmware's");
        assert_ne!(command_of(&devices, BRIDGE) & command::BUS_MASTER, 0);
        devices.prepare(1);
        assert_eq!(command_of(&devices, FIRST), 3 | command::NO_WIRED_INTERRUPT);
        assert!(messages_are_on(&devices));
        devices.start(1, FIRST.to_bits().into()).unwrap();
        assert_ne!(command_of(&devices, FIRST) & command::BUS_MASTER, 0);
        assert_eq!(command_of(&devices, SECOND) & command::BUS_MASTER, 0);
        devices.ended(1, Pid::from_bits(7));
        assert_eq!(command_of(&devices, FIRST) & command::BUS_MASTER, 0);
        assert!(!messages_are_on(&devices));
    }

    #[test]
    fn a_wired_line_is_one_devices_and_open_while_its_driver_works() {
        let mut words = BTreeMap::new();
        for (address, line) in [(FIRST, 4), (SECOND, 11), (BRIDGE, 11)] {
            words.insert((address, 0), 0x100e_8086);
            words.insert((address, 0x10), 0xfe00_0000);
            words.insert((address, 0x3c), 0x0100 | line);
        }
        let mut devices = Devices::find(Machine(words));
        let (mut uart, mut network) = (Service::new("uart"), Service::new("network"));
        uart.resources.push(interrupt(4));
        network.devices = vec!["8086:100e".parse().unwrap()];
        devices.assign(&[&uart, &network]);
        let lines: Vec<u32> = (0..3).map(|position| devices.record(position, |_| "").unwrap().line).collect();
        assert_eq!(lines, [0, 11, 0], "4 is the uart's, and 11 has one owner");
        let is_silent =
            |devices: &Devices<Machine>| command_of(devices, SECOND) & command::NO_WIRED_INTERRUPT != 0;
        devices.prepare(1);
        assert!(is_silent(&devices), "it has not been reset");
        devices.start(1, SECOND.to_bits().into()).unwrap();
        assert!(!is_silent(&devices));
        devices.start(1, FIRST.to_bits().into()).unwrap();
        assert_ne!(command_of(&devices, FIRST) & command::NO_WIRED_INTERRUPT, 0, "nobody would hear it");
        devices.ended(1, Pid::from_bits(7));
        assert!(is_silent(&devices));
    }

    #[test]
    fn a_message_is_entered_for_the_devices_own_service_and_goes_with_it() {
        let mut words = BTreeMap::new();
        for address in [FIRST, SECOND] {
            words.insert((address, 0), 0x2922_8086);
            words.insert((address, 4), STATUS_HAS_CAPABILITIES);
            words.insert((address, 0x34), 0x80);
        }
        // 64 bits, of eight messages if one likes.
        words.insert((FIRST, 0x80), 0x0086 << 16 | 0x0005);
        let mut devices = Devices::find(Machine(words));
        let mut disks = Service::new("ahci");
        disks.devices = vec!["8086:2922".parse().unwrap()];
        devices.assign(&[&disks, &Service::new("other")]);
        assert_eq!(devices.record(0, |_| "").unwrap().line, message_line::FIRST);
        devices.prepare(0);
        let [first, second] = [FIRST, SECOND].map(|address| u32::from(address.to_bits()));
        let message = (0xfee0_1000, 0x41);
        assert_eq!(devices.set_message(1, first, message), Err(Error::NoPermission));
        assert_eq!(devices.set_message(0, second, message), Err(Error::NotSupported));
        assert_eq!(devices.set_message(0, 0xffff_0010, message), Err(Error::NotFound));
        devices.set_message(0, first, message).unwrap();
        let words = |devices: &Devices<Machine>| {
            [0x80, 0x84, 0x88, 0x8c].map(|at| devices.configuration.0.get(&(FIRST, at)).copied())
        };
        assert_eq!(words(&devices), [Some(0x0087 << 16 | 0x0005), Some(0xfee0_1000), Some(0), Some(0x41)]);
        devices.ended(0, Pid::from_bits(7));
        assert_eq!(words(&devices)[0], Some(0x0086 << 16 | 0x0005));
    }

    #[test]
    fn memory_is_held_until_all_devices_of_the_service_were_reset() {
        let mut devices = devices();
        let [first, second] = [FIRST, SECOND].map(|address| u32::from(address.to_bits()));
        let [dead, deader] = [7, 8].map(Pid::from_bits);
        for team in [dead, deader] {
            devices.prepare(1);
            devices.start(1, first).unwrap();
            devices.ended(1, team);
        }
        devices.ended(0, Pid::from_bits(9));
        devices.prepare(1);
        assert_eq!(devices.start(1, first), Ok(vec![]));
        assert_eq!(devices.start(1, second), Ok(vec![dead, deader]));
        assert_eq!(devices.start(1, second), Ok(vec![]));
    }

    #[test]
    fn a_service_starts_its_own_devices_only() {
        let mut devices = devices();
        assert_eq!(devices.start(0, FIRST.to_bits().into()), Err(Error::NoPermission));
        assert_eq!(devices.start(1, BRIDGE.to_bits().into()), Err(Error::NoPermission));
        assert_eq!(devices.start(1, 0xffff_0010), Err(Error::NotFound));
    }

    #[test]
    fn a_service_gets_what_its_devices_need() {
        let devices = devices();
        assert_eq!(devices.resources(0), []);
        let memory = |start| Resource { kind: resource::MEMORY, start, count: 4 };
        let line = |at| Resource {
            kind: resource::INTERRUPTS,
            start: u64::from(message_line::FIRST) + at,
            count: 1,
        };
        assert_eq!(devices.resources(1), [memory(0xfe000), line(0), memory(0xfe004), line(1)]);
        let record = devices.record(1, |_| "network").unwrap();
        assert_eq!((record.state, record.service), (state::WAITING, "network"));
        assert_eq!(devices.record(2, |_| "").unwrap().state, state::UNUSED);
        assert_eq!(devices.record(3, |_| ""), None);
    }
}
