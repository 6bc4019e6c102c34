//! `cksum`, `crc32`, `md5sum` and `sha256sum`: numbers by which files are told from others.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use abi::Error;
use crc::{CRC_32_CKSUM, CRC_32_ISO_HDLC, Crc, Table};
use md5::Md5;
use sha2::Sha256;
use v::io::BufRead;

use crate::Command;
use crate::context::{Context, Failure, FileFailure, Outcome, next_line, without_newline};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command `cksum`.
pub const CKSUM: Command = Command {
    usage: Usage {
        name: "cksum",
        synopsis: "[FILE...]",
        summary: "Writes the POSIX checksum and the length of files.",
        details: "It notices accidents. Against people, use sha256sum.",
        choices: &[],
        operands: (0, MANY),
    },
    body: cksum,
};

/// The command `crc32`.
pub const CRC32: Command = Command {
    usage: Usage {
        name: "crc32",
        synopsis: "[FILE...]",
        summary: "Writes the CRC-32 of files, as gzip and Ethernet have it.",
        details: "",
        choices: &[],
        operands: (0, MANY),
    },
    body: crc32,
};

const CHECK: Choice =
    Choice { letter: 'c', long: "check", value: None, help: "Check the files that the lines of FILE name." };

/// The command `md5sum`.
pub const MD5SUM: Command = Command {
    usage: Usage {
        name: "md5sum",
        synopsis: "[-c] [FILE...]",
        summary: "Writes the MD5 of files, or checks them.",
        details: "With -c, FILE has lines as this command writes them. It notices accidents. Against people, use sha256sum.",
        choices: &[CHECK],
        operands: (0, MANY),
    },
    body: |arguments, context| sums(arguments, context, sum::<Md5>, 32),
};

/// The command `sha256sum`.
pub const SHA256SUM: Command = Command {
    usage: Usage {
        name: "sha256sum",
        synopsis: "[-c] [FILE...]",
        summary: "Writes the SHA-256 of files, or checks them.",
        details: "With -c, FILE has lines as this command writes them.",
        choices: &[CHECK],
        operands: (0, MANY),
    },
    body: |arguments, context| sums(arguments, context, sum::<Sha256>, 64),
};

/// The checksum of POSIX.
static CKSUM_TABLE: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_CKSUM);
/// That of gzip, zip and Ethernet.
pub static CRC32_TABLE: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// Calls `each` with a file's bytes, piece by piece.
fn pieces(file: &mut dyn BufRead, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
    let mut chunk = alloc::vec![0; 64 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(()),
            count => each(&chunk[..count]),
        }
    }
}

/// A blank and the file's name, if there is one.
fn named(name: &str) -> String {
    if name == "-" { String::new() } else { format!(" {name}") }
}

fn cksum(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    context.each_file(&arguments.operands, |context, name, file| {
        let (mut digest, mut bytes) = (CKSUM_TABLE.digest(), 0_u64);
        let each = |piece: &[u8]| {
            digest.update(piece);
            bytes += piece.len() as u64;
        };
        pieces(file, each).map_err(FileFailure::Input)?;
        let length = bytes.to_le_bytes();
        digest.update(&length[..length.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)]);
        Ok(context.output.write_all(format!("{} {bytes}{}\n", digest.finalize(), named(name)).as_bytes())?)
    })
}

fn crc32(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    context.each_file(&arguments.operands, |context, name, file| {
        let mut digest = CRC32_TABLE.digest();
        pieces(file, |piece| digest.update(piece)).map_err(FileFailure::Input)?;
        Ok(context.output.write_all(format!("{:08x}{}\n", digest.finalize(), named(name)).as_bytes())?)
    })
}

/// The sum of a file in hexadecimal.
type Sum = fn(&mut dyn BufRead) -> Result<String, Error>;

fn sum<D: sha2::Digest>(file: &mut dyn BufRead) -> Result<String, Error> {
    let mut digest = D::new();
    pieces(file, |piece| digest.update(piece))?;
    let mut text = String::new();
    for byte in digest.finalize().as_slice() {
        // A string takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Writes sums of so many digits, or checks them.
fn sums(arguments: &Arguments, context: &mut Context<'_>, sum: Sum, digits: usize) -> Outcome {
    if !arguments.has("check") {
        return context.each_file(&arguments.operands, |context, name, file| {
            let found = sum(file).map_err(FileFailure::Input)?;
            Ok(context.output.write_all(format!("{found}  {name}\n").as_bytes())?)
        });
    }
    let mut wrong = 0_u64;
    context.each_file(&arguments.operands, |context, list, file| {
        let (mut line, mut any) = (Vec::new(), false);
        while next_line(file, &mut line)? {
            let text = String::from_utf8_lossy(without_newline(&line)).into_owned();
            let Some((known, name)) = text.split_once("  ").filter(|(known, _)| known.len() == digits) else {
                continue;
            };
            any = true;
            let found = (context.open)(name).and_then(|mut file| sum(&mut *file));
            let verdict = match found {
                Ok(found) if found.eq_ignore_ascii_case(known) => "right".into(),
                Ok(_) => "WRONG".into(),
                Err(error) => format!("{error}"),
            };
            wrong += u64::from(verdict != "right");
            context.output.write_all(format!("{name}: {verdict}\n").as_bytes())?;
        }
        if !any {
            let reason = format!("has no line as '{}' writes them", context.name);
            context.complain(list, reason);
        }
        Ok::<(), FileFailure>(())
    })?;
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 file is not what it was".into())),
        _ => Err(Failure::Failed(format!("{wrong} files are not what they were"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn sums_are_those_of_others() {
        expect(&CKSUM, "", "123456789", "930766865 9\n");
        expect(&CKSUM, "", "", "4294967295 0\n");
        expect(&CRC32, "", "123456789", "cbf43926\n");
        expect(&SHA256SUM, "", "abc", &format!("{ABC}  -\n"));
        expect(&MD5SUM, "", "abc", "900150983cd24fb0d6963f7d28e17f72  -\n");
    }

    #[test]
    fn files_are_checked() {
        let list = format!("{ABC}  a\n{ABC}  b\nno line\n{ABC}  gone\n");
        let files: &[(&str, &[u8])] =
            &[("list", list.as_bytes()), ("a", b"abc"), ("b", b"abd"), ("empty", b"")];
        let (status, output, errors) = try_command(&SHA256SUM, "-c list", files);
        assert_eq!((status, &*output), (1, "a: right\nb: WRONG\ngone: not found\n"));
        assert_eq!(errors, "sha256sum: 2 files are not what they were\n");
        assert_eq!(try_command(&SHA256SUM, "-c empty", files).0, 1);
        assert_eq!(try_command(&SHA256SUM, "gone a", files).1, format!("{ABC}  a\n"));
    }
}
