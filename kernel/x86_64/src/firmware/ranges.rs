//! A small set of address ranges: usable memory, less what is taken.

/// From `start` up to, not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// First address beyond.
    pub end: u64,
}

impl Range {
    /// `length` bytes from `start` on, as far as there are addresses.
    pub const fn new(start: u64, length: u64) -> Range {
        Range { start, end: start.saturating_add(length) }
    }

    /// How many bytes.
    pub const fn length(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The whole pages in it.
    #[must_use]
    pub const fn whole_pages(self) -> Range {
        Range {
            start: self.start.saturating_add(abi::PAGE_BYTES - 1) & !(abi::PAGE_BYTES - 1),
            end: self.end & !(abi::PAGE_BYTES - 1),
        }
    }

    /// The pages that it touches.
    #[must_use]
    pub const fn touched_pages(self) -> Range {
        Range {
            start: self.start & !(abi::PAGE_BYTES - 1),
            end: self.end.saturating_add(abi::PAGE_BYTES - 1) & !(abi::PAGE_BYTES - 1),
        }
    }
}

/// Ranges kept at most; memory maps of real machines have a few dozen.
const CAPACITY: usize = 128;

/// Ranges in ascending order that neither overlap nor touch.
#[derive(Clone, Debug)]
pub struct Ranges {
    ranges: [Range; CAPACITY],
    count: usize,
}

impl Default for Ranges {
    fn default() -> Ranges {
        Ranges { ranges: [Range { start: 0, end: 0 }; CAPACITY], count: 0 }
    }
}

impl Ranges {
    /// All of them.
    pub fn as_slice(&self) -> &[Range] {
        &self.ranges[..self.count]
    }

    /// Adds a range, joining it with those that it overlaps or touches. When the set is full the range is dropped:
    /// memory unused is better than memory misused.
    pub fn add(&mut self, mut range: Range) {
        if range.length() == 0 {
            return;
        }
        let mut at = 0;
        while at < self.count {
            let other = self.ranges[at];
            if other.end < range.start {
                at += 1;
            } else if range.end < other.start {
                break;
            } else {
                range.start = range.start.min(other.start);
                range.end = range.end.max(other.end);
                self.delete(at);
            }
        }
        self.insert(at, range);
    }

    /// Takes a range out. When the set is too full to split a range, the highest goes as well.
    pub fn remove(&mut self, range: Range) {
        for other in core::mem::take(self).as_slice() {
            self.add(Range { start: other.start, end: other.end.min(range.start) });
            self.add(Range { start: other.start.max(range.end), end: other.end });
        }
    }

    /// The longest of what lies between them, from address 0 to `end`.
    pub fn longest_gap(&self, end: u64) -> Option<Range> {
        let starts = core::iter::once(0).chain(self.as_slice().iter().map(|range| range.end));
        let ends = self.as_slice().iter().map(|range| range.start).chain([u64::MAX]);
        starts
            .zip(ends)
            .map(move |(start, next)| Range { start, end: next.min(end) })
            .filter(|gap| gap.length() > 0)
            .max_by_key(|gap| gap.length())
    }

    fn insert(&mut self, at: usize, range: Range) {
        if self.count < CAPACITY {
            self.ranges.copy_within(at..self.count, at + 1);
            self.ranges[at] = range;
            self.count += 1;
        }
    }

    fn delete(&mut self, at: usize) {
        self.ranges.copy_within(at + 1..self.count, at);
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> Range {
        Range { start, end }
    }

    #[test]
    fn ranges_join_and_split() {
        let mut ranges = Ranges::default();
        ranges.add(range(10, 20));
        ranges.add(range(30, 40));
        ranges.add(range(50, 50));
        ranges.add(range(20, 25));
        assert_eq!(ranges.as_slice(), [range(10, 25), range(30, 40)]);
        ranges.add(range(24, 31));
        assert_eq!(ranges.as_slice(), [range(10, 40)]);
        ranges.remove(range(15, 20));
        ranges.remove(range(0, 11));
        ranges.remove(range(39, 100));
        ranges.remove(range(16, 16));
        assert_eq!(ranges.as_slice(), [range(11, 15), range(20, 39)]);
        assert_eq!(ranges.longest_gap(100), Some(range(39, 100)));
        assert_eq!(ranges.longest_gap(45), Some(range(0, 11)));
        ranges.add(range(0, 11));
        assert_eq!(ranges.longest_gap(45), Some(range(39, 45)));
        ranges.remove(range(0, u64::MAX));
        assert_eq!(ranges.as_slice(), []);
        assert_eq!(ranges.longest_gap(7), Some(range(0, 7)));
        ranges.add(range(0, 7));
        assert_eq!(ranges.longest_gap(7), None);
    }

    #[test]
    fn too_many_ranges_lose_memory_but_invent_none() {
        let mut ranges = Ranges::default();
        for number in 0..1000 {
            ranges.add(range(number * 10, number * 10 + 5));
        }
        assert_eq!(ranges.as_slice().len(), CAPACITY);
        ranges.remove(range(2, 3));
        assert_eq!(ranges.as_slice()[0], range(0, 2));
        assert!(!ranges.as_slice().iter().any(|range| range.start <= 2 && 2 < range.end));
    }

    #[test]
    fn pages_are_rounded_the_safe_way() {
        assert_eq!(range(1, 0x2fff).whole_pages(), range(0x1000, 0x2000));
        assert_eq!(range(1, 0x2001).touched_pages(), range(0, 0x3000));
        assert_eq!(range(0x10, 0x20).whole_pages().length(), 0);
        assert_eq!(Range::new(u64::MAX - 5, 100).end, u64::MAX);
        assert_eq!(range(u64::MAX - 5, u64::MAX).whole_pages().length(), 0);
    }
}
