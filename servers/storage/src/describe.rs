//! What the server says of a file or directory.

use abi::Error;
use alloc::string::String;
use protocols::io::attribute;
use protocols::names::{Descriptor, kind};
use volume::{Inode, Kind};

use crate::disks::Disks;
use crate::server::FileServer;

impl<S: Disks> FileServer<S> {
    pub(crate) fn descriptor(inode: &Inode, name: String) -> (Descriptor<'static>, String) {
        let is_directory = inode.kind == Kind::Directory;
        let directory = if is_directory { attribute::DIRECTORY } else { 0 };
        let descriptor = Descriptor {
            kind: if is_directory { kind::DIRECTORY } else { kind::FILE },
            attributes: attribute::READABLE | attribute::WRITABLE | directory,
            owner: inode.owner,
            size: if is_directory { u64::from(inode.names) } else { inode.size },
            modified_ns: inode.modified_ns,
            created_ns: inode.created_ns,
            object: inode.serial,
            name: "",
        };
        (descriptor, name)
    }

    pub(crate) fn describe_object(&mut self, object: u32) -> Result<Descriptor<'_>, Error> {
        let volume = self.volume()?;
        let inode = volume.inode(object)?;
        let name = volume.name_of(object)?;
        let (descriptor, name) = FileServer::<S>::descriptor(&inode, name);
        self.name = name;
        Ok(Descriptor { name: &self.name, ..descriptor })
    }
}
