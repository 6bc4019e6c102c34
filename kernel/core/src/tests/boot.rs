//! Booting: what the supervisor finds, and what is said of an archive that has none.

extern crate std;

#[path = "../../../../formats/src/tests/sample.rs"]
mod sample;

use std::vec::Vec;

use sample::Header;

use super::*;
use crate::test_machine;

const BLOCK_BYTES: usize = 512;

fn code() -> Header {
    Header { kind: 1, flags: 5, offset: 0x1010, address: 0x40_0010, file_bytes: 0x1100, memory_bytes: 0x1100 }
}

fn data() -> Header {
    Header { kind: 1, flags: 6, offset: 0x1ff0, address: 0x40_2ff0, file_bytes: 0x20, memory_bytes: 0x3000 }
}

fn elf(headers: &[Header], entry: u64) -> Vec<u8> {
    let mut file = sample::image(entry, headers);
    for (at, byte) in file.iter_mut().enumerate().skip(0x1000) {
        *byte = at as u8 ^ (at >> 8) as u8;
    }
    file
}

fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = std::vec![0; BLOCK_BYTES];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(std::format!("{:011o}", content.len()).as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut header);
    header.extend(content);
    header.resize(header.len().next_multiple_of(BLOCK_BYTES) + 2 * BLOCK_BYTES, 0);
    header
}

fn seal(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(std::format!("{sum:06o}\0 ").as_bytes());
}

#[test]
fn the_first_file_must_be_the_supervisor() {
    let missing = || Err("the boot archive does not begin with the file bin/supervisor".into());
    let good = tar(SUPERVISOR, b"content");
    assert_eq!(first_file(&good), Ok(&b"content"[..]));
    assert_eq!(first_file(&tar("./bin/supervisor", b"x")), Ok(&b"x"[..]));
    assert_eq!(first_file(&good[..511]), missing());
    assert_eq!(first_file(&tar("bin/supervisors", b"x")), missing());
    let mut folder = good.clone();
    folder[156] = b'5';
    seal(&mut folder[..BLOCK_BYTES]);
    assert_eq!(first_file(&folder), missing());
    assert!(first_file(&good[..BLOCK_BYTES + 6]).unwrap_err().starts_with("the boot archive is damaged"));
    let mut damaged = good.clone();
    damaged[300] = 1;
    assert!(first_file(&damaged).unwrap_err().starts_with("the boot archive is damaged"));
}

#[test]
fn the_supervisor_is_loaded_and_has_everything() {
    let mut kernel = test_machine::kernel(4096);
    let file = elf(&[code(), data()], 0x40_0010);
    let archive = tar(SUPERVISOR, &file);
    let device = DeviceMemory { first: Frame(0xfed00), pages: 16, cached: false };
    let physical = 0x80_0000;
    let place = BootArchive { bytes: &archive, physical };
    assert_eq!(kernel.boot(place, &[device], 0xe_1000), Ok(()));
    let team = kernel.team(0);
    let (space, root) = (team.space, team.root);
    assert_eq!(team.grants.iter().filter(|grant| grant.count > 0).count(), 4);
    let mut bytes = std::vec![0; 0x6000];
    for (page, chunk) in (0..).zip(bytes.chunks_mut(PAGE_BYTES as usize)) {
        let address = 0x40_0000 + page * PAGE_BYTES;
        let (frame, ..) = kernel.machine.page(space, address).unwrap();
        kernel.machine.read_frame(frame, 0, chunk);
    }
    assert_eq!(bytes[..0x10], [0; 0x10]);
    assert_eq!(bytes[0x10..0x1110], file[0x1010..0x2110]);
    assert_eq!(bytes[0x1110..0x2ff0], [0; 0x1ee0]);
    assert_eq!(bytes[0x2ff0..0x3010], file[0x1ff0..0x2010]);
    assert_eq!(bytes[0x3010..], [0; 0x2ff0]);
    assert_eq!(kernel.touch(0, abi::boot::ARCHIVE_ADDRESS + 1, READ), Ok(()));
    assert_eq!(
        kernel.machine.page(space, abi::boot::ARCHIVE_ADDRESS),
        Some((Frame::containing(physical), READ, Caching::Cached))
    );
    assert!(kernel.touch(0, abi::boot::STACK_TOP - 8, WRITE).is_ok());
    assert!(kernel.touch(0, abi::boot::STACK_TOP, WRITE).is_err());
    let registers = kernel.processes[root].registers;
    assert_eq!((registers.instruction, registers.stack), (0x40_0010, abi::boot::STACK_TOP));
    let start = Start::from_message(&abi::Message::from_registers(registers.message));
    assert_eq!((start.archive_physical, start.archive_bytes), (physical, archive.len() as u64));
    assert_eq!(start.acpi_root_table, 0xe_1000);
}

#[test]
fn a_boot_that_fails_says_why() {
    let archive = tar(SUPERVISOR, &elf(&[code(), data()], 0x40_0010));
    let mut kernel = test_machine::kernel(4096);
    let result = kernel.boot(BootArchive { bytes: &archive, physical: 17 }, &[], 0);
    assert_eq!(result, Err("the boot archive lies at a strange place in memory".into()));
    let text = tar(SUPERVISOR, b"#!/bin/exec");
    let result = kernel.boot(BootArchive { bytes: &text, physical: 0 }, &[], 0);
    assert_eq!(result, Err(format!("the supervisor cannot be run: {}", formats::image::BadImage::NotElf)));
    let mut kernel = test_machine::kernel(10);
    let result = kernel.boot(BootArchive { bytes: &archive, physical: 0 }, &[], 0);
    assert!(result.unwrap_err().starts_with("cannot make "));
}
