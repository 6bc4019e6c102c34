//! A ring of items: the latest of all that were ever added.
//!
//! Items are numbered from 0 on, so a reader who comes late sees by the numbers what was lost.

use alloc::boxed::Box;

/// Items of `BYTES` bytes.
pub struct Ring<const BYTES: usize> {
    items: Box<[[u8; BYTES]]>,
    /// The number of the next item.
    next: u64,
}

impl<const BYTES: usize> Ring<BYTES> {
    /// Room for `count` items, rounded up to a power of two.
    pub fn new(count: u32) -> Ring<BYTES> {
        Ring { items: alloc::vec![[0; BYTES]; count.next_power_of_two() as usize].into(), next: 0 }
    }

    /// Adds an item.
    pub fn add(&mut self, item: [u8; BYTES]) {
        let place = self.place(self.next);
        self.items[place] = item;
        self.next += 1;
    }

    /// The number of the oldest item from `from` on that is still there; the next one's if there is none.
    pub fn first_from(&self, from: u64) -> u64 {
        from.clamp(self.next.saturating_sub(self.items.len() as u64), self.next)
    }

    /// Items from number `from` on, at most `limit`, as many as lie in a row; none at the end.
    pub fn row_from(&self, from: u64, limit: u64) -> &[u8] {
        let from = self.first_from(from);
        let row = &self.items[self.place(from)..];
        let count = (self.next - from).min(limit).min(row.len() as u64);
        row[..count as usize].as_flattened()
    }

    fn place(&self, number: u64) -> usize {
        number as usize & (self.items.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_latest() {
        let mut ring = Ring::<1>::new(3);
        assert_eq!((ring.first_from(0), ring.first_from(9)), (0, 0));
        assert_eq!(ring.row_from(0, 10), b"");
        for item in *b"012345" {
            ring.add([item]);
        }
        assert_eq!((ring.first_from(0), ring.first_from(4), ring.first_from(u64::MAX)), (2, 4, 6));
        assert_eq!(ring.row_from(0, 10), b"23");
        assert_eq!(ring.row_from(3, 10), b"3");
        assert_eq!(ring.row_from(4, 10), b"45");
        assert_eq!(ring.row_from(4, 1), b"4");
        assert_eq!(ring.row_from(u64::MAX, 3), b"");
    }

    #[test]
    fn items_stay_whole() {
        let mut ring = Ring::new(2);
        for item in [*b"ab", *b"cd", *b"ef"] {
            ring.add(item);
        }
        assert_eq!((ring.row_from(0, 10), ring.row_from(2, 10)), (&b"cd"[..], &b"ef"[..]));
    }
}
