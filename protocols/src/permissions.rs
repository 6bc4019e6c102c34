//! Who may read and write a file or directory: its owner, and all others. There are no groups.
//!
//! To read a directory is to list it, to write it is to make and remove names there. Nobody needs a permission to go through
//! one. What is already open stays so. The system's own servers may do everything.

use abi::{Error, UserId};
use core::fmt;

use crate::io::mode;

/// What is wanted: to read.
pub const READ: u32 = 4;
/// What is wanted: to write.
pub const WRITE: u32 = 2;

/// What an open with these bits of [`mode`] wants.
pub const fn wanted(mode: u32) -> u32 {
    let read = if mode & mode::READ != 0 { READ } else { 0 };
    let write = if mode & mode::WRITES != 0 { WRITE } else { 0 };
    read | write
}

/// Four bits, as two octal digits: what the owner may, and what others may. Kept is how they differ from those of a new file,
/// so that zero is the usual `rw-r--`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Permissions(u8);

impl Permissions {
    /// Of a new file or directory: the owner may read and write, others read.
    pub const USUAL: Permissions = Permissions(0);
    /// Everyone may do everything.
    pub const EVERYTHING: Permissions = Permissions(USUAL_BITS ^ ALL_BITS);
    /// Everyone may read, nobody write.
    pub const READ_ONLY: Permissions = Permissions(USUAL_BITS ^ 0o44);

    /// Those of two octal digits, if they have no bits but read's and write's.
    pub const fn from_bits(bits: u32) -> Option<Permissions> {
        if bits & !(ALL_BITS as u32) == 0 { Some(Permissions(bits as u8 ^ USUAL_BITS)) } else { None }
    }

    /// The two octal digits.
    pub const fn bits(self) -> u32 {
        (self.0 ^ USUAL_BITS) as u32
    }

    /// Those of a number that was [kept](Permissions::kept).
    pub const fn from_kept(kept: u32) -> Option<Permissions> {
        Permissions::from_bits(kept ^ USUAL_BITS as u32)
    }

    /// How they differ from the usual ones, to be kept.
    pub const fn kept(self) -> u32 {
        self.0 as u32
    }

    /// As a part of a descriptor's attributes.
    pub const fn in_attributes(self) -> u32 {
        self.bits() << ATTRIBUTES_SHIFT | ARE_KNOWN
    }

    /// Those that a descriptor's attributes tell. None where the server has none.
    pub const fn of_attributes(attributes: u32) -> Option<Permissions> {
        let bits = attributes >> ATTRIBUTES_SHIFT & ALL_BITS as u32;
        if attributes & ARE_KNOWN != 0 { Permissions::from_bits(bits) } else { None }
    }

    /// What is left of them if others may not write.
    #[must_use]
    pub const fn without_others_writing(self) -> Permissions {
        Permissions((self.bits() as u8 & !(WRITE as u8)) ^ USUAL_BITS)
    }

    /// The same where the owner may do everything.
    #[must_use]
    pub const fn for_owner(self) -> Permissions {
        Permissions((self.without_others_writing().bits() as u8 | 0o60) ^ USUAL_BITS)
    }

    /// Whether they let a user do what is wanted, [`READ`] and [`WRITE`], with an object of `owner`.
    #[inline]
    pub fn check(self, owner: UserId, user: UserId, wanted: u32) -> Result<(), Error> {
        let granted = if user == owner { self.bits() >> 3 } else { self.bits() };
        if wanted & !granted == 0 || user.is_system() { Ok(()) } else { Err(Error::NoPermission) }
    }
}

/// `rw-r--`, the owner's and the others'. What would be the right to execute is not told from that to read.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |bit: u32, letter| if self.bits() & bit == 0 { '-' } else { letter };
        write!(f, "{}{}-", letter(READ << 3, 'r'), letter(WRITE << 3, 'w'))?;
        write!(f, "{}{}-", letter(READ, 'r'), letter(WRITE, 'w'))
    }
}

const ALL_BITS: u8 = 0o66;
const USUAL_BITS: u8 = 0o64;
/// Where they are in attributes, above those that are `io`'s.
const ATTRIBUTES_SHIFT: u32 = 16;
const ARE_KNOWN: u32 = 1 << 24;

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString as _;

    const OWNER: UserId = UserId(100);
    const OTHER: UserId = UserId(101);

    #[test]
    fn all_of_them_are_kept_told_and_checked() {
        assert_eq!(Permissions::from_kept(0), Some(Permissions::USUAL));
        for bits in 0..=0o777 {
            let Some(permissions) = Permissions::from_bits(bits) else {
                assert_ne!(bits & !0o66, 0);
                assert_eq!(Permissions::from_kept(bits), None);
                continue;
            };
            assert_eq!(permissions.bits(), bits);
            assert_eq!(Permissions::from_kept(permissions.kept()), Some(permissions));
            assert_eq!(Permissions::of_attributes(permissions.in_attributes() | 0xffff), Some(permissions));
            for wanted in [0, READ, WRITE, READ | WRITE] {
                let may = |user| permissions.check(OWNER, user, wanted).is_ok();
                assert_eq!(may(OWNER), bits >> 3 & wanted == wanted);
                assert_eq!(may(OTHER), bits & wanted == wanted);
                assert!(may(UserId::SYSTEM));
            }
        }
        assert_eq!(Permissions::of_attributes(0xffff), None);
    }

    #[test]
    fn they_are_shown_as_letters() {
        for (permissions, text) in [
            (Permissions::USUAL, "rw-r--"),
            (Permissions::EVERYTHING, "rw-rw-"),
            (Permissions::READ_ONLY, "r--r--"),
            (Permissions::from_bits(0o20).unwrap(), "-w----"),
        ] {
            assert_eq!(permissions.to_string(), text);
        }
    }

    #[test]
    fn what_is_made_for_an_owner_is_nothing_that_others_write() {
        for (bits, without, for_owner) in [
            (0o64, 0o64, 0o64),
            (0o66, 0o64, 0o64),
            (0o42, 0o40, 0o60),
            (0o00, 0o00, 0o60),
            (0o06, 0o04, 0o64),
        ] {
            let permissions = Permissions::from_bits(bits).unwrap();
            assert_eq!(permissions.without_others_writing().bits(), without);
            assert_eq!(permissions.for_owner().bits(), for_owner);
        }
    }

    #[test]
    fn an_open_wants_what_its_mode_says() {
        assert_eq!(wanted(mode::READ | mode::DIRECTORY), READ);
        assert_eq!(wanted(mode::READ | mode::TRUNCATE), READ | WRITE);
        assert_eq!(wanted(mode::APPEND), WRITE);
        assert_eq!(wanted(mode::CREATE), 0);
    }
}
