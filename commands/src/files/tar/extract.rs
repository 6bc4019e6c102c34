//! Listing and extracting.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::file::{self, File};
use abi::{Error, UserId};
use v::io::{BufWriter, Read, Write};

use super::header::{Header, Member};
use super::reader::Archive;
use crate::context::{Context, Failure, Outcome};
use crate::files::path;
use crate::system::date::format_time;
use crate::text::gzip::stream;
use crate::usage::Arguments;

/// Lists or extracts the members that were chosen.
pub fn members(from: &mut dyn Read, name: &str, arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let mut archive = Archive::new(from);
    let unreadable = |error: Error| {
        let reason = match (error, arguments.has("gzip")) {
            (Error::BadArgument, false) => "it is no archive, or it is damaged".into(),
            (error, _) => stream::reason(error),
        };
        Failure::Failed(format!("{name}: {reason}"))
    };
    let mut found = alloc::vec![false; arguments.operands.len()];
    let mut directories = Vec::new();
    while let Some(header) = archive.next().map_err(unreadable)? {
        if !is_chosen(&header.name, &arguments.operands, &mut found) {
            continue;
        }
        if arguments.has("list") {
            let line = if arguments.has("verbose") { long(&header) } else { format!("{}\n", header.name) };
            context.output.write_all(line.as_bytes())?;
            continue;
        }
        if arguments.has("verbose") && !arguments.has("to-stdout") {
            context.output.write_all(format!("{}\n", header.name).as_bytes())?;
        }
        match extract(&header, &mut archive, arguments, &mut directories, context) {
            Ok(()) => {}
            Err(Stop::Archive(error)) => return Err(unreadable(error)),
            Err(Stop::Output(failure)) => return Err(failure),
            Err(Stop::Member(reason)) => context.complain(&header.name, reason),
        }
    }
    // Who writes the archive is not cut off, and what is compressed is checked to its end.
    archive.finish().map_err(unreadable)?;
    // What was written into them has changed their times, and some may not be written any more.
    for (place, header) in directories.iter().rev() {
        if let Err(error) = settle(place, header, arguments) {
            context.complain(place, error);
        }
    }
    for (operand, _) in arguments.operands.iter().zip(&found).filter(|(_, found)| !**found) {
        context.complain(operand, "it is not in the archive");
    }
    Ok(())
}

/// Why a member was not extracted.
enum Stop {
    /// The archive cannot be read.
    Archive(Error),
    /// Standard output cannot be written.
    Output(Failure),
    /// Only this member failed.
    Member(String),
}

/// Whether a member was asked for by its name or that of a directory that it is in; no names mean all.
fn is_chosen(name: &str, operands: &[String], found: &mut [bool]) -> bool {
    let name = name.trim_end_matches('/');
    let mut any = operands.is_empty();
    for (operand, found) in operands.iter().zip(found) {
        let operand = operand.trim_end_matches('/');
        if name.strip_prefix(operand).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            *found = true;
            any = true;
        }
    }
    any
}

/// A line for people.
fn long(header: &Header) -> String {
    let letter = match header.member {
        Member::File => '-',
        Member::Directory => 'd',
        _ => '?',
    };
    let modified_ns = header.modified_seconds.saturating_mul(1_000_000_000);
    let time = format_time(modified_ns, "%Y-%m-%d %H:%M").unwrap_or_else(|_| "?".into());
    let Header { permissions, owner, size, name, .. } = header;
    format!("{letter}{permissions} {owner:>5} {size:>10} {time} {name}\n")
}

/// The path of a member in the directory where it belongs; an error if it leads out.
fn relative(name: &str) -> Result<String, &'static str> {
    let mut safe = String::new();
    for component in name.split('/').filter(|component| !matches!(*component, "" | ".")) {
        if component == ".." {
            return Err("it would lead out of the directory");
        }
        safe += if safe.is_empty() { "" } else { "/" };
        safe += component;
    }
    Ok(safe)
}

fn extract(
    header: &Header,
    archive: &mut Archive<'_>,
    arguments: &Arguments,
    directories: &mut Vec<(String, Header)>,
    context: &mut Context<'_>,
) -> Result<(), Stop> {
    match header.member {
        Member::Foreign => {
            return Err(Stop::Member("it is a link or a device, which V does not have".into()));
        }
        Member::Unnameable => {
            return Err(Stop::Member("its name is not UTF-8, as names in V are".into()));
        }
        _ => {}
    }
    if arguments.has("to-stdout") {
        return copy(archive, context.output, |error| Stop::Output(Failure::Output(error)));
    }
    let safe = relative(&header.name).map_err(|reason| Stop::Member(reason.into()))?;
    let failed = |error: Error| Stop::Member(format!("{error}"));
    // A name that begins with a bracket is a prefix only where it begins.
    let place = path::join(arguments.value("directory").unwrap_or("."), &safe);
    if header.member == Member::Directory {
        if !safe.is_empty() {
            file::create_directories(&place).map_err(failed)?;
            directories.push((place, header.clone()));
        }
        return Ok(());
    }
    let file = match File::create(&place) {
        Err(Error::NotFound) => {
            let parent = &place[..place.rfind('/').unwrap_or(0)];
            file::create_directories(parent).and_then(|()| File::create(&place))
        }
        // One that may not be written may be replaced, if its directory may be written.
        Err(Error::NoPermission) => file::remove(&place).and_then(|()| File::create(&place)),
        other => other,
    };
    let mut file = BufWriter::new(file.map_err(failed)?);
    // Nobody reads meanwhile what he may not. What is open stays so.
    set_permissions(&place, header, arguments).map_err(failed)?;
    copy(archive, &mut file, failed)?;
    file.flush().map_err(failed)?;
    settle(&place, header, arguments).map_err(failed)
}

/// Copies a member's content.
fn copy(archive: &mut Archive<'_>, to: &mut dyn Write, failed: impl Fn(Error) -> Stop) -> Result<(), Stop> {
    let mut chunk = alloc::vec![0; 64 * 1024];
    loop {
        match archive.read(&mut chunk).map_err(Stop::Archive)? {
            0 => return Ok(()),
            count => to.write_all(&chunk[..count]).map_err(&failed)?,
        }
    }
}

/// Lets those read and write it who could. That a server has no permissions is no failure.
fn set_permissions(place: &str, header: &Header, arguments: &Arguments) -> Result<(), Error> {
    let permissions = if arguments.has("preserve-permissions") {
        header.permissions
    } else {
        header.permissions.without_others_writing()
    };
    match file::set_permissions(place, permissions) {
        Err(Error::NotSupported) => Ok(()),
        set => set,
    }
}

/// Gives what was extracted its permissions, its time, and where the system asks for that its owner.
fn settle(place: &str, header: &Header, arguments: &Arguments) -> Result<(), Error> {
    file::set_modified_ns(place, header.modified_seconds.saturating_mul(1_000_000_000))?;
    if header.member == Member::Directory {
        set_permissions(place, header, arguments)?;
    }
    if !arguments.has("preserve-permissions") {
        return Ok(());
    }
    match file::set_owner(place, UserId(header.owner)) {
        Err(Error::NoPermission | Error::NotSupported) => Ok(()),
        set => set,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tar::COMMAND;
    use crate::run::testing::try_command;

    fn archive() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, content) in [("d/", &b""[..]), ("d/a", b"one\n"), ("e", b"two\n")] {
            let header = Header::of(name, content.len() as u64, 1_704_067_200);
            bytes.extend_from_slice(&header.encode().unwrap());
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }

    #[test]
    fn archives_are_listed_and_written_out() {
        let bytes = archive();
        let files: &[(&str, &[u8])] =
            &[("t.tar", &bytes), ("-", &bytes), ("bad", b"no archive"), ("cut", &bytes[..1500])];
        for (line, status, output) in [
            ("-tf t.tar", 0, "d/\nd/a\ne\n"),
            ("-t", 0, "d/\nd/a\ne\n"),
            ("-tf t.tar d", 0, "d/\nd/a\n"),
            ("-tf t.tar x", 1, ""),
            ("-tvf t.tar e", 0, "-rw-r--     1          4 2024-01-01 00:00 e\n"),
            ("-xOf t.tar", 0, "one\ntwo\n"),
            ("-xOf t.tar e", 0, "two\n"),
            ("-tf bad", 1, ""),
            ("-tf cut", 1, "d/\nd/a\n"),
            ("-tzf t.tar", 1, ""),
            ("-tf gone", 1, ""),
            ("-f t.tar", 2, ""),
            ("-cx", 2, ""),
            ("-c", 2, ""),
        ] {
            let found = try_command(&COMMAND, line, files);
            assert_eq!((found.0, &*found.1), (status, output), "{line}: {}", found.2);
            assert_eq!(found.2.is_empty(), status == 0, "{line}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        assert_eq!(relative("/a//./b/"), Ok("a/b".into()));
        assert_eq!(relative("[boot]x"), Ok("[boot]x".into()));
        assert!(relative("a/../../b").is_err());
    }
}
