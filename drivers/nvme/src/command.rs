//! Commands: 64 bytes each.

/// Bytes of a command.
pub const COMMAND_BYTES: usize = 64;
/// 32-bit words of one.
pub const WORDS: usize = COMMAND_BYTES / 4;

/// Operations of the pair for administration.
mod administration {
    pub const MAKE_SUBMISSION_QUEUE: u32 = 0x01;
    pub const MAKE_COMPLETION_QUEUE: u32 = 0x05;
    pub const IDENTIFY: u32 = 0x06;
}

/// Operations of the others.
mod io {
    pub const FLUSH: u32 = 0x00;
    pub const WRITE: u32 = 0x01;
    pub const READ: u32 = 0x02;
    pub const DATASET: u32 = 0x09;
}

/// What to identify.
pub mod subject {
    /// A namespace.
    pub const NAMESPACE: u32 = 0;
    /// The controller.
    pub const CONTROLLER: u32 = 1;
}

/// A queue lies in one piece of memory; and its completions interrupt.
const IN_ONE_PIECE: u32 = 1;
const INTERRUPTS: u32 = 2;
/// The ranges are those of blocks that nobody needs.
const DEALLOCATE: u32 = 4;

/// A command's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command(pub [u32; WORDS]);

/// Where a command's data is: its first page, and its second or the list of those behind the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data {
    /// The first page.
    pub first: u64,
    /// The second page if there are two, the list of those behind the first if there are more, else 0.
    pub rest: u64,
}

impl Command {
    fn new(operation: u32, namespace: u32) -> Command {
        let mut words = [0; WORDS];
        (words[0], words[1]) = (operation, namespace);
        Command(words)
    }

    fn with_data(mut self, data: Data) -> Command {
        for (at, half) in [data.first, data.first >> 32, data.rest, data.rest >> 32].into_iter().enumerate() {
            self.0[6 + at] = half as u32;
        }
        self
    }

    fn with(mut self, words: &[u32]) -> Command {
        self.0[10..10 + words.len()].copy_from_slice(words);
        self
    }

    /// Which of those at work it is, as its completion says.
    #[must_use]
    pub fn numbered(mut self, number: u16) -> Command {
        self.0[0] = self.0[0] & 0xffff | u32::from(number) << 16;
        self
    }

    /// Has a page of 4096 bytes about a subject put where `page` is.
    pub fn identify(subject: u32, namespace: u32, page: u64) -> Command {
        Command::new(administration::IDENTIFY, namespace)
            .with_data(Data { first: page, rest: 0 })
            .with(&[subject])
    }

    /// Makes the queue by which completions of pair `number` come. They interrupt by entry 0.
    pub fn make_completion_queue(number: u16, entries: u16, place: u64) -> Command {
        Command::new(administration::MAKE_COMPLETION_QUEUE, 0)
            .with_data(Data { first: place, rest: 0 })
            .with(&[size(number, entries), IN_ONE_PIECE | INTERRUPTS])
    }

    /// Makes the queue by which commands of pair `number` go.
    pub fn make_submission_queue(number: u16, entries: u16, place: u64) -> Command {
        Command::new(administration::MAKE_SUBMISSION_QUEUE, 0)
            .with_data(Data { first: place, rest: 0 })
            .with(&[size(number, entries), u32::from(number) << 16 | IN_ONE_PIECE])
    }

    /// Reads blocks.
    pub fn read(namespace: u32, first: u64, count: u32, data: Data) -> Command {
        Command::transfer(io::READ, namespace, first, count, data)
    }

    /// Writes blocks.
    pub fn write(namespace: u32, first: u64, count: u32, data: Data) -> Command {
        Command::transfer(io::WRITE, namespace, first, count, data)
    }

    fn transfer(operation: u32, namespace: u32, first: u64, count: u32, data: Data) -> Command {
        // Counts are one less than what they mean.
        Command::new(operation, namespace).with_data(data).with(&[
            first as u32,
            (first >> 32) as u32,
            count - 1,
        ])
    }

    /// Puts on the medium what was written.
    pub fn flush(namespace: u32) -> Command {
        Command::new(io::FLUSH, namespace)
    }

    /// Nobody needs the blocks of the one [range](RANGE_BYTES) that lies at `range`.
    pub fn discard(namespace: u32, range: u64) -> Command {
        Command::new(io::DATASET, namespace).with_data(Data { first: range, rest: 0 }).with(&[0, DEALLOCATE])
    }
}

/// Bytes of a range of blocks: attributes (4 bytes), count (4), first block.
pub const RANGE_BYTES: usize = 16;

fn size(number: u16, entries: u16) -> u32 {
    u32::from(entries - 1) << 16 | u32::from(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_as_the_specification_says() {
        let data = Data { first: 0x1_2345_6000, rest: 0x2_0000_0000 };
        let Command(words) = Command::write(7, 0x1_0000_0002, 8, data).numbered(3);
        assert_eq!(words[..2], [0x0003_0001, 7]);
        assert_eq!(words[6..10], [0x2345_6000, 1, 0, 2]);
        assert_eq!(words[10..13], [2, 1, 7]);
        let Command(words) = Command::make_completion_queue(2, 32, 0x5000);
        assert_eq!((words[0], words[6], words[10], words[11]), (5, 0x5000, 31 << 16 | 2, 3));
        let Command(words) = Command::make_submission_queue(2, 32, 0x5000);
        assert_eq!((words[0], words[10], words[11]), (1, 31 << 16 | 2, 2 << 16 | 1));
        let Command(words) = Command::discard(1, 0x6000);
        assert_eq!((words[0], words[6], words[10], words[11]), (9, 0x6000, 0, 4));
    }
}
