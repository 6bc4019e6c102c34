//! Which partitions a disk has: by a GUID partition table (GPT), or by the older one in the first block (MBR).
//!
//! [`Search`] reads nothing by itself: it says which blocks it needs and is given them, so that a driver can go on with
//! other requests meanwhile. A disk's content is as hostile as any input: tables are checked by their sums, entries by the
//! disk's length, chains are followed so far and no further. What makes no sense is no partition.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use gpt_disk_types::{
    BlockSize, GptHeader, GptPartitionEntry, GptPartitionEntryArray, GptPartitionEntryArrayLayout,
    MasterBootRecord, MbrPartitionRecord,
};
use protocols::block::Geometry;

/// Most partitions of a disk.
pub const MOST_PARTITIONS: usize = 128;
/// Most bytes of a table of entries.
const MOST_TABLE_BYTES: u64 = 64 * 1024;
/// Where the second block has the table's head.
const PRIMARY_HEADER: u64 = 1;
/// Numbers of the logical partitions in an MBR's extended one begin here.
const FIRST_LOGICAL: u32 = 5;
/// Types in an MBR: what a GPT leaves there for those who do not know it, and partitions with a chain of others inside.
const PROTECTIVE: u8 = 0xee;
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// A partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Its number, from 1 on.
    pub number: u32,
    /// Its first block.
    pub first: u64,
    /// How many it has; at least one, and all are there.
    pub count: u64,
    /// Its type: a GUID, or two hexadecimal digits.
    pub kind: String,
    /// Its name, if it has one.
    pub label: String,
}

/// The kinds of table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TableKind {
    /// There is none.
    #[default]
    None,
    /// A GUID partition table.
    Gpt,
    /// The older one.
    Mbr,
}

impl TableKind {
    /// Its word in the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            TableKind::None => "",
            TableKind::Gpt => "gpt",
            TableKind::Mbr => "mbr",
        }
    }
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// Which table there is.
    pub kind: TableKind,
    /// Its partitions, by their numbers.
    pub partitions: Vec<Partition>,
}

/// Where the search is.
#[derive(Clone, Copy, Debug)]
enum State {
    /// At the first two blocks.
    Beginning,
    /// At the entries that a GPT's head names.
    Entries { layout: GptPartitionEntryArrayLayout, checksum: u32, blocks: u32, is_backup: bool },
    /// At the head's copy in the last block.
    Backup,
    /// At the table of a logical partition.
    Logical { at: u64, extended: (u64, u64), number: u32 },
    /// There.
    Ended,
}

/// A search for the partitions of a disk.
#[derive(Clone, Debug)]
pub struct Search {
    block_size: BlockSize,
    block_count: u64,
    most_blocks: u64,
    state: State,
    /// What the first block says, should there be no GPT.
    mbr: Option<Table>,
    /// The extended partition in it.
    extended: Option<(u64, u64)>,
    table: Table,
}

impl Search {
    /// A search on a disk of so many blocks of so many bytes, of which at most `largest_transfer_bytes` are read at once.
    pub fn new(block_bytes: u32, block_count: u64, largest_transfer_bytes: u32) -> Search {
        let most_blocks = u64::from(largest_transfer_bytes / block_bytes.max(1));
        let block_size = BlockSize::new(block_bytes).unwrap_or(BlockSize::BS_512);
        // A disk that has not even the blocks of a table's heads and an entry has no table.
        let state = if block_count < 4 || most_blocks < 2 { State::Ended } else { State::Beginning };
        Search {
            block_size,
            block_count,
            most_blocks,
            state,
            mbr: None,
            extended: None,
            table: Table::default(),
        }
    }

    /// Which blocks are to be read next: the first, and how many. None when all is found.
    pub fn wants(&self) -> Option<(u64, u32)> {
        match self.state {
            State::Beginning => Some((0, 2)),
            State::Entries { layout, blocks, .. } => Some((layout.start_lba.0, blocks)),
            State::Backup => Some((self.block_count - 1, 1)),
            State::Logical { at, .. } => Some((at, 1)),
            State::Ended => None,
        }
    }

    /// Those blocks; none if they could not be read.
    pub fn take(&mut self, blocks: Option<&[u8]>) {
        let next = match (self.state, blocks) {
            (State::Beginning, Some(blocks)) => self.take_beginning(blocks),
            (State::Entries { layout, checksum, is_backup, .. }, Some(blocks)) => {
                if self.take_entries(layout, checksum, blocks) {
                    State::Ended
                } else {
                    self.after_gpt(is_backup)
                }
            }
            (State::Backup, Some(blocks)) => {
                self.entries_of(blocks, self.block_count - 1, true).unwrap_or_else(|| self.after_gpt(true))
            }
            (State::Logical { at, extended, number }, Some(blocks)) => {
                self.take_logical(blocks, at, extended, number)
            }
            (State::Entries { is_backup, .. }, None) => self.after_gpt(is_backup),
            (_, None) | (State::Ended, _) => State::Ended,
        };
        self.state = next;
    }

    /// What was found.
    pub fn into_table(mut self) -> Table {
        self.table.partitions.sort_by_key(|partition| partition.number);
        self.table
    }

    fn take_beginning(&mut self, blocks: &[u8]) -> State {
        let block_bytes = self.block_size.to_u32() as usize;
        let (first, second) = blocks.split_at(block_bytes.min(blocks.len()));
        let has_gpt = self.look_at_mbr(first);
        if let Some(entries) = self.entries_of(second, PRIMARY_HEADER, false) {
            return entries;
        }
        if has_gpt { State::Backup } else { self.take_mbr() }
    }

    /// Where to go on when a GPT turned out to be damaged.
    fn after_gpt(&mut self, is_backup: bool) -> State {
        if is_backup { self.take_mbr() } else { State::Backup }
    }

    /// Reads the older table. Whether it says that there is a GPT.
    fn look_at_mbr(&mut self, block: &[u8]) -> bool {
        let Some(records) = records(block) else { return false };
        let mut table = Table { kind: TableKind::Mbr, partitions: Vec::new() };
        for (number, record) in (1..).zip(&records) {
            if EXTENDED.contains(&record.os_indicator) {
                self.extended = self.range(place(record));
            } else if record.os_indicator != PROTECTIVE {
                self.add_record(&mut table, number, record, 0);
            }
        }
        self.mbr = Some(table);
        records.iter().any(|record| record.os_indicator == PROTECTIVE)
    }

    /// The older table is the disk's.
    fn take_mbr(&mut self) -> State {
        self.table = self.mbr.take().unwrap_or_default();
        match self.extended {
            Some(extended) if self.table.kind == TableKind::Mbr => {
                State::Logical { at: extended.0, extended, number: FIRST_LOGICAL }
            }
            _ => State::Ended,
        }
    }

    /// A logical partition's table: the first record is the partition, relative to the table; the second says where the
    /// next table is, relative to the extended partition.
    fn take_logical(&mut self, block: &[u8], at: u64, extended: (u64, u64), number: u32) -> State {
        let Some([own, next, ..]) = records(block) else { return State::Ended };
        let mut table = core::mem::take(&mut self.table);
        self.add_record(&mut table, number, &own, at);
        self.table = table;
        let (offset, count) = place(&next);
        let following = extended.0 + offset;
        let is_next = EXTENDED.contains(&next.os_indicator) && count > 0 && offset > 0 && offset < extended.1;
        // Every chain comes to an end here, also one in a circle.
        if is_next && (number as usize) < MOST_PARTITIONS && following < self.block_count {
            State::Logical { at: following, extended, number: number + 1 }
        } else {
            State::Ended
        }
    }

    fn add_record(&self, table: &mut Table, number: u32, record: &MbrPartitionRecord, base: u64) {
        let (first, count) = place(record);
        if record.os_indicator != 0
            && let Some((first, count)) = self.range((base + first, count))
        {
            let kind = format!("{:02x}", record.os_indicator);
            table.partitions.push(Partition { number, first, count, kind, label: String::new() });
        }
    }

    /// The blocks from `first` on, if all are there, and the first block of the disk, the table's, is not among them.
    fn range(&self, (first, count): (u64, u64)) -> Option<(u64, u64)> {
        let end = first.checked_add(count)?;
        (first > 0 && count > 0 && end <= self.block_count).then_some((first, count))
    }

    /// Where the entries are of a GPT whose head is `block`, which lies at `at`. None if it is no such head.
    fn entries_of(&self, block: &[u8], at: u64, is_backup: bool) -> Option<State> {
        let header: GptHeader = bytemuck::pod_read_unaligned(block.get(..size_of::<GptHeader>())?);
        let is_sound = header.is_signature_valid()
            && header.header_size.to_u32() as usize == size_of::<GptHeader>()
            && header.header_crc32 == header.calculate_header_crc32()
            && header.my_lba.to_u64() == at;
        if !is_sound {
            return None;
        }
        let layout = header.get_partition_entry_array_layout().ok()?;
        let bytes = layout.num_bytes_exact().filter(|bytes| *bytes <= MOST_TABLE_BYTES)?;
        let blocks = layout.num_blocks(self.block_size).filter(|blocks| *blocks <= self.most_blocks)?;
        self.range((layout.start_lba.0, blocks))?;
        let checksum = header.partition_entry_array_crc32.0.to_u32();
        (bytes > 0).then_some(State::Entries { layout, checksum, blocks: blocks as u32, is_backup })
    }

    /// Reads a GPT's entries. False if they are not what its head has the sum of.
    fn take_entries(&mut self, layout: GptPartitionEntryArrayLayout, checksum: u32, blocks: &[u8]) -> bool {
        let mut storage = blocks.to_vec();
        let Ok(entries) = GptPartitionEntryArray::new(layout, self.block_size, &mut storage) else {
            return false;
        };
        if entries.calculate_crc32().0.to_u32() != checksum {
            return false;
        }
        let all = (0..layout.num_entries)
            .filter_map(|index| Some((index + 1, entries.get_partition_entry(index)?)));
        let found = all.filter_map(|(number, entry)| self.partition(number, entry));
        let partitions = found.take(MOST_PARTITIONS).collect();
        self.table = Table { kind: TableKind::Gpt, partitions };
        true
    }

    fn partition(&self, number: u32, entry: &GptPartitionEntry) -> Option<Partition> {
        let (first, last) = (entry.starting_lba.to_u64(), entry.ending_lba.to_u64());
        let count = last.checked_sub(first)?.checked_add(1).filter(|_| entry.is_used())?;
        let (first, count) = self.range((first, count))?;
        let (kind, name) = (entry.partition_type_guid, entry.name);
        let kind = kind.0.to_string();
        let mut label: String =
            name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
        let end = label.floor_char_boundary(Geometry::MAX_TEXT_BYTES);
        label.truncate(end);
        Some(Partition { number, first, count, kind, label })
    }
}

/// The four records of a block that is an MBR, or the table of a logical partition: it ends with a mark, and says of each
/// whether it is the one to boot from. A boot block of a file system has the mark as well, but other bytes there.
fn records(block: &[u8]) -> Option<[MbrPartitionRecord; 4]> {
    let mbr: MasterBootRecord = bytemuck::pod_read_unaligned(block.get(..size_of::<MasterBootRecord>())?);
    let can_be = |record: &MbrPartitionRecord| matches!(record.boot_indicator, 0 | 0x80);
    (mbr.signature == [0x55, 0xaa] && mbr.partitions.iter().all(can_be)).then_some(mbr.partitions)
}

fn place(record: &MbrPartitionRecord) -> (u64, u64) {
    (record.starting_lba.to_u32().into(), record.size_in_lba.to_u32().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use gpt_disk_types::{GptPartitionType, LbaLe, U32Le, guid};
    use proptest::prelude::*;
    use std::vec;

    const BLOCKS: u64 = 128;
    const BLOCK_BYTES: usize = 512;
    const LINUX: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";

    fn search(disk: &[u8]) -> Table {
        let mut search = Search::new(BLOCK_BYTES as u32, (disk.len() / BLOCK_BYTES) as u64, 128 * 1024);
        let mut steps = 0;
        while let Some((first, count)) = search.wants() {
            let begin = first as usize * BLOCK_BYTES;
            search.take(disk.get(begin..begin + count as usize * BLOCK_BYTES));
            steps += 1;
            assert!(steps < 200, "it comes to an end");
        }
        search.into_table()
    }

    fn put(disk: &mut [u8], block: u64, bytes: &[u8]) {
        disk[block as usize * BLOCK_BYTES..][..bytes.len()].copy_from_slice(bytes);
    }

    /// The bytes of an MBR with these records: type, first block, count.
    fn mbr(records: &[(u8, u32, u32)]) -> Vec<u8> {
        let mut block = vec![0; BLOCK_BYTES];
        for (at, (kind, first, count)) in records.iter().enumerate() {
            let record = &mut block[446 + 16 * at..][..16];
            record[4] = *kind;
            record[8..12].copy_from_slice(&first.to_le_bytes());
            record[12..].copy_from_slice(&count.to_le_bytes());
        }
        block[510..].copy_from_slice(&[0x55, 0xaa]);
        block
    }

    /// A disk with a GPT and its copy: partition 1 with blocks 40 to 49, partition 3 with 50 to 93.
    fn gpt() -> Vec<u8> {
        let mut disk = vec![0; BLOCKS as usize * BLOCK_BYTES];
        let mut entries = vec![0_u8; 32 * BLOCK_BYTES];
        for (index, first, last, name) in
            [(0, 40, 49, "eins"), (2, 50, 93, "grün"), (3, 90, BLOCKS, "beyond")]
        {
            let entry = GptPartitionEntry {
                partition_type_guid: GptPartitionType(guid!("0fc63daf-8483-4772-8e79-3d69d8477de4")),
                starting_lba: LbaLe::from_u64(first),
                ending_lba: LbaLe::from_u64(last),
                name: name.parse().unwrap(),
                ..GptPartitionEntry::default()
            };
            entries[128 * index..][..128].copy_from_slice(bytemuck::bytes_of(&entry));
        }
        for (own, other, at) in [(1, BLOCKS - 1, 2), (BLOCKS - 1, 1, BLOCKS - 33)] {
            let mut header = GptHeader {
                my_lba: LbaLe::from_u64(own),
                alternate_lba: LbaLe::from_u64(other),
                partition_entry_lba: LbaLe::from_u64(at),
                number_of_partition_entries: U32Le::from_u32(128),
                ..GptHeader::default()
            };
            let layout = header.get_partition_entry_array_layout().unwrap();
            header.partition_entry_array_crc32 =
                GptPartitionEntryArray::new(layout, BlockSize::BS_512, &mut entries)
                    .unwrap()
                    .calculate_crc32();
            header.signature = gpt_disk_types::GptHeaderSignature::EFI_COMPATIBLE_PARTITION_TABLE_HEADER;
            header.revision = gpt_disk_types::GptHeaderRevision::VERSION_1_0;
            header.update_header_crc32();
            put(&mut disk, own, bytemuck::bytes_of(&header));
            put(&mut disk, at, &entries);
        }
        put(&mut disk, 0, &mbr(&[(PROTECTIVE, 1, BLOCKS as u32 - 1)]));
        disk
    }

    fn places(table: &Table) -> Vec<(u32, u64, u64)> {
        table.partitions.iter().map(|one| (one.number, one.first, one.count)).collect()
    }

    #[test]
    fn a_gpt_has_types_and_names() {
        let table = search(&gpt());
        assert_eq!((table.kind, places(&table)), (TableKind::Gpt, vec![(1, 40, 10), (3, 50, 44)]));
        assert_eq!((&*table.partitions[1].kind, &*table.partitions[1].label), (LINUX, "grün"));
    }

    #[test]
    fn a_damaged_gpt_is_read_from_its_copy() {
        for damaged in [512 + 30, 1024 + 7] {
            let mut disk = gpt();
            disk[damaged] ^= 1;
            let table = search(&disk);
            assert_eq!((table.kind, table.partitions.len()), (TableKind::Gpt, 2), "byte {damaged}");
            // The copy damaged as well: no partition is better than a wrong one.
            let copy = BLOCKS as usize * BLOCK_BYTES - BLOCK_BYTES + 20;
            disk[copy] ^= 1;
            assert_eq!(places(&search(&disk)), [], "byte {damaged}");
        }
    }

    #[test]
    fn an_mbr_has_four_partitions_and_a_chain() {
        let mut disk = vec![0; BLOCKS as usize * BLOCK_BYTES];
        put(&mut disk, 0, &mbr(&[(0x83, 8, 8), (0x0c, 16, 4), (0x05, 32, 64), (0x83, 120, 9)]));
        put(&mut disk, 32, &mbr(&[(0x83, 1, 7), (0x05, 16, 16)]));
        put(&mut disk, 48, &mbr(&[(0x82, 2, 6), (0x05, 0, 16)]));
        let table = search(&disk);
        assert_eq!(table.kind, TableKind::Mbr);
        assert_eq!(places(&table), [(1, 8, 8), (2, 16, 4), (5, 33, 7), (6, 50, 6)], "4 is not all there");
        assert_eq!(
            table.partitions.iter().map(|one| &*one.kind).collect::<Vec<_>>(),
            ["83", "0c", "83", "82"]
        );
        // A chain in a circle ends.
        put(&mut disk, 48, &mbr(&[(0x82, 2, 6), (0x05, 16, 16)]));
        assert!(search(&disk).partitions.len() <= MOST_PARTITIONS);
    }

    #[test]
    fn a_file_systems_boot_block_is_no_table() {
        let mut disk = vec![0; BLOCKS as usize * BLOCK_BYTES];
        let mut block = mbr(&[(0x83, 8, 8)]);
        block[446] = b'N';
        put(&mut disk, 0, &block);
        assert_eq!(search(&disk), Table::default());
        assert_eq!(search(&[]), Table::default());
        assert_eq!(search(&gpt()[..3 * BLOCK_BYTES]), Table::default());
    }

    proptest! {
        #[test]
        fn what_is_found_is_on_the_disk(changes in prop::collection::vec((0..BLOCKS as usize * BLOCK_BYTES, any::<u8>()), 0..6), is_gpt: bool) {
            let mut disk = gpt();
            if !is_gpt {
                put(&mut disk, 0, &mbr(&[(0x83, 8, 8), (0x05, 32, 64)]));
                put(&mut disk, 32, &mbr(&[(0x83, 1, 7), (0x05, 16, 16)]));
                put(&mut disk, 1, &[0; BLOCK_BYTES]);
            }
            for (at, byte) in changes {
                disk[at] = byte;
            }
            for found in search(&disk).partitions {
                prop_assert!(found.first > 0 && found.count > 0 && found.first + found.count <= BLOCKS);
            }
        }

        #[test]
        fn no_head_of_a_table_confuses_the_search(words in prop::collection::vec(any::<u64>(), 7), sizes: (u32, u32)) {
            let mut disk = gpt();
            let mut header: GptHeader = bytemuck::pod_read_unaligned(&disk[BLOCK_BYTES..][..size_of::<GptHeader>()]);
            header.partition_entry_lba = LbaLe::from_u64(words[0] % 200);
            header.number_of_partition_entries = U32Le::from_u32(sizes.0 % 2000);
            header.size_of_partition_entry = U32Le::from_u32(128 << (sizes.1 % 28));
            header.update_header_crc32();
            put(&mut disk, 1, bytemuck::bytes_of(&header));
            search(&disk);
        }
    }
}
