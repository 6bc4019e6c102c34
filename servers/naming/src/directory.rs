//! The prefixes as a directory, so that `ls [node2]` says what there is. Its names are only listed here: what stands behind
//! them, their servers know.

use abi::{Error, UserId};
use io_server::listing::{Flat, flat_root};
use io_server::{Client, Limits, Listing, Opening, Service, System};
use protocols::io::mode;
use protocols::names::{Descriptor, kind};
use protocols::naming::PREFIXES;

use crate::table::{Binding, Table};

/// What may be open: listings, for as long as it takes to read them.
pub const LIMITS: Limits = Limits { owned_by_user: 64, instances: 256 };

/// The table as what an I/O server serves.
#[derive(Debug)]
pub struct Directory {
    /// The prefixes.
    pub table: Table,
}

impl Directory {
    fn resolve(&self, context: u32, path: &[u8]) -> Result<Flat, Error> {
        if context != PREFIXES {
            return Err(Error::BadContext);
        }
        Flat::resolve(0, path, self.table.bindings().iter().map(|binding| binding.name.as_str()))
    }
}

fn descriptor(at: usize, binding: &Binding) -> Descriptor<'_> {
    Descriptor {
        kind: kind::PREFIX,
        attributes: 0,
        owner: UserId::SYSTEM.0,
        size: 0,
        modified_ns: 0,
        created_ns: 0,
        object: 1 + at as u64,
        name: &binding.name,
    }
}

impl Service for Directory {
    type Open = core::convert::Infallible;

    fn open(
        &mut self,
        _client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<Self::Open>, Error> {
        match self.resolve(context, path)? {
            Flat::Object(_) => Err(Error::NotSupported),
            Flat::Root if mode & mode::DIRECTORY == 0 => Err(Error::IsADirectory),
            Flat::Root => {
                let mut listing = Listing::new();
                for (at, binding) in self.table.bindings().iter().enumerate() {
                    listing.push(&descriptor(at, binding));
                }
                Ok(Opening::Directory(listing))
            }
        }
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        match self.resolve(context, path)? {
            Flat::Root => Ok(flat_root(self.table.bindings().len())),
            Flat::Object(at) => {
                self.table.at(at).map(|binding| descriptor(at, binding)).ok_or(Error::NotFound)
            }
        }
    }

    fn context(&mut self, context: u32, path: &[u8]) -> Result<u32, Error> {
        match self.resolve(context, path)? {
            Flat::Root => Ok(PREFIXES),
            Flat::Object(_) => Err(Error::NotSupported),
        }
    }

    fn context_name(&mut self, context: u32) -> Result<alloc::string::String, Error> {
        if context == PREFIXES { Ok(alloc::string::String::new()) } else { Err(Error::NotFound) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::{Access, Pid};
    use io_server::IoServer;
    use io_server::testing::TestSystem;
    use protocols::io::io;
    use protocols::names::names;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn prefixes_are_listed() {
        let mut system = TestSystem::new();
        let client = system.process(UserId(100));
        let mut table = Table::default();
        for name in ["tmp", "boot", "log"] {
            table.register(name, client, 0, false, |_| true).unwrap();
        }
        let mut server = IoServer::new(Directory { table }, LIMITS);
        let open = |context, mode| io::Open { context, mode, owner: Pid::NONE };
        let directory = open(PREFIXES, mode::READ | mode::DIRECTORY);
        let instance = system.say(&mut server, client, &directory, b"").unwrap().instance;
        let read = io::Read { instance, position: 0 };
        let (done, bytes) = system.call(&mut server, client, &read, vec![0; 4096], Access::WRITE).unwrap();
        let mut rest = &bytes[..done.count as usize];
        let mut names = Vec::new();
        while let Some((descriptor, length)) = Descriptor::decode(rest) {
            assert_eq!(descriptor.kind, kind::PREFIX);
            names.push(descriptor.name);
            rest = &rest[length..];
        }
        assert_eq!(names, ["boot", "log", "tmp"]);
        let get = names::GetContext { context: PREFIXES };
        assert_eq!(system.say(&mut server, client, &get, b"..").unwrap().found, PREFIXES);
        for (context, mode, name, error) in [
            (PREFIXES, mode::READ, "", Error::IsADirectory),
            (PREFIXES, mode::READ, "tmp", Error::NotSupported),
            (PREFIXES, mode::READ, "none", Error::NotFound),
            (PREFIXES, mode::READ, "tmp/a", Error::NotADirectory),
            (0, mode::READ | mode::DIRECTORY, "", Error::BadContext),
        ] {
            let refused = system.say(&mut server, client, &open(context, mode), name.as_bytes());
            assert_eq!(refused, Err(error), "{name}");
        }
    }
}
