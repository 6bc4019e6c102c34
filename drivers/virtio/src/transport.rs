//! A device's registers over PCI, and how it is brought up: reset, agree on features, set queues up, start.
//!
//! Where the registers are is said by capabilities of the maker's own in configuration space, each of which names a part
//! of the memory behind a base address register.

use hardware::device::{Device, MESSAGE_ENTRY};
use hardware::register::Registers;
use pci::Header;
use pci::header::capability;
use v::Error;

use crate::feature;
use crate::queue::Queue;

/// Offsets of the common registers.
mod common {
    pub const DEVICE_FEATURE_SELECT: usize = 0x00;
    pub const DEVICE_FEATURES: usize = 0x04;
    pub const DRIVER_FEATURE_SELECT: usize = 0x08;
    pub const DRIVER_FEATURES: usize = 0x0c;
    pub const CONFIGURATION_VECTOR: usize = 0x10;
    pub const QUEUE_COUNT: usize = 0x12;
    pub const STATUS: usize = 0x14;
    pub const QUEUE_SELECT: usize = 0x16;
    pub const QUEUE_SIZE: usize = 0x18;
    pub const QUEUE_VECTOR: usize = 0x1a;
    pub const QUEUE_ENABLE: usize = 0x1c;
    pub const QUEUE_NOTIFY_OFFSET: usize = 0x1e;
    pub const QUEUE_PLACES: usize = 0x20;
    pub const BYTES: usize = 0x38;
}

/// Bits of the status register.
mod status {
    pub const ACKNOWLEDGED: u8 = 1;
    pub const DRIVER: u8 = 2;
    pub const STARTED: u8 = 4;
    pub const FEATURES_AGREED: u8 = 8;
}

/// What a capability of the maker's own is about.
mod kind {
    pub const COMMON: u8 = 1;
    pub const NOTIFY: u8 = 2;
    pub const DEVICE: u8 = 4;
}

/// No interrupt for this.
const NO_VECTOR: u16 = 0xffff;
/// How often a device may be asked whether it has reset itself.
const RESET_LOOKS: u32 = 100_000;

/// A part of the memory behind a base address register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    bar: usize,
    offset: u32,
    bytes: u32,
    /// Of the notification part: bytes between queues' registers, in the units of their offsets.
    multiplier: u32,
}

/// The first part of a kind.
fn find(header: &Header, kind: u8) -> Option<Part> {
    header.capabilities().filter(|(number, _)| *number == capability::VENDOR).find_map(|(_, at)| {
        let at = usize::from(at);
        if header.u8_at(at + 3)? != kind {
            return None;
        }
        Some(Part {
            bar: header.u8_at(at + 4)?.into(),
            offset: header.u32_at(at + 8)?,
            bytes: header.u32_at(at + 12)?,
            multiplier: header.u32_at(at + 16).unwrap_or(0),
        })
    })
}

/// A device that has been reset and not started.
#[derive(Debug)]
pub struct Transport {
    common: Registers,
    notify: Registers,
    notify_bytes: usize,
    notify_multiplier: u32,
    device: Registers,
    device_bytes: usize,
}

/// Where a device is told of buffers in a queue.
#[derive(Clone, Copy, Debug)]
pub struct Bell {
    offset: usize,
    queue: u16,
}

impl Transport {
    /// Finds the registers, resets the device, and lets it use memory. [`NotSupported`](Error::NotSupported) for a device
    /// that is no virtio device of version 1.0.
    pub fn open(device: &Device) -> Result<Transport, Error> {
        let part = |kind| find(device.header(), kind).ok_or(Error::NotSupported);
        let registers = |part: Part| device.registers(part.bar, part.offset, part.bytes as usize);
        let (common, notify, own) = (part(kind::COMMON)?, part(kind::NOTIFY)?, part(kind::DEVICE)?);
        if (common.bytes as usize) < common::BYTES {
            return Err(Error::NotSupported);
        }
        let transport = Transport {
            common: registers(common)?,
            notify: registers(notify)?,
            notify_bytes: notify.bytes as usize,
            notify_multiplier: notify.multiplier,
            device: registers(own)?,
            device_bytes: own.bytes as usize,
        };
        transport.common.write(common::STATUS, 0_u8);
        let is_reset = |_: &u32| transport.common.read::<u8>(common::STATUS) == 0;
        (0..RESET_LOOKS).find(is_reset).ok_or(Error::DeviceError)?;
        device.start()?;
        transport.add_status(status::ACKNOWLEDGED | status::DRIVER);
        transport.common.write(common::CONFIGURATION_VECTOR, NO_VECTOR);
        Ok(transport)
    }

    fn add_status(&self, bits: u8) {
        let before: u8 = self.common.read(common::STATUS);
        self.common.write(common::STATUS, before | bits);
    }

    /// Agrees on those of the wanted features that the device has; gives them.
    pub fn agree(&self, wanted: u64) -> Result<u64, Error> {
        let mut offered = 0;
        for half in 0..2_u32 {
            self.common.write(common::DEVICE_FEATURE_SELECT, half);
            offered |= u64::from(self.common.read::<u32>(common::DEVICE_FEATURES)) << (32 * half);
        }
        let agreed = offered & (wanted | feature::VERSION_1);
        if agreed & feature::VERSION_1 == 0 {
            return Err(Error::NotSupported);
        }
        for half in 0..2_u32 {
            self.common.write(common::DRIVER_FEATURE_SELECT, half);
            self.common.write(common::DRIVER_FEATURES, (agreed >> (32 * half)) as u32);
        }
        self.add_status(status::FEATURES_AGREED);
        let is_agreed = self.common.read::<u8>(common::STATUS) & status::FEATURES_AGREED != 0;
        is_agreed.then_some(agreed).ok_or(Error::NotSupported)
    }

    /// The largest size that a queue may have, at most `most`; [`NotSupported`](Error::NotSupported) if there is no such
    /// queue.
    pub fn queue_size(&self, number: u16, most: u16) -> Result<u16, Error> {
        if number >= self.common.read(common::QUEUE_COUNT) {
            return Err(Error::NotSupported);
        }
        self.common.write(common::QUEUE_SELECT, number);
        match self.common.read::<u16>(common::QUEUE_SIZE).min(most) {
            0 => Err(Error::NotSupported),
            size => Ok(1 << size.ilog2()),
        }
    }

    /// Tells the device of a queue, whose interrupts come by the device's one.
    pub fn set_up(&self, number: u16, queue: &Queue) -> Result<Bell, Error> {
        self.common.write(common::QUEUE_SELECT, number);
        self.common.write(common::QUEUE_SIZE, queue.size());
        self.common.write(common::QUEUE_VECTOR, MESSAGE_ENTRY);
        if self.common.read::<u16>(common::QUEUE_VECTOR) != MESSAGE_ENTRY {
            return Err(Error::NoResources);
        }
        // Each 64-bit register is written in halves, as the standard wants.
        for (at, place) in (common::QUEUE_PLACES..).step_by(8).zip(queue.places()) {
            self.common.write(at, place as u32);
            self.common.write(at + 4, (place >> 32) as u32);
        }
        let offset = u64::from(self.common.read::<u16>(common::QUEUE_NOTIFY_OFFSET));
        let offset = offset * u64::from(self.notify_multiplier);
        let fits = offset.is_multiple_of(2) && offset + 2 <= self.notify_bytes as u64;
        self.common.write(common::QUEUE_ENABLE, 1_u16);
        fits.then_some(Bell { offset: offset as usize, queue: number }).ok_or(Error::NotSupported)
    }

    /// The device works from now on.
    pub fn start(&self) {
        self.add_status(status::STARTED);
    }

    /// Tells the device that there is something in a queue.
    #[inline]
    pub fn ring(&self, bell: Bell) {
        self.notify.write(bell.offset, bell.queue);
    }

    /// Reads a byte of the registers that this kind of device has; none beyond their end.
    pub fn own_u8(&self, offset: usize) -> Option<u8> {
        (offset < self.device_bytes).then(|| self.device.read(offset))
    }

    /// Writes a byte of them; nothing beyond their end.
    pub fn set_own_u8(&self, offset: usize, value: u8) {
        if offset < self.device_bytes {
            self.device.write(offset, value);
        }
    }

    /// Reads two bytes of them.
    pub fn own_u16(&self, offset: usize) -> Option<u16> {
        (offset + 2 <= self.device_bytes).then(|| self.device.read(offset))
    }

    /// Reads four bytes of them.
    pub fn own_u32(&self, offset: usize) -> Option<u32> {
        (offset + 4 <= self.device_bytes).then(|| self.device.read(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_found_by_their_kind() {
        let mut bytes = [0; pci::HEADER_BYTES];
        bytes[6] = 0x10;
        bytes[0x34] = 0x40;
        bytes[0x40..0x50].copy_from_slice(&[9, 0x54, 16, 1, 4, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0]);
        bytes[0x54..0x68]
            .copy_from_slice(&[9, 0, 20, 2, 4, 0, 0, 0, 0, 0x30, 0, 0, 0, 0x10, 0, 0, 4, 0, 0, 0]);
        let header = Header(bytes);
        let common = Part { bar: 4, offset: 0x1000, bytes: 0x1000, multiplier: 0 };
        assert_eq!(find(&header, kind::COMMON).map(|part| Part { multiplier: 0, ..part }), Some(common));
        let notify = Part { bar: 4, offset: 0x3000, bytes: 0x1000, multiplier: 4 };
        assert_eq!(find(&header, kind::NOTIFY), Some(notify));
        assert_eq!(find(&header, kind::DEVICE), None);
    }

    proptest! {
        #[test]
        fn no_header_confuses_the_search(bytes in prop::collection::vec(any::<u8>(), pci::HEADER_BYTES)) {
            let mut header = Header([0; pci::HEADER_BYTES]);
            header.0.copy_from_slice(&bytes);
            header.0[6] |= 0x10;
            header.0[0x34] = 0xfc;
            header.0[0xfc] = capability::VENDOR;
            let _ = find(&header, header.0[0xff]);
        }
    }
}
