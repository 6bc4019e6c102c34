//! What can be done with a file or directory by its name alone.

use abi::{Error, UserId};
use protocols::io::attribute;
use protocols::names::{Descriptor, MAX_PATH_BYTES, kind, names};
use protocols::permissions::{self, Permissions};

use crate::file::DirectoryEntry;
use crate::io::{Instance, Result};
use crate::message::{Segment, call};
use crate::name::{resolve, with_place};

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A pipe, terminal or other stream.
    Stream,
    /// A device.
    Device,
    /// A prefix, in a list of those of a node.
    Prefix,
    /// Something that this program does not know.
    Other(u32),
}

/// What a server says of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Bits of [`attribute`](protocols::io::attribute): what can be done with it.
    pub attributes: u32,
    /// User id of its owner.
    pub owner: u32,
    /// Bytes; for a directory, how many names are in it.
    pub size: u64,
    /// Last change, in nanoseconds since 1970.
    pub modified_ns: u64,
    /// Creation, in nanoseconds since 1970.
    pub created_ns: u64,
    /// Tells it from every other object of its server.
    pub object: u64,
}

impl Metadata {
    /// Who may read and write it; none where its server has no permissions.
    pub fn permissions(&self) -> Option<Permissions> {
        Permissions::of_attributes(self.attributes)
    }

    /// Whether a user may do what is wanted with it, [`READ`](permissions::READ) or [`WRITE`](permissions::WRITE). Where there
    /// are no permissions, whether that can be done at all.
    pub fn lets(&self, user: UserId, wanted: u32) -> bool {
        let can = |bit, attribute| wanted & bit == 0 || self.attributes & attribute != 0;
        match self.permissions() {
            Some(permissions) => permissions.check(UserId(self.owner), user, wanted).is_ok(),
            None => {
                can(permissions::READ, attribute::READABLE) && can(permissions::WRITE, attribute::WRITABLE)
            }
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}

impl From<&Descriptor<'_>> for Metadata {
    fn from(descriptor: &Descriptor<'_>) -> Metadata {
        Metadata {
            kind: match descriptor.kind {
                kind::FILE => Kind::File,
                kind::DIRECTORY => Kind::Directory,
                kind::STREAM => Kind::Stream,
                kind::DEVICE => Kind::Device,
                kind::PREFIX => Kind::Prefix,
                other => Kind::Other(other),
            },
            attributes: descriptor.attributes,
            owner: descriptor.owner,
            size: descriptor.size,
            modified_ns: descriptor.modified_ns,
            created_ns: descriptor.created_ns,
            object: descriptor.object,
        }
    }
}

/// What the server says of the object with this name.
pub fn metadata(name: &str) -> Result<Metadata> {
    let mut segment = [0; MAX_PATH_BYTES + Descriptor::MAX_BYTES];
    with_place(name, true, |place| {
        let path = place.rest.as_bytes();
        segment.get_mut(..path.len()).ok_or(Error::BadName)?.copy_from_slice(path);
        let request = names::Describe { context: place.context, name_bytes: path.len() as u32 };
        let described = call(place.server, &request, Segment::ReadWrite(&mut segment))?;
        Ok(entry(&segment, described.count)?.metadata)
    })
}

/// What the server says of an open instance, its name included.
pub(super) fn describe_instance(instance: &Instance) -> Result<DirectoryEntry> {
    let mut segment = [0; Descriptor::MAX_BYTES];
    let request = names::DescribeInstance { instance: instance.number, user: UserId::SYSTEM };
    let described = call(instance.server, &request, Segment::Write(&mut segment))?;
    entry(&segment, described.count)
}

fn entry(segment: &[u8], count: u32) -> Result<DirectoryEntry> {
    let bytes = segment.get(..count as usize).ok_or(Error::BadReply)?;
    let (descriptor, _) = Descriptor::decode(bytes).ok_or(Error::BadReply)?;
    Ok(DirectoryEntry::from(&descriptor))
}

/// Whether there is an object with this name. Any failure but [`NotFound`](Error::NotFound) is passed on.
pub fn exists(name: &str) -> Result<bool> {
    match metadata(name) {
        Ok(_) => Ok(true),
        Err(Error::NotFound | Error::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a file or an empty directory.
pub fn remove(name: &str) -> Result<()> {
    with_place(name, false, |place| {
        let request = names::Remove { context: place.context };
        call(place.server, &request, Segment::Read(place.rest.as_bytes()))
    })?;
    Ok(())
}

/// Gives a file or directory another name in the same server, which replaces a file of that name at once.
/// [`CrossServer`](Error::CrossServer) if the names are of two servers.
pub fn rename(old: &str, new: &str) -> Result<()> {
    with_place(old, false, |old| {
        let new = resolve(new)?;
        if new.server != old.server {
            return Err(Error::CrossServer);
        }
        let both = [old.rest.as_bytes(), new.rest.as_bytes()].concat();
        let request = names::Rename {
            old_context: old.context,
            old_bytes: old.rest.len() as u32,
            new_context: new.context,
        };
        call(old.server, &request, Segment::Read(&both))
    })?;
    Ok(())
}

/// Makes a directory.
pub fn create_directory(name: &str) -> Result<()> {
    with_place(name, false, |place| {
        let request = names::CreateDirectory { context: place.context };
        call(place.server, &request, Segment::Read(place.rest.as_bytes()))
    })?;
    Ok(())
}

/// Makes a directory and whatever directories are missing on the way to it.
pub fn create_directories(name: &str) -> Result<()> {
    match create_directory(name) {
        Err(Error::AlreadyExists) if metadata(name)?.is_directory() => Ok(()),
        Err(Error::NotFound) => {
            let (parent, _) = name.trim_end_matches('/').rsplit_once('/').ok_or(Error::NotFound)?;
            create_directories(parent)?;
            create_directory(name)
        }
        outcome => outcome,
    }
}

/// Sets the time of last change, in nanoseconds since 1970.
pub fn set_modified_ns(name: &str, modified_ns: u64) -> Result<()> {
    with_place(name, true, |place| {
        let request = names::SetModified { context: place.context, modified_ns };
        call(place.server, &request, Segment::Read(place.rest.as_bytes()))
    })?;
    Ok(())
}

/// Sets who may read and write a file or directory of one's own. [`NotSupported`](Error::NotSupported) where there are no
/// permissions.
pub fn set_permissions(name: &str, permissions: Permissions) -> Result<()> {
    with_place(name, true, |place| {
        let request = names::SetPermissions { context: place.context, permissions: permissions.bits() };
        call(place.server, &request, Segment::Read(place.rest.as_bytes()))
    })?;
    Ok(())
}

/// Gives a file or directory to a user, which only the system may.
pub fn set_owner(name: &str, owner: UserId) -> Result<()> {
    with_place(name, true, |place| {
        let request = names::SetOwner { context: place.context, owner };
        call(place.server, &request, Segment::Read(place.rest.as_bytes()))
    })?;
    Ok(())
}

/// How much room there is where the files of a directory go. [`NotSupported`](Error::NotSupported) where none are kept.
pub fn space(directory: &str) -> Result<names::SpaceQueried> {
    with_place(directory, true, |place| {
        let get = names::GetContext { context: place.context };
        let found = call(place.server, &get, Segment::Read(place.rest.as_bytes()))?;
        call(place.server, &names::QuerySpace { context: found.found }, Segment::None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_is_no_descriptor_is_refused() {
        let descriptor = Descriptor {
            kind: 9,
            attributes: 1,
            owner: 2,
            size: 3,
            modified_ns: 4,
            created_ns: 5,
            object: 6,
            name: "x",
        };
        let mut segment = [0; 64];
        let count = descriptor.encode(&mut segment).unwrap() as u32;
        let found = entry(&segment, count).unwrap();
        assert_eq!((found.name.as_str(), found.metadata.kind), ("x", Kind::Other(9)));
        assert_eq!(entry(&segment, count - 9), Err(Error::BadReply));
        assert_eq!(entry(&segment, 65), Err(Error::BadReply));
    }
}
