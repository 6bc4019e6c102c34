//! Text as characters, where it may be none: a byte that belongs to no character of UTF-8 counts as one itself.

/// The characters, each as its bytes.
pub fn characters(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    core::iter::from_fn(move || {
        let length = first_bytes(rest);
        let (character, after) = rest.split_at(length);
        rest = after;
        (length > 0).then_some(character)
    })
}

/// Bytes of the first character.
fn first_bytes(text: &[u8]) -> usize {
    let length = match text {
        [] => return 0,
        [0xc2..=0xdf, ..] => 2,
        [0xe0..=0xef, ..] => 3,
        [0xf0..=0xf4, ..] => 4,
        _ => return 1,
    };
    match text.get(..length) {
        Some(character) if core::str::from_utf8(character).is_ok() => length,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn what_is_no_character_counts_as_bytes() {
        let found: Vec<&[u8]> = characters(b"a\xc3\xa4\xff\xe2\x82\xac\xf0\x9f").collect();
        assert_eq!(found, [&b"a"[..], b"\xc3\xa4", b"\xff", b"\xe2\x82\xac", b"\xf0", b"\x9f"]);
    }
}
