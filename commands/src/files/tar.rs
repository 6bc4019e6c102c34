//! `tar`: many files as one, as POSIX (ustar) and GNU have it.
//!
//! | part | what it has |
//! |---|---|
//! | this file | the command, and creating |
//! | `header` | a member's header, from and to bytes |
//! | `reader` | member after member of a stream |
//! | `extract` | listing and extracting |

mod extract;
mod header;
mod reader;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::file::{self, File, Kind};
use abi::Error;
use v::io::{BufReader, BufWriter, Read, Write};

use super::path;
use crate::Command;
use crate::context::{Context, Failure, Outcome, failed};
use crate::text::gzip::stream::{Compressor, Decompressor};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};
use header::{BLOCK_BYTES, Header};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "tar",
        synopsis: "-c|-t|-x [-pvzO] [-f ARCHIVE] [-C DIRECTORY] [NAME...]",
        summary: "Makes an archive of files, lists it, or extracts them from it.",
        details: "Directories come with all that is in them. A prefix or a slash at the beginning of a name is left out\n\
                  in the archive; nothing is extracted outside of DIRECTORY. Links and devices, which V does not have,\n\
                  are told and left out. NAMEs of -t and -x choose members. What is extracted is as old as it was, and who could\n\
                  not read it cannot; without -p only its owner may write it.",
        choices: &[
            Choice { letter: 'c', long: "create", value: None, help: "Make an archive of NAMEs." },
            Choice { letter: 't', long: "list", value: None, help: "List it." },
            Choice { letter: 'x', long: "extract", value: None, help: "Extract from it." },
            Choice {
                letter: 'f',
                long: "file",
                value: Some("ARCHIVE"),
                help: "The archive; else standard output or input.",
            },
            Choice { letter: 'C', long: "directory", value: Some("DIRECTORY"), help: "NAMEs are in there." },
            Choice {
                letter: 'p',
                long: "preserve-permissions",
                value: None,
                help: "Others may write what they could; the system gives it to its owner.",
            },
            Choice { letter: 'z', long: "gzip", value: None, help: "The archive is compressed by gzip." },
            Choice {
                letter: 'v',
                long: "verbose",
                value: None,
                help: "Say each member; with -t, more of it.",
            },
            Choice { letter: 'O', long: "to-stdout", value: None, help: "Extract to standard output." },
        ],
        operands: (0, MANY),
    },
    body: tar,
};

/// The level of compression.
const LEVEL: u8 = 6;

fn tar(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let archive = arguments.value("file").filter(|name| *name != "-");
    // Extracting would make it, where it is mistyped.
    if let Some(directory) = arguments.value("directory")
        && file::metadata(directory).map_err(|error| failed(directory, error))?.kind != Kind::Directory
    {
        return Err(failed(directory, Error::NotADirectory));
    }
    match ["create", "list", "extract"].map(|option| arguments.has(option)) {
        [true, false, false] => create(arguments, archive, context),
        [false, true, false] | [false, false, true] => read(arguments, archive, context),
        _ => Err(Misuse("expected one of -c, -t and -x".into()).into()),
    }
}

fn read(arguments: &Arguments, archive: Option<&str>, context: &mut Context<'_>) -> Outcome {
    let name = archive.unwrap_or("-");
    let mut input = (context.open)(name).map_err(|error| failed(name, error))?;
    if arguments.has("gzip") {
        let mut plain = Decompressor::new(&mut *input);
        extract::members(&mut plain, name, arguments, context)
    } else {
        extract::members(&mut input, name, arguments, context)
    }
}

fn create(arguments: &Arguments, archive: Option<&str>, context: &mut Context<'_>) -> Outcome {
    if arguments.operands.is_empty() {
        return Err(Misuse("an archive of nothing? NAMEs are missing".into()).into());
    }
    let mut members = Vec::new();
    let Some(name) = archive else {
        // The archive goes where names otherwise would.
        let mut bytes = Sink { to: &mut *context.output, own: None };
        let mut problems = Vec::new();
        write_archive(arguments, &mut bytes, &mut members, &mut problems)?;
        return tell(arguments, false, &members, problems, context);
    };
    let to_file = |error: Error| failed(name, error);
    let mut file = BufWriter::new(File::create(name).map_err(to_file)?);
    let own = file::metadata(name).map_err(to_file)?.object;
    let mut bytes = Sink { to: &mut file, own: Some(own) };
    let mut problems = Vec::new();
    write_archive(arguments, &mut bytes, &mut members, &mut problems).map_err(|failure| match failure {
        Failure::Output(error) => to_file(error),
        other => other,
    })?;
    file.flush().map_err(to_file)?;
    tell(arguments, true, &members, problems, context)
}

/// Where an archive goes.
struct Sink<'a> {
    to: &'a mut dyn Write,
    /// The archive's own number among the files of its server, which does not go into itself.
    own: Option<u64>,
}

/// Says members, where that was asked for, and what went wrong.
fn tell(
    arguments: &Arguments,
    on_output: bool,
    members: &[String],
    problems: Vec<(String, String)>,
    context: &mut Context<'_>,
) -> Outcome {
    for member in members.iter().filter(|_| arguments.has("verbose")) {
        let line = format!("{member}\n");
        if on_output {
            context.output.write_all(line.as_bytes())?;
        } else {
            // What goes to standard error is not what matters.
            let _ = context.errors.write_all(line.as_bytes());
        }
    }
    for (name, problem) in problems {
        context.complain(&name, problem);
    }
    Ok(())
}

fn write_archive(
    arguments: &Arguments,
    sink: &mut Sink<'_>,
    members: &mut Vec<String>,
    problems: &mut Vec<(String, String)>,
) -> Outcome {
    let own = sink.own;
    if !arguments.has("gzip") {
        write_members(arguments, own, &mut *sink.to, members, problems)?;
        return Ok(());
    }
    let mut shorter = Compressor::new(&mut *sink.to, LEVEL);
    write_members(arguments, own, &mut shorter, members, problems)?;
    Ok(shorter.finish()?)
}

fn write_members(
    arguments: &Arguments,
    own: Option<u64>,
    output: &mut dyn Write,
    members: &mut Vec<String>,
    problems: &mut Vec<(String, String)>,
) -> Outcome {
    let directory = arguments.value("directory").unwrap_or_default();
    let mut waiting: Vec<String> = arguments.operands.iter().rev().cloned().collect();
    while let Some(name) = waiting.pop() {
        let place = if name.starts_with('[') { name.clone() } else { path::join(directory, &name) };
        let metadata = match file::metadata(&place) {
            Ok(metadata) => metadata,
            Err(error) => {
                problems.push((name, format!("{error}")));
                continue;
            }
        };
        let member = header::member_name(&name);
        match metadata.kind {
            Kind::Directory => {
                match file::read_directory(&place) {
                    Ok(mut entries) => {
                        entries.sort_by(|left, right| right.name.cmp(&left.name));
                        waiting.extend(entries.iter().map(|entry| path::join(&name, &entry.name)));
                    }
                    Err(error) => problems.push((name, format!("{error}"))),
                }
                if member.is_empty() {
                    continue;
                }
                let member = format!("{member}/");
                let header = Header::new(&member, &metadata);
                output.write_all(&header.encode()?)?;
                members.push(member);
            }
            Kind::File if own == Some(metadata.object) => {
                problems.push((name, "this is the archive, which does not go into itself".into()));
            }
            Kind::File => match File::open(&place) {
                Err(error) => problems.push((name, format!("{error}"))),
                Ok(file) => {
                    let header = Header::new(&member, &metadata);
                    output.write_all(&header.encode()?)?;
                    if let Some(problem) = write_content(file, metadata.size, output)? {
                        problems.push((name, problem));
                    }
                    members.push(member);
                }
            },
            _ => problems.push((name, "it is neither a file nor a directory".into())),
        }
    }
    Ok(output.write_all(&[0; 2 * BLOCK_BYTES])?)
}

/// Writes as many bytes of a file as its header said, and what fills up the last block; what was wrong with the file.
fn write_content(file: File, size: u64, output: &mut dyn Write) -> Result<Option<String>, Failure> {
    let mut input = BufReader::new(file).take(size);
    let mut chunk = alloc::vec![0; 64 * 1024];
    let mut left = size;
    let mut problem = None;
    while left > 0 {
        let count = match input.read(&mut chunk) {
            Ok(0) => {
                problem = Some(String::from("it has become shorter; zeros stand for what is missing"));
                break;
            }
            Ok(count) => count,
            Err(error) => {
                problem = Some(format!("{error}; zeros stand for what is missing"));
                break;
            }
        };
        output.write_all(&chunk[..count])?;
        left -= count as u64;
    }
    chunk.fill(0);
    let mut filling = left + (size.next_multiple_of(BLOCK_BYTES as u64) - size);
    while filling > 0 {
        let count = filling.min(chunk.len() as u64) as usize;
        output.write_all(&chunk[..count])?;
        filling -= count as u64;
    }
    Ok(problem)
}
