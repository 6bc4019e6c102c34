//! FAT volumes in images of disks: made for a node that is to have one, and read when it has written to it. It is the crate of
//! the node's own server that does both, in memory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use lamfat::{
    FileSystem, FormatVolumeOptions, FsOptions, IoBase, Read, Seek, SeekFrom, Write, format_volume,
};

/// An image in memory, and a place in it.
#[derive(Debug)]
struct Image {
    bytes: Vec<u8>,
    at: usize,
}

impl IoBase for Image {
    type Error = ();
}

impl Read for Image {
    fn read(&mut self, place: &mut [u8]) -> Result<usize, ()> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.len().min(place.len());
        place[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

impl Write for Image {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        let rest = self.bytes.get_mut(self.at..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        rest[..count].copy_from_slice(&bytes[..count]);
        self.at += count;
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), ()> {
        Ok(())
    }
}

impl Seek for Image {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, ()> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => (self.at as u64).checked_add_signed(by),
            SeekFrom::End(by) => (self.bytes.len() as u64).checked_add_signed(by),
        };
        let at = at.ok_or(())?;
        self.at = usize::try_from(at).map_err(drop)?;
        Ok(at)
    }
}

/// Makes an image a FAT volume; what was in it is lost.
pub fn format(image: &Path) -> Result<()> {
    let bytes = fs::metadata(image)?.len();
    let mut volume = Image { bytes: vec![0; usize::try_from(bytes)?], at: 0 };
    let made = format_volume(&mut volume, FormatVolumeOptions::new());
    made.map_err(|error| anyhow!("{} cannot be a FAT volume: {error:?}", image.display()))?;
    fs::write(image, volume.bytes).with_context(|| format!("cannot write {}", image.display()))
}

/// A file of the FAT volume in an image.
pub fn read(image: &Path, path: &str) -> Result<Vec<u8>> {
    let failed = |error: lamfat::Error<()>| anyhow!("{path} in {}: {error:?}", image.display());
    let bytes = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let volume = FileSystem::new(Image { bytes, at: 0 }, FsOptions::new()).map_err(failed)?;
    let mut file = volume.root_dir().open_file(path).map_err(failed)?;
    let (mut whole, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 => return Ok(whole),
            count => whole.extend_from_slice(&piece[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_becomes_a_volume() {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(4 << 20).unwrap();
        assert!(read(image.path(), "a").is_err());
        format(image.path()).unwrap();
        let said = read(image.path(), "a").unwrap_err().to_string();
        assert!(said.contains("NotFound"), "{said}");
        assert_eq!(image.path().metadata().unwrap().len(), 4 << 20);
    }
}
