//! A program's table of prefixes, and the syntax of names.

use alloc_crate::borrow::{Cow, ToOwned};
use alloc_crate::format;
use alloc_crate::string::String;
use alloc_crate::vec::Vec;

use abi::{Error, Pid};
use protocols::names::MAX_PATH_BYTES;
use protocols::naming::{MAX_PREFIX_BYTES, PREFIXES, is_prefix_byte};
use protocols::program::Entry;

/// What a prefix of the program's own table is bound to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bound {
    /// A directory of a server. Without a server: whatever the naming group says of this prefix.
    Context(Pid, u32),
    /// Another name.
    Alias(String),
}

/// A prefix and what it is bound to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Binding {
    /// Without brackets.
    pub prefix: String,
    /// What it means.
    pub to: Bound,
}

/// A directory: where it is, and its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// Its server.
    pub server: Pid,
    /// Its context there.
    pub context: u32,
    /// Its full name, for people and to find it again.
    pub name: String,
}

/// All that a program knows of names.
#[derive(Debug, Default)]
pub(super) struct Table {
    own: Vec<Binding>,
    /// What the naming group said.
    learnt: Vec<(String, Pid, u32)>,
    /// What other nodes' naming servers said: node, prefix there, and what that is.
    elsewhere: Vec<(String, String, Pid, u32)>,
    pub(super) directory: Option<Directory>,
}

/// What is known of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// Its prefix, or the working directory, is this directory of this server.
    Place(Pid, u32),
    /// The naming group has to be asked for its prefix.
    Ask,
}

/// Aliases of aliases are followed so far; beyond it they go in a circle.
const MAX_ALIASES: usize = 16;
/// The longest name that an alias may lead to.
const MAX_EXPANDED_BYTES: usize = 4 * MAX_PATH_BYTES;

impl Table {
    /// What a start block says.
    pub(super) fn from_entries<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Table {
        let mut table = Table::default();
        for entry in entries {
            match entry {
                Entry::Prefix { name, server, context } => table.bind(name, Bound::Context(server, context)),
                Entry::Alias { name, target } => table.bind(name, Bound::Alias(target.to_owned())),
                Entry::Directory { server, context, name } => {
                    table.directory = Some(Directory { server, context, name: name.to_owned() });
                }
                Entry::Argument(_) | Entry::Variable(_) | Entry::Stream { .. } | Entry::Position { .. } => {}
            }
        }
        table
    }

    /// Where a name leads, as far as is known here; the name with its aliases replaced; and how long the path is at its
    /// end.
    #[inline]
    pub(super) fn look_up<'a>(&self, mut name: Cow<'a, str>) -> Result<(Known, Cow<'a, str>, usize), Error> {
        for _ in 0..MAX_ALIASES {
            let own =
                self.own.iter().find_map(|binding| Some((&binding.to, path_after(&binding.prefix, &name)?)));
            match own {
                Some((Bound::Context(server, context), path)) if !server.is_none() => {
                    let path_bytes = path.len();
                    return Ok((Known::Place(*server, *context), name, path_bytes));
                }
                Some((Bound::Alias(target), path)) => {
                    let longer = join(target, path);
                    if longer.len() > MAX_EXPANDED_BYTES || !matches!(parse(&longer), Parsed::Prefixed(..)) {
                        return Err(Error::BadName);
                    }
                    name = Cow::Owned(longer);
                    continue;
                }
                // Bound to whatever the naming group says, or not at all.
                Some((Bound::Context(..), _)) | None => {}
            }
            for (prefix, server, context) in &self.learnt {
                if let Some(path) = path_after(prefix, &name) {
                    let path_bytes = path.len();
                    return Ok((Known::Place(*server, *context), name, path_bytes));
                }
            }
            let (context, path) = match parse(&name) {
                Parsed::Prefixed(node, path) => {
                    let (prefix, inner) = first_of(path);
                    let is_it = |known: &&(String, String, Pid, u32)| known.0 == node && known.1 == prefix;
                    if let Some((.., server, context)) = self.elsewhere.iter().find(is_it) {
                        let path_bytes = inner.len();
                        return Ok((Known::Place(*server, *context), name, path_bytes));
                    }
                    let path_bytes = path.len();
                    return Ok((Known::Ask, name, path_bytes));
                }
                Parsed::Absolute(path) => (Some(0), path),
                Parsed::Relative(path) => (None, path),
            };
            let path_bytes = path.len();
            let directory = self.directory.as_ref().ok_or(Error::NoSuchPrefix)?;
            if directory.context == PREFIXES {
                name = Cow::Owned(full_name(&name, Some(&directory.name))?);
                continue;
            }
            let place = Known::Place(directory.server, context.unwrap_or(directory.context));
            return Ok((place, name, path_bytes));
        }
        Err(Error::BadName)
    }

    /// Remembers what the naming group said.
    pub(super) fn learn(&mut self, prefix: &str, server: Pid, context: u32) {
        self.learnt.retain(|(learnt, ..)| learnt != prefix);
        self.learnt.push((prefix.to_owned(), server, context));
    }

    /// Remembers what the naming server of another node said.
    pub(super) fn learn_elsewhere(&mut self, node: &str, prefix: &str, server: Pid, context: u32) {
        self.elsewhere.retain(|(known, learnt, ..)| known != node || learnt != prefix);
        self.elsewhere.push((node.to_owned(), prefix.to_owned(), server, context));
    }

    /// Forgets a server that has gone; bindings to it now mean what the naming group says of their prefix.
    pub(super) fn forget(&mut self, server: Pid) {
        self.learnt.retain(|(_, learnt, _)| *learnt != server);
        self.elsewhere.retain(|(.., learnt, _)| *learnt != server);
        for binding in &mut self.own {
            if matches!(binding.to, Bound::Context(known, _) if known == server) {
                binding.to = Bound::Context(Pid::NONE, 0);
            }
        }
    }

    pub(super) fn bind(&mut self, prefix: &str, to: Bound) {
        self.unbind(prefix);
        self.own.push(Binding { prefix: prefix.to_owned(), to });
    }

    pub(super) fn unbind(&mut self, prefix: &str) -> bool {
        let before = self.own.len();
        self.own.retain(|binding| binding.prefix != prefix);
        self.own.len() < before
    }

    /// Replaces the program's own bindings.
    pub(super) fn set_own(&mut self, own: Vec<Binding>) {
        self.own = own;
    }

    /// The program's own bindings, sorted.
    pub(super) fn own(&self) -> Vec<Binding> {
        let mut own = self.own.clone();
        own.sort();
        own
    }
}

/// A name by its form; the path is without leading slashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Parsed<'a> {
    /// `[prefix]path` or `[prefix]/path`.
    Prefixed(&'a str, &'a str),
    /// `/path`: from the root of the working directory's server.
    Absolute(&'a str),
    /// `path`. So is what begins with a bracket and has no prefix in it.
    Relative(&'a str),
}

#[inline]
pub(super) fn parse(name: &str) -> Parsed<'_> {
    match prefix_bytes(name) {
        Some(bytes) => Parsed::Prefixed(&name[1..=bytes], without_slashes(&name[bytes + 2..])),
        None if name.starts_with('/') => Parsed::Absolute(without_slashes(name)),
        None => Parsed::Relative(name),
    }
}

/// How long the prefix is between the brackets that the name begins with.
#[inline]
fn prefix_bytes(name: &str) -> Option<usize> {
    let inside = name.as_bytes().strip_prefix(b"[")?;
    let bytes = inside.iter().position(|byte| !is_prefix_byte(*byte))?;
    (inside[bytes] == b']' && (1..=MAX_PREFIX_BYTES).contains(&bytes)).then_some(bytes)
}

/// The path of a name that begins with `[prefix]`, as [`parse`] would have it: to look for a known prefix takes less
/// than to find the end of whichever there is.
#[inline]
fn path_after<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    // Most prefixes differ in length.
    if name.as_bytes().get(prefix.len() + 1) != Some(&b']') {
        return None;
    }
    let path = name.strip_prefix('[')?.strip_prefix(prefix)?.strip_prefix(']')?;
    Some(without_slashes(path))
}

/// The first part of a path, and what comes after it, without leading slashes.
pub(super) fn first_of(path: &str) -> (&str, &str) {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    (first, without_slashes(rest))
}

#[inline]
fn without_slashes(mut path: &str) -> &str {
    while let Some(rest) = path.strip_prefix('/') {
        path = rest;
    }
    path
}

/// A path below a name.
fn join(name: &str, path: &str) -> String {
    if path.is_empty() || name.ends_with([']', '/']) {
        format!("{name}{path}")
    } else {
        format!("{name}/{path}")
    }
}

/// See `super::full_name`.
pub(super) fn full_name(name: &str, directory: Option<&str>) -> Result<String, Error> {
    let (prefix, beginning, path) = match (parse(name), directory.map(parse)) {
        (Parsed::Prefixed(prefix, path), _) | (Parsed::Absolute(path), Some(Parsed::Prefixed(prefix, _))) => {
            (prefix, "", path)
        }
        (Parsed::Relative(path), Some(Parsed::Prefixed(prefix, beginning))) => (prefix, beginning, path),
        _ => return Err(Error::NoSuchPrefix),
    };
    let mut components: Vec<&str> = Vec::new();
    for component in beginning.split('/').chain(path.split('/')) {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()),
            component => components.push(component),
        }
    }
    Ok(format!("[{prefix}]{}", components.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Pid = Pid::from_bits(0x2000_0001_0001_0011);
    const TWO_ELSEWHERE: Pid = Pid::from_bits(0x2000_0002_0001_0010);
    const OTHER: Pid = Pid::from_bits(0x2000_0001_0001_0012);

    fn table() -> Table {
        Table::from_entries(
            [
                Entry::Argument("test"),
                Entry::Prefix { name: "tmp", server: ONE, context: 3 },
                Entry::Prefix { name: "boot", server: Pid::NONE, context: 0 },
                Entry::Alias { name: "home", target: "[tmp]users/me" },
                Entry::Alias { name: "a", target: "[b]x" },
                Entry::Alias { name: "b", target: "[a]" },
                Entry::Alias { name: "odd", target: "relative" },
                Entry::Directory { server: OTHER, context: 7, name: "[disk]work/here" },
            ]
            .into_iter(),
        )
    }

    #[test]
    fn names_are_told_by_their_form() {
        assert_eq!(parse("[tmp]a/b"), Parsed::Prefixed("tmp", "a/b"));
        assert_eq!(parse("[tmp]//a"), Parsed::Prefixed("tmp", "a"));
        assert_eq!(parse("[tmp]"), Parsed::Prefixed("tmp", ""));
        assert_eq!(parse("/a"), Parsed::Absolute("a"));
        assert_eq!(parse(""), Parsed::Relative(""));
        assert_eq!(parse("///a//b"), Parsed::Absolute("a//b"));
        let longest = "x".repeat(MAX_PREFIX_BYTES);
        let (most, too_long) = (format!("[{longest}]"), format!("[{longest}x]"));
        assert_eq!(parse(&most), Parsed::Prefixed(&longest, ""));
        assert_eq!(parse(&too_long), Parsed::Relative(&too_long));
        for odd in ["[", "[]", "[]a", "[a b]c", "[tmp", "a[tmp]b", "tmp]a", "[ä]", "[tmp[tmp]"] {
            assert_eq!(parse(odd), Parsed::Relative(odd), "{odd}");
        }
    }

    /// What is known of a name, which prefix the naming group would be asked for, and what the server.
    fn look_up(table: &Table, name: &'static str) -> Result<(Known, String, String), Error> {
        let (known, name, path_bytes) = table.look_up(Cow::Borrowed(name))?;
        let prefix = match (known, parse(&name)) {
            (Known::Ask, Parsed::Prefixed(prefix, _)) => prefix,
            _ => "",
        };
        Ok((known, prefix.to_owned(), name[name.len() - path_bytes..].to_owned()))
    }

    fn ask(prefix: &str, rest: &str) -> (Known, String, String) {
        (Known::Ask, prefix.to_owned(), rest.to_owned())
    }

    #[test]
    fn prefixes_lead_to_servers() {
        let table = table();
        let place =
            |server, context, rest: &str| Ok((Known::Place(server, context), String::new(), rest.to_owned()));
        assert_eq!(look_up(&table, "[tmp]/a/b"), place(ONE, 3, "a/b"));
        assert_eq!(look_up(&table, "a"), place(OTHER, 7, "a"));
        assert_eq!(look_up(&table, "/a"), place(OTHER, 0, "a"));
        assert_eq!(look_up(&table, "[boot]a"), Ok(ask("boot", "a")));
        assert_eq!(look_up(&table, "[node2]"), Ok(ask("node2", "")));
        assert_eq!(look_up(&table, "[home]a"), place(ONE, 3, "users/me/a"));
        assert_eq!(look_up(&table, "[home]"), place(ONE, 3, "users/me"));
        assert_eq!(look_up(&Table::default(), "a"), Err(Error::NoSuchPrefix));
    }

    #[test]
    fn prefixes_of_other_nodes_are_remembered_until_their_server_has_gone() {
        let mut table = table();
        table.learn_elsewhere("node2", "tmp", TWO_ELSEWHERE, 5);
        table.learn_elsewhere("node2", "boot", ONE, 6);
        let place =
            |server, context, rest: &str| Ok((Known::Place(server, context), String::new(), rest.to_owned()));
        assert_eq!(look_up(&table, "[node2]tmp//a/b"), place(TWO_ELSEWHERE, 5, "a/b"));
        assert_eq!(look_up(&table, "[node2]/tmp"), place(TWO_ELSEWHERE, 5, ""));
        assert_eq!(look_up(&table, "[node2]boot/a"), place(ONE, 6, "a"));
        assert_eq!(look_up(&table, "[node2]tmpa"), Ok(ask("node2", "tmpa")));
        assert_eq!(look_up(&table, "[node3]tmp"), Ok(ask("node3", "tmp")));
        table.forget(TWO_ELSEWHERE);
        assert_eq!(look_up(&table, "[node2]tmp/a"), Ok(ask("node2", "tmp/a")));
        assert_eq!(look_up(&table, "[node2]boot/a"), place(ONE, 6, "a"));
        assert_eq!(first_of("a/b/c"), ("a", "b/c"));
        assert_eq!(first_of(""), ("", ""));
    }

    #[test]
    fn names_below_a_list_of_prefixes_are_looked_up_in_full() {
        let mut table = table();
        let directory = Directory { server: TWO_ELSEWHERE, context: PREFIXES, name: "[node2]".to_owned() };
        table.directory = Some(directory);
        table.learn_elsewhere("node2", "", TWO_ELSEWHERE, PREFIXES);
        table.learn_elsewhere("node2", "boot", OTHER, 6);
        let place =
            |server, context, rest: &str| Ok((Known::Place(server, context), String::new(), rest.to_owned()));
        assert_eq!(look_up(&table, ""), place(TWO_ELSEWHERE, PREFIXES, ""));
        assert_eq!(look_up(&table, "."), place(TWO_ELSEWHERE, PREFIXES, ""));
        assert_eq!(look_up(&table, "boot/bin/./ls"), place(OTHER, 6, "bin/ls"));
        assert_eq!(look_up(&table, "/boot"), place(OTHER, 6, ""));
        assert_eq!(look_up(&table, "tmp"), Ok(ask("node2", "tmp")));
    }

    #[test]
    fn known_prefixes_are_found_as_names_are_parsed() {
        const PREFIXES: [&str; 4] = ["a", "tmp", "t-1.x", "TMP"];
        for inside in PREFIXES.into_iter().chain(["", "x", "tm", "tmpp", "t p", "ä", "a]"]) {
            for beginning in ["", "[", "[[", "]", "x["] {
                for end in ["", "]", "]]", "]/", "]//a", "]a/b", "]ä", "]]a", " ]", "[", "a]"] {
                    let name = format!("{beginning}{inside}{end}");
                    for known in PREFIXES {
                        let plain = match parse(&name) {
                            Parsed::Prefixed(prefix, path) => (prefix == known).then_some(path),
                            Parsed::Absolute(_) | Parsed::Relative(_) => None,
                        };
                        assert_eq!(path_after(known, &name), plain, "{name}");
                    }
                }
            }
        }
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let mut table = table();
        assert_eq!(look_up(&table, "[a]"), Err(Error::BadName));
        assert_eq!(look_up(&table, "[odd]x"), Err(Error::BadName));
        table.bind("c", Bound::Alias("[c]".to_owned()));
        assert_eq!(look_up(&table, "[c]"), Err(Error::BadName));
    }

    #[test]
    fn what_has_gone_is_asked_again() {
        let mut table = table();
        table.learn("boot", OTHER, 1);
        table.learn("boot", ONE, 2);
        assert_eq!(look_up(&table, "[boot]a").unwrap().0, Known::Place(ONE, 2));
        table.forget(ONE);
        assert_eq!(look_up(&table, "[boot]a"), Ok(ask("boot", "a")));
        assert_eq!(look_up(&table, "[home]a"), Ok(ask("tmp", "users/me/a")));
        table.learn("tmp", OTHER, 5);
        assert_eq!(look_up(&table, "[tmp]a").unwrap().0, Known::Place(OTHER, 5));
        assert!(table.unbind("home") && !table.unbind("home"));
    }

    #[test]
    fn full_names_have_no_dots() {
        let full = |name| full_name(name, Some("[disk]work/here"));
        assert_eq!(full("../a/./b//c").unwrap(), "[disk]work/a/b/c");
        assert_eq!(full("../../../..").unwrap(), "[disk]");
        assert_eq!(full("/x").unwrap(), "[disk]x");
        assert_eq!(full("[tmp]a/..").unwrap(), "[tmp]");
        assert_eq!(full("").unwrap(), "[disk]work/here");
        assert_eq!(full_name("a", None), Err(Error::NoSuchPrefix));
        assert_eq!(full_name("a", Some("odd")), Err(Error::NoSuchPrefix));
    }
}
