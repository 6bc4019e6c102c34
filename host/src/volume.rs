//! `cargo v disk`: files of a volume in a disk's image, without a node. It is the storage server's own library that reads and
//! writes it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write, stdout};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use abi::Error;
use anyhow::{Context, Result, anyhow, bail, ensure};
use volume::{BLOCK_BYTES, Disk, Kind, Memory, Options, ROOT, Volume};

use crate::arguments::{DiskAction, DiskOptions};

const PAGE: u64 = BLOCK_BYTES as u64;
const OPTIONS: Options = Options { pages: 16 * 1024 };
/// How much is read at once.
const AHEAD_BYTES: u64 = 64 * PAGE;

/// An image.
#[derive(Debug)]
pub struct Image {
    file: File,
    blocks: u64,
}

impl Image {
    /// The image that is open.
    pub fn new(file: File) -> Result<Image> {
        let blocks = file.metadata()?.len() / PAGE;
        Ok(Image { file, blocks })
    }
}

impl Disk for Image {
    fn blocks(&self) -> u64 {
        self.blocks
    }

    fn read(&mut self, first: u64, place: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact_at(place, first * PAGE).map_err(|_| Error::DeviceError)
    }

    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all_at(bytes, first * PAGE).map_err(|_| Error::DeviceError)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.sync_data().map_err(|_| Error::DeviceError)
    }
}

impl Memory for Image {
    type Pages = Vec<u8>;

    fn allocate(&mut self, bytes: usize) -> Result<Vec<u8>, Error> {
        Ok(vec![0; bytes])
    }
}

/// `cargo v disk`. The status is 1 if a check finds something wrong.
pub fn disk(options: &DiskOptions) -> Result<u8> {
    match &options.action {
        DiskAction::Check { image } => return check(image),
        DiskAction::Ls { image, path } => list(&mut mount(image, false)?, path)?,
        DiskAction::Get { image, path, file } => {
            let mut volume = mount(image, false)?;
            match file {
                Some(file) => {
                    let mut target =
                        File::create(file).with_context(|| format!("cannot make {}", file.display()))?;
                    get(&mut volume, path, &mut target)?;
                }
                None => get(&mut volume, path, &mut stdout().lock())?,
            }
        }
        DiskAction::Put { image, file, path } => put(&mut mount(image, true)?, file, path)?,
    }
    Ok(0)
}

fn open(image: &Path, writes: bool) -> Result<Image> {
    let name = image.display();
    let file = OpenOptions::new().read(true).write(writes).open(image);
    let file = file.with_context(|| format!("cannot open {name}"))?;
    // A node that uses it has it locked.
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("{name} is in use by a node"),
        Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {name}")),
    }
    Image::new(file)
}

fn mount(image: &Path, writes: bool) -> Result<Volume<Image>> {
    let name = image.display();
    Volume::mount(open(image, writes)?, OPTIONS).map_err(|error| match error {
        Error::NotFound => anyhow!("{name} is no volume"),
        error => anyhow!("{name}: {error}"),
    })
}

fn check(image: &Path) -> Result<u8> {
    let mut disk = open(image, false)?;
    let found = volume::find(&mut disk).map_err(|error| anyhow!("{}: {error}", image.display()))?;
    let superblock = found.with_context(|| format!("{} is no volume", image.display()))?;
    let report = volume::check::check(&mut disk, &superblock).map_err(|error| anyhow!("{error}"))?;
    println!(
        "commit {}, {} files, {} directories, {} of {} KiB used",
        report.generation,
        report.files,
        report.directories,
        report.used * PAGE / 1024,
        report.blocks * PAGE / 1024
    );
    for finding in &report.findings {
        println!("{finding}");
    }
    println!("{}", if report.is_clean() { "it is clean" } else { "it is damaged" });
    Ok(u8::from(!report.is_clean()))
}

/// The object of a path, without or with `[storage]` before it.
fn find(volume: &mut Volume<Image>, path: &str) -> Result<u32> {
    let mut at = ROOT;
    for name in components(path) {
        at = volume.look_up(at, name.as_bytes()).map_err(|error| anyhow!("{path}: {error}"))?;
    }
    Ok(at)
}

fn components(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.strip_prefix("[storage]").unwrap_or(path).split('/').filter(|name| !name.is_empty())
}

fn list(volume: &mut Volume<Image>, path: &str) -> Result<()> {
    let directory = find(volume, path)?;
    let names = volume.names(directory).map_err(|error| anyhow!("{path}: {error}"))?;
    for (name, object) in names {
        let inode = volume.inode(object).map_err(|error| anyhow!("{name}: {error}"))?;
        if inode.kind == Kind::Directory {
            println!("{:>12} {name}/", "");
        } else {
            println!("{:>12} {name}", inode.size);
        }
    }
    Ok(())
}

fn get(volume: &mut Volume<Image>, path: &str, target: &mut dyn Write) -> Result<()> {
    let object = find(volume, path)?;
    let failed = |error: Error| anyhow!("{path}: {error}");
    let inode = volume.inode(object).map_err(failed)?;
    ensure!(inode.kind == Kind::File, "{path} is a directory");
    let mut position = 0;
    while position < inode.size {
        if position % AHEAD_BYTES == 0 {
            volume.fetch(object, position, AHEAD_BYTES, 0);
        }
        let piece = volume.piece(object, position, BLOCK_BYTES).map_err(failed)?;
        target.write_all(piece)?;
        position += piece.len() as u64;
    }
    Ok(())
}

fn put(volume: &mut Volume<Image>, file: &Path, path: &str) -> Result<()> {
    let mut source = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    ensure!(fs::metadata(file)?.is_file(), "{} is no file", file.display());
    let failed = |error: Error| anyhow!("{path}: {error}");
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let name = components(path).next_back().with_context(|| format!("{path} names no file"))?;
    let parent: Vec<&str> = components(path).rev().skip(1).collect();
    let parent = parent.into_iter().rev().collect::<Vec<_>>().join("/");
    let directory = find(volume, &parent)?;
    let object = match volume.look_up(directory, name.as_bytes()) {
        Ok(object) => {
            ensure!(volume.inode(object).map_err(failed)?.kind == Kind::File, "{path} is a directory");
            volume.set_size(object, 0, now_ns).map_err(failed)?;
            object
        }
        Err(Error::NotFound) => {
            // Whose directory it is, his is the file.
            let owner = volume.inode(directory).map_err(failed)?.owner;
            volume.create(directory, name, Kind::File, owner, now_ns).map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    let mut page = vec![0; BLOCK_BYTES];
    for index in 0.. {
        let count = read_page(&mut source, &mut page)?;
        if count == 0 {
            break;
        }
        volume.page_to_change(object, index, true).map_err(failed)?[..count].copy_from_slice(&page[..count]);
        volume.note_written(object, index * PAGE + count as u64, now_ns).map_err(failed)?;
        if volume.is_full_of_changes() {
            volume.write_out().map_err(failed)?;
        }
    }
    volume.commit(now_ns).map_err(failed)
}

/// Reads until the page is full or the file ends.
fn read_page(source: &mut File, page: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < page.len() {
        match source.read(&mut page[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_in_and_come_out() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(8 << 20).unwrap();
        let told = mount(&image, false).unwrap_err().to_string();
        assert!(told.ends_with("is no volume"), "{told}");
        let disk = open(&image, true).unwrap();
        let mut made = Volume::format(disk, [1; 16], 1, OPTIONS).unwrap();
        made.create(ROOT, "home", Kind::Directory, 1, 1).unwrap();
        made.commit(2).unwrap();
        assert!(open(&image, false).unwrap_err().to_string().contains("in use"));
        drop(made);
        let file = folder.path().join("file");
        let data: Vec<u8> = (0..300_000).map(|at: u32| (at / 7) as u8).collect();
        fs::write(&file, &data).unwrap();
        put(&mut mount(&image, true).unwrap(), &file, "[storage]home/f").unwrap();
        put(&mut mount(&image, true).unwrap(), &file, "home/f").unwrap();
        let mut found = Vec::new();
        get(&mut mount(&image, false).unwrap(), "/home/f", &mut found).unwrap();
        assert!(found == data);
        assert_eq!(check(&image).unwrap(), 0);
        assert!(put(&mut mount(&image, true).unwrap(), &file, "none/f").is_err());
        assert!(get(&mut mount(&image, false).unwrap(), "home", &mut found).is_err());
    }
}
