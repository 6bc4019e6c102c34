//! Reading directories.

use alloc_crate::borrow::ToOwned;
use alloc_crate::string::String;
use alloc_crate::vec::Vec;

use abi::Error;
use protocols::io::mode;
use protocols::names::Descriptor;

use super::{File, Metadata};
use crate::io::{Read, Result};

/// A name in a directory, and what it stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectoryEntry {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub metadata: Metadata,
}

impl From<&Descriptor<'_>> for DirectoryEntry {
    fn from(descriptor: &Descriptor<'_>) -> DirectoryEntry {
        DirectoryEntry { name: descriptor.name.to_owned(), metadata: Metadata::from(descriptor) }
    }
}

/// The names in a directory, in the server's order.
pub fn read_directory(name: &str) -> Result<Vec<DirectoryEntry>> {
    let mut bytes = Vec::new();
    File::open_with(name, mode::READ | mode::DIRECTORY)?.read_to_end(&mut bytes)?;
    entries(&bytes)
}

/// The descriptors that lie one after the other in `bytes`.
fn entries(mut bytes: &[u8]) -> Result<Vec<DirectoryEntry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (descriptor, length) = Descriptor::decode(bytes).ok_or(Error::BadReply)?;
        entries.push(DirectoryEntry::from(&descriptor));
        bytes = bytes.get(length..).ok_or(Error::BadReply)?;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc_crate::vec;

    #[test]
    fn descriptors_follow_each_other() {
        let mut bytes = Vec::new();
        for name in ["a", "a name of more than eight bytes", ""] {
            let descriptor = Descriptor {
                kind: 1,
                attributes: 0,
                owner: 0,
                size: 0,
                modified_ns: 0,
                created_ns: 0,
                object: 0,
                name,
            };
            let mut place = vec![0; Descriptor::MAX_BYTES];
            let count = descriptor.encode(&mut place).unwrap();
            bytes.extend_from_slice(&place[..count]);
        }
        let names: Vec<_> = entries(&bytes).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["a", "a name of more than eight bytes", ""]);
        assert_eq!(entries(&bytes[..bytes.len() - 1]), Err(Error::BadReply));
        assert_eq!(entries(&[]), Ok(vec![]));
    }
}
