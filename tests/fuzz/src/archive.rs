//! The boot archive, which the kernel and the supervisor read.

use formats::archive::Archive;

const BLOCK_BYTES: usize = 512;

/// The archive as it comes, and with its checksums made right.
pub fn check(bytes: &[u8]) {
    read(bytes);
    let mut repaired = bytes.to_vec();
    repaired
        .chunks_exact_mut(BLOCK_BYTES)
        .filter(|block| block[257..].starts_with(b"ustar"))
        .for_each(repair);
    read(&repaired);
}

fn repair(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn read(bytes: &[u8]) {
    let archive = Archive::new(bytes);
    let mut content_bytes = 0;
    let mut count = 0;
    for entry in archive.entries() {
        count += 1;
        let Ok(entry) = entry else { continue };
        content_bytes += entry.content.len();
        for component in entry.components() {
            assert!(
                !component.is_empty() && component != "." && component != ".." && !component.contains('/')
            );
        }
        let path: Vec<&str> = entry.components().collect();
        if archive.entries().all(|entry| entry.is_ok()) {
            assert!(archive.find(&path.join("/")).expect("the archive is sound").is_some(), "{path:?}");
        }
    }
    assert!(content_bytes <= bytes.len() && count <= bytes.len() / BLOCK_BYTES + 1, "each byte is read once");
}
