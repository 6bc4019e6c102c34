//! The host's files and programs in the place of V's, for tests.
//!
//! A test makes a [`Directory`]; names are then below it, for the thread that made it. Each prefix is a folder there, and counts as
//! a server of its own; `[here]` is where names without one begin.

use std::cell::RefCell;
use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use abi::{Error, UserId};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use protocols::io::{attribute, mode};
use protocols::permissions::Permissions;
use v::io::{Read, Result, Seek, SeekFrom, Write};

pub use v::file::{DirectoryEntry, Kind, Metadata};

use super::Input;

std::thread_local! {
    static ROOT: RefCell<PathBuf> = const { RefCell::new(PathBuf::new()) };
}

/// Where this thread's names are, until it is dropped.
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// An empty one, told from others by the test's name.
    ///
    /// # Panics
    /// If the host has no room for it.
    pub fn new(name: &str) -> Directory {
        let root = std::env::temp_dir().join(format!("v-commands-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for server in ["here", "there"] {
            fs::create_dir_all(root.join(server)).expect("a directory for a test");
        }
        ROOT.set(root.clone());
        Directory { root }
    }

    /// What names without a prefix begin at.
    pub fn here(&self) -> PathBuf {
        self.root.join("here")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Whoever looks for what was wrong wants the files.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

fn convert(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::NotFound,
        ErrorKind::PermissionDenied => Error::NoPermission,
        ErrorKind::AlreadyExists => Error::AlreadyExists,
        ErrorKind::IsADirectory => Error::IsADirectory,
        ErrorKind::NotADirectory => Error::NotADirectory,
        ErrorKind::DirectoryNotEmpty => Error::DirectoryNotEmpty,
        ErrorKind::InvalidFilename => Error::TooLong,
        _ => Error::BadArgument,
    }
}

/// A name's server, and its path there.
pub struct Place {
    /// Its prefix.
    pub server: String,
    /// The path.
    pub rest: String,
}

/// The name from its prefix on, without `.` and `..`.
pub fn full_name(name: &str) -> Result<String> {
    let place = resolve(name)?;
    Ok(format!("[{}]{}", place.server, place.rest))
}

/// Takes a name apart.
pub fn resolve(name: &str) -> Result<Place> {
    let (server, path) = match name.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(Error::BadName)?,
        None if name.is_empty() => return Err(Error::NotFound),
        None => ("here", name),
    };
    let mut components = Vec::new();
    for component in path.split('/').filter(|component| !matches!(*component, "" | ".")) {
        if component == ".." {
            components.pop();
        } else {
            components.push(component);
        }
    }
    Ok(Place { server: server.to_string(), rest: components.join("/") })
}

fn path(name: &str) -> Result<PathBuf> {
    let place = resolve(name)?;
    Ok(ROOT.with_borrow(|root| root.join(place.server)).join(place.rest))
}

fn described(found: &fs::Metadata) -> Metadata {
    let kind = match () {
        () if found.is_dir() => Kind::Directory,
        () if found.is_file() => Kind::File,
        () => Kind::Other(0),
    };
    let bits = found.permissions().mode();
    let permissions = Permissions::from_bits(bits >> 3 & 0o60 | bits & 0o6).unwrap_or_default();
    Metadata {
        kind,
        attributes: attribute::READABLE | attribute::WRITABLE | permissions.in_attributes(),
        owner: found.uid(),
        size: found.len(),
        modified_ns: found.mtime().cast_unsigned() * 1_000_000_000 + found.mtime_nsec().cast_unsigned(),
        created_ns: 0,
        object: found.ino(),
    }
}

/// As the runtime's.
pub fn metadata(name: &str) -> Result<Metadata> {
    Ok(described(&fs::symlink_metadata(path(name)?).map_err(|error| convert(&error))?))
}

/// As the runtime's.
pub fn exists(name: &str) -> Result<bool> {
    match metadata(name) {
        Err(Error::NotFound | Error::NotADirectory) => Ok(false),
        found => found.map(|_| true),
    }
}

/// As the runtime's; what is not UTF-8 is passed over, as there is no such name in V.
pub fn read_directory(name: &str) -> Result<Vec<DirectoryEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path(name)?).map_err(|error| convert(&error))? {
        let entry = entry.map_err(|error| convert(&error))?;
        let found = entry.metadata().map_err(|error| convert(&error))?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push(DirectoryEntry { name, metadata: described(&found) });
        }
    }
    Ok(entries)
}

/// As the runtime's.
pub fn remove(name: &str) -> Result<()> {
    let path = path(name)?;
    let removed = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
    removed.map_err(|error| convert(&error))
}

/// As the runtime's.
pub fn rename(old: &str, new: &str) -> Result<()> {
    if resolve(old)?.server != resolve(new)?.server {
        return Err(Error::CrossServer);
    }
    fs::rename(path(old)?, path(new)?).map_err(|error| convert(&error))
}

/// As the runtime's.
pub fn create_directory(name: &str) -> Result<()> {
    fs::create_dir(path(name)?).map_err(|error| convert(&error))
}

/// As the runtime's.
pub fn create_directories(name: &str) -> Result<()> {
    fs::create_dir_all(path(name)?).map_err(|error| convert(&error))
}

/// As the runtime's.
pub fn set_modified_ns(name: &str, modified_ns: u64) -> Result<()> {
    let time = UNIX_EPOCH + Duration::from_nanos(modified_ns);
    let set = fs::File::open(path(name)?).and_then(|file| file.set_modified(time));
    set.map_err(|error| convert(&error))
}

/// As the runtime's.
pub fn set_permissions(name: &str, permissions: Permissions) -> Result<()> {
    let (owner, others) = (permissions.bits() >> 3, permissions.bits() & 7);
    let mut bits = owner << 6 | others << 3 | others;
    let path = path(name)?;
    if path.is_dir() {
        bits |= bits >> 2 & 0o111;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).map_err(|error| convert(&error))
}

/// As the runtime's.
pub fn set_owner(name: &str, owner: UserId) -> Result<()> {
    chown(path(name)?, Some(owner.0), None).map_err(|error| convert(&error))
}

/// A whole file.
pub fn read(name: &str) -> Result<Vec<u8>> {
    fs::read(path(name)?).map_err(|error| convert(&error))
}

/// An open file.
pub struct File {
    file: fs::File,
}

impl File {
    /// As the runtime's.
    pub fn open(name: &str) -> Result<File> {
        File::open_with(name, mode::READ)
    }

    /// As the runtime's.
    pub fn create(name: &str) -> Result<File> {
        File::open_with(name, mode::WRITE | mode::CREATE | mode::TRUNCATE)
    }

    /// As the runtime's.
    pub fn open_with(name: &str, mode: u32) -> Result<File> {
        let path = path(name)?;
        if path.is_dir() {
            return Err(Error::IsADirectory);
        }
        let has = |bit| mode & bit != 0;
        let file = fs::OpenOptions::new()
            .read(has(mode::READ))
            .write(has(mode::WRITE) && !has(mode::APPEND))
            .append(has(mode::APPEND))
            .create(has(mode::CREATE))
            .truncate(has(mode::TRUNCATE))
            .open(path);
        Ok(File { file: file.map_err(|error| convert(&error))? })
    }

    /// As the runtime's.
    pub fn set_size(&self, size: u64) -> Result<()> {
        self.file.set_len(size).map_err(|error| convert(&error))
    }

    /// As the runtime's.
    pub fn synchronize(&self) -> Result<()> {
        self.file.sync_all().map_err(|error| convert(&error))
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.file.read(buffer).map_err(|error| convert(&error))
    }
}

impl Write for File {
    fn write(&mut self, data: &[u8]) -> Result<usize> {
        self.file.write(data).map_err(|error| convert(&error))
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let to = match to {
            SeekFrom::Start(position) => io::SeekFrom::Start(position),
            SeekFrom::End(offset) => io::SeekFrom::End(offset),
            SeekFrom::Current(offset) => io::SeekFrom::Current(offset),
        };
        io::Seek::seek(&mut self.file, to).map_err(|error| convert(&error))
    }
}

/// As what it stands for, with a program of the host.
pub fn run(line: &[String], _: Input, output: &mut dyn Write) -> Result<i32> {
    let ended = Command::new(&line[0])
        .args(&line[1..])
        .env("LC_ALL", "C")
        .current_dir(path(".")?)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| convert(&error))?;
    output.write_all(&ended.stdout)?;
    Ok(ended.status.code().unwrap_or(-1))
}
