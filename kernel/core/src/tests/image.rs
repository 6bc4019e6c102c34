//! Boot archives and images: a good one, and every way in which one may be bad.

extern crate std;

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::boot::{BootArchive, BootError, DeviceMemory};
use crate::frame::Frame;
use crate::machine::{Caching, Machine};
use crate::test_machine;

const ELF_HEADER_BYTES: usize = 64;

#[derive(Clone)]
struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_bytes: u64,
    memory_bytes: u64,
}

fn code() -> Header {
    Header {
        kind: PT_LOAD,
        flags: 5,
        offset: 0x1000,
        address: 0x40_0010,
        file_bytes: 0x1100,
        memory_bytes: 0x1100,
    }
}

fn data() -> Header {
    Header {
        kind: PT_LOAD,
        flags: 6,
        offset: 0x1800,
        address: 0x40_2ff0,
        file_bytes: 0x20,
        memory_bytes: 0x3000,
    }
}

fn elf(headers: &[Header], entry: u64) -> Vec<u8> {
    let mut file = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend(ET_EXEC.to_le_bytes());
    file.extend(EM_X86_64.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(entry.to_le_bytes());
    file.extend((ELF_HEADER_BYTES as u64).to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.extend(0u32.to_le_bytes());
    for half in [64, PROGRAM_HEADER_BYTES, headers.len() as u16, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for header in headers {
        file.extend(header.kind.to_le_bytes());
        file.extend(header.flags.to_le_bytes());
        for word in
            [header.offset, header.address, header.address, header.file_bytes, header.memory_bytes, 0x1000]
        {
            file.extend(word.to_le_bytes());
        }
    }
    file.resize(0x3000, 0);
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
    let good = tar(SUPERVISOR, b"content");
    assert_eq!(first_file(&good), Ok(&b"content"[..]));
    assert_eq!(first_file(&tar("./bin/supervisor", b"x")), Ok(&b"x"[..]));
    assert!(first_file(&good[..511]).is_err());
    assert!(first_file(&good[..BLOCK_BYTES + 6]).is_err());
    assert!(first_file(&tar("bin/supervisors", b"x")).is_err());
    assert!(first_file(&tar("supervisor", b"x")).is_err());
    for (at, byte) in [(0, b'c'), (148, b'9'), (150, 0xff), (257, b'U'), (300, 1)] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert!(first_file(&bad).is_err(), "{at}");
    }
    for (at, byte) in [(124, b'8'), (124, b'7'), (124, 0xff), (156, b'5')] {
        let mut bad = good.clone();
        bad[at] = byte;
        seal(&mut bad[..BLOCK_BYTES]);
        assert!(first_file(&bad).is_err(), "{at}");
    }
}

#[test]
fn a_good_image_says_what_it_wants() {
    let file = elf(&[code(), data()], 0x40_0010);
    let image = Image::parse(&file).unwrap();
    let segments: Vec<Segment> = image.segments().collect();
    assert_eq!(segments.len(), 2);
    assert_eq!((segments[0].range.start, segments[0].range.pages()), (0x40_0000, 2));
    assert_eq!((segments[1].range.start, segments[1].range.pages()), (0x40_2000, 4));
    assert_eq!((segments[0].protection, segments[1].protection), (READ | EXECUTE, READ | WRITE));
    assert_eq!((segments[1].offset, segments[1].content.len()), (0xff0, 0x20));
}

#[test]
fn bad_images_are_refused() {
    let bad = |change: fn(&mut [Header; 2])| {
        let mut headers = [code(), data()];
        change(&mut headers);
        Image::parse(&elf(&headers, 0x40_0010)).map(|_| ()).unwrap_err()
    };
    bad(|headers| headers[0].kind = PT_INTERP);
    bad(|headers| headers[0].flags = 7);
    bad(|headers| headers[0].flags = 4);
    bad(|headers| headers[0].address = 0x8000);
    bad(|headers| headers[0].address = u64::MAX - 0x1000);
    bad(|headers| headers[0].offset = u64::MAX);
    bad(|headers| headers[0].offset = 0x2000);
    bad(|headers| headers[0].file_bytes = u64::MAX);
    bad(|headers| headers[0].memory_bytes = 0x10ff);
    bad(|headers| headers[0].memory_bytes = u64::MAX);
    bad(|headers| headers[0].memory_bytes = 0x2000);
    bad(|headers| headers[1].memory_bytes = 1 << 50);
    bad(|headers| headers[1].address = IMAGE_END - 0x1000);
    bad(|headers| headers.swap(0, 1));
    assert!(Image::parse(&elf(&[code(), data()], 0x40_3000)).is_err());
    assert!(Image::parse(&elf(&[], 0x40_0010)).is_err());
    let good = elf(&[code(), data()], 0x40_0010);
    // Identification, class, byte order, kind, machine, place and size of the program headers.
    for at in [0, 4, 5, 16, 18, 34, 54, 57] {
        let mut file = good.clone();
        file[at] ^= 0x40;
        assert!(Image::parse(&file).is_err(), "{at}");
    }
    for length in [0, 15, 16, 63, 64, 100, 0x1100] {
        assert!(Image::parse(&good[..length]).is_err(), "{length}");
    }
}

#[test]
fn the_supervisor_is_loaded_and_has_everything() {
    let mut kernel = test_machine::kernel(4096);
    let file = elf(&[code(), data()], 0x40_0010);
    let archive = tar(SUPERVISOR, &file);
    let device = DeviceMemory { first: Frame(0xfed00), pages: 16, cached: false };
    let physical = 0x80_0000;
    let place = BootArchive { bytes: &archive, physical };
    assert_eq!(kernel.boot(place, &[device]), Ok(()));
    let team = kernel.team(0);
    let (space, root) = (team.space.unwrap(), team.root);
    assert_eq!(team.grants.iter().filter(|grant| grant.count > 0).count(), 4);
    let mut bytes = std::vec![0; 0x6000];
    for (page, chunk) in (0..).zip(bytes.chunks_mut(PAGE_BYTES as usize)) {
        let address = 0x40_0000 + page * PAGE_BYTES;
        let (frame, ..) = kernel.machine.page(space, address).unwrap();
        kernel.machine.read_frame(frame, 0, chunk);
    }
    assert_eq!(bytes[..0x10], [0; 0x10]);
    assert_eq!(bytes[0x10..0x1110], file[0x1000..0x2100]);
    assert_eq!(bytes[0x1110..0x2ff0], [0; 0x1ee0]);
    assert_eq!(bytes[0x2ff0..0x3010], file[0x1800..0x1820]);
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
}

#[test]
fn a_boot_that_fails_says_why() {
    let archive = tar(SUPERVISOR, &elf(&[code(), data()], 0x40_0010));
    let mut kernel = test_machine::kernel(4096);
    let result = kernel.boot(BootArchive { bytes: &archive, physical: 17 }, &[]);
    assert!(matches!(result, Err(BootError::Archive(_))), "{result:?}");
    let mut kernel = test_machine::kernel(6);
    let result = kernel.boot(BootArchive { bytes: &archive, physical: 0 }, &[]);
    assert!(matches!(result, Err(BootError::Failed(..))), "{result:?}");
}

proptest! {
    #[test]
    fn damaged_images_never_panic(at in 0..0x200usize, byte: u8, length in 0..0x3000usize) {
        let mut file = elf(&[code(), data()], 0x40_0010);
        file[at] = byte;
        for file in [&file[..], &file[..length]] {
            if let Ok(image) = Image::parse(file) {
                for segment in image.segments() {
                    let room = u64::from(segment.range.pages()) * PAGE_BYTES - segment.offset;
                    prop_assert!(segment.content.len() as u64 <= room);
                }
            }
        }
        let mut archive = tar(SUPERVISOR, &file);
        archive[at] = byte;
        let _ = first_file(&archive[..length]);
    }
}
