//! Files and directories of a FAT volume, by their paths: names with `/` between, the root being empty.
//!
//! The volume is marked as used while something of it is only in memory, and as left in order after each
//! [`commit`](Volume::commit). FAT has no protection against a power cut in between, other than that mark.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use abi::Error;
use lamfat::{FileSystem, FsOptions, LossyOemCpConverter, Read as _, Seek as _, SeekFrom, Write as _};
use protocols::names::names::SpaceQueried;

use crate::disk::{Cache, Cursor, DiskError, Storage};
use crate::times::{self, Clock};

/// The largest file.
pub const MAX_SIZE: u64 = u32::MAX as u64;
/// What is written at once where a file is made longer.
const ZEROS: [u8; 4096] = [0; 4096];

type Files<S> = FileSystem<Cursor<S>, Clock, LossyOemCpConverter>;
type Directory<'a, S> = lamfat::Dir<'a, Cursor<S>, Clock, LossyOemCpConverter>;

/// What is known of a file or a directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// Its name; empty for the root.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Bytes of a file.
    pub size: u64,
    /// Times, in nanoseconds since 1970; 0 if not known.
    pub created_ns: u64,
    /// See `created_ns`.
    pub modified_ns: u64,
}

/// A volume.
pub struct Volume<S: Storage> {
    cache: Rc<RefCell<Cache<S>>>,
    clock: Clock,
    /// What `lamfat` knows; none when it is left in order.
    files: Option<Files<S>>,
}

impl<S: Storage> core::fmt::Debug for Volume<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Volume")
    }
}

impl<S: Storage> Volume<S> {
    /// The volume on a disk; [`NotFound`](Error::NotFound) if there is none. Nothing is written.
    pub fn find(storage: S) -> Result<Volume<S>, Error> {
        let cache = Rc::new(RefCell::new(Cache::new(storage)));
        let mut volume = Volume { cache, clock: Clock::default(), files: None };
        match volume.use_files(|_| Ok(())) {
            // What is no volume makes no sense as one.
            Err(Error::Damaged) => Err(Error::NotFound),
            outcome => outcome.map(|()| volume),
        }
    }

    /// Does something with the files, which are found anew after a commit.
    fn use_files<T>(&mut self, what: impl FnOnce(&Files<S>) -> Result<T, Failure>) -> Result<T, Error> {
        self.cache.borrow_mut().begin();
        if self.files.is_none() {
            let options = FsOptions::new().time_provider(self.clock.clone());
            let files = FileSystem::new(Cursor::new(self.cache.clone()), options);
            self.files = Some(files.map_err(meaning)?);
        }
        let files = self.files.as_ref().ok_or(Error::NotFound)?;
        what(files).map_err(meaning)
    }

    /// What time it is for what is done next.
    pub fn set_now(&mut self, real_ns: u64) {
        self.clock.0.set(real_ns);
    }

    /// Whether something is to be committed.
    pub fn has_changes(&self) -> bool {
        self.cache.borrow().is_dirty()
    }

    /// Makes everything safe, and leaves the volume in order.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.cache.borrow_mut().begin();
        if let Some(files) = self.files.take() {
            files.unmount().map_err(meaning)?;
        }
        self.cache.borrow_mut().flush()
    }

    /// What has that path.
    pub fn entry(&mut self, path: &str) -> Result<Entry, Error> {
        if path.is_empty() {
            return Ok(Entry { is_directory: true, ..Entry::default() });
        }
        let (parent, name) = split(path);
        self.use_files(|files| {
            for entry in directory(files, parent)?.iter() {
                let entry = entry?;
                if is_named(&entry.file_name(), name) || is_named(&entry.short_file_name(), name) {
                    return Ok(known(&entry));
                }
            }
            Err(lamfat::Error::NotFound)
        })
    }

    /// What is in a directory.
    pub fn entries(&mut self, path: &str) -> Result<Vec<Entry>, Error> {
        self.use_files(|files| {
            let mut entries = Vec::new();
            for entry in directory(files, path)?.iter() {
                let entry = known(&entry?);
                if entry.name != "." && entry.name != ".." {
                    entries.push(entry);
                }
            }
            Ok(entries)
        })
    }

    /// Reads from `position` on until `place` is full or the file ends.
    pub fn read(&mut self, path: &str, position: u64, place: &mut [u8]) -> Result<usize, Error> {
        self.use_files(|files| {
            let mut file = files.root_dir().open_file(path)?;
            if file.seek(SeekFrom::Start(position.min(MAX_SIZE)))? != position {
                return Ok(0);
            }
            let mut done = 0;
            while done < place.len() {
                match file.read(&mut place[done..])? {
                    0 => break,
                    count => done += count,
                }
            }
            Ok(done)
        })
    }

    /// Writes all bytes at `position`. What is between that and the file's end becomes zeros.
    pub fn write(&mut self, path: &str, position: u64, bytes: &[u8]) -> Result<(), Error> {
        if position.checked_add(bytes.len() as u64).is_none_or(|end| end > MAX_SIZE) {
            return Err(Error::NoSpace);
        }
        self.use_files(|files| {
            let mut file = files.root_dir().open_file(path)?;
            extend(&mut file, position)?;
            file.seek(SeekFrom::Start(position))?;
            file.write_all(bytes)?;
            file.flush()
        })
    }

    /// Cuts or extends a file.
    pub fn set_size(&mut self, path: &str, size: u64) -> Result<(), Error> {
        if size > MAX_SIZE {
            return Err(Error::NoSpace);
        }
        self.use_files(|files| {
            let mut file = files.root_dir().open_file(path)?;
            extend(&mut file, size)?;
            file.seek(SeekFrom::Start(size))?;
            file.truncate()?;
            file.flush()
        })
    }

    /// Makes an empty file, unless there is one.
    pub fn create(&mut self, path: &str) -> Result<(), Error> {
        check_new(path)?;
        self.use_files(|files| files.root_dir().create_file(path).map(drop))
    }

    /// Makes a directory.
    pub fn create_directory(&mut self, path: &str) -> Result<(), Error> {
        check_new(path)?;
        self.use_files(|files| files.root_dir().create_dir(path).map(drop))
    }

    /// Removes a file or an empty directory.
    pub fn remove(&mut self, path: &str) -> Result<(), Error> {
        self.use_files(|files| files.root_dir().remove(path))
    }

    /// Gives another path to what has one, which nothing else has.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), Error> {
        check_new(new)?;
        self.use_files(|files| {
            let root = files.root_dir();
            root.rename(old, &root, new)
        })
    }

    /// Sets the time of last change of a file.
    pub fn set_modified(&mut self, path: &str, modified_ns: u64) -> Result<(), Error> {
        self.use_files(|files| {
            let mut file = files.root_dir().open_file(path)?;
            #[allow(deprecated)] // It is for tools that copy times, which this is.
            file.set_modified(times::from_ns(modified_ns));
            file.flush()
        })
    }

    /// How much room there is.
    pub fn space(&mut self) -> Result<SpaceQueried, Error> {
        self.use_files(|files| {
            let stats = files.stats()?;
            let bytes = |clusters: u32| u64::from(clusters) * u64::from(stats.cluster_size());
            let free_bytes = bytes(stats.free_clusters());
            let total_bytes = bytes(stats.total_clusters());
            Ok(SpaceQueried { total_bytes, free_bytes, available_bytes: free_bytes })
        })
    }
}

type Failure = lamfat::Error<DiskError>;

fn directory<'a, S: Storage>(files: &'a Files<S>, path: &str) -> Result<Directory<'a, S>, Failure> {
    if path.is_empty() { Ok(files.root_dir()) } else { files.root_dir().open_dir(path) }
}

fn extend<S: Storage>(
    file: &mut lamfat::File<'_, Cursor<S>, Clock, LossyOemCpConverter>,
    size: u64,
) -> Result<(), Failure> {
    let mut at = file.seek(SeekFrom::End(0))?;
    while at < size {
        let count = (size - at).min(ZEROS.len() as u64);
        file.write_all(&ZEROS[..count as usize])?;
        at += count;
    }
    Ok(())
}

fn known<S: Storage>(entry: &lamfat::DirEntry<'_, Cursor<S>, Clock, LossyOemCpConverter>) -> Entry {
    Entry {
        name: entry.file_name(),
        is_directory: entry.is_dir(),
        size: if entry.is_dir() { 0 } else { entry.len() },
        created_ns: times::to_ns(&entry.created()),
        modified_ns: times::to_ns(&entry.modified()),
    }
}

/// Names are the same in capital letters and small ones.
fn is_named(name: &str, wanted: &str) -> bool {
    name.chars().flat_map(char::to_uppercase).eq(wanted.chars().flat_map(char::to_uppercase))
}

/// Complains of a name that `lamfat` 0.4.3 would end the program for: it looks for a dot from the second byte on, and expects a
/// character to begin there.
fn check_new(path: &str) -> Result<(), Error> {
    let (_, name) = split(path);
    if name.starts_with(|first: char| first.is_ascii()) { Ok(()) } else { Err(Error::BadName) }
}

/// A path's directory and last name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn meaning(error: Failure) -> Error {
    match error {
        lamfat::Error::Io(DiskError(error)) => error,
        lamfat::Error::NotFound => Error::NotFound,
        lamfat::Error::AlreadyExists => Error::AlreadyExists,
        lamfat::Error::DirectoryIsNotEmpty => Error::DirectoryNotEmpty,
        lamfat::Error::NotEnoughSpace => Error::NoSpace,
        lamfat::Error::InvalidFileNameLength => Error::TooLong,
        lamfat::Error::UnsupportedFileNameCharacter => Error::BadName,
        // Something on the way is a file.
        lamfat::Error::InvalidInput => Error::NotADirectory,
        _ => Error::Damaged,
    }
}
