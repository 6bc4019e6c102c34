//! Program images, which the kernel, the supervisor and the program manager read.

use abi::kernel::protection::{EXECUTE, WRITE};
use formats::image::{HEAD_BYTES, IMAGE_BEGIN, IMAGE_END, Layout, Segment};
use program_image::Symbols;

const WRITE_AND_EXECUTE: u32 = WRITE | EXECUTE;

/// What a layout promises, and that a symbol lies before what it names.
pub fn check(file: &[u8]) {
    let head = &file[..file.len().min(HEAD_BYTES)];
    let layout = Layout::parse(head, file.len() as u64);
    if let Ok(layout) = &layout {
        check_layout(layout, file.len() as u64);
    }
    if let Some(symbols) = Symbols::parse(file) {
        for address in [0, IMAGE_BEGIN, 0x40_1000, u64::MAX] {
            let found = symbols.function_at(address);
            assert!(found.is_none_or(|(_, offset)| offset <= address));
        }
    }
}

fn check_layout(layout: &Layout, file_bytes: u64) {
    let mut end = IMAGE_BEGIN;
    for segment in layout.segments() {
        assert!(segment.address >= end && segment.end() <= IMAGE_END, "{segment:?}");
        assert!(segment.protection & WRITE_AND_EXECUTE != WRITE_AND_EXECUTE);
        assert!(segment.file.end <= file_bytes && segment.file.start <= segment.file.end);
        let content_bytes = segment.file.end - segment.file.start;
        assert!(segment.offset + content_bytes <= segment.end() - segment.address, "{segment:?}");
        end = segment.end();
    }
    let is_code = |segment: &&Segment| (segment.address..segment.end()).contains(&layout.entry);
    let code = layout.segments().iter().find(is_code).expect("the entry is in a segment");
    assert!(code.protection & EXECUTE != 0);
    assert!(layout.file().end <= file_bytes);
}
