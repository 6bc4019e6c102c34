//! The boot archive as a tree: directories are made for it, contents stay where they are.

use alloc::collections::BTreeMap;

use abi::Error;
use formats::archive::{Archive, Damage, Entry};

use crate::tree::{Kind, Tree};

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Adds every file and directory of the archive to the boot tree, up to the first damage, which comes back.
/// An entry that contradicts an earlier one (a file where a directory is, a link to what is no file) is left out, as is
/// what finds no room.
pub fn add_archive(tree: &mut Tree, archive: &'static [u8]) -> Result<(), Damage> {
    for entry in Archive::new(archive).entries() {
        // What was left out is seen by its absence; the files that are there must not suffer for it.
        let _ = add_entry(tree, &entry?);
    }
    Ok(())
}

fn add_entry(tree: &mut Tree, entry: &Entry<'static>) -> Result<(), Error> {
    let modified_ns = entry.modified_seconds.saturating_mul(NS_PER_SECOND);
    let content = match entry.kind {
        formats::archive::Kind::Link => linked(tree, entry.target)?,
        _ => entry.content,
    };
    let mut directory = tree.boot_root();
    let mut components = entry.components().peekable();
    while let Some(name) = components.next() {
        let mut place = tree.place(directory, name.as_bytes())?;
        let is_directory = components.peek().is_some() || entry.kind == formats::archive::Kind::Directory;
        match (place.node, is_directory) {
            (Some(node), true) if tree.node(node)?.is_directory() => directory = node,
            (Some(_), true) => return Err(Error::NotADirectory),
            (None, true) => {
                let kind = Kind::ArchivedDirectory(BTreeMap::new());
                directory = tree.add_archived(&place, kind, modified_ns)?;
            }
            (Some(node), false) if tree.node(node)?.is_directory() => return Err(Error::IsADirectory),
            (_, false) => {
                place.directory = directory;
                tree.add_archived(&place, Kind::Archived(content), modified_ns)?;
            }
        }
    }
    Ok(())
}

/// The content of the file that a link is another name of.
fn linked(tree: &Tree, target: &str) -> Result<&'static [u8], Error> {
    match &tree.node(tree.find(tree.boot_root(), target.as_bytes())?)?.kind {
        Kind::Archived(content) => Ok(content),
        _ => Err(Error::NotFound),
    }
}
