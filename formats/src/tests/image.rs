//! Images as linkers make them, and images as an attacker does.

mod sample;

use super::*;
use abi::kernel::protection::{EXECUTE, READ, WRITE};
use proptest::prelude::*;
use sample::{Header, image};

extern crate std;
use std::vec::Vec;

const R: u32 = 4;
const W: u32 = 2;
const X: u32 = 1;

fn load(flags: u32, offset: u64, address: u64, file_bytes: u64, memory_bytes: u64) -> Header {
    Header { kind: 1, flags, offset, address, file_bytes, memory_bytes }
}

fn good() -> [Header; 3] {
    [
        load(R | X, 0x1000, 0x40_1000, 0x200, 0x200),
        load(R, 0, 0x40_0000, 0x100, 0x100),
        load(R | W, 0x1200, 0x40_2200, 0x80, 0x1000),
    ]
}

fn refusal(entry: u64, headers: &[Header]) -> BadImage {
    let file = image(entry, headers);
    Layout::parse(&file, file.len() as u64).unwrap_err()
}

#[test]
fn a_linked_image_is_laid_out() {
    let file = image(0x40_1010, &good());
    let layout = Layout::parse(&file[..HEAD_BYTES], file.len() as u64).unwrap();
    assert_eq!(layout.entry, 0x40_1010);
    let shape: Vec<_> = layout
        .segments()
        .iter()
        .map(|segment| (segment.address, segment.pages, segment.protection))
        .collect();
    assert_eq!(shape, [(0x40_0000, 1, READ), (0x40_1000, 1, READ | EXECUTE), (0x40_2000, 2, READ | WRITE)]);
    assert_eq!(layout.segments()[2].offset, 0x200);
    assert_eq!(layout.segments()[2].file, 0x1200..0x1280);
    let pages: Vec<_> = layout.segments().iter().map(|segment| segment.file_pages).collect();
    assert_eq!(pages, [1, 1, 0]);
    assert_eq!(layout.segments()[2].copied(), 0x1200..0x1280);
    assert!(layout.segments()[..2].iter().all(|segment| segment.copied().is_empty()));
    assert_eq!((layout.pages(), layout.file()), (4, 0..0x1280));
}

#[test]
fn what_cannot_run_is_refused_with_its_reason() {
    let with = |header| {
        let [a, b, c] = good();
        [a, b, c, header]
    };
    assert_eq!(refusal(0x40_1010, &with(load(R, 0x2f00, 0x50_0000, 0x101, 0x101))), BadImage::SegmentSize);
    assert_eq!(refusal(0x40_1010, &with(load(R, u64::MAX, 0x50_0000, 2, 2))), BadImage::SegmentSize);
    assert_eq!(refusal(0x40_1010, &with(load(R, 0, 0x50_0000, 2, 1))), BadImage::SegmentSize);
    for (address, bytes) in
        [(0, 1), (0xffff, 1), (IMAGE_END, 1), (IMAGE_END - 1, 2), (u64::MAX, 2), (1 << 47, 1)]
    {
        assert_eq!(refusal(0x40_1010, &with(load(R, 0, address, 0, bytes))), BadImage::SegmentPlace);
    }
    assert_eq!(refusal(0x40_1010, &with(load(R, 1, 0x50_0000, 1, 1))), BadImage::SegmentOffset);
    assert_eq!(refusal(0x40_1010, &with(load(R, 0xfff, 0x40_2fff, 1, 1))), BadImage::Overlap);
    assert_eq!(refusal(0x40_1010, &with(load(R | W | X, 0, 0x50_0000, 1, 1))), BadImage::WritableCode);
    assert_eq!(
        refusal(0x40_1010, &with(Header { kind: 3, ..load(R, 0, 0, 1, 1) })),
        BadImage::NeedsInterpreter
    );
    for entry in [0, 0x40_0000, 0x40_2000, u64::MAX] {
        assert_eq!(refusal(entry, &good()), BadImage::Entry);
    }
    assert_eq!(refusal(0x40_1010, &[]), BadImage::SegmentCount);
    let many: Vec<_> = (0..9).map(|number| load(R | X, 0, 0x40_0000 + number * 0x1000, 1, 1)).collect();
    assert_eq!(refusal(0x40_0000, &many), BadImage::SegmentCount);
}

#[test]
fn what_is_no_elf_is_refused() {
    let file = image(0x40_1010, &good());
    let parse = |file: &[u8]| Layout::parse(file, 0x3000);
    assert_eq!(parse(b"#!/bin/exec\n"), Err(BadImage::NotElf));
    for end in 0..64 + 3 * 56 {
        assert_eq!(parse(&file[..end]), Err(BadImage::NotElf));
    }
    for (at, value, expected) in [
        (0, 0, BadImage::NotElf),
        (4, 1, BadImage::WrongKind),
        (5, 2, BadImage::NotElf),
        (16, 3, BadImage::WrongKind),
        (18, 3, BadImage::WrongKind),
        (32, 0xff, BadImage::NotElf),
        (39, 0xff, BadImage::NotElf),
        (54, 32, BadImage::NotElf),
        (57, 0xff, BadImage::NotElf),
    ] {
        let mut other = file.clone();
        other[at] = value;
        let head = &other[..256];
        assert_eq!(parse(head), Err(expected), "byte {at}");
    }
}

proptest! {
    /// Whatever a file says, what is accepted keeps the promises of the module's head.
    #[test]
    fn an_accepted_layout_is_sound(flips in prop::collection::vec((0..232_usize, any::<u8>()), 1..6)) {
        let mut file = image(0x40_1010, &good());
        for (at, value) in flips {
            file[at] = value;
        }
        let file_bytes = file.len() as u64;
        if let Ok(layout) = Layout::parse(&file, file_bytes) {
            let mut last = IMAGE_BEGIN;
            for segment in layout.segments() {
                prop_assert!(segment.address % 4096 == 0 && segment.address >= last - last % 4096);
                prop_assert!(segment.pages > 0 && segment.end() <= IMAGE_END);
                prop_assert!(segment.protection & (WRITE | EXECUTE) != WRITE | EXECUTE);
                prop_assert!(segment.file.start <= segment.file.end && segment.file.end <= file_bytes);
                let bytes = segment.file.end - segment.file.start;
                prop_assert!(segment.offset + bytes <= u64::from(segment.pages) * 4096);
                let of_file = u64::from(segment.file_pages) * 4096;
                prop_assert!(segment.file_pages <= segment.pages);
                if bytes > 0 {
                    prop_assert_eq!(segment.file_position() % 4096, 0);
                    let (begin, copied) = (segment.file_position(), segment.copied());
                    prop_assert!(copied.end - copied.start < 4096 && copied.end == segment.file.end);
                    prop_assert!(copied.is_empty() || copied.start == segment.file.start.max(begin + of_file));
                }
                last = segment.end();
            }
        }
    }
}
