//! The last so many bytes of the log. Bytes are numbered from the first one that was ever appended.

use alloc::collections::VecDeque;

/// A text of bounded length that grows at its end and loses whole lines at its beginning.
#[derive(Debug)]
pub struct Ring {
    bytes: VecDeque<u8>,
    limit: usize,
    /// The number of the first byte that is kept.
    first: u64,
}

impl Ring {
    /// An empty text of at most `limit` bytes.
    pub const fn new(limit: usize) -> Ring {
        Ring { bytes: VecDeque::new(), limit, first: 0 }
    }

    /// Appends text.
    pub fn append(&mut self, text: &[u8]) {
        self.bytes.extend(text);
        if self.bytes.len() > self.limit {
            let surplus = self.bytes.len() - self.limit;
            let line_end = self.bytes.iter().skip(surplus).position(|byte| *byte == b'\n');
            let dropped = line_end.map_or(self.bytes.len(), |end| surplus + end + 1);
            self.bytes.drain(..dropped);
            self.first += dropped as u64;
        }
    }

    /// The number of the first byte that is kept.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number of the byte after the last.
    pub fn end(&self) -> u64 {
        self.first + self.bytes.len() as u64
    }

    /// Some of the bytes from `number` on, at most `room`; none at the end, `None` if they are no longer kept.
    pub fn read(&self, number: u64, room: usize) -> Option<&[u8]> {
        let mut skipped = usize::try_from(number.checked_sub(self.first)?).unwrap_or(usize::MAX);
        let (front, back) = self.bytes.as_slices();
        let mut part = front;
        if skipped >= front.len() {
            skipped -= front.len();
            part = back;
        }
        let rest = part.get(skipped..).unwrap_or_default();
        Some(&rest[..rest.len().min(room)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::format;
    use std::vec::Vec;

    #[test]
    fn the_last_lines_are_kept() {
        let mut ring = Ring::new(20);
        for number in 0..1000 {
            ring.append(format!("line {number}\n").as_bytes());
            assert!(ring.end() - ring.first() <= 20);
        }
        let mut text: Vec<u8> = Vec::new();
        while let Some(part @ [_, ..]) = ring.read(ring.first() + text.len() as u64, 3) {
            text.extend(part);
        }
        assert_eq!(text, b"line 998\nline 999\n");
        assert_eq!(ring.read(ring.first() - 1, 3), None);
        assert_eq!(ring.read(u64::MAX, 3), Some(&b""[..]));
    }

    #[test]
    fn a_line_longer_than_the_ring_goes_whole() {
        let mut ring = Ring::new(4);
        ring.append(b"abcdefgh");
        assert_eq!((ring.first(), ring.end()), (8, 8));
        ring.append(b"i\n");
        assert_eq!(ring.read(8, 9), Some(&b"i\n"[..]));
    }
}
