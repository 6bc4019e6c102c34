//! Images that were loaded before, so that a program's next start reads nothing.
//!
//! An image is known by the file it came from: server, object, length and time of change. The cache holds so many images;
//! what was used longest ago goes first. What takes up room that its owner may want back, because the file can be changed or
//! removed, is held for a while only, and no more than so many bytes of it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Pid, UserId};

/// Most images.
pub const MOST_IMAGES: usize = 64;
/// Most users that are remembered for each.
const MOST_READERS: usize = 8;

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
    /// Whether it can be.
    pub is_changeable: bool,
}

#[derive(Debug)]
struct Entry<T> {
    source: Source,
    image: Arc<T>,
    /// Users who have had the file open, the latest last.
    readers: Vec<UserId>,
    /// Whether it was, since idle ones were last forgotten.
    used: bool,
}

impl<T> Entry<T> {
    const fn weight(&self) -> u64 {
        if self.source.is_changeable { self.source.bytes } else { 0 }
    }
}

/// The images.
#[derive(Debug)]
pub struct Cache<T> {
    /// The one used last is at the end.
    entries: Vec<Entry<T>>,
    limit_bytes: u64,
}

/// Images that the cache has no more, to be let go where nobody waits for it.
pub type Forgotten<T> = Vec<Arc<T>>;

impl<T> Cache<T> {
    /// An empty cache, for so many bytes of files that can be changed.
    pub const fn new(limit_bytes: u64) -> Cache<T> {
        Cache { entries: Vec::new(), limit_bytes }
    }

    /// The image that came from `source`, which a user has open.
    pub fn find(&mut self, source: &Source, reader: UserId) -> Option<Arc<T>> {
        let place = self.entries.iter().position(|entry| entry.source == *source)?;
        let entry = self.used_again(place)?;
        if !entry.readers.contains(&reader) {
            if entry.readers.len() == MOST_READERS {
                entry.readers.remove(0);
            }
            entry.readers.push(reader);
        }
        Some(Arc::clone(&entry.image))
    }

    /// The image that came from an object which cannot be changed, if a user had that open before.
    pub fn find_fixed(&mut self, server: Pid, object: u64, reader: UserId) -> Option<Arc<T>> {
        let place = self.entries.iter().position(|entry| {
            (entry.source.server, entry.source.object) == (server, object)
                && !entry.source.is_changeable
                && entry.readers.contains(&reader)
        })?;
        self.used_again(place).map(|entry| Arc::clone(&entry.image))
    }

    fn used_again(&mut self, place: usize) -> Option<&mut Entry<T>> {
        self.entries[place..].rotate_left(1);
        let entry = self.entries.last_mut()?;
        entry.used = true;
        Some(entry)
    }

    /// Keeps an image of a file that a user has open, and forgets others for it. Those of the same file are out of date.
    pub fn insert(&mut self, source: Source, image: Arc<T>, reader: UserId) -> Forgotten<T> {
        let is_same =
            |entry: &Entry<T>| (entry.source.server, entry.source.object) == (source.server, source.object);
        let mut forgotten = self.forget(is_same);
        let entry = Entry { source, image, readers: Vec::from([reader]), used: true };
        if entry.weight() > self.limit_bytes {
            return forgotten;
        }
        while self.entries.len() >= MOST_IMAGES {
            forgotten.push(self.entries.remove(0).image);
        }
        while self.weight() + entry.weight() > self.limit_bytes
            && let Some(place) = self.entries.iter().position(|entry| entry.weight() > 0)
        {
            forgotten.push(self.entries.remove(place).image);
        }
        self.entries.push(entry);
        forgotten
    }

    /// Forgets what can be changed and was not used since this was done last; and what came from servers that have ended.
    pub fn forget_idle(&mut self, mut has_ended: impl FnMut(Pid) -> bool) -> Forgotten<T> {
        let mut servers: Vec<Pid> = self.entries.iter().map(|entry| entry.source.server).collect();
        servers.sort_unstable();
        servers.dedup();
        servers.retain(|server| has_ended(*server));
        let forgotten = self.forget(|entry| {
            entry.weight() > 0 && !entry.used || servers.binary_search(&entry.source.server).is_ok()
        });
        self.entries.iter_mut().for_each(|entry| entry.used = false);
        forgotten
    }

    fn forget(&mut self, mut is_meant: impl FnMut(&Entry<T>) -> bool) -> Forgotten<T> {
        self.entries.extract_if(.., |entry| is_meant(entry)).map(|entry| entry.image).collect()
    }

    /// Bytes of the files that can be changed.
    fn weight(&self) -> u64 {
        self.entries.iter().map(Entry::weight).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Pid = Pid::from_bits(1);
    const USER: UserId = UserId(100);

    fn source(object: u64, bytes: u64) -> Source {
        Source { server: SERVER, object, bytes, modified_ns: 0, is_changeable: true }
    }

    fn insert(cache: &mut Cache<u64>, source: Source) {
        drop(cache.insert(source, Arc::new(source.object), USER));
    }

    #[test]
    fn what_was_used_longest_ago_goes() {
        let mut cache = Cache::new(30);
        for object in 1..=3 {
            insert(&mut cache, source(object, 10));
        }
        assert_eq!(cache.find(&source(1, 10), USER).as_deref(), Some(&1));
        insert(&mut cache, source(4, 11));
        assert_eq!(cache.weight(), 21);
        assert!(cache.find(&source(2, 10), USER).is_none() && cache.find(&source(3, 10), USER).is_none());
        assert!(cache.find(&source(1, 10), USER).is_some() && cache.find(&source(4, 11), USER).is_some());
    }

    #[test]
    fn what_cannot_be_changed_takes_no_room_but_its_place() {
        let mut cache = Cache::new(30);
        let fixed = |object| Source { is_changeable: false, ..source(object, 1000) };
        insert(&mut cache, source(1000, 30));
        for object in 0..=MOST_IMAGES as u64 {
            insert(&mut cache, fixed(object));
        }
        assert!(cache.find(&source(1000, 30), USER).is_none() && cache.find(&fixed(0), USER).is_none());
        assert!(cache.find(&fixed(1), USER).is_some());
        assert_eq!(cache.entries.len(), MOST_IMAGES);
    }

    #[test]
    fn a_changed_file_is_another_one() {
        let mut cache = Cache::new(30);
        insert(&mut cache, source(1, 10));
        let changed = Source { modified_ns: 1, ..source(1, 10) };
        assert!(cache.find(&changed, USER).is_none());
        insert(&mut cache, changed);
        assert_eq!(cache.weight(), 10);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let mut cache = Cache::new(30);
        insert(&mut cache, source(1, 10));
        insert(&mut cache, source(2, 31));
        assert!(cache.find(&source(2, 31), USER).is_none() && cache.find(&source(1, 10), USER).is_some());
    }

    #[test]
    fn what_nobody_starts_any_more_is_let_go() {
        let mut cache = Cache::new(30);
        let fixed = Source { is_changeable: false, ..source(2, 10) };
        insert(&mut cache, source(1, 10));
        insert(&mut cache, fixed);
        assert!(cache.forget_idle(|_| false).is_empty());
        assert!(cache.find(&source(1, 10), USER).is_some());
        assert!(cache.forget_idle(|_| false).is_empty());
        assert_eq!(cache.forget_idle(|_| false).as_slice(), [Arc::new(1)]);
        assert!(cache.find(&fixed, USER).is_some());
        assert_eq!(cache.forget_idle(|server| server == SERVER).as_slice(), [Arc::new(2)]);
    }

    #[test]
    fn what_cannot_be_changed_is_found_by_its_number_for_who_had_it_open() {
        let mut cache = Cache::new(30);
        insert(&mut cache, source(1, 10));
        insert(&mut cache, Source { is_changeable: false, ..source(2, 10) });
        let other = UserId(101);
        assert!(cache.find_fixed(SERVER, 1, USER).is_none(), "it may have changed");
        assert!(cache.find_fixed(SERVER, 2, other).is_none(), "it may not be for this user");
        assert!(cache.find_fixed(Pid::from_bits(2), 2, USER).is_none());
        assert_eq!(cache.find_fixed(SERVER, 2, USER).as_deref(), Some(&2));
        assert!(cache.find(&Source { is_changeable: false, ..source(2, 10) }, other).is_some());
        assert_eq!(cache.find_fixed(SERVER, 2, other).as_deref(), Some(&2));
    }
}
