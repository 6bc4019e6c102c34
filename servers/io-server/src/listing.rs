//! Directories as instances: a stream of descriptors, taken when the directory is opened, so that a reader sees one
//! state of it however it changes meanwhile. And directories that are a fixed list of names.

use alloc::vec::Vec;

use abi::{Error, PAGE_BYTES, UserId};
use protocols::io::attribute;
use protocols::names::{Descriptor, kind};

use crate::path::{self, Step};
use crate::system::System;

/// The descriptors of a directory's entries, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    bytes: Vec<u8>,
}

impl Listing {
    /// An empty one.
    pub const fn new() -> Listing {
        Listing { bytes: Vec::new() }
    }

    /// An empty one for so many bytes. An error if there is no memory for them, which would be the server's end later.
    pub fn with_room(bytes: usize, system: &mut dyn System) -> Result<Listing, Error> {
        let mut listing = Listing::new();
        listing.bytes.try_reserve_exact(bytes).map_err(|_| Error::NoMemory)?;
        if bytes >= PAGE_BYTES as usize {
            let begin = listing.bytes.as_ptr().addr();
            let mut address = begin & !(PAGE_BYTES as usize - 1);
            while address < begin + bytes {
                system.make_present(address, 1)?;
                address += PAGE_BYTES as usize;
            }
        }
        Ok(listing)
    }

    /// Adds an entry. A name longer than the protocol allows is left out.
    pub fn push(&mut self, descriptor: &Descriptor<'_>) {
        let at = self.bytes.len();
        self.bytes.resize(at + descriptor.bytes(), 0);
        if descriptor.encode(&mut self.bytes[at..]).is_none() {
            self.bytes.truncate(at);
        }
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// What lies at `position`, at most `room` bytes.
    pub fn read(&self, position: u64, room: usize) -> &[u8] {
        slice_at(&self.bytes, position, room)
    }
}

/// The memory that open listings take, by user: each is a copy, so it must be bounded.
#[derive(Clone, Debug, Default)]
pub struct ListingBudget {
    used: Vec<(UserId, u64)>,
}

/// Most bytes of open listings of one user, beside the first one, which may be as long as it is.
pub const MAX_LISTING_BYTES: u64 = 1 << 20;

impl ListingBudget {
    /// Nothing used.
    pub const fn new() -> ListingBudget {
        ListingBudget { used: Vec::new() }
    }

    /// Takes `listing`'s bytes for a user, or refuses.
    pub fn take(&mut self, user: UserId, listing: &Listing) -> Result<(), Error> {
        if listing.bytes() == 0 {
            return Ok(());
        }
        let Some((_, taken)) = self.used.iter_mut().find(|(known, _)| *known == user) else {
            self.used.push((user, listing.bytes()));
            return Ok(());
        };
        if *taken + listing.bytes() > MAX_LISTING_BYTES && !user.is_system() {
            return Err(Error::NoQuota);
        }
        *taken += listing.bytes();
        Ok(())
    }

    /// Gives back what was taken.
    pub fn give_back(&mut self, user: UserId, listing: &Listing) {
        if let Some(at) = self.used.iter().position(|(known, _)| *known == user) {
            self.used[at].1 -= listing.bytes();
            if self.used[at].1 == 0 {
                self.used.swap_remove(at);
            }
        }
    }
}

/// The bytes of `content` from `position` on, at most `room`; none beyond the end.
pub fn slice_at(content: &[u8], position: u64, room: usize) -> &[u8] {
    let begin = usize::try_from(position).map_or(content.len(), |begin| begin.min(content.len()));
    let end = begin.saturating_add(room).min(content.len());
    &content[begin..end]
}

/// What a path means in a server whose root has a fixed list of names and nothing below them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flat {
    /// The directory itself.
    Root,
    /// The object at that place in the list.
    Object(usize),
}

impl Flat {
    /// Looks `path` up; the only context is the root, 0.
    pub fn resolve<'n>(
        context: u32,
        path: &[u8],
        mut names: impl Iterator<Item = &'n str>,
    ) -> Result<Flat, Error> {
        if context != 0 {
            return Err(Error::NotFound);
        }
        let mut steps = path::steps(path).skip_while(|step| *step == Step::Up);
        let Some(step) = steps.next() else {
            return Ok(Flat::Root);
        };
        let Step::Down(wanted) = step else {
            return Ok(Flat::Root);
        };
        let at = names.position(|name| name.as_bytes() == wanted).ok_or(Error::NotFound)?;
        if steps.next().is_some() || path::wants_directory(path) {
            return Err(Error::NotADirectory);
        }
        Ok(Flat::Object(at))
    }
}

/// The descriptor of the root of such a server.
pub fn flat_root(objects: usize) -> Descriptor<'static> {
    Descriptor {
        kind: kind::DIRECTORY,
        attributes: attribute::READABLE | attribute::DIRECTORY,
        owner: UserId::SYSTEM.0,
        size: objects as u64,
        modified_ns: 0,
        created_ns: 0,
        object: 0,
        name: "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_reads_back_in_pieces() {
        let mut listing = Listing::new();
        for name in ["a", "longer-name", "ä"] {
            listing.push(&Descriptor { name, ..flat_root(0) });
        }
        let mut whole = Vec::new();
        while let piece @ [_, ..] = listing.read(whole.len() as u64, 7) {
            whole.extend_from_slice(piece);
        }
        let mut rest = &whole[..];
        let mut names = Vec::new();
        while let Some((descriptor, bytes)) = Descriptor::decode(rest) {
            names.push(descriptor.name);
            rest = &rest[bytes..];
        }
        assert_eq!(names, ["a", "longer-name", "ä"]);
        assert!(rest.is_empty());
        assert_eq!(listing.read(u64::MAX, 1), []);
    }

    #[test]
    fn listings_of_a_user_are_bounded() {
        let mut listing = Listing::new();
        let user = UserId(100);
        while listing.bytes() <= MAX_LISTING_BYTES / 2 {
            listing.push(&flat_root(0));
        }
        let mut budget = ListingBudget::new();
        budget.take(user, &listing).unwrap();
        assert_eq!(budget.take(user, &listing), Err(Error::NoQuota));
        budget.take(UserId(101), &listing).unwrap();
        budget.give_back(user, &listing);
        budget.take(user, &listing).unwrap();
    }

    #[test]
    fn flat_names() {
        let names = ["com1", "com2"];
        let resolve = |path: &str| Flat::resolve(0, path.as_bytes(), names.into_iter());
        assert_eq!(resolve(""), Ok(Flat::Root));
        assert_eq!(resolve("/../."), Ok(Flat::Root));
        assert_eq!(resolve("com2"), Ok(Flat::Object(1)));
        assert_eq!(resolve("../com1"), Ok(Flat::Object(0)));
        assert_eq!(resolve("com3"), Err(Error::NotFound));
        assert_eq!(resolve("com1/x"), Err(Error::NotADirectory));
        assert_eq!(resolve("com1/"), Err(Error::NotADirectory));
        assert_eq!(Flat::resolve(1, b"", names.into_iter()), Err(Error::NotFound));
    }
}
