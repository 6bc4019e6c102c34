//! Programs: starting them and waiting for them, and the *start block* that each begins with.
//!
//! Whoever starts a program builds its start block, so a program has the names, streams and working directory of
//! its starter wherever it runs: they are pids and contexts, valid everywhere. The block is a sequence of entries:
//! a tag and a length, both 32 bits little-endian, then the content, padded to a multiple of eight.
//!
//! A program may be started on another node than its starter's, where it is a *guest*: the starter asks that node's
//! manager. Which node is best, all managers are asked at once, by a [`Bid`](program::Bid).

use abi::{LogicalHost, Pid, UserId, protocol};

use crate::network::HOST_NAME_BYTES;

/// Bits of `flags` in `StartProgram`.
pub mod flag {
    /// Runs at background priority.
    pub const BACKGROUND: u32 = 1;
    /// Nobody will wait for it.
    pub const DETACHED: u32 = 2;
    /// Suspended from its first instruction on. Its starter shares the streams with it and then asks the kernel to
    /// resume it, or waits for it.
    pub const HELD: u32 = 4;
    /// Has no rights, whatever its starter has.
    pub const WITHOUT_RIGHTS: u32 = 8;
    /// A guest: it has no rights, runs when nothing of the node's own wants to, and has a logical host of its own. What
    /// clients on other nodes start is always one.
    pub const GUEST: u32 = 16;
}

/// Longest start block, in bytes: arguments, environment and names together.
pub const MAX_START_BYTES: usize = 256 * 1024;

protocol! {
    /// Programs.
    pub mod program = 0x13, enum Program {
        /// Loads the image that the instance gives and starts it with the start block in the read segment. It runs
        /// as the caller's user, and of the caller's rights it has that to trace.
        StartProgram = 1 {
            image_server: Pid,
            image_instance: u32,
            /// Bits of [`flag`](crate::program::flag).
            flags: u32,
            /// Of a caller on another node: its team, as it says. Of others it is not looked at.
            starter: Pid,
        } => ProgramStarted { program: Pid };
        /// Replies when the program has ended. Its starter may ask once; the manager then forgets it. What the program did, its
        /// processes together, is told in the write segment, if that has room for a
        /// [`UsageRecord`](abi::kernel::record::UsageRecord).
        WaitProgram = 2 {
            program: Pid,
            /// 1 if the reply may also say that it is stopped; then its starter asks again.
            tells_stop: u32,
            /// 1 if it is to begin now, should it be [held](crate::program::flag::HELD) still.
            begins: u32,
        } => ProgramEnded {
            /// What it said, or 128 plus the number of a signal of that meaning.
            status: u32,
            /// The vector of the exception that ended it plus 1, or 0.
            exception: u32,
            /// 1 if it has not ended, but is stopped.
            is_stopped: u32,
        };
        /// Ends a program of the caller's user.
        EndProgram = 3 {
            program: Pid,
            status: u32,
            /// Of a caller that is the system: for whom it acts. Of others it is not looked at.
            user: UserId,
        } => ProgramEnding {};
        /// The instance that is a program's standard error.
        QueryStandardError = 4 { program: Pid } => StandardError { server: Pid, instance: u32 };
        /// To [all program managers](abi::kernel::well_known_group::ALL_PROGRAM_MANAGERS): who manages a program, or knows how
        /// it has ended? All others have [nothing to say](abi::Error::NothingToSay).
        FindProgram = 8 { program: Pid } => ProgramFound {};
        /// To [all program managers](abi::kernel::well_known_group::ALL_PROGRAM_MANAGERS): who can run a guest? Whoever
        /// cannot has [nothing to say](abi::Error::NothingToSay), and whoever has much to do answers later, so that the
        /// first answer is the best one.
        Bid = 5 {
            /// Pages that must be free.
            least_free_pages: u32,
            /// How much of the last seconds the processor must have been idle, in percent.
            least_idle_percent: u32,
        } => BidMade {
            /// The node's name: its bytes, little-endian, with zeros at the end.
            name: u64,
            more_name: u64,
            last_name: u64,
        };
        /// A [`ProgramRecord`](crate::program::ProgramRecord) for each program that runs, from the one at `position` on, as
        /// many as the write segment holds.
        ListPrograms = 6 { position: u32 } => ProgramsListed {
            /// Records written.
            count: u32,
            /// Where to go on; 0 when there are no more.
            next: u32,
            /// How much a further guest would meet: how busy the processor was in the last seconds, once for the node and
            /// once for each guest.
            load_percent: u32,
        };
        /// Ends the caller's user's programs that are of a [job](crate::program::Entry::Job), now and if they are about to
        /// be started. Sent to all managers, it reaches the job on every node.
        EndJob = 7 { shell: Pid, number: u32, status: u32 } => JobEnding {
            /// How many there were.
            count: u32,
        };
        /// Stops the caller's user's programs that are of a job: none of their processes runs any more. Sent to all
        /// managers, as `EndJob`.
        StopJob = 9 { shell: Pid, number: u32 } => JobStopped { count: u32 };
        /// Lets them go on.
        ContinueJob = 10 { shell: Pid, number: u32 } => JobContinued { count: u32 };
    }
}

impl program::BidMade {
    /// The answer of the node with this name, of which the first bytes fit.
    pub fn named(name: &str) -> program::BidMade {
        let mut bytes = [0; HOST_NAME_BYTES];
        let end = name.floor_char_boundary(HOST_NAME_BYTES);
        bytes[..end].copy_from_slice(&name.as_bytes()[..end]);
        let [name, more_name, last_name] =
            core::array::from_fn(|word| u64::from_le_bytes(core::array::from_fn(|at| bytes[word * 8 + at])));
        program::BidMade { name, more_name, last_name }
    }

    /// The bytes of the name, with zeros at the end.
    pub fn name_bytes(&self) -> [u8; HOST_NAME_BYTES] {
        let words = [self.name, self.more_name, self.last_name].map(u64::to_le_bytes);
        core::array::from_fn(|at| words[at / 8][at % 8])
    }
}

protocol! {
    /// What a program's first process finds in its registers; the sender is its program manager.
    pub mod begin = 0x18, enum Begin {
        /// Where the start block lies.
        BeginProgram = 1 {
            block_address: u64,
            block_bytes: u32,
            /// 1 if it is a guest, whose clock is its own: the kernel tells it, and the information page does not.
            is_guest: u32,
        } => Begun {};
    }
}

/// A program that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramRecord {
    /// Its root process.
    pub program: Pid,
    /// The team that started it; none if that is not known.
    pub starter: Pid,
    /// Whose it is.
    pub user: UserId,
    /// Whether it is a guest.
    pub is_guest: bool,
    /// The first bytes of its name, with zeros at the end.
    pub name: [u8; ProgramRecord::NAME_BYTES],
}

impl ProgramRecord {
    /// Most bytes of a name.
    pub const NAME_BYTES: usize = 16;
    /// Bytes of a record.
    pub const BYTES: usize = 24 + ProgramRecord::NAME_BYTES;

    /// As bytes.
    pub fn to_bytes(&self) -> [u8; ProgramRecord::BYTES] {
        let mut bytes = [0; ProgramRecord::BYTES];
        bytes[..8].copy_from_slice(&self.program.to_bits().to_le_bytes());
        bytes[8..16].copy_from_slice(&self.starter.to_bits().to_le_bytes());
        bytes[16..20].copy_from_slice(&self.user.0.to_le_bytes());
        bytes[20] = u8::from(self.is_guest);
        bytes[24..].copy_from_slice(&self.name);
        bytes
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8; ProgramRecord::BYTES]) -> ProgramRecord {
        let pid = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            Pid::from_bits(u64::from_le_bytes(word))
        };
        let mut name = [0; ProgramRecord::NAME_BYTES];
        name.copy_from_slice(&bytes[24..]);
        let user = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
        ProgramRecord { program: pid(0), starter: pid(8), user: UserId(user), is_guest: bytes[20] != 0, name }
    }

    /// The name; none if it is no text.
    pub fn name(&self) -> Option<&str> {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        core::str::from_utf8(&self.name[..end]).ok()
    }

    /// On which node the starter was, if that is known.
    pub fn from(&self) -> Option<LogicalHost> {
        (!self.starter.is_none()).then(|| self.starter.host())
    }
}

/// An entry of a start block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry<'a> {
    /// The next argument; the first is the program's name.
    Argument(&'a str),
    /// `NAME=value`.
    Variable(&'a str),
    /// A prefix that names a context of a server.
    Prefix {
        /// Without brackets.
        name: &'a str,
        /// The server; none: ask the naming group for the prefix `name`.
        server: Pid,
        /// The context.
        context: u32,
    },
    /// A prefix of which the naming server at [home](Entry::Home) said that it names a context of a server.
    Learnt {
        /// Without brackets.
        name: &'a str,
        /// The server.
        server: Pid,
        /// The context.
        context: u32,
    },
    /// Of a program that runs elsewhere than who first had it started: a logical host of that node, whose naming server
    /// knows what the prefixes mean that are not in the block.
    Home {
        /// The node's own.
        host: LogicalHost,
    },
    /// A job that the program is of, with all that it starts. It may be of several, one within the other. Comes before
    /// the streams.
    Job {
        /// Whose job it is: a team.
        shell: Pid,
        /// Which of its jobs.
        number: u32,
    },
    /// A prefix that stands for another name, `[other]path`.
    Alias {
        /// Without brackets.
        name: &'a str,
        /// What it stands for.
        target: &'a str,
    },
    /// An open stream: 0 standard input, 1 output, 2 error.
    Stream {
        /// Which.
        number: u32,
        /// The server.
        server: Pid,
        /// The instance.
        instance: u32,
        /// Its attributes.
        attributes: u32,
    },
    /// What the program's image is among the objects of its server, if that cannot be changed: whose manager has it already
    /// need not ask what the instance is.
    Image {
        /// As in a [descriptor](crate::names::Descriptor).
        object: u64,
    },
    /// Where the program begins to read or write a stream that has positions; without this at 0.
    Position {
        /// Which.
        number: u32,
        /// In bytes.
        position: u64,
    },
    /// The working directory.
    Directory {
        /// The server.
        server: Pid,
        /// The context.
        context: u32,
        /// Its full name, for people.
        name: &'a str,
    },
}

const ARGUMENT: u32 = 1;
const VARIABLE: u32 = 2;
const PREFIX: u32 = 3;
const ALIAS: u32 = 4;
const STREAM: u32 = 5;
const DIRECTORY: u32 = 6;
const POSITION: u32 = 7;
const HOME: u32 = 8;
const LEARNT: u32 = 9;
const JOB: u32 = 10;
const IMAGE: u32 = 11;

impl Entry<'_> {
    /// Appends the entry to a block.
    pub fn append(&self, block: &mut impl for<'b> Extend<&'b u8>) {
        match *self {
            Entry::Argument(text) => put(block, ARGUMENT, &[text.as_bytes()]),
            Entry::Variable(text) => put(block, VARIABLE, &[text.as_bytes()]),
            Entry::Prefix { name, server, context } => {
                put(block, PREFIX, &[&place(server, context), name.as_bytes()]);
            }
            Entry::Learnt { name, server, context } => {
                put(block, LEARNT, &[&place(server, context), name.as_bytes()]);
            }
            Entry::Job { shell, number } => put(block, JOB, &[&place(shell, number)]),
            Entry::Image { object } => put(block, IMAGE, &[&object.to_le_bytes()]),
            Entry::Home { host } => put(block, HOME, &[&host.to_bits().to_le_bytes()]),
            Entry::Alias { name, target } => {
                put(block, ALIAS, &[&(name.len() as u32).to_le_bytes(), name.as_bytes(), target.as_bytes()]);
            }
            Entry::Stream { number, server, instance, attributes } => put(
                block,
                STREAM,
                &[&place(server, instance), &number.to_le_bytes(), &attributes.to_le_bytes()],
            ),
            Entry::Position { number, position } => {
                put(block, POSITION, &[&position.to_le_bytes(), &number.to_le_bytes()]);
            }
            Entry::Directory { server, context, name } => {
                put(block, DIRECTORY, &[&place(server, context), name.as_bytes()]);
            }
        }
    }
}

fn place(server: Pid, number: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&server.to_bits().to_le_bytes());
    bytes[8..].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn put(block: &mut impl for<'b> Extend<&'b u8>, tag: u32, parts: &[&[u8]]) {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    block.extend(&tag.to_le_bytes());
    block.extend(&(bytes as u32).to_le_bytes());
    for part in parts {
        block.extend(*part);
    }
    block.extend(&[0; 8][..bytes.next_multiple_of(8) - bytes]);
}

/// The entries of a block, in order; ends at the first that is malformed. Tags that are not known are skipped.
pub fn entries(block: &[u8]) -> impl Iterator<Item = Entry<'_>> + Clone {
    Entries { rest: block, kinds: u32::MAX }
}

/// As [`entries`], but only those of some [`kinds`](entry_kind), which is faster. Nothing is known of the others.
pub fn entries_of(block: &[u8], kinds: u32) -> impl Iterator<Item = Entry<'_>> + Clone {
    Entries { rest: block, kinds }
}

/// Kinds of entries, as bits.
pub mod entry_kind {
    /// [`Argument`](super::Entry::Argument).
    pub const ARGUMENT: u32 = 1 << super::ARGUMENT;
    /// [`Variable`](super::Entry::Variable).
    pub const VARIABLE: u32 = 1 << super::VARIABLE;
    /// [`Stream`](super::Entry::Stream).
    pub const STREAM: u32 = 1 << super::STREAM;
    /// [`Position`](super::Entry::Position).
    pub const POSITION: u32 = 1 << super::POSITION;
    /// [`Job`](super::Entry::Job).
    pub const JOB: u32 = 1 << super::JOB;
    /// [`Image`](super::Entry::Image).
    pub const IMAGE: u32 = 1 << super::IMAGE;
}

#[derive(Clone)]
struct Entries<'a> {
    rest: &'a [u8],
    kinds: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let tag = number(self.rest, 0)?;
            let bytes = number(self.rest, 4)? as usize;
            let content = self.rest.get(8..)?.get(..bytes)?;
            self.rest = self.rest.get(8 + bytes.next_multiple_of(8)..).unwrap_or(&[]);
            if tag >= u32::BITS || self.kinds >> tag & 1 == 0 {
                continue;
            }
            let text = |from: usize| core::str::from_utf8(content.get(from..)?).ok();
            let first = || Some(u64::from(number(content, 0)?) | u64::from(number(content, 4)?) << 32);
            let server = || first().map(Pid::from_bits);
            return Some(match tag {
                ARGUMENT => Entry::Argument(text(0)?),
                VARIABLE => Entry::Variable(text(0)?),
                PREFIX => Entry::Prefix { name: text(12)?, server: server()?, context: number(content, 8)? },
                LEARNT => Entry::Learnt { name: text(12)?, server: server()?, context: number(content, 8)? },
                JOB => Entry::Job { shell: server()?, number: number(content, 8)? },
                HOME => Entry::Home { host: LogicalHost::from_bits(number(content, 0)?) },
                ALIAS => {
                    let name_bytes = number(content, 0)? as usize;
                    let (name, target) = text(4)?.split_at_checked(name_bytes)?;
                    Entry::Alias { name, target }
                }
                STREAM => Entry::Stream {
                    number: number(content, 12)?,
                    server: server()?,
                    instance: number(content, 8)?,
                    attributes: number(content, 16)?,
                },
                IMAGE => Entry::Image { object: first()? },
                POSITION => Entry::Position { number: number(content, 8)?, position: first()? },
                DIRECTORY => {
                    Entry::Directory { server: server()?, context: number(content, 8)?, name: text(12)? }
                }
                _ => continue,
            });
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.get(..4)?;
    Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn a_bids_name_comes_back_as_far_as_it_fits() {
        for (name, kept) in
            [("", ""), ("node2", "node2"), ("a-name-of-some-24-bytes-\u{e4}", "a-name-of-some-24-bytes-")]
        {
            let bytes = program::BidMade::named(name).name_bytes();
            assert_eq!(core::str::from_utf8(&bytes).unwrap().trim_end_matches('\0'), kept);
        }
    }

    #[test]
    fn programs_come_back() {
        let record = ProgramRecord {
            program: Pid::from_bits(0x2000_0001_0002_0011),
            starter: Pid::from_bits(0x2000_0003_0004_0012),
            user: UserId(100),
            is_guest: true,
            name: *b"a-long-name-of-1",
        };
        assert_eq!(ProgramRecord::from_bytes(&record.to_bytes()), record);
        assert_eq!(record.name(), Some("a-long-name-of-1"));
        assert_eq!(record.from(), Some(LogicalHost::from_bits(3)));
        assert_eq!(ProgramRecord { starter: Pid::NONE, ..record }.from(), None);
    }

    #[test]
    fn a_block_comes_back_whole_and_cut_anywhere() {
        let pid = Pid::from_bits(0x2123_4567_89ab_cdef);
        let all = [
            Entry::Argument("cat"),
            Entry::Argument(""),
            Entry::Variable("HOME=[home]"),
            Entry::Prefix { name: "tmp", server: pid, context: 9 },
            Entry::Home { host: LogicalHost::from_bits(0xabc) },
            Entry::Learnt { name: "boot", server: pid, context: 0 },
            Entry::Alias { name: "home", target: "[tmp]users/ä" },
            Entry::Job { shell: pid, number: 3 },
            Entry::Image { object: 0x3_0000_0004 },
            Entry::Stream { number: 1, server: pid, instance: 4, attributes: 7 },
            Entry::Position { number: 1, position: 0x1_0000_0002 },
            Entry::Directory { server: pid, context: 3, name: "[tmp]work" },
        ];
        let mut block = Vec::new();
        for entry in all {
            entry.append(&mut block);
        }
        assert_eq!(entries(&block).collect::<Vec<_>>(), all);
        for end in 0..block.len() {
            let some: Vec<_> = entries(&block[..end]).collect();
            assert!(some.len() < all.len() || end + 8 > block.len());
            assert_eq!(some, all[..some.len()]);
        }
        let mut unknown = Vec::from([99, 0, 0, 0, 1, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0]);
        unknown.extend_from_slice(&block);
        assert_eq!(entries(&unknown).count(), all.len());
        let some = entries_of(&unknown, entry_kind::ARGUMENT | entry_kind::STREAM);
        assert_eq!(some.collect::<Vec<_>>(), [all[0], all[1], all[9]]);
    }
}
