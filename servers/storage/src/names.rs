//! Paths, and who may change what.
//!
//! A file is read and written, a directory listed and given names, as its [permissions](Permissions) say. A name is removed
//! by who owns the object, or may write the directory; in the root, where everyone may make names, only by the first. The
//! system may do all of that. The same holds for `[tmp]`.

use abi::{Error, UserId};
use io_server::AccessChange;
use io_server::path::{self, Step};
use protocols::permissions::{self, Permissions};
use volume::{Disk, Inode, Kind, Memory, ROOT, Volume};

/// Where a name is or is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The directory.
    pub directory: u32,
    /// The name in it.
    pub name: &'a str,
    /// The object of that name.
    pub object: Option<u32>,
}

/// A context is a directory's number; 0 is the root.
pub(crate) const fn directory_of(context: u32) -> u32 {
    if context == 0 { ROOT } else { context }
}

/// The object that a path names.
pub(crate) fn find<D: Disk + Memory>(
    volume: &mut Volume<D>,
    context: u32,
    path: &[u8],
) -> Result<u32, Error> {
    let mut at = directory_of(context);
    for step in path::steps(path) {
        at = match step {
            Step::Up => {
                let inode = directory(volume, at)?;
                if inode.parent == 0 {
                    return Err(Error::NotFound);
                }
                inode.parent
            }
            Step::Down(name) => volume.look_up(at, name)?,
        };
    }
    let inode = volume.inode(at)?;
    if path::wants_directory(path) && inode.kind != Kind::Directory {
        return Err(Error::NotADirectory);
    }
    Ok(at)
}

/// Where the last name of a path is, or would be if it were made.
pub(crate) fn place<'a, D: Disk + Memory>(
    volume: &mut Volume<D>,
    context: u32,
    path: &'a [u8],
) -> Result<Place<'a>, Error> {
    let (parent, name) = path::parent_and_name(path)?;
    let parent = find(volume, context, parent)?;
    let object = match volume.look_up(parent, name.as_bytes()) {
        Ok(object) => Some(object),
        Err(Error::NotFound) => None,
        Err(error) => return Err(error),
    };
    // A directory that was removed and is a working directory still has no room for anything.
    if object.is_none() && directory(volume, parent)?.parent == 0 {
        return Err(Error::NotFound);
    }
    if let Some(object) = object
        && path::wants_directory(path)
    {
        directory(volume, object)?;
    }
    Ok(Place { directory: parent, name, object })
}

/// The inode of a directory.
pub(crate) fn directory<D: Disk + Memory>(volume: &mut Volume<D>, object: u32) -> Result<Inode, Error> {
    let inode = volume.inode(object)?;
    if inode.kind == Kind::Directory { Ok(inode) } else { Err(Error::NotADirectory) }
}

/// Who may read and write an object. The root's permissions are fixed.
pub(crate) fn permissions_of(object: u32, inode: &Inode) -> Result<Permissions, Error> {
    if object == ROOT {
        return Ok(Permissions::EVERYTHING);
    }
    Permissions::from_kept(inode.permissions).ok_or(Error::Damaged)
}

/// Whether a user may do what is wanted, bits of [`permissions`], with an object.
pub(crate) fn check_access<D: Disk + Memory>(
    volume: &mut Volume<D>,
    object: u32,
    user: UserId,
    wanted: u32,
) -> Result<(), Error> {
    let inode = volume.inode(object)?;
    permissions_of(object, &inode)?.check(UserId(inode.owner), user, wanted)
}

/// Whether an object is a user's, or the user the system.
pub(crate) fn check_owns(inode: &Inode, user: UserId) -> Result<(), Error> {
    if inode.owner == user.0 || user.is_system() { Ok(()) } else { Err(Error::NoPermission) }
}

/// The owner and permissions that an object has after a change by a user.
pub(crate) fn changed(
    object: u32,
    inode: &Inode,
    user: UserId,
    change: AccessChange,
) -> Result<(UserId, Permissions), Error> {
    if object == ROOT {
        return Err(Error::NotSupported);
    }
    check_owns(inode, user)?;
    Ok(match change {
        AccessChange::Permissions(permissions) => (UserId(inode.owner), permissions),
        AccessChange::Owner(owner) => (owner, permissions_of(object, inode)?),
    })
}

/// Whether a user may take an object's name away.
pub(crate) fn check_may_remove<D: Disk + Memory>(
    volume: &mut Volume<D>,
    directory: u32,
    object: u32,
    user: UserId,
) -> Result<(), Error> {
    match check_owns(&volume.inode(object)?, user) {
        Err(_) if directory != ROOT => check_access(volume, directory, user, permissions::WRITE),
        checked => checked,
    }
}

/// Whether `directory` is `ancestor` or below it.
pub(crate) fn is_within<D: Disk + Memory>(
    volume: &mut Volume<D>,
    directory: u32,
    ancestor: u32,
) -> Result<bool, Error> {
    let mut at = directory;
    // A disk that is not as it should be could have a circle.
    for _ in 0..=protocols::names::MAX_PATH_BYTES {
        if at == ancestor {
            return Ok(true);
        }
        if at == ROOT || at == 0 {
            return Ok(false);
        }
        at = volume.inode(at)?.parent;
    }
    Ok(true)
}
