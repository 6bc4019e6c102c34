//! What a copy keeps of what is said of its original.

use abi::{Error, UserId};
use protocols::permissions::Permissions;

use crate::file::{self, Metadata};

/// How much that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// That others may not read it. The copy is its owner's to read and write; one that was there before stays as it was.
    Privacy,
    /// Who may read and write it, its time, and where the system copies, whose it is; as far as its new server can.
    Possible,
    /// The same; that its new server cannot is an error.
    Everything,
}

impl Kept {
    /// Sets who may read and write it.
    pub fn set(self, copy: &str, permissions: Permissions) -> Result<(), Error> {
        match file::set_permissions(copy, permissions) {
            Err(Error::NotSupported) if self != Kept::Everything || permissions == Permissions::USUAL => {
                Ok(())
            }
            set => set,
        }
    }

    /// Before there is anything in the copy: nobody reads it meanwhile who may not, and its owner can fill it.
    pub fn begin(self, copy: &str, original: &Metadata, is_new: bool) -> Result<(), Error> {
        let first = original.permissions().map(Permissions::for_owner);
        match first.filter(|first| *first != Permissions::USUAL && (is_new || self != Kept::Privacy)) {
            // That there are none is said when the copy is whole.
            Some(first) => Kept::Possible.set(copy, first),
            None => Ok(()),
        }
    }

    /// When it is whole.
    pub fn finish(self, copy: &str, original: &Metadata) -> Result<(), Error> {
        if self == Kept::Privacy {
            return Ok(());
        }
        if let Some(permissions) = original.permissions() {
            self.set(copy, permissions)?;
        }
        for set in
            [file::set_modified_ns(copy, original.modified_ns), file::set_owner(copy, UserId(original.owner))]
        {
            // Only the system gives files away, and some servers keep neither.
            if let Err(error) = set
                && !matches!(error, Error::NoPermission | Error::NotSupported)
            {
                return Err(error);
            }
        }
        Ok(())
    }
}
