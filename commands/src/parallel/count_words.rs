//! `count-words`: how often each word occurs in some files.
//!
//! A task is a stretch of a file, and has the words that begin in it. So it reads one byte before it, and on behind it to
//! the end of its last word; it does not matter where the stretches are cut.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::{Error, LogicalHost};
use v::file::File;
use v::io::{BufRead, BufReader, Seek, SeekFrom};
use v::parallel::Job;
use v::process::Place;

use super::crew::{Crew, SPEED_UP, WORKERS};
use crate::Command;
use crate::context::{Context, Failure, Outcome, failed};
use crate::usage::{Arguments, Choice, MANY, ON, Usage};

/// How many words are shown if nothing is said.
const DEFAULT_LINES: usize = 10;
/// Bytes of a stretch.
const STRETCH_BYTES: u64 = 256 * 1024;
/// A longer word is known by so many bytes of its beginning.
const MOST_WORD_BYTES: usize = 64;

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "count-words",
        synopsis: "[-w N] [-n COUNT] [--speed-up] FILE... [@ PLACE]",
        summary: "Counts how often each word occurs in files.",
        details: "A word is letters and digits; capitals count as small letters. Those that occur most often come first. Workers\n\
                  count, each in a stretch of a file. They run on this node, or at PLACE: a node's name, or * for any; then\n\
                  on the nodes that have the files first, and each file is rather read where it is.",
        choices: &[
            Choice {
                letter: 'n',
                long: "lines",
                value: Some("COUNT"),
                help: "Show so many words, 10 if nothing is said.",
            },
            WORKERS,
            ON,
            SPEED_UP,
        ],
        operands: (1, MANY),
    },
    body: count_words,
};

fn count_words(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let crew = Crew::of(arguments)?;
    let lines = arguments.number("lines")?.unwrap_or(DEFAULT_LINES);
    let names = &arguments.operands;
    let mut stretches = Vec::new();
    for (number, name) in names.iter().enumerate() {
        match sizes(name) {
            Ok((home, bytes)) => {
                let starts = (0..bytes).step_by(STRETCH_BYTES as usize);
                let number = number as u32;
                let stretch = |from: u64| Stretch { file: number, from, to: bytes.min(from + STRETCH_BYTES) };
                stretches.extend(starts.map(|from| (home, stretch(from))));
            }
            Err(error) => context.complain(name, error),
        }
    }
    let mut job = Job::new().shared(names.join("\0").into_bytes());
    for (home, stretch) in &stretches {
        job = job.task_at(*home, stretch.to_bytes());
    }
    let job = job.on_each(places(&crew, stretches.iter().map(|(home, _)| *home))?);
    let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    let mut failed_files = BTreeMap::new();
    crew.run(context, job, &mut |_, task, result| {
        match decode(&result) {
            Ok(found) => found.for_each(|(word, count)| {
                *counts.entry(word.to_vec()).or_default() += count;
            }),
            Err(error) => {
                failed_files.insert(stretches[task].1.file, error);
            }
        }
        Ok(())
    })?;
    for (file, error) in failed_files {
        context.complain(&names[file as usize], error);
    }
    Ok(context.output.write_all(shown(&counts, lines).as_bytes())?)
}

/// The node that a file is on, and its size.
fn sizes(name: &str) -> Result<(LogicalHost, u64), Error> {
    let file = File::open(name)?;
    Ok((file.instance().server.host(), file.size()?))
}

/// Where the workers are to be: if it does not matter, then first one on each node that has something to read.
fn places(crew: &Crew, homes: impl Iterator<Item = LogicalHost>) -> Result<Vec<Place>, Failure> {
    if !matches!(crew.place, Place::Any { .. }) {
        return Ok(Vec::from([crew.place.clone()]));
    }
    let nodes = v::node::all().map_err(|error| failed("[network]", error))?;
    let homes: Vec<LogicalHost> = homes.collect();
    let having =
        nodes.iter().filter(|node| homes.contains(&node.logical_host)).filter_map(|node| node.name());
    let mut places: Vec<Place> = having.map(|name| Place::Node(name.into())).take(crew.workers).collect();
    places.resize(crew.workers, crew.place.clone());
    Ok(places)
}

/// The words that occur most often, and how many there are.
fn shown(counts: &BTreeMap<Vec<u8>, u64>, lines: usize) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(word, count)| (u64::MAX - **count, *word));
    let mut text = String::new();
    for (word, count) in sorted.into_iter().take(lines) {
        let line = format!("{count:>8} {}\n", String::from_utf8_lossy(word));
        text.push_str(&line);
    }
    let total: u64 = counts.values().sum();
    text + &format!("{total} words, {} different\n", counts.len())
}

/// From a byte of a file to another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stretch {
    file: u32,
    from: u64,
    to: u64,
}

impl Stretch {
    fn to_bytes(self) -> Vec<u8> {
        let words = [u64::from(self.file), self.from, self.to];
        words.map(u64::to_le_bytes).concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Stretch> {
        let mut words = bytes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let file = u32::try_from(words.next()?).ok()?;
        Some(Stretch { file, from: words.next()?, to: words.next()? })
    }
}

/// What a worker does: the names of the files and a stretch; the words in it, or why they could not be read.
pub fn work(shared: &[u8], task: &[u8]) -> Vec<u8> {
    let name = |stretch: Stretch| {
        let name = shared.split(|byte| *byte == 0).nth(stretch.file as usize)?;
        core::str::from_utf8(name).ok()
    };
    let task = Stretch::from_bytes(task).and_then(|stretch| Some((name(stretch)?, stretch)));
    let counted = task.ok_or(Error::BadArgument).and_then(|(name, stretch)| {
        let mut file = File::open(name)?;
        file.seek(SeekFrom::Start(first_byte(stretch)))?;
        count(&mut BufReader::new(file), stretch)
    });
    encode(counted)
}

/// Where reading a stretch begins: the byte before it says whether a word begins with it.
fn first_byte(stretch: Stretch) -> u64 {
    stretch.from.saturating_sub(1)
}

type Counts = BTreeMap<Vec<u8>, u32>;

/// Counts the words that begin in a stretch, in a reader that begins at its [`first_byte`].
fn count(file: &mut dyn BufRead, stretch: Stretch) -> Result<Counts, Error> {
    let mut counts = Counts::new();
    let mut position = first_byte(stretch);
    let mut word = Vec::new();
    // Whether the byte before is of a word, and whether that began in the stretch.
    let (mut in_word, mut is_ours) = (false, false);
    loop {
        let bytes = file.fill_buf()?;
        let read = bytes.len();
        for byte in bytes {
            let is_letter = byte.is_ascii_alphanumeric() || !byte.is_ascii();
            if in_word && !is_letter && is_ours {
                add(&mut counts, &word);
            }
            if is_letter && !in_word {
                word.clear();
                is_ours = (stretch.from..stretch.to).contains(&position);
            }
            in_word = is_letter;
            // Behind it, only a word that began in it is of interest.
            if position >= stretch.to && !(is_letter && is_ours) {
                return Ok(counts);
            }
            if is_letter && is_ours && word.len() < MOST_WORD_BYTES {
                word.push(byte.to_ascii_lowercase());
            }
            position += 1;
        }
        file.consume(read);
        if read == 0 {
            if in_word && is_ours {
                add(&mut counts, &word);
            }
            return Ok(counts);
        }
    }
}

fn add(counts: &mut Counts, word: &[u8]) {
    match counts.get_mut(word) {
        Some(count) => *count += 1,
        None => {
            counts.insert(word.to_vec(), 1);
        }
    }
}

/// A result: a byte that says whether it is an error's code, or words with their counts.
fn encode(counted: Result<Counts, Error>) -> Vec<u8> {
    let mut bytes = Vec::from([u8::from(counted.is_err())]);
    match counted {
        Err(error) => bytes.extend(error.code().to_le_bytes()),
        Ok(counts) => {
            for (word, count) in counts {
                bytes.extend(count.to_le_bytes());
                bytes.push(word.len() as u8);
                bytes.extend(word);
            }
        }
    }
    bytes
}

fn decode(bytes: &[u8]) -> Result<impl Iterator<Item = (&[u8], u64)>, Error> {
    let (is_error, mut rest) = bytes.split_first().ok_or(Error::BadReply)?;
    if *is_error != 0 {
        return Err(rest
            .first_chunk()
            .map_or(Error::BadReply, |code| Error::from_code(u32::from_le_bytes(*code))));
    }
    Ok(core::iter::from_fn(move || {
        let (count, behind) = rest.split_first_chunk()?;
        let (length, behind) = behind.split_first()?;
        let (word, behind) = behind.split_at_checked(usize::from(*length))?;
        rest = behind;
        Some((word, u64::from(u32::from_le_bytes(*count))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;
    use v::io::Cursor;

    fn counted(text: &[u8], cuts: &[u64]) -> BTreeMap<Vec<u8>, u64> {
        let mut ends = cuts.to_vec();
        ends.push(text.len() as u64);
        let (mut all, mut from) = (BTreeMap::new(), 0);
        for to in ends {
            let stretch = Stretch { file: 0, from, to };
            let mut rest = BufReader::new(Cursor::new(text[first_byte(stretch) as usize..].to_vec()));
            let result = encode(count(&mut rest, stretch));
            for (word, count) in decode(&result).unwrap() {
                *all.entry(word.to_vec()).or_default() += count;
            }
            from = to;
        }
        all
    }

    #[test]
    fn words_are_counted_once_wherever_the_text_is_cut() {
        let text = "The cat, the DOG; and THE cat2 \u{e4}h a".as_bytes();
        let whole = counted(text, &[]);
        let expected =
            [("a", 1), ("and", 1), ("cat", 1), ("cat2", 1), ("dog", 1), ("the", 3), ("\u{e4}h", 1)];
        let expected: BTreeMap<Vec<u8>, u64> =
            expected.iter().map(|(word, count)| (word.as_bytes().to_vec(), *count)).collect();
        assert_eq!(whole, expected);
        let length = text.len() as u64;
        for first in 0..=length {
            for second in first..=length {
                assert_eq!(counted(text, &[first, second]), whole, "cut at {first} and {second}");
            }
        }
        assert!(counted(b"", &[]).is_empty());
    }

    #[test]
    fn long_words_are_known_by_their_beginning() {
        let text = [b'x'; 300];
        let one = BTreeMap::from([(Vec::from([b'x'; MOST_WORD_BYTES]), 1)]);
        assert_eq!(counted(&text, &[]), one);
        assert_eq!(counted(&text, &[10, 100, 200]), one);
    }

    #[test]
    fn the_most_frequent_come_first() {
        let counts = [("b", 2_u64), ("a", 2), ("c", 9), ("d", 1)];
        let counts = counts.iter().map(|(word, count)| (word.as_bytes().to_vec(), *count)).collect();
        let expected = "       9 c\n       2 a\n       2 b\n14 words, 4 different\n";
        assert_eq!(shown(&counts, 3), expected);
    }

    #[test]
    fn errors_come_back() {
        assert!(matches!(decode(&encode(Err(Error::NotFound))), Err(Error::NotFound)));
        assert!(matches!(decode(&[]), Err(Error::BadReply)));
        assert!(matches!(decode(&[1, 2]), Err(Error::BadReply)));
        assert!(matches!(decode(&work(b"a", &[1, 2, 3])), Err(Error::BadArgument)));
        // What is cut off is not made up.
        assert_eq!(decode(&[0, 1, 0, 0, 0, 9, b'a']).unwrap().count(), 0);
    }

    #[test]
    fn bad_words_are_refused() {
        for (words, reason) in
            [("", "expected more words"), ("-n x f", "'x' is not a whole number"), ("-w 0 f", "from 1 to 64")]
        {
            let (status, output, errors) = try_command(&COMMAND, words, &[]);
            assert_eq!((status, output.as_str()), (2, ""), "{words}");
            assert!(errors.contains(reason), "{words}: {errors}");
        }
    }
}
