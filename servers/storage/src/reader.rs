//! How far somebody has come in a file, and how much more of it is read from the disk because of that: for who reads on, as much
//! as was read so far.

use abi::PAGE_BYTES;
use volume::ROW_PAGES;

/// How much is read for who begins.
pub(crate) const FIRST_BYTES: u64 = 16 * PAGE_BYTES;
/// How much is read at once at the most: what a volume does.
pub(crate) const MOST_BYTES: u64 = ROW_PAGES * PAGE_BYTES;

/// Somebody who reads a file.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Where the last read ended.
    next_position: u64,
    /// Where the first of those began that went on from one another.
    run_start: u64,
}

impl Reader {
    /// Of who reads from `position` on: how many bytes to read from the disk, and how many behind them will be wanted next.
    pub(crate) fn ahead(&mut self, position: u64) -> (u64, u64) {
        if position != self.next_position {
            self.run_start = position;
        }
        match position - self.run_start {
            0 if position == 0 => (FIRST_BYTES, 0),
            0 => (PAGE_BYTES, 0),
            run => {
                let ahead = run.clamp(FIRST_BYTES, MOST_BYTES);
                (ahead, run.saturating_add(ahead).min(MOST_BYTES))
            }
        }
    }

    /// Where a read ended.
    pub(crate) const fn note_end(&mut self, position: u64) {
        self.next_position = position;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_on_gets_more_and_more_and_who_jumps_does_not() {
        let mut reader = Reader::default();
        let mut at = |position: u64, bytes: u64| {
            let ahead = reader.ahead(position);
            reader.note_end(position + bytes);
            (ahead.0 / PAGE_BYTES, ahead.1 / PAGE_BYTES)
        };
        assert_eq!(at(0, 0x1_0000), (16, 0));
        assert_eq!(at(0x1_0000, 0x1_0000), (16, 32));
        assert_eq!(at(0x2_0000, 0x4_0000), (32, 64));
        assert_eq!(at(0x6_0000, 0x1_0000), (96, 192));
        assert_eq!(at(0x7_0000, 0xf_0000), (112, 224));
        assert_eq!(at(0x16_0000, 0x1000), (256, 256));
        assert_eq!(at(0x100_0000, 0x1000), (1, 0));
        assert_eq!(at(0x200_0000, 0x1000), (1, 0));
        assert_eq!(at(0x200_1000, 0x1000), (16, 17));
        assert_eq!(at(0, 0x1000), (16, 0));
        assert_eq!(at(u64::MAX - 5, 5), (1, 0));
        assert_eq!(at(u64::MAX, 0), (16, 16), "there is nothing to read, but nothing breaks");
    }
}
