//! A program's table of prefixes, and the syntax of names.

use alloc_crate::borrow::ToOwned;
use alloc_crate::format;
use alloc_crate::string::String;
use alloc_crate::vec::Vec;

use abi::{Error, LogicalHost, Pid};
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
    /// Bindings: the program's own, and what the naming group said.
    bindings: Vec<Entered>,
    /// What other nodes' naming servers said: node, prefix there, and what that is.
    elsewhere: Vec<(String, String, Pid, u32)>,
    pub(super) directory: Option<Directory>,
    /// The node whose naming server is asked, if it is not the program's.
    pub(super) home: Option<LogicalHost>,
}

/// A binding, and where it is from.
#[derive(Debug)]
struct Entered {
    binding: Binding,
    /// The naming group said it.
    is_learnt: bool,
}

/// What is known of a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Known<'a> {
    /// Its prefix, or the working directory, is this directory of this server, and this is the path from there.
    Place(Pid, u32, &'a str),
    /// The name stands for this one: its prefix is an alias, or the working directory a list of prefixes.
    Alias(String),
    /// Somebody has to be asked for this prefix; and the path.
    Ask(&'a str, &'a str),
}

/// The longest name that an alias may lead to.
const MAX_EXPANDED_BYTES: usize = 4 * MAX_PATH_BYTES;

impl Table {
    /// What a start block says.
    pub(super) fn from_entries<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Table {
        let mut table = Table::default();
        for entry in entries {
            match entry {
                Entry::Prefix { name, server, context } => table.bind(name, Bound::Context(server, context)),
                Entry::Learnt { name, server, context } => table.learn(name, server, context),
                Entry::Home { host } => table.home = Some(host),
                Entry::Alias { name, target } => table.bind(name, Bound::Alias(target.to_owned())),
                Entry::Directory { server, context, name } => {
                    table.directory = Some(Directory { server, context, name: name.to_owned() });
                }
                Entry::Argument(_)
                | Entry::Variable(_)
                | Entry::Stream { .. }
                | Entry::Position { .. }
                | Entry::Job { .. }
                | Entry::Image { .. } => {}
            }
        }
        table
    }

    /// The server, directory and path of a name with a prefix that is known to be a directory, as most are.
    #[inline]
    pub(super) fn find<'a>(&self, name: &'a str) -> Option<(Pid, u32, &'a str)> {
        self.bindings.iter().find_map(|Entered { binding, .. }| {
            let path = path_after(&binding.prefix, name)?;
            match binding.to {
                // What is bound to no server means whatever the naming group says, which may be further on.
                Bound::Context(server, context) if !server.is_none() => Some((server, context, path)),
                Bound::Context(..) | Bound::Alias(_) => None,
            }
        })
    }

    /// Where a name leads, as far as is known here.
    pub(super) fn look_up<'a>(&self, name: &'a str) -> Result<Known<'a>, Error> {
        if let Some((server, context, path)) = self.find(name) {
            return Ok(Known::Place(server, context, path));
        }
        let (context, path) = match parse(name) {
            Parsed::Prefixed(prefix, path) => return self.look_up_prefix(prefix, path),
            Parsed::Absolute(path) => (Some(0), path),
            // What a variable that is not set leaves of a name names nothing, least of all everything that is here.
            Parsed::Relative("") => return Err(Error::NotFound),
            Parsed::Relative(path) => (None, path),
        };
        let directory = self.directory.as_ref().ok_or(Error::NoSuchPrefix)?;
        if directory.context == PREFIXES {
            return Ok(Known::Alias(full_name(name, Some(&directory.name))?));
        }
        Ok(Known::Place(directory.server, context.unwrap_or(directory.context), path))
    }

    /// The same for a prefix that is not known to be a directory of this node.
    fn look_up_prefix<'a>(&self, prefix: &'a str, path: &'a str) -> Result<Known<'a>, Error> {
        let of_prefix = |entered: &&Entered| entered.binding.prefix == prefix;
        if let Some(Bound::Alias(target)) =
            self.bindings.iter().find(of_prefix).map(|found| &found.binding.to)
        {
            let longer = join(target, path);
            if longer.len() > MAX_EXPANDED_BYTES || !matches!(parse(&longer), Parsed::Prefixed(..)) {
                return Err(Error::BadName);
            }
            return Ok(Known::Alias(longer));
        }
        let (inner, rest) = first_of(path);
        let is_it = |known: &&(String, String, Pid, u32)| known.0 == prefix && known.1 == inner;
        Ok(match self.elsewhere.iter().find(is_it) {
            Some((.., server, context)) => Known::Place(*server, *context, rest),
            None => Known::Ask(prefix, path),
        })
    }

    /// Remembers what the naming group said.
    pub(super) fn learn(&mut self, prefix: &str, server: Pid, context: u32) {
        self.bindings.retain(|entered| !entered.is_learnt || entered.binding.prefix != prefix);
        self.enter(prefix, Bound::Context(server, context), true);
    }

    /// Remembers what the naming server of another node said.
    pub(super) fn learn_elsewhere(&mut self, node: &str, prefix: &str, server: Pid, context: u32) {
        self.elsewhere.retain(|(known, learnt, ..)| known != node || learnt != prefix);
        self.elsewhere.push((node.to_owned(), prefix.to_owned(), server, context));
    }

    /// Forgets a server that has gone; bindings to it now mean what the naming group says of their prefix.
    pub(super) fn forget(&mut self, server: Pid) {
        let is_to_it = |to: &Bound| matches!(to, Bound::Context(known, _) if *known == server);
        self.bindings.retain(|entered| !entered.is_learnt || !is_to_it(&entered.binding.to));
        self.elsewhere.retain(|(.., learnt, _)| *learnt != server);
        for Entered { binding, .. } in &mut self.bindings {
            if is_to_it(&binding.to) {
                binding.to = Bound::Context(Pid::NONE, 0);
            }
        }
    }

    pub(super) fn bind(&mut self, prefix: &str, to: Bound) {
        // What was learnt of it goes as well: it may stand before what is bound now.
        self.bindings.retain(|entered| entered.binding.prefix != prefix);
        self.enter(prefix, to, false);
    }

    pub(super) fn unbind(&mut self, prefix: &str) -> bool {
        let before = self.bindings.len();
        self.bindings.retain(|entered| entered.is_learnt || entered.binding.prefix != prefix);
        self.bindings.len() < before
    }

    fn enter(&mut self, prefix: &str, to: Bound, is_learnt: bool) {
        self.bindings.push(Entered { binding: Binding { prefix: prefix.to_owned(), to }, is_learnt });
    }

    /// Replaces the program's own bindings.
    pub(super) fn set_own(&mut self, own: Vec<Binding>) {
        self.bindings.retain(|entered| entered.is_learnt);
        for binding in own {
            self.bind(&binding.prefix, binding.to);
        }
    }

    /// What the naming group said of prefixes.
    pub(super) fn learnt(&self) -> impl Iterator<Item = (&str, Pid, u32)> {
        self.bindings.iter().filter(|entered| entered.is_learnt).filter_map(|entered| {
            match entered.binding.to {
                Bound::Context(server, context) => Some((&*entered.binding.prefix, server, context)),
                Bound::Alias(_) => None,
            }
        })
    }

    /// The program's own bindings, sorted.
    pub(super) fn own(&self) -> Vec<Binding> {
        let own = self.bindings.iter().filter(|entered| !entered.is_learnt);
        let mut own: Vec<Binding> = own.map(|entered| entered.binding.clone()).collect();
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

    fn ask<'a>(prefix: &'a str, path: &'a str) -> Known<'a> {
        Known::Ask(prefix, path)
    }

    fn place(server: Pid, context: u32, path: &str) -> Known<'_> {
        Known::Place(server, context, path)
    }

    fn alias_of(name: &str) -> Known<'static> {
        Known::Alias(name.to_owned())
    }

    #[test]
    fn prefixes_lead_to_servers() {
        let table = table();
        assert_eq!(table.look_up("[tmp]/a/b"), Ok(place(ONE, 3, "a/b")));
        assert_eq!(table.look_up("a"), Ok(place(OTHER, 7, "a")));
        assert_eq!(table.look_up("/a"), Ok(place(OTHER, 0, "a")));
        assert_eq!(table.look_up("[boot]a"), Ok(ask("boot", "a")));
        assert_eq!(table.look_up("[node2]"), Ok(ask("node2", "")));
        assert_eq!(table.look_up("[home]a"), Ok(alias_of("[tmp]users/me/a")));
        assert_eq!(table.look_up("[home]"), Ok(alias_of("[tmp]users/me")));
        assert_eq!(table.look_up("[a]y"), Ok(alias_of("[b]x/y")));
        assert_eq!(table.look_up("[odd]x"), Err(Error::BadName));
        assert_eq!(Table::default().look_up("a"), Err(Error::NoSuchPrefix));
        assert_eq!(table.look_up(""), Err(Error::NotFound));
    }

    #[test]
    fn prefixes_of_other_nodes_are_remembered_until_their_server_has_gone() {
        let mut table = table();
        table.learn_elsewhere("node2", "tmp", TWO_ELSEWHERE, 5);
        table.learn_elsewhere("node2", "boot", ONE, 6);
        assert_eq!(table.look_up("[node2]tmp//a/b"), Ok(place(TWO_ELSEWHERE, 5, "a/b")));
        assert_eq!(table.look_up("[node2]/tmp"), Ok(place(TWO_ELSEWHERE, 5, "")));
        assert_eq!(table.look_up("[node2]boot/a"), Ok(place(ONE, 6, "a")));
        assert_eq!(table.look_up("[node2]tmpa"), Ok(ask("node2", "tmpa")));
        assert_eq!(table.look_up("[node3]tmp"), Ok(ask("node3", "tmp")));
        table.forget(TWO_ELSEWHERE);
        assert_eq!(table.look_up("[node2]tmp/a"), Ok(ask("node2", "tmp/a")));
        assert_eq!(table.look_up("[node2]boot/a"), Ok(place(ONE, 6, "a")));
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
        assert_eq!(table.look_up("."), Ok(alias_of("[node2]")));
        assert_eq!(table.look_up("boot/bin/./ls"), Ok(alias_of("[node2]boot/bin/ls")));
        assert_eq!(table.look_up("/boot"), Ok(alias_of("[node2]boot")));
        assert_eq!(table.look_up("[node2]"), Ok(place(TWO_ELSEWHERE, PREFIXES, "")));
        assert_eq!(table.look_up("[node2]boot/bin/ls"), Ok(place(OTHER, 6, "bin/ls")));
        assert_eq!(table.look_up("[node2]tmp"), Ok(ask("node2", "tmp")));
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
    fn what_has_gone_is_asked_again() {
        let mut table = table();
        table.learn("boot", OTHER, 1);
        table.learn("boot", ONE, 2);
        assert_eq!(table.look_up("[boot]a"), Ok(place(ONE, 2, "a")));
        table.forget(ONE);
        assert_eq!(table.look_up("[boot]a"), Ok(ask("boot", "a")));
        assert_eq!(table.look_up("[tmp]users"), Ok(ask("tmp", "users")));
        table.learn("tmp", OTHER, 5);
        assert_eq!(table.look_up("[tmp]a"), Ok(place(OTHER, 5, "a")));
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
