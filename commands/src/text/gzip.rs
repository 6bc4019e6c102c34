//! `gzip`, `gunzip`, `zcat`: files made shorter by DEFLATE (RFC 1951), in gzip's form (RFC 1952). The compression itself is
//! crate `miniz_oxide`; the form is `stream`'s.

pub mod stream;

use alloc::format;
use alloc::string::String;

use crate::file::{self, File};
use crate::files::kept::Kept;
use abi::Error;
use v::io::{BufReader, BufWriter, Read, Write};

use crate::Command;
use crate::context::{Context, Failure, FileFailure, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};
use stream::{Compressor, Decompressor};

const DECOMPRESS: Choice =
    Choice { letter: 'd', long: "decompress", value: None, help: "Make them what they were." };
const STDOUT: Choice = Choice {
    letter: 'c',
    long: "stdout",
    value: None,
    help: "Write to standard output, and keep the files.",
};
const KEEP: Choice = Choice { letter: 'k', long: "keep", value: None, help: "Keep the files." };
const FORCE: Choice =
    Choice { letter: 'f', long: "force", value: None, help: "Replace files that are there." };
const TEST: Choice =
    Choice { letter: 't', long: "test", value: None, help: "Only see whether they are whole." };

/// The command `gzip`.
pub const GZIP: Command = Command {
    usage: Usage {
        name: "gzip",
        synopsis: "[-cdfkt19] [FILE...]",
        summary: "Makes files shorter: each FILE becomes FILE.gz.",
        details: "Without FILE, or where FILE is -, it goes from standard input to standard output.",
        choices: &[
            DECOMPRESS,
            STDOUT,
            KEEP,
            FORCE,
            TEST,
            Choice { letter: '1', long: "fast", value: None, help: "In a hurry." },
            Choice { letter: '9', long: "best", value: None, help: "As short as can be." },
        ],
        operands: (0, MANY),
    },
    body: gzip,
};

/// The command `gunzip`.
pub const GUNZIP: Command = Command {
    usage: Usage {
        name: "gunzip",
        synopsis: "[-cfkt] [FILE.gz...]",
        summary: "Makes of files that gzip wrote what they were.",
        details: "Without FILE.gz, or where it is -, it goes from standard input to standard output.",
        choices: &[STDOUT, KEEP, FORCE, TEST],
        operands: (0, MANY),
    },
    body: |arguments, context| each(arguments, context, true, arguments.has("stdout")),
};

/// The command `zcat`.
pub const ZCAT: Command = Command {
    usage: Usage {
        name: "zcat",
        synopsis: "[FILE.gz...]",
        summary: "Writes what is in files that gzip wrote.",
        details: "",
        choices: &[],
        operands: (0, MANY),
    },
    body: |arguments, context| each(arguments, context, true, true),
};

/// The ending of files that are compressed.
const ENDING: &str = ".gz";
const CHUNK_BYTES: usize = 64 * 1024;

fn gzip(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let decompresses = arguments.has("decompress") || arguments.has("test");
    each(arguments, context, decompresses, arguments.has("stdout"))
}

/// How hard it tries, from 1 to 9.
fn level(arguments: &Arguments) -> u8 {
    match (arguments.has("fast"), arguments.has("best")) {
        (true, _) => 1,
        (_, true) => 9,
        _ => 6,
    }
}

fn each(arguments: &Arguments, context: &mut Context<'_>, decompresses: bool, to_output: bool) -> Outcome {
    let level = level(arguments);
    let only_tests = arguments.has("test");
    if to_output || only_tests || arguments.operands.iter().all(|name| name == "-") {
        return context.each_file(&arguments.operands, |context, name, input| {
            let done = match (decompresses, only_tests) {
                (true, true) => copy(&mut Decompressor::new(input), &mut Nowhere),
                (true, false) => copy(&mut Decompressor::new(input), &mut *context.output),
                (false, _) => compress(input, &mut *context.output, level),
            };
            match done {
                Err(FileFailure::Input(error)) => context.complain(name, stream::reason(error)),
                done => return done,
            }
            Ok(())
        });
    }
    for name in &arguments.operands {
        if let Err(reason) = replace(name, arguments, decompresses, level) {
            context.complain(name, reason);
        }
    }
    Ok(())
}

/// What is only looked at goes here.
struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        Ok(data.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Copies all.
fn copy(from: &mut (impl Read + ?Sized), to: &mut (impl Write + ?Sized)) -> Result<(), FileFailure> {
    let mut chunk = alloc::vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk).map_err(FileFailure::Input)? {
            0 => return Ok(()),
            count => to.write_all(&chunk[..count])?,
        }
    }
}

fn compress(from: &mut (impl Read + ?Sized), to: &mut dyn Write, level: u8) -> Result<(), FileFailure> {
    let mut shorter = Compressor::new(to, level);
    copy(from, &mut shorter)?;
    Ok(shorter.finish()?)
}

/// Puts the other form of a file in its place; the reason, if it cannot be done.
fn replace(name: &str, arguments: &Arguments, decompresses: bool, level: u8) -> Result<(), String> {
    let told = |error: Error| format!("{error}");
    let target = match (name.strip_suffix(ENDING), decompresses) {
        (Some(plain), true) => plain.into(),
        (None, true) => return Err("its name does not end in .gz; -c writes what is in it".into()),
        (Some(_), false) => return Err("it ends in .gz already".into()),
        (None, false) => format!("{name}{ENDING}"),
    };
    let metadata = file::metadata(name).map_err(told)?;
    if metadata.is_directory() {
        return Err(told(Error::IsADirectory));
    }
    let mut input = BufReader::new(File::open(name).map_err(told)?);
    if !arguments.has("force") && file::exists(&target).map_err(told)? {
        return Err(format!("{target} is there already; -f replaces it"));
    }
    let of_target = |error: Error| format!("{target}: {error}");
    let mut output = BufWriter::new(File::create(&target).map_err(of_target)?);
    Kept::Possible.begin(&target, &metadata, true).map_err(of_target)?;
    let copied = if decompresses {
        copy(&mut Decompressor::new(&mut input), &mut output)
    } else {
        compress(&mut input, &mut output, level)
    };
    let done = copied.and_then(|()| output.flush().map_err(FileFailure::from));
    if let Err(failure) = done {
        // A half of it is of no use.
        let _ = file::remove(&target);
        return Err(match failure {
            FileFailure::Input(error) => stream::reason(error),
            FileFailure::Stop(Failure::Output(error)) => of_target(error),
            FileFailure::Stop(_) => "it failed".into(),
        });
    }
    // Who may read it and when its content was made stay as they are.
    Kept::Possible.finish(&target, &metadata).map_err(of_target)?;
    if !arguments.has("keep") {
        file::remove(name).map_err(told)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run_with;
    use alloc::boxed::Box;
    use alloc::vec::Vec;
    use v::io::{BufRead, Cursor};

    /// What `printf 'hello\n' | gzip -n` of another system writes.
    const HELLO: [u8; 26] = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 2, 0, 0x20, 0x30, 0x3a, 0x36,
        6, 0, 0, 0,
    ];

    fn filter(command: &Command, option: &str, input: &[u8]) -> (i32, Vec<u8>, String) {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let open = |_: &str| -> Result<Box<dyn BufRead>, Error> {
            Ok(Box::new(BufReader::new(Cursor::new(input.to_vec()))))
        };
        let words: Vec<String> = option.split_whitespace().map(String::from).collect();
        let status = run_with(command, &words, &mut output, &mut errors, &open);
        (status, output, String::from_utf8_lossy(&errors).into_owned())
    }

    #[test]
    fn what_others_write_is_read() {
        assert_eq!(filter(&GUNZIP, "", &HELLO), (0, b"hello\n".to_vec(), String::new()));
        assert_eq!(filter(&ZCAT, "", &[HELLO, HELLO].concat()).1, b"hello\nhello\n");
        assert_eq!(filter(&GZIP, "-t", &HELLO), (0, Vec::new(), String::new()));
        let named = [&HELLO[..3], &[8], &HELLO[4..10], b"name\0", &HELLO[10..]].concat();
        assert_eq!(filter(&GZIP, "-dc", &named).1, b"hello\n");
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let mut text = Vec::new();
        for number in 0_u32..60_000 {
            text.extend_from_slice(format!("{} ", number.wrapping_mul(2_654_435_761) >> 20).as_bytes());
        }
        let zeros = alloc::vec![0; 200_000];
        for input in [&b""[..], b"a", &text, &zeros] {
            for option in ["", "-1", "-9"] {
                let (status, shorter, _) = filter(&GZIP, option, input);
                assert!(status == 0 && (input.len() < 100 || shorter.len() < input.len()));
                assert_eq!(filter(&GUNZIP, "", &shorter), (0, input.to_vec(), String::new()));
            }
        }
    }

    #[test]
    fn damage_is_noticed() {
        for (change, at) in [(1, 0), (1, 2), (0xff, 11), (1, 18), (1, 22)] {
            let mut damaged = HELLO;
            damaged[at] ^= change;
            let (status, _, errors) = filter(&GUNZIP, "", &damaged);
            assert!(status == 1 && errors.contains("gunzip: -: it"), "{at}: {status} {errors}");
        }
        for end in 0..HELLO.len() {
            assert_eq!(filter(&GZIP, "-t", &HELLO[..end]).0, 1, "{end}");
        }
        let (_, _, errors) = filter(&GZIP, "-t", &[&HELLO[..], b"more"].concat());
        assert!(errors.contains("not in gzip's form"), "{errors}");
    }
}
