//! Damage to the volume on a node's disk, for scenarios: what a disk may do to what was written to it. The image is changed
//! behind the node's back, so what it has in memory it does not notice.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::str::FromStr;

use abi::Error;
use anyhow::{Context, Result, anyhow};
use volume::layout::Superblock;
use volume::{BLOCK_BYTES, Options, ROOT, Volume};

use crate::volume::Image;

const SECTOR_BYTES: usize = 512;

/// What is damaged. A path is that of a file on the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit of a file's first page.
    Bit(String),
    /// The second half of a sector of a file's second page, as if the power had gone while it was written.
    Torn(String),
    /// One bit of the page that says where a file's pages are.
    Pointers(String),
    /// One bit of one of the two copies of the newest superblock.
    Superblock,
}

impl FromStr for Damage {
    type Err = String;

    fn from_str(text: &str) -> Result<Damage, String> {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("superblock", "") => Ok(Damage::Superblock),
            ("bit", path) if !path.is_empty() => Ok(Damage::Bit(path.to_owned())),
            ("torn", path) if !path.is_empty() => Ok(Damage::Torn(path.to_owned())),
            ("pointers", path) if !path.is_empty() => Ok(Damage::Pointers(path.to_owned())),
            _ => Err(format!(
                "`{text}` is no damage: there are bit, torn and pointers of a PATH, and superblock"
            )),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Damage::Bit(path) => write!(formatter, "a bit of {path} is flipped"),
            Damage::Torn(path) => write!(formatter, "half a sector of {path} is another"),
            Damage::Pointers(path) => write!(formatter, "a bit of what {path} consists of is flipped"),
            Damage::Superblock => write!(formatter, "a bit of a superblock is flipped"),
        }
    }
}

impl Damage {
    /// Does it to the volume in an image.
    pub fn inflict(&self, image: &Path) -> Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(image);
        let file = file.with_context(|| format!("cannot open {}", image.display()))?;
        let mut volume = Volume::mount(Image::new(file.try_clone()?)?, Options { pages: 1024 })
            .map_err(|error| anyhow!("{}: {error}", image.display()))?;
        let (block, from, to) = match self {
            Damage::Bit(path) => (block(&mut volume, path, 0, 0)?, 1234, 1235),
            Damage::Torn(path) => {
                (block(&mut volume, path, 0, 1)?, SECTOR_BYTES + SECTOR_BYTES / 2, 2 * SECTOR_BYTES)
            }
            Damage::Pointers(path) => (block(&mut volume, path, 1, 0)?, 100, 101),
            Damage::Superblock => (Superblock::place(volume.superblock().generation), 64, 65),
        };
        change(&file, block, from..to).with_context(|| format!("cannot damage {}", image.display()))
    }
}

fn block(volume: &mut Volume<Image>, path: &str, level: u32, index: u64) -> Result<u64> {
    let failed = |error: Error| anyhow!("{path}: {error}");
    let mut object = ROOT;
    for name in path.split('/') {
        object = volume.look_up(object, name.as_bytes()).map_err(failed)?;
    }
    let block = volume.block_of(object, level, index).map_err(failed)?;
    block.with_context(|| format!("{path} has no page {index} of level {level}"))
}

/// Of bytes of a block, flips the lowest bit.
fn change(file: &File, block: u64, bytes: std::ops::Range<usize>) -> std::io::Result<()> {
    let at = block * BLOCK_BYTES as u64 + bytes.start as u64;
    let mut damaged = vec![0; bytes.len()];
    file.read_exact_at(&mut damaged, at)?;
    for byte in &mut damaged {
        *byte ^= 1;
    }
    file.write_all_at(&damaged, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_read_by_name() {
        assert_eq!("bit home/a b".parse(), Ok(Damage::Bit("home/a b".to_owned())));
        assert_eq!("superblock".parse(), Ok(Damage::Superblock));
        for text in ["bit", "torn ", "superblock x", "fire home/a"] {
            assert!(text.parse::<Damage>().unwrap_err().contains("is no damage"), "{text}");
        }
    }
}
