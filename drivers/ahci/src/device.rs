//! From a device that was found to its disks.

use alloc::boxed::Box;
use alloc::vec::Vec;

use abi::{Error, Pid};
use block_device::serve::Found;
use block_device::{Disk, Facts, Finished, LARGEST_TRANSFER_BYTES, MOST_SLOTS, Operation, SECTOR_BYTES};
use hardware::device::Device;
use hardware::dma::DmaMemory;
use v::log;

use crate::identify;
use crate::registers::{Controller, Port, wait_until};
use crate::requests::{self, Requests};

/// How long a disk may take to say what it is.
const IDENTIFY_PATIENCE_NS: u64 = 5_000_000_000;

/// Starts the device; what is connected to its ports are its disks.
pub fn start(device: &Device) -> Result<Vec<Found>, Error> {
    let controller = Controller::start(device)?;
    let ports = controller.connected(device)?;
    let interrupt = match device.claim_interrupt() {
        Ok(line) => Some(line.sender()),
        // Its wire is another's too, so its disks are looked at from time to time.
        Err(Error::NotSupported) => None,
        Err(error) => return Err(error),
    };
    let mut disks: Vec<Found> = Vec::new();
    for (number, port) in ports {
        match AhciDisk::start(port, interrupt) {
            Ok(disk) => disks.push((number, Box::new(disk))),
            Err(Error::NotFound) => {}
            Err(error) => log::error!("{}: port {number}: {error}", device.address()),
        }
    }
    if interrupt.is_some() {
        controller.let_interrupt();
    }
    Ok(disks)
}

/// A disk at a port.
#[derive(Debug)]
struct AhciDisk {
    facts: Facts,
    interrupt: Option<Pid>,
    port: Port,
    requests: Requests,
}

impl AhciDisk {
    /// [`NotFound`](Error::NotFound) if what is there is no disk.
    fn start(port: Port, interrupt: Option<Pid>) -> Result<AhciDisk, Error> {
        let buffers = block_device::allocate_buffers(MOST_SLOTS, LARGEST_TRANSFER_BYTES as u32)?;
        let requests = Requests::new(DmaMemory::allocate(requests::BYTES)?, buffers, SECTOR_BYTES);
        let [commands, received] = requests.places();
        if !port.start(commands, received) {
            return Err(Error::NotFound);
        }
        let mut disk = AhciDisk { facts: Facts::default(), interrupt, port, requests };
        disk.facts = disk.identify()?;
        disk.requests.set_block_bytes(disk.facts.block_bytes);
        if interrupt.is_some() {
            disk.port.let_interrupt();
        }
        Ok(disk)
    }

    /// Asks the disk what it is. Nothing else is at the device yet.
    fn identify(&mut self) -> Result<Facts, Error> {
        self.requests.identify(0);
        self.show();
        let mut finished = None;
        wait_until(IDENTIFY_PATIENCE_NS, || {
            finished = self.take();
            finished.is_some()
        });
        finished.ok_or(Error::DeviceError)?.outcome?;
        let slots = self.requests.slots();
        let said = self.requests.buffer(0).first_chunk().ok_or(Error::DeviceError)?;
        identify::facts(said, slots)
    }

    /// Sees what the port has done.
    fn look(&mut self) {
        let failure = self.port.failure();
        self.requests.note(self.port.issued());
        if let Some(slot) = failure {
            self.requests.note_failure(slot);
            self.port.restart();
            self.show();
        }
    }
}

impl Disk for AhciDisk {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn interrupt(&self) -> Option<Pid> {
        self.interrupt
    }

    fn buffer(&mut self, slot: usize) -> &mut [u8] {
        self.requests.buffer(slot)
    }

    fn start(&mut self, slot: usize, operation: &Operation) {
        self.requests.start(slot, operation);
    }

    fn show(&mut self) {
        self.port.issue(self.requests.issue());
    }

    fn take(&mut self) -> Option<Finished> {
        if !self.requests.has_ended() {
            self.look();
        }
        self.requests.take()
    }

    /// What ends after the last look interrupts by itself.
    fn rearm(&mut self) -> bool {
        self.look();
        self.requests.has_ended()
    }
}
