//! Records that programs hand to one another in segments: descriptors of objects, and start blocks.

use protocols::names::Descriptor;
use protocols::program;

/// Walks the bytes as a directory and as a start block; what is understood is said again in the same way.
pub fn check(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((descriptor, length)) = Descriptor::decode(rest) {
        assert!((Descriptor::HEADER_BYTES..=Descriptor::MAX_BYTES).contains(&length));
        let mut place = [0xff; Descriptor::MAX_BYTES];
        assert_eq!(descriptor.encode(&mut place), Some(length));
        assert_eq!(Descriptor::decode(&place), Some((descriptor, length)));
        // The padding of the last may be missing.
        rest = rest.get(length..).unwrap_or_default();
    }
    let mut block = Vec::new();
    for entry in program::entries(bytes) {
        entry.append(&mut block);
    }
    assert!(block.len() <= bytes.len().next_multiple_of(8));
    assert!(program::entries(&block).eq(program::entries(bytes)));
}
