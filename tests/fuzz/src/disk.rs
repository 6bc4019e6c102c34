//! What disks hold and say: tables of partitions, which the drivers of disks read, and pages in which NVMe and SATA disks
//! tell what they are.

use ahci_driver::identify::facts;
use block_device::Facts;
use block_device::partitions::{MOST_PARTITIONS, Search};
use nvme_driver::identify::{Controller, PAGE_BYTES};

const BLOCK_BYTES: usize = 512;
const SLOTS: usize = 16;
/// Where a GPT's head is, and its sums in it.
const HEAD: usize = BLOCK_BYTES;
const HEAD_BYTES: usize = 92;
const HEAD_SUM: usize = HEAD + 16;
const ENTRIES_AT: usize = HEAD + 72;
const ENTRIES_COUNT: usize = HEAD + 80;
const ENTRY_BYTES: usize = HEAD + 84;
const ENTRIES_SUM: usize = HEAD + 88;

/// The bytes are a disk's blocks, once as they come and once with a GPT's sums made right; and a device's pages.
pub fn check(bytes: &[u8]) {
    let mut disk = bytes.to_vec();
    disk.resize(disk.len().next_multiple_of(BLOCK_BYTES), 0);
    search(&disk);
    repair(&mut disk);
    search(&disk);
    identify(bytes);
}

/// What is found is on the disk, and finding it comes to an end.
fn search(disk: &[u8]) {
    let blocks = (disk.len() / BLOCK_BYTES) as u64;
    let mut search = Search::new(BLOCK_BYTES as u32, blocks, 128 * 1024);
    let mut steps = 0;
    while let Some((first, count)) = search.wants() {
        assert!(first + u64::from(count) <= blocks, "blocks from {first} on are wanted, of {blocks}");
        let begin = first as usize * BLOCK_BYTES;
        search.take(disk.get(begin..begin + count as usize * BLOCK_BYTES));
        steps += 1;
        assert!(steps <= 2 * MOST_PARTITIONS, "the search does not end");
    }
    let table = search.into_table();
    assert!(table.partitions.len() <= 2 * MOST_PARTITIONS);
    for partition in &table.partitions {
        assert!(partition.first > 0 && partition.count > 0 && partition.first + partition.count <= blocks);
    }
}

/// No search finds a sum by chance.
fn repair(disk: &mut [u8]) {
    if disk.len() < 4 * BLOCK_BYTES {
        return;
    }
    let word =
        |disk: &[u8], at: usize| u32::from_le_bytes([disk[at], disk[at + 1], disk[at + 2], disk[at + 3]]);
    let begin = (word(disk, ENTRIES_AT) as usize).saturating_mul(BLOCK_BYTES);
    let bytes = (word(disk, ENTRIES_COUNT) as usize).saturating_mul(word(disk, ENTRY_BYTES) as usize);
    if let Some(entries) = disk.get(begin..begin.saturating_add(bytes)) {
        let sum = CHECKSUM.checksum(entries).to_le_bytes();
        disk[ENTRIES_SUM..ENTRIES_SUM + 4].copy_from_slice(&sum);
    }
    disk[HEAD_SUM..HEAD_SUM + 4].fill(0);
    let sum = CHECKSUM.checksum(&disk[HEAD..HEAD + HEAD_BYTES]).to_le_bytes();
    disk[HEAD_SUM..HEAD_SUM + 4].copy_from_slice(&sum);
}

static CHECKSUM: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

fn identify(bytes: &[u8]) {
    let mut pages = bytes.to_vec();
    pages.resize(2 * PAGE_BYTES, 0);
    let (first, second) = pages.split_at(PAGE_BYTES);
    let page = |bytes: &[u8]| -> [u8; PAGE_BYTES] { bytes.try_into().expect("a page") };
    let controller = Controller::decode(&page(first), 4096);
    make_sense(controller.namespace(&page(second), SLOTS).ok());
    make_sense(controller.namespace(&page(first), SLOTS).ok());
    make_sense(first.first_chunk().and_then(|said| facts(said, SLOTS).ok()));
}

fn make_sense(facts: Option<Facts>) {
    let Some(facts) = facts else { return };
    assert!(facts.block_bytes.is_power_of_two() && facts.block_bytes >= 512);
    assert!(facts.block_count.checked_mul(facts.block_bytes.into()).is_some());
    assert!(facts.largest_transfer_bytes >= facts.block_bytes);
    assert!(facts.largest_transfer_bytes.is_multiple_of(facts.block_bytes));
}
