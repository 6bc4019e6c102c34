//! The disks of the node, which drivers offer as instances of the I/O protocol, each with its partitions.

use alloc_crate::format;
use alloc_crate::string::String;
use alloc_crate::vec::Vec;

use abi::Error;
use protocols::block::{block, number_of};

use crate::io::Instance;
use crate::message::{Segment, call};
use crate::{file, log, name};

/// Names of all disks and partitions, by the numbers of the disks. A disk whose driver does not tell is left out, and the log
/// told.
pub fn names() -> Result<Vec<String>, Error> {
    let mut prefixes: Vec<(u32, String)> = name::global_prefixes()?
        .into_iter()
        .filter_map(|(prefix, ..)| Some((number_of(&prefix)?, prefix)))
        .collect();
    prefixes.sort_unstable();
    let mut names = Vec::new();
    for (_, prefix) in prefixes {
        let directory = format!("[{prefix}]");
        match file::read_directory(&directory) {
            Ok(entries) => names.extend(entries.iter().map(|entry| format!("{directory}{}", entry.name))),
            Err(error) => log::error!("{directory}: {error}"),
        }
    }
    Ok(names)
}

/// Says what will be read next of a disk or partition. The driver may see to it meanwhile; if it has ended, whoever reads will find
/// that out.
pub fn expect(disk: &Instance, position: u64, bytes: u64) {
    let request = block::ReadAhead { instance: disk.number, position, bytes };
    let _ = call(disk.server, &request, Segment::None);
}
