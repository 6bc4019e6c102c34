//! Archives as tar writes them, and archives as nobody should.

use super::*;
use proptest::prelude::*;

extern crate std;
use std::{format, string::String, vec, vec::Vec};

/// Appends a header with a right checksum, and the content.
fn append(archive: &mut Vec<u8>, prefix: &str, name: &str, type_flag: u8, content: &[u8]) {
    let mut header = [0; BLOCK_BYTES];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000001750\0");
    header[156] = type_flag;
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
    seal(&mut header);
    archive.extend(header);
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(BLOCK_BYTES), 0);
}

fn seal(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header[..BLOCK_BYTES].iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn sample() -> Vec<u8> {
    let mut archive = Vec::new();
    append(&mut archive, "", "bin/supervisor", b'0', b"first");
    append(&mut archive, "long/prefix", "tail", b'0', &[7; 600]);
    append(&mut archive, "", "./empty/", b'5', b"");
    append(&mut archive, "", "link", b'2', b"");
    let long = format!("{}/x", "d".repeat(120));
    append(&mut archive, "", "././@LongLink", b'L', format!("{long}\0").as_bytes());
    append(&mut archive, "", &long[..100], b'0', b"deep");
    append(&mut archive, "", "bin/supervisor", b'0', b"second");
    archive.resize(archive.len() + 2 * BLOCK_BYTES, 0);
    archive
}

#[test]
fn entries_come_in_order() {
    let bytes = sample();
    let entries: Vec<_> = Archive::new(&bytes).entries().collect::<Result<_, _>>().unwrap();
    let paths: Vec<String> =
        entries.iter().map(|entry| entry.components().collect::<Vec<_>>().join("/")).collect();
    assert_eq!(paths[..3], ["bin/supervisor", "long/prefix/tail", "empty"]);
    assert_eq!(paths[3].len(), 122);
    assert_eq!(entries[2].kind, Kind::Directory);
    assert_eq!(entries[1].content, [7; 600]);
    assert_eq!(entries[3].content, b"deep");
    assert_eq!(entries[0].modified_seconds, 1000);
}

#[test]
fn the_last_of_a_name_counts() {
    let bytes = sample();
    let archive = Archive::new(&bytes);
    assert_eq!(archive.find("/bin//supervisor").unwrap().unwrap().content, b"second");
    assert_eq!(archive.find("bin"), Ok(None));
}

#[test]
fn a_link_says_of_which_file_it_is_a_name() {
    let mut archive = Vec::new();
    append(&mut archive, "", "bin/first", b'0', b"content");
    append(&mut archive, "", "bin/other", b'1', b"");
    let mut header: [u8; BLOCK_BYTES] = archive[2 * BLOCK_BYTES..].try_into().unwrap();
    header[157..166].copy_from_slice(b"bin/first");
    seal(&mut header);
    archive[2 * BLOCK_BYTES..].copy_from_slice(&header);
    let entries: Vec<_> = Archive::new(&archive).entries().collect::<Result<_, _>>().unwrap();
    assert_eq!((entries[0].kind, entries[0].target), (Kind::File, ""));
    assert_eq!(
        (entries[1].kind, entries[1].target, entries[1].is_at("bin/other")),
        (Kind::Link, "bin/first", true)
    );
    assert_eq!(Archive::new(&archive).find("bin/other"), Ok(None));
}

#[test]
fn damage_is_told_with_its_place() {
    let reason_after = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = sample();
        change(&mut bytes[2 * BLOCK_BYTES..]);
        let mut entries = Archive::new(&bytes).entries();
        assert!(entries.next().unwrap().is_ok());
        let damage = entries.next().unwrap().unwrap_err();
        assert_eq!((damage.offset, entries.next()), (1024, None));
        damage.reason
    };
    assert_eq!(reason_after(&|header| header[0] ^= 1), Reason::Checksum);
    assert_eq!(reason_after(&|header| header[148] = b'x'), Reason::Checksum);
    assert_eq!(
        reason_after(&|header| {
            header[124] = b'9';
            seal(header);
        }),
        Reason::Number
    );
    assert_eq!(
        reason_after(&|header| {
            header[124..136].fill(0xff);
            seal(header);
        }),
        Reason::Number
    );
    assert_eq!(
        reason_after(&|header| {
            header[124..135].copy_from_slice(b"77777777777");
            seal(header);
        }),
        Reason::Truncated
    );
    assert_eq!(
        reason_after(&|header| {
            header[..5].copy_from_slice(b"a/../");
            seal(header);
        }),
        Reason::Name
    );
    assert_eq!(
        reason_after(&|header| {
            header[0] = 0xff;
            seal(header);
        }),
        Reason::Name
    );
}

#[test]
fn large_numbers_are_read_in_both_forms() {
    assert_eq!(number(b"        \0"), Ok(0));
    assert_eq!(number(&[0x80, 0, 0, 1, 0]), Ok(256));
    assert_eq!(number(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok(u64::MAX));
    assert_eq!(number(&[0x81, 0, 0, 0, 0, 0, 0, 0, 0]), Err(Reason::Number));
    assert_eq!(number(b"+7"), Err(Reason::Number));
}

proptest! {
    /// Whatever the bytes, reading ends, and nothing is read from outside of them.
    #[test]
    fn no_bytes_confuse_the_reader(cut in 0..8000_usize, flips in prop::collection::vec((0..8000_usize, any::<u8>()), 0..8)) {
        let mut bytes = sample();
        for (at, value) in flips {
            let place = at % bytes.len();
            bytes[place] = value;
        }
        let end = cut.min(bytes.len());
        let entries = Archive::new(&bytes[..end]).entries();
        prop_assert!(entries.take(100).count() < 100);
    }

    #[test]
    fn noise_is_no_archive(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let read: Vec<_> = Archive::new(&bytes).entries().take(9).collect();
        prop_assert!(read.len() <= 1 || vec![0; bytes.len()] == bytes);
    }
}
