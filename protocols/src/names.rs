//! Names inside a server: each server names its own objects.
//!
//! A *context* is a directory, known by a number that the server chose; 0 is the root. A name is a path of
//! components with `/` between, relative to a context; `.` and `..` mean what they mean elsewhere, and `..` of the
//! root is the root. The name is the request's segment.

use abi::{UserId, protocol};

/// Longest path that a server must accept, in bytes.
pub const MAX_PATH_BYTES: usize = 1024;
/// Longest component.
pub const MAX_NAME_BYTES: usize = 255;

/// What a descriptor describes.
pub mod kind {
    /// A file.
    pub const FILE: u32 = 1;
    /// A directory.
    pub const DIRECTORY: u32 = 2;
    /// A pipe, terminal or other stream.
    pub const STREAM: u32 = 3;
    /// A device.
    pub const DEVICE: u32 = 4;
    /// A prefix. What it stands for, whose it is can say.
    pub const PREFIX: u32 = 5;
}

protocol! {
    /// Names and descriptors.
    pub mod names = 0x11, enum Names {
        /// The context of the directory that the read segment names.
        GetContext = 1 { context: u32 } => ContextFound { found: u32 };
        /// The path of a context from the server's root, into the write segment. The root's is empty.
        GetContextName = 2 { context: u32 } => ContextNamed { count: u32 };
        /// The segment, granted for both, holds a name of `name_bytes`; the descriptor is written over it, cut to
        /// the segment's length.
        Describe = 3 { context: u32, name_bytes: u32 } => Described { count: u32 };
        /// The descriptor of an instance, into the write segment. The system may ask on behalf of a user, who must be
        /// one that may use the instance; of others `user` means nothing.
        DescribeInstance = 4 { instance: u32, user: UserId } => InstanceDescribed { count: u32 };
        /// Removes the file or empty directory.
        Remove = 5 { context: u32 } => Removed {};
        /// The read segment holds the old name, `old_bytes` long, and then the new one, which replaces a file of
        /// that name at once.
        Rename = 6 { old_context: u32, old_bytes: u32, new_context: u32 } => Renamed {};
        /// Makes a directory.
        CreateDirectory = 7 { context: u32 } => DirectoryCreated {};
        /// Sets the time of last change, in nanoseconds since 1970.
        SetModified = 8 { context: u32, modified_ns: u64 } => ModifiedSet {};
        /// How much room there is where files of a directory go; not supported where nothing is kept.
        QuerySpace = 9 { context: u32 } => SpaceQueried {
            /// Bytes in all.
            total_bytes: u64,
            /// Of these, taken by nobody.
            free_bytes: u64,
            /// Of these, how many the one who asks may still take.
            available_bytes: u64,
        };
        /// Sets who may read and write a file or directory, to bits of [`Permissions`](crate::permissions::Permissions).
        /// Its owner and the system may; not supported where there are no permissions, or by a root.
        SetPermissions = 10 { context: u32, permissions: u32 } => PermissionsSet {};
        /// Gives a file or directory to a user. Only the system may.
        SetOwner = 11 { context: u32, owner: UserId } => OwnerSet {};
    }
}

/// What a server says of an object: 48 bytes of little-endian numbers, then the name, padded with zeros to a
/// multiple of eight. A directory instance gives one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor<'a> {
    /// One of [`kind`].
    pub kind: u32,
    /// Bits of [`attribute`](crate::io::attribute): what an open instance of it could do. Above them its
    /// [permissions](crate::permissions::Permissions::of_attributes), if it has any.
    pub attributes: u32,
    /// User id of its owner.
    pub owner: u32,
    /// Bytes, for what has a size; for a directory, how many names are in it.
    pub size: u64,
    /// Last change, in nanoseconds since 1970.
    pub modified_ns: u64,
    /// Creation, in nanoseconds since 1970.
    pub created_ns: u64,
    /// A number that tells it from every other object of the server.
    pub object: u64,
    /// Its name in its directory.
    pub name: &'a str,
}

impl<'a> Descriptor<'a> {
    /// Bytes before the name.
    pub const HEADER_BYTES: usize = 48;
    /// Bytes of the longest descriptor.
    pub const MAX_BYTES: usize = Descriptor::HEADER_BYTES + MAX_NAME_BYTES.next_multiple_of(8);

    /// Its length in bytes.
    pub fn bytes(&self) -> usize {
        Descriptor::HEADER_BYTES + self.name.len().next_multiple_of(8)
    }

    /// Writes it to the beginning of `place`; its length, or none if the place is too short or the name too long.
    pub fn encode(&self, place: &mut [u8]) -> Option<usize> {
        if self.name.len() > MAX_NAME_BYTES {
            return None;
        }
        let place = place.get_mut(..self.bytes())?;
        place.fill(0);
        for (at, number) in
            [self.kind, self.attributes, self.owner, self.name.len() as u32].iter().enumerate()
        {
            place[at * 4..at * 4 + 4].copy_from_slice(&number.to_le_bytes());
        }
        for (at, number) in [self.size, self.modified_ns, self.created_ns, self.object].iter().enumerate() {
            place[16 + at * 8..24 + at * 8].copy_from_slice(&number.to_le_bytes());
        }
        place[Descriptor::HEADER_BYTES..][..self.name.len()].copy_from_slice(self.name.as_bytes());
        Some(place.len())
    }

    /// Reads the descriptor at the beginning of `bytes`, and says how long it is. None if it is malformed.
    pub fn decode(bytes: &'a [u8]) -> Option<(Descriptor<'a>, usize)> {
        let small = |at: usize| {
            bytes.get(at..at + 4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        };
        let large = |at: usize| Some(u64::from(small(at)?) | u64::from(small(at + 4)?) << 32);
        let name_bytes = small(12)? as usize;
        if name_bytes > MAX_NAME_BYTES {
            return None;
        }
        let name = core::str::from_utf8(bytes.get(Descriptor::HEADER_BYTES..)?.get(..name_bytes)?).ok()?;
        let descriptor = Descriptor {
            kind: small(0)?,
            attributes: small(4)?,
            owner: small(8)?,
            size: large(16)?,
            modified_ns: large(24)?,
            created_ns: large(32)?,
            object: large(40)?,
            name,
        };
        Some((descriptor, descriptor.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_come_back() {
        let descriptor = Descriptor {
            kind: kind::FILE,
            attributes: 3,
            owner: 100,
            size: 1 << 40,
            modified_ns: 7,
            created_ns: 6,
            object: 5,
            name: "numbers",
        };
        let mut place = [0xff; 64];
        assert_eq!(descriptor.encode(&mut place), Some(56));
        assert_eq!(Descriptor::decode(&place), Some((descriptor, 56)));
        assert_eq!(descriptor.encode(&mut place[..55]), None);
        for end in 0..55 {
            assert_eq!(Descriptor::decode(&place[..end]), None);
        }
    }
}
