//! From a device that was found to its disks.

use alloc::boxed::Box;
use alloc::vec::Vec;

use abi::{Error, Pid};
use block_device::serve::Found;
use block_device::{Disk, Facts, Finished, MOST_SLOTS, Operation};
use hardware::device::Device;
use hardware::dma::DmaMemory;
use v::log;

use crate::controller::{Controller, Doorbells};
use crate::queue::Queue;
use crate::requests::{RECORD_BYTES, Requests};

/// Most namespaces that are looked at: a controller may say that there are four thousand million.
const MOST_NAMESPACES: u32 = 16;

/// Starts the device; its namespaces are its disks.
pub fn start(device: &Device) -> Result<Vec<Found>, Error> {
    let mut controller = Controller::start(device)?;
    let about = controller.identify()?;
    let interrupt = device.claim_interrupt()?;
    let mut disks: Vec<Found> = Vec::new();
    for namespace in 1..=about.namespaces.min(MOST_NAMESPACES) {
        // Some refuse to tell of one that is not there, others tell zeros.
        let Ok(page) = controller.identify_namespace(namespace) else { continue };
        match about.namespace(&page, MOST_SLOTS) {
            Ok(facts) => {
                let disk = NvmeDisk::start(device, &mut controller, namespace, facts, interrupt.sender())?;
                disks.push((namespace, Box::new(disk)));
            }
            Err(Error::NotFound) => {}
            Err(error) => log::error!("{}: namespace {namespace}: {error}", device.address()),
        }
    }
    Ok(disks)
}

/// A namespace.
#[derive(Debug)]
struct NvmeDisk {
    facts: Facts,
    interrupt: Pid,
    doorbells: Doorbells,
    requests: Requests,
}

impl NvmeDisk {
    fn start(
        device: &Device,
        controller: &mut Controller,
        namespace: u32,
        facts: Facts,
        interrupt: Pid,
    ) -> Result<NvmeDisk, Error> {
        let buffers = block_device::allocate_buffers(facts.slots, facts.largest_transfer_bytes)?;
        let facts = Facts { slots: buffers.count(), ..facts };
        let records = DmaMemory::allocate(RECORD_BYTES * facts.slots)?;
        let queue = Queue::allocate()?;
        // Pairs are numbered as namespaces are.
        let doorbells = controller.set_up(device, namespace as u16, &queue)?;
        let requests = Requests::new(queue, namespace, facts.block_bytes, buffers, records);
        Ok(NvmeDisk { facts, interrupt, doorbells, requests })
    }
}

impl Disk for NvmeDisk {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn interrupt(&self) -> Option<Pid> {
        Some(self.interrupt)
    }

    fn buffer(&mut self, slot: usize) -> &mut [u8] {
        self.requests.buffer(slot)
    }

    fn start(&mut self, slot: usize, operation: &Operation) {
        self.requests.start(slot, operation);
    }

    fn show(&mut self) {
        self.doorbells.ring(&mut self.requests.queue);
    }

    fn take(&mut self) -> Option<Finished> {
        self.requests.take()
    }

    /// A completion that comes after the last look interrupts by itself.
    fn rearm(&mut self) -> bool {
        self.doorbells.ring(&mut self.requests.queue);
        self.requests.queue.has_next()
    }
}
