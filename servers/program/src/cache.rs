//! Images that were loaded before, so that a program's next start copies memory only.
//!
//! An image is known by the file it came from: server, object, length and time of change. The cache holds as many
//! bytes as it was told to; what was used longest ago goes first.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Pid;
use program_image::Layout;

/// The file that an image came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// Who serves it.
    pub server: Pid,
    /// Its number there.
    pub object: u64,
    /// Its length.
    pub bytes: u64,
    /// When it was last changed.
    pub modified_ns: u64,
}

/// A checked image.
#[derive(Debug)]
pub struct Image {
    /// What it asks for.
    pub layout: Layout,
    /// The part of the file that [`Layout::file`] names.
    pub content: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    source: Source,
    image: Arc<Image>,
}

/// The images.
#[derive(Debug)]
pub struct Cache {
    /// The one used last is at the end.
    entries: Vec<Entry>,
    limit_bytes: usize,
}

impl Cache {
    /// An empty cache for so many bytes of images.
    pub const fn new(limit_bytes: usize) -> Cache {
        Cache { entries: Vec::new(), limit_bytes }
    }

    /// The image that came from `source`.
    pub fn find(&mut self, source: &Source) -> Option<Arc<Image>> {
        let place = self.entries.iter().position(|entry| entry.source == *source)?;
        self.entries[place..].rotate_left(1);
        self.entries.last().map(|entry| Arc::clone(&entry.image))
    }

    /// Keeps an image, and drops others for it. Those of the same file are out of date.
    pub fn insert(&mut self, source: Source, image: Arc<Image>) {
        self.entries
            .retain(|entry| (entry.source.server, entry.source.object) != (source.server, source.object));
        if image.content.len() > self.limit_bytes {
            return;
        }
        let room = self.limit_bytes - image.content.len();
        while self.bytes() > room {
            self.entries.remove(0);
        }
        self.entries.push(Entry { source, image });
    }

    /// Bytes of all images.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.image.content.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec;

    fn source(object: u64) -> Source {
        Source { server: Pid::from_bits(1), object, bytes: 10, modified_ns: 0 }
    }

    fn image(bytes: usize) -> Arc<Image> {
        Arc::new(Image { layout: Layout::default(), content: vec![0; bytes] })
    }

    #[test]
    fn what_was_used_longest_ago_goes() {
        let mut cache = Cache::new(30);
        for object in 1..=3 {
            cache.insert(source(object), image(10));
        }
        assert!(cache.find(&source(1)).is_some());
        cache.insert(source(4), image(11));
        assert_eq!(cache.bytes(), 21);
        assert!(cache.find(&source(2)).is_none() && cache.find(&source(3)).is_none());
        assert!(cache.find(&source(1)).is_some() && cache.find(&source(4)).is_some());
    }

    #[test]
    fn a_changed_file_is_another_one() {
        let mut cache = Cache::new(30);
        cache.insert(source(1), image(10));
        let changed = Source { modified_ns: 1, ..source(1) };
        assert!(cache.find(&changed).is_none());
        cache.insert(changed, image(10));
        assert_eq!(cache.bytes(), 10);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let mut cache = Cache::new(30);
        cache.insert(source(1), image(10));
        cache.insert(source(2), image(31));
        assert!(cache.find(&source(2)).is_none() && cache.find(&source(1)).is_some());
    }
}
