//! Which disk is `[disk0]`. The number of each is the first that is free when its driver starts for the first time, so that
//! it follows the order of the services, then that of the devices; the supervisor keeps it for later lives.

use alloc::vec::Vec;

/// What tells a disk from others of its driver: where its device sits, and which of its disks it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// The device's address on the bus.
    pub device: u32,
    /// The port, namespace or the like.
    pub part: u32,
}

/// More than there can be.
const MOST_DISKS: u32 = 100_000;
const KEY_BYTES: usize = 8;
const ENTRY_BYTES: usize = KEY_BYTES + 4;

/// A number for each disk: what `saved` says, else the first that is neither `taken` nor another's.
pub fn assign(disks: &[Key], saved: &[(Key, u32)], taken: &[u32]) -> Vec<(Key, u32)> {
    let mut assigned: Vec<(Key, u32)> = Vec::new();
    for disk in disks {
        let kept = saved.iter().find(|(key, _)| key == disk).map(|(_, number)| *number);
        let is_free = |number: &u32| {
            let others = saved.iter().chain(&assigned).map(|(_, other)| other);
            !taken.contains(number) && !others.copied().any(|other| other == *number)
        };
        let number = kept.or_else(|| (0..MOST_DISKS).find(is_free)).unwrap_or(MOST_DISKS);
        assigned.push((*disk, number));
    }
    assigned
}

/// Numbers as the supervisor keeps them. Disks that are not there now are kept as well: they may come back.
pub fn encode(saved: &[(Key, u32)], assigned: &[(Key, u32)]) -> Vec<u8> {
    let gone = saved.iter().filter(|(key, _)| !assigned.iter().any(|(other, _)| other == key));
    let words = assigned.iter().chain(gone).flat_map(|(key, number)| [key.device, key.part, *number]);
    words.flat_map(u32::to_le_bytes).collect()
}

/// Reads them.
pub fn decode(bytes: &[u8]) -> Vec<(Key, u32)> {
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |four| u32::from_le_bytes(*four));
    let entries = bytes.chunks_exact(ENTRY_BYTES);
    entries
        .map(|entry| (Key { device: word(entry), part: word(&entry[4..]) }, word(&entry[KEY_BYTES..])))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec;

    const fn key(device: u32, part: u32) -> Key {
        Key { device, part }
    }

    #[test]
    fn numbers_are_the_first_that_are_free_and_stay() {
        let disks = [key(0x18, 0), key(0x20, 0), key(0x20, 1)];
        let first = assign(&disks, &[], &[1]);
        assert_eq!(first.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [0, 2, 3]);
        let saved = decode(&encode(&[], &first));
        assert_eq!(saved, first);
        // The first has gone, and there is a new one.
        let later = assign(&[key(0x20, 1), key(0x28, 0)], &saved, &[0, 1, 2, 3]);
        assert_eq!(later, [(key(0x20, 1), 3), (key(0x28, 0), 4)]);
        let saved = decode(&encode(&saved, &later));
        assert_eq!(assign(&disks, &saved, &[]), first);
        assert_eq!(decode(&[1, 2, 3]), vec![]);
    }
}
