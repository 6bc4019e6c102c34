//! What the server says of a file or directory.

use abi::{Error, UserId};
use io_server::Listing;
use protocols::io::attribute;
use protocols::names::{Descriptor, kind};
use protocols::permissions;
use volume::{Inode, Kind};

use crate::disks::Disks;
use crate::names;
use crate::server::FileServer;

impl<S: Disks> FileServer<S> {
    /// All but the name.
    fn descriptor(object: u32, inode: &Inode) -> Result<Descriptor<'static>, Error> {
        let is_directory = inode.kind == Kind::Directory;
        let directory = if is_directory { attribute::DIRECTORY } else { 0 };
        let permissions = names::permissions_of(object, inode)?.in_attributes();
        Ok(Descriptor {
            kind: if is_directory { kind::DIRECTORY } else { kind::FILE },
            attributes: attribute::READABLE | attribute::WRITABLE | directory | permissions,
            owner: inode.owner,
            size: if is_directory { u64::from(inode.names) } else { inode.size },
            modified_ns: inode.modified_ns,
            created_ns: inode.created_ns,
            object: inode.serial,
            name: "",
        })
    }

    /// What is in a directory, for a user.
    pub(crate) fn list(&mut self, directory: u32, user: UserId) -> Result<Listing, Error> {
        let volume = self.volume()?;
        let names = volume.names(directory)?;
        names::check_access(volume, directory, user, permissions::READ)?;
        let mut listing = Listing::new();
        for (name, object) in names {
            let descriptor = FileServer::<S>::descriptor(object, &volume.inode(object)?)?;
            listing.push(&Descriptor { name: &name, ..descriptor });
        }
        Ok(listing)
    }

    pub(crate) fn describe_object(&mut self, object: u32) -> Result<Descriptor<'_>, Error> {
        let volume = self.volume()?;
        let inode = volume.inode(object)?;
        let name = volume.name_of(object)?;
        let descriptor = FileServer::<S>::descriptor(object, &inode)?;
        self.name = name;
        Ok(Descriptor { name: &self.name, ..descriptor })
    }
}
