//! `stress-memory`: teams that use more memory than there is, and check that it keeps what they wrote.
//!
//! The command starts itself once for each team, with `--piece` saying which piece of the memory is that team's. Every
//! page gets content that follows from the seed, the pass and the page's number, so that a page which is lost, old, or
//! another's is found out.

mod pattern;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::{Error, PAGE_BYTES};
use protocols::io::mode;
use v::file::File;
use v::memory::{MappedFile, Mapping, Pages};
use v::process::{Child, Command as Program};

use self::pattern::Pattern;
use crate::Command;
use crate::context::{Context, Failure, Outcome, failed};
use crate::usage::{Arguments, Choice, Misuse, Usage, option_number};

const PAGE: usize = PAGE_BYTES as usize;

/// Most teams: each is a program.
const MOST_TEAMS: u32 = 64;

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "stress-memory",
        synopsis: "[--teams COUNT] [--each SIZE] [--file FILE] [--passes COUNT] [--seed NUMBER]",
        summary: "Uses much memory in many teams, and checks it.",
        details: "Starts teams that each write memory of their own, page by page in random order, and read it back in \
                  another.\nWith --file the memory is a piece of FILE for each team, mapped and shared with it, so \
                  that there may be more\nof it than the machine has; at the end FILE is read and compared. FILE is \
                  made if it is not there, and\nbecomes as large as all teams need. Without it the memory is private, \
                  and teams that find none left are\nended by the system. Sizes may end in K, M or G. The status is 0 \
                  if everything was as written.",
        choices: &[
            Choice {
                letter: '\0',
                long: "teams",
                value: Some("COUNT"),
                help: "So many teams; 4 if not said.",
            },
            Choice {
                letter: '\0',
                long: "each",
                value: Some("SIZE"),
                help: "Memory of each; 1M if not said.",
            },
            Choice { letter: '\0', long: "file", value: Some("FILE"), help: "Map pieces of this file." },
            Choice {
                letter: '\0',
                long: "passes",
                value: Some("COUNT"),
                help: "Write and read all so often; 2 if not said.",
            },
            Choice {
                letter: '\0',
                long: "seed",
                value: Some("NUMBER"),
                help: "Another order, other content.",
            },
            Choice {
                letter: '\0',
                long: "piece",
                value: Some("NUMBER"),
                help: "Be the team with this number, from 0.",
            },
        ],
        operands: (0, 0),
    },
    body: stress_memory,
};

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Plan {
    teams: u32,
    each_bytes: usize,
    file: Option<String>,
    passes: u32,
    seed: u64,
    piece: Option<u32>,
}

impl Plan {
    fn of(arguments: &Arguments) -> Result<Plan, Misuse> {
        let plan = Plan {
            teams: arguments.number("teams")?.unwrap_or(4),
            each_bytes: arguments.value("each").map_or(Ok(1 << 20), |text| size(text, "each"))?,
            file: arguments.value("file").map(ToOwned::to_owned),
            passes: arguments.number("passes")?.unwrap_or(2),
            seed: arguments.number("seed")?.unwrap_or(1),
            piece: arguments.number("piece")?,
        };
        if plan.teams == 0 || plan.teams > MOST_TEAMS {
            return Err(Misuse(format!("--teams: from 1 to {MOST_TEAMS}")));
        }
        if plan.passes == 0 {
            return Err(Misuse("--passes: at least 1".into()));
        }
        if plan.each_bytes == 0 || !plan.each_bytes.is_multiple_of(PAGE) {
            return Err(Misuse(format!("--each: a multiple of {PAGE} bytes, and not 0")));
        }
        if plan.each_bytes.checked_mul(plan.teams as usize).is_none() {
            return Err(Misuse("--each: that is too much for so many teams".into()));
        }
        if plan.piece.is_some_and(|piece| piece >= plan.teams) {
            return Err(Misuse("--piece: there are not so many teams".into()));
        }
        Ok(plan)
    }

    fn pages_each(&self) -> u32 {
        (self.each_bytes / PAGE) as u32
    }

    fn total_bytes(&self) -> u64 {
        self.each_bytes as u64 * u64::from(self.teams)
    }

    /// The words with which team `piece` is started.
    fn words(&self, piece: u32) -> Vec<String> {
        let mut words = Vec::from([
            format!("--teams={}", self.teams),
            format!("--each={}", self.each_bytes),
            format!("--passes={}", self.passes),
            format!("--seed={}", self.seed),
            format!("--piece={piece}"),
        ]);
        words.extend(self.file.iter().map(|name| format!("--file={name}")));
        words
    }
}

/// A size with an optional K, M or G.
fn size(text: &str, long: &str) -> Result<usize, Misuse> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Misuse(format!("--{long}: '{text}' is not a size such as 4096, 64K or 8M")));
    }
    let number: usize = option_number(digits, long)?;
    number.checked_mul(1 << shift).ok_or_else(|| Misuse(format!("--{long}: '{text}' is too much")))
}

fn stress_memory(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let plan = Plan::of(arguments)?;
    match plan.piece {
        Some(piece) => be_team(&plan, piece, context),
        None => run_teams(&plan, context),
    }
}

fn run_teams(plan: &Plan, context: &mut Context<'_>) -> Outcome {
    if let Some(name) = &plan.file {
        let made = File::open_with(name, mode::READ | mode::WRITE | mode::CREATE).and_then(|file| {
            if file.size()? < plan.total_bytes() { file.set_size(plan.total_bytes()) } else { Ok(()) }
        });
        made.map_err(|error| failed(name, error))?;
    }
    let mut teams: Vec<(u32, Child)> = Vec::new();
    let mut bad = 0;
    for piece in 0..plan.teams {
        match Program::new(context.name).args(plan.words(piece)).start() {
            Ok(child) => teams.push((piece, child)),
            Err(error) => {
                context.complain(&format!("team {piece}"), format!("cannot be started: {error}"));
                bad += 1;
            }
        }
    }
    for (piece, mut child) in teams {
        let text = match child.wait() {
            Ok(status) if status.is_success() => continue,
            Ok(status) if status.exception.is_some() => {
                "ended by an exception, such as a page that it could not have; the log says which".into()
            }
            Ok(status) => format!("ended with status {}", status.code),
            Err(error) => format!("{error}"),
        };
        context.complain(&format!("team {piece}"), text);
        bad += 1;
    }
    if bad > 0 {
        return Err(Failure::Failed(format!("{bad} of {} teams failed", plan.teams)));
    }
    if let Some(name) = &plan.file {
        verify(plan, name)?;
    }
    let text = format!("{} KiB in {} teams were as written\n", plan.total_bytes() / 1024, plan.teams);
    Ok(context.output.write_all(text.as_bytes())?)
}

/// Compares the whole file with what the last pass wrote, by ordinary reads.
fn verify(plan: &Plan, name: &str) -> Outcome {
    let file = File::open(name).map_err(|error| failed(name, error))?;
    let (mut found, mut expected) = ([0; PAGE], [0; PAGE]);
    for piece in 0..plan.teams {
        let pattern = Pattern::new(plan.seed, piece, plan.passes);
        for page in 0..plan.pages_each() {
            let position = u64::from(piece) * plan.each_bytes as u64 + u64::from(page) * PAGE_BYTES;
            file.read_exact_at(position, &mut found).map_err(|error| failed(name, error))?;
            pattern.fill(page, &mut expected);
            check(page, &found, &expected).map_err(|text| failed(name, format!("piece {piece}: {text}")))?;
        }
    }
    Ok(())
}

/// Where one page differs from what it should be.
fn check(page: u32, found: &[u8; PAGE], expected: &[u8; PAGE]) -> Result<(), String> {
    match found.iter().zip(expected).position(|(found, expected)| found != expected) {
        None => Ok(()),
        Some(at) => {
            let (found, expected) = (found[at], expected[at]);
            Err(format!("page {page}, byte {at}: {found:#04x} instead of {expected:#04x}"))
        }
    }
}

/// A team's memory.
enum Memory {
    Private(Pages),
    File(MappedFile),
}

impl Memory {
    fn of(plan: &Plan, piece: u32) -> Result<Memory, Error> {
        let Some(name) = &plan.file else { return Ok(Memory::Private(Pages::new(plan.each_bytes)?)) };
        let file = File::open_with(name, mode::READ | mode::WRITE)?;
        let position = u64::from(piece) * plan.each_bytes as u64;
        Ok(Memory::File(MappedFile::new(file, position, plan.each_bytes, Mapping::Shared)?))
    }

    fn write(&mut self, page: u32, data: &[u8; PAGE]) -> Result<(), Error> {
        let at = page as usize * PAGE;
        match self {
            Memory::Private(pages) => pages[at..at + PAGE].copy_from_slice(data),
            Memory::File(file) => file.write_at(at, data)?,
        }
        Ok(())
    }

    fn read(&self, page: u32, buffer: &mut [u8; PAGE]) -> Result<(), Error> {
        let at = page as usize * PAGE;
        match self {
            Memory::Private(pages) => buffer.copy_from_slice(&pages[at..at + PAGE]),
            Memory::File(file) => file.read_at(at, buffer)?,
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        match self {
            Memory::Private(_) => Ok(()),
            Memory::File(file) => file.flush(),
        }
    }
}

fn be_team(plan: &Plan, piece: u32, context: &mut Context<'_>) -> Outcome {
    let own = format!("team {piece}");
    let mut memory = Memory::of(plan, piece).map_err(|error| failed(&own, error))?;
    let (mut found, mut expected) = ([0; PAGE], [0; PAGE]);
    for pass in 1..=plan.passes {
        let pattern = Pattern::new(plan.seed, piece, pass);
        for page in pattern.order(plan.pages_each(), false) {
            pattern.fill(page, &mut expected);
            memory.write(page, &expected).map_err(|error| failed(&own, error))?;
        }
        for page in pattern.order(plan.pages_each(), true) {
            memory.read(page, &mut found).map_err(|error| failed(&own, error))?;
            pattern.fill(page, &mut expected);
            check(page, &found, &expected).map_err(|text| failed(&own, format!("pass {pass}, {text}")))?;
        }
        memory.flush().map_err(|error| failed(&own, error))?;
        // One write, so that teams' lines do not mix.
        let line = format!("{own}: pass {pass} of {} done\n", plan.passes);
        context.output.write_all(line.as_bytes())?;
        context.output.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("4096", 4096), ("8K", 8192), ("3M", 3 << 20), ("1g", 1 << 30)] {
            assert_eq!(size(text, "each"), Ok(bytes));
        }
        for text in
            ["", "K", "8X", "-1", "+1", "1.5M", "8MB", "99999999999999999999", "18446744073709551615K", "8é"]
        {
            assert!(size(text, "each").is_err(), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_before_anything_is_started() {
        for (words, reason) in [
            ("--teams 0", "--teams"),
            ("--teams 65", "--teams"),
            ("--teams x", "--teams"),
            ("--each 5000", "--each"),
            ("--each 0", "--each"),
            ("--each 8 M", "'M'"),
            ("--each 8Q", "'8Q'"),
            ("--each 9223372036854771712", "--each"),
            ("--passes 0", "--passes"),
            ("--piece 4", "--piece"),
            ("word", "'word'"),
        ] {
            let (status, _, errors) = try_command(&COMMAND, words, &[]);
            assert_eq!(status, 2, "{words}");
            assert!(errors.contains(reason), "{words}: {errors}");
        }
    }

    #[test]
    fn a_team_is_told_all_of_the_plan() {
        let words = ["--teams", "3", "--each", "64K", "--file", "[tmp]a b", "--seed", "9", "--passes", "4"];
        let words: Vec<String> = words.iter().map(|word| (*word).into()).collect();
        let parse = |words: &[String]| match COMMAND.usage.parse(words) {
            Ok(crate::usage::Wish::Run(arguments)) => Plan::of(&arguments).unwrap(),
            other => panic!("{other:?}"),
        };
        let plan = parse(&words);
        assert_eq!(parse(&plan.words(2)), Plan { piece: Some(2), ..plan });
    }

    #[test]
    fn a_wrong_byte_is_found() {
        let (found, mut expected) = ([7; PAGE], [7; PAGE]);
        assert_eq!(check(3, &found, &expected), Ok(()));
        expected[4095] = 8;
        assert_eq!(check(3, &found, &expected), Err("page 3, byte 4095: 0x07 instead of 0x08".into()));
    }
}
