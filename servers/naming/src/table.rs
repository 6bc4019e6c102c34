//! Which server answers for which prefix.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use abi::{Error, Pid};
use protocols::naming::{MAX_PREFIX_BYTES, is_prefix};

/// Most prefixes of a node.
pub const MOST_PREFIXES: usize = 256;

/// A prefix with its server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// Without brackets.
    pub name: String,
    /// Who answers for it.
    pub server: Pid,
    /// The directory of the server that it stands for.
    pub context: u32,
    /// Whether it means the same on every node.
    pub is_global: bool,
}

/// The prefixes, sorted by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    bindings: Vec<Binding>,
}

impl Table {
    /// The binding of a prefix.
    pub fn find(&self, name: &str) -> Option<&Binding> {
        self.place(name).ok().map(|place| &self.bindings[place])
    }

    /// The binding at a position, counted from 0.
    pub fn at(&self, position: usize) -> Option<&Binding> {
        self.bindings.get(position)
    }

    /// All of them.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Lets `server` answer for a prefix, unless another one that `lives` has it.
    pub fn register(
        &mut self,
        name: &str,
        server: Pid,
        context: u32,
        is_global: bool,
        lives: impl FnOnce(Pid) -> bool,
    ) -> Result<(), Error> {
        if !is_prefix(name) {
            return Err(Error::BadName);
        }
        match self.place(name) {
            Ok(place) => {
                let binding = &mut self.bindings[place];
                if binding.server != server && lives(binding.server) {
                    return Err(Error::Busy);
                }
                binding.server = server;
                binding.context = context;
                binding.is_global = is_global;
            }
            Err(_) if self.bindings.len() == MOST_PREFIXES => return Err(Error::NoResources),
            Err(place) => {
                let name = name.to_owned();
                self.bindings.insert(place, Binding { name, server, context, is_global });
            }
        }
        Ok(())
    }

    /// Takes a prefix out, if `may` says so of its server.
    pub fn unregister(&mut self, name: &str, may: impl FnOnce(Pid) -> bool) -> Result<(), Error> {
        let place = self.place(name).map_err(|_| Error::NoSuchPrefix)?;
        if !may(self.bindings[place].server) {
            return Err(Error::NoPermission);
        }
        self.bindings.remove(place);
        Ok(())
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.bindings.binary_search_by(|binding| binding.name.as_str().cmp(name))
    }

    /// The table as bytes: for each prefix its server, context, whether it is global, length and name.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for binding in &self.bindings {
            bytes.extend(binding.server.to_bits().to_le_bytes());
            bytes.extend(binding.context.to_le_bytes());
            bytes.push(u8::from(binding.is_global));
            bytes.push(binding.name.len() as u8);
            bytes.extend(binding.name.as_bytes());
        }
        bytes
    }

    /// The table from bytes; what is malformed ends it.
    pub fn decode(bytes: &[u8]) -> Table {
        let mut table = Table::default();
        let mut rest = bytes;
        while let Some((binding, after)) = decode_one(rest) {
            rest = after;
            let (name, server, context, is_global) = binding;
            if table.register(name, server, context, is_global, |_| false).is_err() {
                break;
            }
        }
        table
    }
}

type Decoded<'a> = ((&'a str, Pid, u32, bool), &'a [u8]);

fn decode_one(bytes: &[u8]) -> Option<Decoded<'_>> {
    let (server, rest) = bytes.split_first_chunk::<8>()?;
    let (context, rest) = rest.split_first_chunk::<4>()?;
    let (is_global, rest) = rest.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let name = core::str::from_utf8(name).ok()?;
    let server = Pid::from_bits(u64::from_le_bytes(*server));
    Some(((name, server, u32::from_le_bytes(*context), *is_global != 0), rest))
}

const _: () = assert!(
    MOST_PREFIXES * (MAX_PREFIX_BYTES + 14) <= protocols::supervisor::MAX_STATE_BYTES,
    "the supervisor keeps any table"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::format;

    fn pid(number: u64) -> Pid {
        Pid::from_bits(number)
    }

    fn living(_: Pid) -> bool {
        true
    }

    #[test]
    fn a_prefix_stays_with_its_server_while_that_lives() {
        let mut table = Table::default();
        assert_eq!(table.register("tmp", pid(1), 4, false, living), Ok(()));
        assert_eq!(table.register("tmp", pid(2), 0, false, living), Err(Error::Busy));
        assert_eq!(table.register("tmp", pid(1), 5, false, living), Ok(()));
        assert_eq!(table.find("tmp").unwrap().context, 5);
        assert_eq!(table.register("tmp", pid(2), 0, false, |server| server != pid(1)), Ok(()));
        assert_eq!(table.find("tmp").unwrap().server, pid(2));
        assert_eq!(table.unregister("tmp", |_| false), Err(Error::NoPermission));
        assert_eq!(table.unregister("tmp", living), Ok(()));
        assert_eq!(table.unregister("tmp", living), Err(Error::NoSuchPrefix));
        assert_eq!(table.find("tmp"), None);
    }

    #[test]
    fn names_are_checked_and_counted() {
        let mut table = Table::default();
        for name in ["", "a/b", "[a]", "ä", &"a".repeat(33)] {
            assert_eq!(table.register(name, pid(1), 0, false, living), Err(Error::BadName));
        }
        for number in 0..MOST_PREFIXES {
            table.register(&format!("p{number}"), pid(1), 0, false, living).unwrap();
        }
        assert_eq!(table.register("q", pid(1), 0, false, living), Err(Error::NoResources));
        assert_eq!(table.at(1).unwrap().name, "p1");
        assert_eq!(table.at(MOST_PREFIXES), None);
        assert_eq!(Table::decode(&table.encode()), table);
    }

    proptest! {
        #[test]
        fn no_state_confuses_the_next_life(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let table = Table::decode(&bytes);
            prop_assert_eq!(Table::decode(&table.encode()), table);
        }
    }
}
