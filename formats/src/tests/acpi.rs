//! Tables as firmware leaves them, old and new, and tables as nobody should.

use super::*;
use proptest::prelude::*;

extern crate std;
use std::vec;
use std::vec::Vec;

const RSDT_AT: usize = 0x200;
const XSDT_AT: usize = 0x300;
const FIRST_AT: usize = 0x400;
const SECOND_AT: usize = 0x500;
/// Where a PC's firmware leaves the root pointer.
const ROOT_AT: usize = 0xf_5a00;

struct Machine(Vec<u8>);

impl<'a> Memory for &'a Machine {
    type Bytes = &'a [u8];

    fn bytes(self, address: u64, length: usize) -> Option<&'a [u8]> {
        self.0.get(usize::try_from(address).ok()?..)?.get(..length)
    }
}

fn missing(bytes: &[u8]) -> u8 {
    0u8.wrapping_sub(bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte)))
}

impl Machine {
    fn put_table(&mut self, at: usize, signature: &[u8], content: &[u8]) {
        let mut table = vec![0; HEADER_BYTES];
        table[..4].copy_from_slice(signature);
        table[4..8].copy_from_slice(&((HEADER_BYTES + content.len()) as u32).to_le_bytes());
        table.extend(content);
        table[9] = missing(&table);
        self.0[at..at + table.len()].copy_from_slice(&table);
    }

    fn put_root(&mut self, at: usize, version: u8) {
        let mut root = vec![0; 36];
        root[..8].copy_from_slice(b"RSD PTR ");
        root[15] = version;
        root[16..20].copy_from_slice(&(RSDT_AT as u32).to_le_bytes());
        root[8] = missing(&root[..20]);
        root[20] = 36;
        root[24..32].copy_from_slice(&(XSDT_AT as u64).to_le_bytes());
        root[32] = missing(&root);
        self.0[at..at + 36].copy_from_slice(&root);
    }

    fn names(&self, root_table: u64) -> Vec<&[u8]> {
        tables(self, root_table).map(|table| &table[..4]).collect()
    }
}

fn machine(version: u8) -> Machine {
    let mut machine = Machine(vec![0; 0x10_0000]);
    machine.put_root(ROOT_AT, version);
    let old = [FIRST_AT as u32, 0xffff_0000, SECOND_AT as u32].map(u32::to_le_bytes);
    machine.put_table(RSDT_AT, b"RSDT", old.as_flattened());
    let new = [SECOND_AT as u64, FIRST_AT as u64].map(u64::to_le_bytes);
    machine.put_table(XSDT_AT, b"XSDT", new.as_flattened());
    machine.put_table(FIRST_AT, b"APIC", &[1, 2, 3]);
    machine.put_table(SECOND_AT, b"FACP", &[]);
    machine
}

#[test]
fn tables_of_both_versions_are_found() {
    let old = machine(0);
    assert_eq!(root_table(&old, None), Some(RSDT_AT as u64));
    assert_eq!(old.names(RSDT_AT as u64), [b"APIC", b"FACP"]);
    let new = machine(2);
    assert_eq!(root_table(&new, None), Some(XSDT_AT as u64));
    assert_eq!(new.names(XSDT_AT as u64), [b"FACP", b"APIC"]);
    assert!(new.names(FIRST_AT as u64).is_empty(), "that is no root table");
}

#[test]
fn the_loaders_word_comes_before_a_search() {
    let mut machine = machine(2);
    machine.put_root(0x700, 0);
    assert_eq!(root_table(&machine, Some(0x700)), Some(RSDT_AT as u64));
    assert_eq!(root_table(&machine, Some(0x800)), None);
    assert_eq!(root_table(&machine, Some(u64::MAX - 3)), None);
}

#[test]
fn the_extended_area_is_searched_first() {
    let mut machine = machine(2);
    machine.put_root(0x9_fc40, 0);
    machine.0[0x40e..0x410].copy_from_slice(&0x9fc0u16.to_le_bytes());
    assert_eq!(root_table(&machine, None), Some(RSDT_AT as u64));
}

#[test]
fn a_wrong_checksum_is_not_believed() {
    let mut damaged = machine(0);
    damaged.0[ROOT_AT + 9] ^= 1;
    assert_eq!(root_table(&damaged, None), None);
    let mut damaged = machine(2);
    damaged.0[ROOT_AT + 33] ^= 1;
    assert_eq!(root_table(&damaged, None), Some(RSDT_AT as u64), "its first part is sound");
    let mut damaged = machine(0);
    damaged.0[FIRST_AT + 37] ^= 1;
    assert_eq!(damaged.names(RSDT_AT as u64), [b"FACP"]);
    damaged.0[RSDT_AT + 37] ^= 1;
    assert!(damaged.names(RSDT_AT as u64).is_empty());
}

proptest! {
    #[test]
    fn no_table_confuses_the_reader(
        version: u8,
        place in prop::sample::select(vec![ROOT_AT, RSDT_AT, XSDT_AT, FIRST_AT, SECOND_AT]),
        at in 0..64_usize,
        bytes in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let mut machine = machine(version);
        machine.0[place + at..place + at + bytes.len()].copy_from_slice(&bytes);
        for root_pointer in [None, Some(ROOT_AT as u64)] {
            if let Some(root) = root_table(&machine, root_pointer) {
                prop_assert!(tables(&machine, root).all(|table| table.len() >= HEADER_BYTES));
            }
        }
        // A root table with a sound checksum that says anything.
        machine.put_table(XSDT_AT, b"XSDT", &bytes);
        prop_assert!(tables(&machine, XSDT_AT as u64).count() <= bytes.len() / 8);
    }
}
