//! The node's further configuration, where its volume has one: services beside those of the boot archive, or instead of them.
//!
//! It is the file [`CONFIGURATION`]. Services have rights, so it counts only if it is the operator's or the system's and others may
//! not write it: everyone may make names in the root of a volume.

use abi::{Error, UserId};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use protocols::permissions;
use protocols::storage::CONFIGURATION;
use protocols::supervisor::MAX_CONFIGURATION_BYTES;
use volume::{BLOCK_BYTES, Kind, ROOT};

use crate::disks::Disks;
use crate::names;
use crate::server::FileServer;

impl<S: Disks> FileServer<S> {
    /// What the file says; none if there is none. One that does not count is told of, and why.
    pub fn configuration(&mut self) -> Option<String> {
        match self.read_configuration() {
            Ok(text) => Some(text),
            Err(None) => None,
            Err(Some(reason)) => {
                self.disks.tell(&format!("[storage]{CONFIGURATION} is left out: {reason}"));
                None
            }
        }
    }

    fn read_configuration(&mut self) -> Result<String, Option<String>> {
        let told = |error: Error| Some(format!("{error}"));
        let volume = self.volume().map_err(|_| None)?;
        let object = names::find(volume, ROOT, CONFIGURATION.as_bytes()).map_err(|error| match error {
            Error::NotFound => None,
            error => told(error),
        })?;
        let inode = volume.inode(object).map_err(told)?;
        if inode.kind != Kind::File {
            return Err(Some(String::from("it is no file")));
        }
        if !UserId(inode.owner).may_operate() {
            return Err(Some(format!("it is user {}'s, not the operator's", inode.owner)));
        }
        let permissions = names::permissions_of(object, &inode).map_err(told)?;
        if permissions.bits() & permissions::WRITE != 0 {
            return Err(Some(String::from("others may write it")));
        }
        if inode.size > MAX_CONFIGURATION_BYTES as u64 {
            return Err(Some(format!("it has more than {MAX_CONFIGURATION_BYTES} bytes")));
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < inode.size {
            let piece = volume.piece(object, bytes.len() as u64, BLOCK_BYTES).map_err(told)?;
            bytes.extend_from_slice(piece);
        }
        String::from_utf8(bytes).map_err(|_| Some(String::from("it is not UTF-8")))
    }
}
