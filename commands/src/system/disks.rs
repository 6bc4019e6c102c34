//! `disks`: the disks and their partitions.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::Error;
use protocols::block::{ALL, Geometry, PREFIX, block, flag, number_of};
use v::file::{self, File};
use v::message::{Segment, call};

use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::json;
use crate::usage::{Arguments, Choice, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "disks",
        synopsis: "[--json]",
        summary: "Lists the disks and their partitions.",
        details: "TYPE is the kind of a disk's partition table, or what a partition says that it is for. STATE is\n\
                  in-use while somebody has it open for writing, as a file system that is on it has.\n\
                  A disk is read and written as a file by its NAME, by whom may.",
        choices: &[Choice {
            letter: '\0',
            long: "json",
            value: None,
            help: "Write one JSON array with an object for each disk and partition; sizes are in bytes.",
        }],
        operands: (0, 0),
    },
    body: disks,
};

/// Types of partition that have a name here, by what their tables say.
const TYPES: [(&str, &str); 13] = [
    ("01", "FAT"),
    ("04", "FAT"),
    ("06", "FAT"),
    ("07", "Windows"),
    ("0b", "FAT"),
    ("0c", "FAT"),
    ("0e", "FAT"),
    ("82", "Linux swap"),
    ("83", "Linux"),
    ("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"),
    ("0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux"),
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system"),
    ("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Windows"),
];

fn disks(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let is_json = arguments.has("json");
    let mut numbers: Vec<u32> = v::name::global_prefixes()
        .map_err(|error| failed("naming", error))?
        .iter()
        .filter_map(|(prefix, ..)| number_of(prefix))
        .collect();
    numbers.sort_unstable();
    let mut lines = Vec::new();
    let mut failure = None;
    for number in numbers {
        let disk = format!("[{PREFIX}{number}]");
        // One disk that fails hides no other.
        match objects(&disk) {
            Ok(objects) => {
                for name in objects {
                    let name = format!("{disk}{name}");
                    let mut bytes = [0; Geometry::MAX_BYTES];
                    match query(&name, &mut bytes) {
                        Ok(geometry) if is_json => lines.push(json_of(&name, &geometry)),
                        Ok(geometry) => lines.push(plain(&name, &geometry)),
                        Err(error) => failure = Some(failed(&name, error)),
                    }
                }
            }
            Err(error) => failure = Some(failed(&disk, error)),
        }
    }
    let text = if is_json { format!("[{}]\n", lines.join(",")) } else { heading() + &lines.concat() };
    context.output.write_all(text.as_bytes())?;
    failure.map_or(Ok(()), Err)
}

/// The names in a disk's directory.
fn objects(disk: &str) -> Result<Vec<String>, Error> {
    Ok(file::read_directory(disk)?.into_iter().map(|entry| entry.name).collect())
}

fn query<'b>(name: &str, bytes: &'b mut [u8]) -> Result<Geometry<'b>, Error> {
    let file = File::open(name)?;
    let instance = file.instance();
    let request = block::QueryGeometry { instance: instance.number };
    let queried = call(instance.server, &request, Segment::Write(bytes))?;
    let bytes = bytes.get(..queried.count as usize).ok_or(Error::BadReply)?;
    Geometry::decode(bytes).ok_or(Error::BadReply)
}

fn heading() -> String {
    format!("{:<12} {:>9} {:<12} {:<9} {:<11} MODEL\n", "NAME", "SIZE", "TYPE", "STATE", "DRIVER")
}

fn state(geometry: &Geometry<'_>) -> &'static str {
    if geometry.flags & flag::IS_READ_ONLY != 0 {
        "read-only"
    } else if geometry.flags & flag::IS_BEING_WRITTEN != 0 {
        "in-use"
    } else {
        "idle"
    }
}

/// What a partition is for, or its number for that.
fn kind<'a>(geometry: &Geometry<'a>) -> &'a str {
    let known = TYPES.iter().find(|(kind, _)| *kind == geometry.kind);
    known.map_or(geometry.kind, |(_, name)| name)
}

/// A size as people say it, with three digits or four.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (0..units.len()).rev().find(|unit| bytes >> (10 * unit) >= 10 || *unit == 0).unwrap_or(0);
    format!("{} {}", bytes >> (10 * unit), units[unit])
}

fn plain(name: &str, geometry: &Geometry<'_>) -> String {
    let is_whole = name.ends_with(ALL);
    let about = match (is_whole, geometry.serial) {
        (true, "") => geometry.model.to_string(),
        (true, serial) => format!("{} {serial}", geometry.model),
        (false, _) => geometry.label.to_string(),
    };
    let kind = match kind(geometry) {
        "" => "-",
        kind => kind,
    };
    let line = format!(
        "{name:<12} {:>9} {kind:<12} {:<9} {:<11} {about}",
        size(geometry.bytes()),
        state(geometry),
        geometry.driver
    );
    format!("{}\n", line.trim_end())
}

fn json_of(name: &str, geometry: &Geometry<'_>) -> String {
    let is = |flag: u32| geometry.flags & flag != 0;
    let text = json::string;
    format!(
        "{{\"name\":{},\"bytes\":{},\"block_bytes\":{},\"physical_block_bytes\":{},\"first_block\":{},\"type\":{},\
         \"label\":{},\"state\":{},\"has_write_cache\":{},\"discards\":{},\"driver\":{},\"model\":{},\"serial\":{}}}",
        text(name),
        geometry.bytes(),
        geometry.block_bytes,
        geometry.physical_block_bytes,
        geometry.first_block,
        text(geometry.kind),
        text(geometry.label),
        text(state(geometry)),
        is(flag::HAS_WRITE_CACHE),
        is(flag::DISCARDS),
        text(geometry.driver),
        text(geometry.model),
        text(geometry.serial)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_shown_to_people_and_to_programs() {
        let disk = Geometry {
            flags: flag::HAS_WRITE_CACHE,
            block_bytes: 512,
            physical_block_bytes: 4096,
            block_count: 1 << 19,
            driver: "virtio-blk",
            model: "virtio disk",
            serial: "V0",
            kind: "gpt",
            ..Geometry::default()
        };
        assert_eq!(
            heading() + &plain("[disk0]all", &disk),
            "NAME              SIZE TYPE         STATE     DRIVER      MODEL\n\
             [disk0]all     256 MiB gpt          idle      virtio-blk  virtio disk V0\n"
        );
        let kind = "0fc63daf-8483-4772-8e79-3d69d8477de4";
        let partition = Geometry { kind, label: "ä", first_block: 8, flags: flag::IS_BEING_WRITTEN, ..disk };
        assert_eq!(
            plain("[disk0]1", &partition),
            "[disk0]1       256 MiB Linux        in-use    virtio-blk  ä\n"
        );
        assert!(json_of("[disk0]1", &partition).starts_with(
            "{\"name\":\"[disk0]1\",\"bytes\":268435456,\"block_bytes\":512,\"physical_block_bytes\":4096,\
             \"first_block\":8,\"type\":\"0fc63daf-"
        ));
    }

    #[test]
    fn sizes_have_units() {
        for (bytes, said) in [
            (0, "0 B"),
            (512, "512 B"),
            (10 << 10, "10 KiB"),
            ((10 << 20) - 1, "10239 KiB"),
            (4 << 40, "4096 GiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(size(bytes), said);
        }
    }
}
