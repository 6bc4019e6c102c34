//! The boot archive: a tar file (ustar) whose first entry is the supervisor, which the kernel loads; all else is what
//! the supervisor makes of it.
//!
//! The same entries always yield the same bytes: entries are in order of their names, and what the tool builds bears
//! no time. Invariants: no two entries have one name, and no file is a folder on another's way. A program's further names
//! are hard links to it, which come last.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail, ensure};
use formats::lines::SECTION;
use object::build::elf::{Builder, SectionData};
use object::elf::SHT_PROGBITS;
use tar::{EntryType, Header};
use walkdir::WalkDir;

use crate::guest::{Guest, Program, checkout};
use crate::{lines, manual};

/// The entry that the kernel loads.
pub const SUPERVISOR: &str = "bin/supervisor";
/// The entry with the lines of `--exec`.
pub const EXEC: &str = "configuration/exec";
/// The entry with the lines that the session runs before its first shell.
pub const STARTUP: &str = "configuration/startup";
/// The entry that says what services there are.
pub const SERVICES: &str = "configuration/services";

/// The least memory of a node whose programs have tables of their lines, which take some 0.4 MiB of it.
const LINES_MEMORY_MIB: u32 = 32;
/// What a block of tar is filled up to.
const BLOCK_BYTES: u64 = 512;
/// What the content of a file begins at a multiple of that is at least as long: so its pages need not be copied to be
/// mapped.
const PAGE_BYTES: u64 = 4096;

/// An archive in the making.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
    /// Further names of files, each with the first name.
    links: BTreeMap<String, String>,
    /// The most that its entries may take together.
    limit_bytes: u64,
    /// Its programs have tables of their lines.
    has_lines: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    /// `None` for a folder.
    data: Option<Arc<[u8]>>,
    mode: u32,
    /// Seconds since 1970.
    modified: u64,
}

impl Archive {
    /// An empty archive for a node with that much memory, which the archive has to leave some of.
    pub fn new(memory_mib: u32) -> Archive {
        Archive {
            entries: BTreeMap::new(),
            links: BTreeMap::new(),
            limit_bytes: u64::from(memory_mib) * 1024 * 1024 * 3 / 4,
            has_lines: memory_mib >= LINES_MEMORY_MIB,
        }
    }

    /// Puts in the programs, stripped, and the files that come with them.
    pub fn put_guest(&mut self, guest: &Guest, test_programs: bool) -> Result<()> {
        for program in guest.programs.iter().filter(|program| test_programs || !program.test) {
            self.put_program(program)?;
            self.ensure_without(checkout(), &format!("bin/{}", program.name))?;
        }
        for (name, path) in &guest.files {
            self.put_file(name, read(path)?.into())?;
        }
        self.put_file(manual::ENTRY, manual::packed()?.into())
    }

    /// Makes sure that a file does not tell where it was built: there it would be another one.
    fn ensure_without(&self, folder: &Path, name: &str) -> Result<()> {
        let path = folder.as_os_str().as_encoded_bytes();
        let data = self.entries.get(name).and_then(|entry| entry.data.as_deref()).unwrap_or_default();
        let tells = path.len() > 1 && data.windows(path.len()).any(|bytes| bytes == path);
        ensure!(!tells, "{name} has the name of the folder {} in it", folder.display());
        Ok(())
    }

    /// Makes sure that there is something to boot.
    pub fn ensure_bootable(&self) -> Result<()> {
        ensure!(self.entries.contains_key(SUPERVISOR), "no package makes the program `supervisor`");
        Ok(())
    }

    /// Puts in one program, stripped.
    pub fn put_program(&mut self, program: &Program) -> Result<()> {
        let lines = self.has_lines.then(|| lines::of(program)).transpose()?;
        let stripped = stripped(&program.path, lines.as_deref())?;
        let entry = Entry { data: Some(stripped.into()), mode: 0o755, modified: 0 };
        let first_name = format!("bin/{}", program.name);
        self.put(&first_name, entry)?;
        for name in &program.names {
            self.put_link(&format!("bin/{name}"), &first_name)?;
        }
        Ok(())
    }

    /// Gives a file a further name.
    fn put_link(&mut self, name: &str, first_name: &str) -> Result<()> {
        ensure!(self.is_free(name), "two files for `{name}` in the boot archive");
        self.leave_room(BLOCK_BYTES)?;
        link_header(name, first_name)?;
        self.links.insert(name.to_owned(), first_name.to_owned());
        Ok(())
    }

    fn is_free(&self, name: &str) -> bool {
        !self.entries.contains_key(name) && !self.links.contains_key(name)
    }

    /// Puts in a file that the tool itself makes.
    pub fn put_file(&mut self, name: &str, data: Arc<[u8]>) -> Result<()> {
        self.put(name, Entry { data: Some(data), mode: 0o644, modified: 0 })
    }

    /// A file's content, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.entries.get(name)?.data.as_deref()?).ok()
    }

    /// Gives a file that is there another content.
    pub fn replace(&mut self, name: &str, data: Arc<[u8]>) -> Result<()> {
        let file = self.entries.get_mut(name).and_then(|entry| entry.data.as_mut());
        *file.with_context(|| format!("there is no file `{name}` in the boot archive"))? = data;
        Ok(())
    }

    /// Adds lines to the end of a text that is there.
    pub fn append(&mut self, name: &str, lines: &str) -> Result<()> {
        let text = format!("{}\n{lines}", self.text(name).unwrap_or_default());
        self.replace(name, text.as_bytes().into())
    }

    /// Takes out all but those that `is_kept` says.
    pub fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.entries.retain(|name, _| is_kept(name));
        self.links.retain(|name, first_name| is_kept(name) && self.entries.contains_key(first_name));
    }

    /// The names of all entries, links last.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().chain(self.links.keys()).map(String::as_str)
    }

    /// Puts in a file of the host by its own name, or a folder by its own name with all that is in it. Symbolic links
    /// are followed.
    pub fn put_host_path(&mut self, path: &Path) -> Result<()> {
        // `.` and `a/..` have a name too.
        let path = &fs::canonicalize(path).with_context(|| format!("cannot add {}", path.display()))?;
        let parent = path.parent().context("the root folder of the host cannot be added: it has no name")?;
        for found in WalkDir::new(path).follow_links(true).sort_by_file_name() {
            let found = found.with_context(|| format!("cannot add {}", path.display()))?;
            let host_path = found.path().display();
            let name = found.path().strip_prefix(parent)?;
            let name = name.to_str().with_context(|| format!("the name {host_path} is not UTF-8"))?;
            let metadata = found.metadata()?;
            let modified = modified(&metadata);
            let entry = if metadata.is_dir() {
                Entry { data: None, mode: 0o755, modified }
            } else if metadata.is_file() {
                self.leave_room(metadata.len()).with_context(|| format!("cannot add {host_path}"))?;
                Entry { data: Some(read(found.path())?.into()), mode: 0o644, modified }
            } else {
                bail!("cannot add {host_path}: it is neither a file nor a folder");
            };
            self.put(name, entry)?;
        }
        Ok(())
    }

    fn put(&mut self, name: &str, entry: Entry) -> Result<()> {
        ensure!(self.is_free(name), "two files for `{name}` in the boot archive");
        for (end, _) in name.match_indices('/') {
            let folder = &name[..end];
            let blocked = self.entries.get(folder).is_some_and(|entry| entry.data.is_some());
            ensure!(!blocked, "`{name}` does not fit into the boot archive: `{folder}` is a file there");
        }
        if entry.data.is_some() {
            let inside = format!("{name}/");
            let folder = self
                .entries
                .range(inside.clone()..)
                .next()
                .is_some_and(|(other, _)| other.starts_with(&inside));
            ensure!(!folder, "the file `{name}` does not fit into the boot archive: it is a folder there");
        }
        self.leave_room(entry.data.as_ref().map_or(0, |data| data.len() as u64))?;
        header(name, &entry)?;
        self.entries.insert(name.to_owned(), entry);
        Ok(())
    }

    /// How long the archive is.
    pub fn bytes(&self) -> u64 {
        self.in_order().fold(0, |place, (_, entry)| {
            let begin = place + filling_bytes(place, entry).unwrap_or(0) + BLOCK_BYTES;
            begin + entry.bytes().next_multiple_of(BLOCK_BYTES)
        }) + (self.links.len() as u64 + 2) * BLOCK_BYTES
    }

    /// The entries as they are written.
    fn in_order(&self) -> impl Iterator<Item = (&String, &Entry)> {
        let first = self.entries.get_key_value(SUPERVISOR);
        first.into_iter().chain(self.entries.iter().filter(|(name, _)| *name != SUPERVISOR))
    }

    fn leave_room(&self, more_bytes: u64) -> Result<()> {
        let bytes = self.bytes().saturating_add(more_bytes);
        ensure!(
            bytes <= self.limit_bytes,
            "the boot archive would have {} MiB, too much for the node's memory; see --memory",
            bytes.div_ceil(1024 * 1024)
        );
        Ok(())
    }

    /// Writes the archive as a tar file.
    pub fn write(&self, to: impl Write) -> Result<()> {
        let mut tar = tar::Builder::new(to);
        let mut place = 0;
        for (name, entry) in self.in_order() {
            if let Some(bytes) = filling_bytes(place, entry) {
                let filling = filling(bytes - BLOCK_BYTES);
                tar.append(&filling_header(&filling), &*filling)?;
                place += bytes;
            }
            tar.append(&header(name, entry)?, entry.data.as_deref().unwrap_or_default())?;
            place += BLOCK_BYTES + entry.bytes().next_multiple_of(BLOCK_BYTES);
        }
        for (name, first_name) in &self.links {
            tar.append(&link_header(name, first_name)?, [].as_slice())?;
        }
        tar.into_inner()?.flush()?;
        Ok(())
    }
}

impl Entry {
    fn bytes(&self) -> u64 {
        self.data.as_ref().map_or(0, |data| data.len() as u64)
    }
}

/// What has to come before the header of an entry that would be at `place`, so that its content begins where a page does.
fn filling_bytes(place: u64, entry: &Entry) -> Option<u64> {
    let content = place + BLOCK_BYTES;
    let bytes = content.next_multiple_of(PAGE_BYTES) - content;
    (entry.bytes() >= PAGE_BYTES && bytes > 0).then_some(bytes)
}

/// A comment of so many bytes, a whole number of blocks, as a record of tar's extended headers: its length, a blank, and
/// what it is.
fn filling(bytes: u64) -> Vec<u8> {
    if bytes == 0 {
        return Vec::new();
    }
    let mut record = format!("{bytes} comment=").into_bytes();
    record.resize(bytes as usize - 1, b' ');
    record.push(b'\n');
    record
}

fn filling_header(filling: &[u8]) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_size(filling.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    header
}

fn header(name: &str, entry: &Entry) -> Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name).with_context(|| format!("the name `{name}` does not fit into the boot archive"))?;
    header.set_entry_type(if entry.data.is_some() { EntryType::Regular } else { EntryType::Directory });
    header.set_size(entry.bytes());
    header.set_mode(entry.mode);
    header.set_mtime(entry.modified);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

fn link_header(name: &str, first_name: &str) -> Result<Header> {
    let mut header = header(name, &Entry { data: None, mode: 0o755, modified: 0 })?;
    header.set_entry_type(EntryType::Link);
    header.set_link_name(first_name).with_context(|| format!("`{first_name}` can't have further names"))?;
    header.set_cksum();
    Ok(header)
}

fn modified(metadata: &Metadata) -> u64 {
    // Times before 1970, and hosts that keep none, count as 1970.
    metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |time| time.as_secs())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// An ELF image without what only a debugger wants. Its symbols stay: the exception server names functions by them, and lines
/// by the table `lines`, if there is one.
pub fn stripped(path: &Path, lines: Option<&[u8]>) -> Result<Vec<u8>> {
    without_debug_sections(&read(path)?, lines)
        .with_context(|| format!("cannot read the program {}", path.display()))
}

fn without_debug_sections(image: &[u8], lines: Option<&[u8]>) -> Result<Vec<u8>> {
    let mut builder = Builder::read(image)?;
    for section in &mut builder.sections {
        if section.name.starts_with(b".debug") {
            section.delete = true;
        }
    }
    builder.delete_orphans();
    if let Some(lines) = lines {
        let section = builder.sections.add();
        section.name = SECTION.as_bytes().into();
        section.sh_type = SHT_PROGBITS;
        section.sh_addralign = 1;
        section.data = SectionData::Data(lines.to_vec().into());
    }
    builder.set_section_sizes();
    let mut stripped = Vec::new();
    builder.write(&mut stripped)?;
    Ok(stripped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Object, ObjectSection, ObjectSymbol};
    use std::io::Read;

    /// Name, kind, mode and data of each entry, as another reader of tar files sees them.
    fn listed(archive: &Archive) -> Vec<(String, EntryType, u32, Vec<u8>)> {
        let mut bytes = Vec::new();
        archive.write(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, archive.bytes());
        let mut tar = tar::Archive::new(&*bytes);
        let entries = tar.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut data = Vec::new();
            entry.read_to_end(&mut data).unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            (name, entry.header().entry_type(), entry.header().mode().unwrap(), data)
        });
        entries.collect()
    }

    fn archive() -> Archive {
        let mut archive = Archive::new(64);
        archive.put_file("bin/ls", b"ls".to_vec().into()).unwrap();
        archive.put_file(SUPERVISOR, b"first".to_vec().into()).unwrap();
        archive
    }

    #[test]
    fn the_supervisor_is_first() {
        let mut archive = archive();
        archive.put_file("a", Arc::from(*b"")).unwrap();
        let names: Vec<String> = listed(&archive).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, [SUPERVISOR, "a", "bin/ls"]);
    }

    #[test]
    fn what_fills_a_page_begins_with_one() {
        let mut archive = archive();
        for (place, bytes) in
            [4096, 1, 3584, 9000, 512, 5000, 4096, 8192, 2000, 1000, 8000].iter().enumerate()
        {
            archive.put_file(&format!("f{place:02}"), vec![place as u8; *bytes].into()).unwrap();
        }
        let listed = listed(&archive);
        assert_eq!(listed.len(), 13, "what fills it up is not seen");
        let mut bytes = Vec::new();
        archive.write(&mut bytes).unwrap();
        let mut aligned = 0;
        for entry in tar::Archive::new(&*bytes).entries().unwrap().map(Result::unwrap) {
            if entry.size() >= PAGE_BYTES {
                assert_eq!(entry.raw_file_position() % PAGE_BYTES, 0);
                aligned += 1;
            }
        }
        assert_eq!(aligned, 6);
    }

    #[test]
    fn what_is_appended_comes_after_what_is_there() {
        let mut archive = archive();
        archive.append("bin/ls", "more").unwrap();
        assert_eq!(listed(&archive)[1].3, b"ls\nmore");
        assert!(archive.append("bin", "more").is_err());
    }

    #[test]
    fn the_same_entries_make_the_same_bytes() {
        let written = || {
            let mut bytes = Vec::new();
            archive().write(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(written(), written());
    }

    #[test]
    fn host_files_and_folders_go_to_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir_all(path.join("dir/sub/empty")).unwrap();
        fs::write(path.join("numbers"), "1\n2\n").unwrap();
        fs::write(path.join("dir/sub/x"), "x").unwrap();
        std::os::unix::fs::symlink(path.join("numbers"), path.join("dir/link")).unwrap();
        let mut archive = archive();
        archive.put_host_path(&path.join("numbers")).unwrap();
        archive.put_host_path(&path.join("dir/../dir")).unwrap();
        let data = EntryType::Regular;
        let folder = EntryType::Directory;
        assert_eq!(
            listed(&archive)[2..],
            [
                ("dir".into(), folder, 0o755, vec![]),
                ("dir/link".into(), data, 0o644, b"1\n2\n".to_vec()),
                ("dir/sub".into(), folder, 0o755, vec![]),
                ("dir/sub/empty".into(), folder, 0o755, vec![]),
                ("dir/sub/x".into(), data, 0o644, b"x".to_vec()),
                ("numbers".into(), data, 0o644, b"1\n2\n".to_vec()),
            ]
        );
    }

    #[test]
    fn what_cannot_go_in_says_why() {
        let mut archive = archive();
        let complaint = |result: Result<()>| format!("{:#}", result.unwrap_err());
        let nothing: Arc<[u8]> = Arc::from(*b"");
        assert!(complaint(archive.put_file("bin/ls", nothing.clone())).contains("two files for `bin/ls`"));
        assert!(complaint(archive.put_file("bin/ls/x", nothing.clone())).contains("`bin/ls` is a file"));
        assert!(complaint(archive.put_file("bin", nothing.clone())).contains("it is a folder"));
        assert!(complaint(archive.put_file(&"x".repeat(300), nothing)).contains("does not fit"));
        assert!(complaint(archive.put_file("big", vec![0; 50 << 20].into())).contains("see --memory"));
        assert!(complaint(archive.put_host_path(Path::new("/"))).contains("no name"));
        assert!(
            complaint(archive.put_host_path(Path::new("/dev/null"))).contains("neither a file nor a folder")
        );
        assert!(complaint(archive.put_host_path(Path::new("/no/such"))).contains("/no/such"));
    }

    #[test]
    fn further_names_come_last_and_go_with_their_file() {
        let mut archive = archive();
        archive.put_link("bin/dir", "bin/ls").unwrap();
        archive.put_file("z", b"z".to_vec().into()).unwrap();
        let last = listed(&archive).pop().unwrap();
        assert_eq!((&*last.0, last.1, last.3.len()), ("bin/dir", EntryType::Link, 0));
        assert!(archive.names().any(|name| name == "bin/dir"));
        for taken in ["bin/ls", "bin/dir"] {
            assert!(archive.put_link(taken, "bin/ls").unwrap_err().to_string().contains("two files"));
            assert!(archive.put_file(taken, b"x".to_vec().into()).is_err());
        }
        archive.retain(|name| name != "bin/ls");
        assert!(archive.names().all(|name| name != "bin/dir"));
    }

    #[test]
    fn a_loop_of_links_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dir");
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink(&path, path.join("again")).unwrap();
        assert!(archive().put_host_path(&path).is_err());
    }

    #[test]
    fn a_stripped_program_loads_the_same_and_keeps_its_symbols() {
        let image = fs::read(std::env::current_exe().unwrap()).unwrap();
        let stripped = without_debug_sections(&image, Some(b"a table")).unwrap();
        assert!(stripped.len() < image.len());
        let (before, after) =
            (object::File::parse(&*image).unwrap(), object::File::parse(&*stripped).unwrap());
        assert_eq!(before.entry(), after.entry());
        // The sections of dynamic linking, which V's programs don't have, may be written anew.
        for name in [".text", ".rodata", ".data", ".bss"] {
            let section = |file: &object::File| {
                let section = file.section_by_name(name).unwrap();
                (section.address(), section.size(), section.data().unwrap().to_vec())
            };
            assert!(section(&before) == section(&after), "{name}");
        }
        assert!(after.section_by_name(".debug_line").is_none());
        assert_eq!(after.section_by_name(SECTION).unwrap().data(), Ok(b"a table".as_slice()));
        assert!(
            after
                .symbols()
                .any(|symbol| { symbol.name().is_ok_and(|name| name.contains("without_debug_sections")) })
        );
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(without_debug_sections(b"#!/bin/sh\n", None).is_err());
        assert!(without_debug_sections(b"", None).is_err());
    }

    #[test]
    fn where_a_file_was_built_must_not_be_in_it() {
        let mut archive = Archive::new(64);
        archive.put_file("bin/a", b"\x7fELF /some/folder/src/main.rs".as_slice().into()).unwrap();
        assert!(archive.ensure_without(Path::new("/other/folder"), "bin/a").is_ok());
        let error = archive.ensure_without(Path::new("/some/folder"), "bin/a").unwrap_err();
        assert!(error.to_string().contains("bin/a has the name"), "{error}");
    }
}
