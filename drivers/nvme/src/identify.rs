//! What a controller and its namespaces say of themselves: pages of 4096 bytes each.

use alloc::string::String;

use abi::Error;
use block_device::{Facts, LARGEST_TRANSFER_BYTES, text};

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4096;

/// What a controller says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Controller {
    /// What it calls itself.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Most bytes of a transfer.
    pub largest_transfer_bytes: u32,
    /// How many namespaces there may be: their numbers go up to this.
    pub namespaces: u32,
    /// Whether it keeps written data where it is lost with the power.
    pub has_write_cache: bool,
    /// Whether it can be told what nobody needs.
    pub discards: bool,
}

impl Controller {
    /// Reads its page. `smallest_page_bytes` is the unit of its limits.
    pub fn decode(page: &[u8; PAGE_BYTES], smallest_page_bytes: u64) -> Controller {
        const LARGEST_TRANSFER: usize = 77;
        const NAMESPACES: usize = 516;
        const OPTIONAL_COMMANDS: usize = 520;
        const DATASET_COMMAND: u8 = 1 << 2;
        const WRITE_CACHE: usize = 525;
        let largest = match page[LARGEST_TRANSFER] {
            0 => u64::MAX,
            exponent => smallest_page_bytes.checked_shl(exponent.into()).unwrap_or(u64::MAX),
        };
        Controller {
            serial: text(&page[4..24]),
            model: text(&page[24..64]),
            largest_transfer_bytes: largest.min(LARGEST_TRANSFER_BYTES as u64) as u32,
            namespaces: word(page, NAMESPACES),
            has_write_cache: page[WRITE_CACHE] & 1 != 0,
            discards: page[OPTIONAL_COMMANDS] & DATASET_COMMAND != 0,
        }
    }

    /// What a namespace's page says of a disk. [`NotFound`](Error::NotFound) if it is not there, which a page of zeros says.
    pub fn namespace(&self, page: &[u8; PAGE_BYTES], slots: usize) -> Result<Facts, Error> {
        const BLOCKS: usize = 0;
        const FORMAT: usize = 26;
        const ATTRIBUTES: usize = 99;
        const IS_READ_ONLY: u8 = 1;
        const FORMATS: usize = 128;
        const FEATURES: usize = 24;
        const HAS_GRANULARITY: u8 = 1 << 4;
        const WRITE_GRANULARITY: usize = 64;
        let blocks = u64::from(word(page, BLOCKS)) | u64::from(word(page, BLOCKS + 4)) << 32;
        if blocks == 0 {
            return Err(Error::NotFound);
        }
        // Sixteen formats are in the page; the two further bits of the number are of controllers with more.
        let format = word(page, FORMATS + 4 * usize::from(page[FORMAT] & 0xf));
        let (metadata_bytes, exponent) = (format & 0xffff, format >> 16 & 0xff);
        if metadata_bytes != 0 || page[FORMAT] & 0x60 != 0 || exponent > 16 {
            return Err(Error::NotSupported);
        }
        let block_bytes = 1 << exponent;
        let granularity = if page[FEATURES] & HAS_GRANULARITY != 0 {
            1 + (word(page, WRITE_GRANULARITY) & 0xffff)
        } else {
            1
        };
        Facts {
            block_bytes,
            physical_block_bytes: block_bytes.saturating_mul(granularity),
            block_count: blocks,
            largest_transfer_bytes: self.largest_transfer_bytes,
            slots,
            has_write_cache: self.has_write_cache,
            is_read_only: page[ATTRIBUTES] & IS_READ_ONLY != 0,
            largest_discard_blocks: if self.discards { u32::MAX } else { 0 },
            model: self.model.clone(),
            serial: self.serial.clone(),
        }
        .check()
    }
}

fn word(page: &[u8; PAGE_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pages() -> ([u8; PAGE_BYTES], [u8; PAGE_BYTES]) {
        let (mut controller, mut namespace) = ([0; PAGE_BYTES], [0; PAGE_BYTES]);
        controller[4..24].copy_from_slice(b"V0                  ");
        controller[24..64].copy_from_slice(b"QEMU NVMe Ctrl                          ");
        (controller[77], controller[516], controller[520], controller[525]) = (4, 1, 4, 1);
        namespace[..4].copy_from_slice(&0x4000_u32.to_le_bytes());
        namespace[26] = 2;
        namespace[128 + 8 + 2] = 12;
        (controller, namespace)
    }

    #[test]
    fn a_namespace_is_a_disk() {
        let (controller, namespace) = pages();
        let controller = Controller::decode(&controller, 4096);
        assert_eq!(
            (&*controller.model, &*controller.serial, controller.namespaces),
            ("QEMU NVMe Ctrl", "V0", 1)
        );
        assert_eq!(controller.largest_transfer_bytes, 64 * 1024);
        let facts = controller.namespace(&namespace, 8).unwrap();
        assert_eq!(
            (facts.block_bytes, facts.block_count, facts.largest_transfer_bytes),
            (4096, 0x4000, 64 * 1024)
        );
        assert!(facts.has_write_cache && facts.largest_discard_blocks > 0 && !facts.is_read_only);
        assert_eq!(controller.namespace(&[0; PAGE_BYTES], 8), Err(Error::NotFound));
    }

    #[test]
    fn formats_that_cannot_be_are_refused() {
        let (controller, namespace) = pages();
        let controller = Controller::decode(&controller, 4096);
        for (at, byte) in [(128 + 8, 8), (128 + 8 + 2, 8), (128 + 8 + 2, 200), (26, 0x22), (26, 3)] {
            let mut namespace = namespace;
            namespace[at] = byte;
            assert_eq!(controller.namespace(&namespace, 8), Err(Error::NotSupported), "{at}: {byte}");
        }
    }

    proptest! {
        #[test]
        fn no_page_confuses_the_reader(
            bytes in prop::collection::vec(any::<u8>(), 2 * PAGE_BYTES),
            exponent in 12..28_u32,
        ) {
            let page = |at: usize| -> [u8; PAGE_BYTES] { bytes[at..at + PAGE_BYTES].try_into().unwrap() };
            let controller = Controller::decode(&page(0), 1 << exponent);
            if let Ok(facts) = controller.namespace(&page(PAGE_BYTES), 8) {
                prop_assert!(facts.block_count.checked_mul(facts.block_bytes.into()).is_some());
                prop_assert!(facts.largest_transfer_bytes >= facts.block_bytes);
            }
        }
    }
}
