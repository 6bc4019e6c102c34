//! `dd`: copies blocks from a place to a place.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use protocols::io::mode;
use v::io::{Read, Seek, SeekFrom, Write};

use super::size;
use crate::Command;
use crate::context::{Context, Failure, Outcome, failed};
use crate::file::File;
use crate::usage::{Arguments, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "dd",
        synopsis: "[if=FILE] [of=FILE] [bs=SIZE] [count=BLOCKS] [skip=BLOCKS] [seek=BLOCKS] [conv=WORDS] [status=none]",
        summary: "Copies blocks of a file or disk to a place in another.",
        details: "Without if= and of= it copies standard input to standard output. bs= is how large blocks are, 512 unless\n\
                  said; it may end in K, M or G. skip= passes over blocks of the input, seek= of the output. conv= takes notrunc\n\
                  (what is behind stays), sync (blocks are filled up with zeros), fsync (waits until it is safe), ucase and\n\
                  lcase. What was copied is said on standard error.",
        choices: &[],
        operands: (0, MANY),
    },
    body: dd,
};

/// The largest block.
const MOST_BLOCK_BYTES: u64 = 16 << 20;

/// What the words ask for.
struct Plan<'a> {
    from: Option<&'a str>,
    to: Option<&'a str>,
    block_bytes: usize,
    count: u64,
    skip: u64,
    seek: u64,
    conversions: Vec<&'a str>,
    is_quiet: bool,
}

impl<'a> Plan<'a> {
    fn of(words: &'a [String]) -> Result<Plan<'a>, Misuse> {
        let mut plan = Plan {
            from: None,
            to: None,
            block_bytes: 512,
            count: u64::MAX,
            skip: 0,
            seek: 0,
            conversions: Vec::new(),
            is_quiet: false,
        };
        for word in words {
            let misuse = || Misuse(format!("'{word}' is nothing that it takes"));
            let (name, value) = word.split_once('=').ok_or_else(misuse)?;
            match name {
                "if" => plan.from = Some(value),
                "of" => plan.to = Some(value),
                "bs" => {
                    let bytes = size::parse(value, "bs")?;
                    if !(1..=MOST_BLOCK_BYTES).contains(&bytes) {
                        return Err(Misuse(format!("bs: from 1 to {MOST_BLOCK_BYTES} bytes")));
                    }
                    plan.block_bytes = bytes as usize;
                }
                "count" => plan.count = size::parse(value, "count")?,
                "skip" => plan.skip = size::parse(value, "skip")?,
                "seek" => plan.seek = size::parse(value, "seek")?,
                "conv" => {
                    plan.conversions = value.split(',').collect();
                    let known = ["notrunc", "sync", "fsync", "ucase", "lcase"];
                    if let Some(other) = plan.conversions.iter().find(|word| !known.contains(word)) {
                        return Err(Misuse(format!("conv: '{other}' is none of {}", known.join(" "))));
                    }
                }
                "status" if matches!(value, "none" | "noxfer") => plan.is_quiet = value == "none",
                _ => return Err(misuse()),
            }
        }
        let within =
            |blocks: u64| blocks.checked_mul(plan.block_bytes as u64).is_some_and(|bytes| bytes < 1 << 62);
        if !within(plan.skip) || !within(plan.seek) {
            return Err(Misuse("skip and seek lead too far".into()));
        }
        Ok(plan)
    }

    fn converts(&self, word: &str) -> bool {
        self.conversions.contains(&word)
    }
}

/// Whole blocks and others.
#[derive(Default)]
struct Records {
    whole: u64,
    partial: u64,
}

impl Records {
    fn add(&mut self, bytes: usize, block_bytes: usize) {
        *(if bytes == block_bytes { &mut self.whole } else { &mut self.partial }) += 1;
    }
}

fn dd(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let plan = Plan::of(&arguments.operands)?;
    let (from, to) = (plan.from.unwrap_or("-"), plan.to.unwrap_or("standard output"));
    let mut block = alloc::vec![0; plan.block_bytes];
    let skipped_bytes = plan.skip * plan.block_bytes as u64;
    let mut input: Box<dyn Read> = if let Some(name) = plan.from {
        let mut file = File::open(name).map_err(|error| failed(name, error))?;
        // What has positions need not be read.
        if file.seek(SeekFrom::Start(skipped_bytes)).is_err() {
            pass(&mut file, plan.skip, &mut block).map_err(|error| failed(name, error))?;
        }
        Box::new(file)
    } else {
        let mut stream = (context.open)("-").map_err(|error| failed(from, error))?;
        pass(&mut *stream, plan.skip, &mut block).map_err(|error| failed(from, error))?;
        Box::new(stream)
    };
    let mut output = plan.to.map(|name| open(name, &plan)).transpose()?;
    let (mut read, mut written, mut total) = (Records::default(), Records::default(), 0_u64);
    let mut failure = None;
    let fills = plan.converts("sync");
    while read.whole + read.partial < plan.count {
        let count = match input.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => {
                failure = Some(failed(from, error));
                break;
            }
        };
        read.add(count, block.len());
        let piece = if fills {
            block[count..].fill(0);
            &mut block[..]
        } else {
            &mut block[..count]
        };
        if plan.converts("ucase") {
            piece.make_ascii_uppercase();
        } else if plan.converts("lcase") {
            piece.make_ascii_lowercase();
        }
        let wrote = match &mut output {
            Some(file) => file.write_all(piece).map_err(|error| failed(to, error)),
            None => context.output.write_all(piece).map_err(Failure::Output),
        };
        if let Err(error) = wrote {
            failure = Some(error);
            break;
        }
        written.add(piece.len(), plan.block_bytes);
        total += piece.len() as u64;
    }
    if plan.converts("fsync")
        && let Some(file) = &output
    {
        file.synchronize().map_err(|error| failed(to, error))?;
    }
    if !plan.is_quiet {
        let text = format!(
            "{}+{} records in\n{}+{} records out\n{total} bytes copied\n",
            read.whole, read.partial, written.whole, written.partial
        );
        // What goes to standard error is not what matters.
        let _ = context.errors.write_all(text.as_bytes());
    }
    failure.map_or(Ok(()), Err)
}

/// Reads blocks that nobody wants.
fn pass(input: &mut (impl Read + ?Sized), blocks: u64, block: &mut [u8]) -> Result<(), abi::Error> {
    for _ in 0..blocks {
        if input.read(block)? == 0 {
            break;
        }
    }
    Ok(())
}

/// The output file, at its place. What is behind is cut off, unless that is to stay.
fn open(name: &str, plan: &Plan<'_>) -> Result<File, Failure> {
    let position = plan.seek * plan.block_bytes as u64;
    let cut = || -> Result<File, abi::Error> {
        let empties = position == 0 && !plan.converts("notrunc");
        let how = mode::WRITE | mode::CREATE | if empties { mode::TRUNCATE } else { 0 };
        let mut file = File::open_with(name, how)?;
        if position > 0 {
            if !plan.converts("notrunc") {
                file.set_size(position)?;
            }
            file.seek(SeekFrom::Start(position))?;
        }
        Ok(file)
    };
    cut().map_err(|error| failed(name, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;

    #[test]
    fn what_it_does_not_take_is_refused() {
        for line in [
            "x",
            "bs=0",
            "bs=x",
            "bs=17M",
            "count=-1",
            "conv=ebcdic",
            "status=loud",
            "seek=99999999999999999",
            "if",
            "=x",
        ] {
            let (status, _, errors) = try_command(&COMMAND, line, &[("-", b"")]);
            assert!(status == 2 && errors.starts_with("dd: "), "{line}: {errors}");
        }
    }
}
