//! Directories and files by name, and who may change what.
//!
//! There are two trees in one table: the boot archive's, which nothing changes, and the one that can be written. A
//! node's number is its directory's context. Each node has one name; one without a name lives on while it is open.
//!
//! A file is read and written, a directory listed and given names, as its [permissions](Permissions) say. A name is removed
//! by who owns the object, or may write the directory; in the root, where everyone may make names, only by the first. The
//! system's own servers may do all of that.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use core::borrow::Borrow;

use abi::{Error, UserId};
use io_server::path::{self, Step};
use io_server::{AccessChange, Listing, System, Table, table};
use protocols::io::attribute;
use protocols::names::{Descriptor, MAX_PATH_BYTES, kind};
use protocols::permissions::{self, Permissions};

use crate::content::Content;
use crate::pool::Pool;
use crate::quota::{Quota, Usage};

/// A name in a directory, which the node has too. It is looked for as bytes, in whose order text is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Name(Rc<str>);

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A file or directory.
#[derive(Debug)]
pub struct Node {
    /// Whose it is.
    pub owner: UserId,
    /// Who may read and write it.
    pub permissions: Permissions,
    /// Last change, in nanoseconds since 1970.
    pub modified_ns: u64,
    created_ns: u64,
    /// Tells it from all others, those before it included.
    pub serial: u64,
    /// The directory in which its name is; its own number for a root, 0 once it has no name.
    parent: u32,
    /// Its name there; none for a root.
    name: Option<Name>,
    /// Open instances.
    pub open_count: u32,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug)]
pub enum Kind {
    /// A directory: names and the nodes' numbers.
    Directory(BTreeMap<Name, u32>),
    /// A file that can be written.
    File(Content),
    /// A file of the boot archive, where it lies.
    Archived(&'static [u8]),
    /// A directory of the boot archive.
    ArchivedDirectory(BTreeMap<Name, u32>),
}

impl Node {
    fn entries(&self) -> Result<&BTreeMap<Name, u32>, Error> {
        match &self.kind {
            Kind::Directory(entries) | Kind::ArchivedDirectory(entries) => Ok(entries),
            Kind::File(_) | Kind::Archived(_) => Err(Error::NotADirectory),
        }
    }

    fn entries_mut(&mut self) -> Result<&mut BTreeMap<Name, u32>, Error> {
        match &mut self.kind {
            Kind::Directory(entries) | Kind::ArchivedDirectory(entries) => Ok(entries),
            Kind::File(_) | Kind::Archived(_) => Err(Error::NotADirectory),
        }
    }

    /// Whether it has names in it.
    pub fn is_directory(&self) -> bool {
        self.entries().is_ok()
    }

    /// Whether it is of the boot archive.
    pub fn is_archived(&self) -> bool {
        matches!(self.kind, Kind::Archived(_) | Kind::ArchivedDirectory(_))
    }

    /// Whether it has no name and is not open.
    pub fn is_unused(&self) -> bool {
        self.parent == 0 && self.open_count == 0
    }

    /// Bytes of a file; names in a directory.
    pub fn size(&self) -> u64 {
        match &self.kind {
            Kind::Directory(entries) | Kind::ArchivedDirectory(entries) => entries.len() as u64,
            Kind::File(content) => content.size(),
            Kind::Archived(content) => content.len() as u64,
        }
    }

    /// The descriptor, with a name.
    pub fn descriptor<'a>(&self, name: &'a str) -> Descriptor<'a> {
        let directory = if self.is_directory() { attribute::DIRECTORY } else { 0 };
        let writable = if self.is_archived() { 0 } else { attribute::WRITABLE };
        Descriptor {
            kind: if self.is_directory() { kind::DIRECTORY } else { kind::FILE },
            attributes: attribute::READABLE | directory | writable | self.permissions.in_attributes(),
            owner: self.owner.0,
            size: self.size(),
            modified_ns: self.modified_ns,
            created_ns: self.created_ns,
            object: self.serial,
            name,
        }
    }
}

/// Both trees.
#[derive(Debug)]
pub struct Tree {
    nodes: Table<Node>,
    root: u32,
    boot_root: u32,
    next_serial: u64,
    /// What the files that can be written take.
    pub usage: Usage,
    /// The pages that they are in.
    pub pool: Pool,
}

/// Where a name is or is to be.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The directory.
    pub directory: u32,
    /// The name in it.
    pub name: &'a str,
    /// The node of that name.
    pub node: Option<u32>,
}

impl Tree {
    /// Two empty roots, made `now_ns`.
    pub fn new(quota: Quota, now_ns: u64) -> Tree {
        let mut tree = Tree {
            nodes: Table::new(table::MAX_SLOTS),
            root: 0,
            boot_root: 0,
            next_serial: 0,
            usage: Usage::new(quota),
            pool: Pool::new(),
        };
        tree.root = tree.add_root(Kind::Directory(BTreeMap::new()), now_ns);
        if let Some(node) = tree.nodes.get_mut(tree.root) {
            node.permissions = Permissions::EVERYTHING;
        }
        tree.boot_root = tree.add_root(Kind::ArchivedDirectory(BTreeMap::new()), now_ns);
        tree
    }

    fn add_root(&mut self, kind: Kind, now_ns: u64) -> u32 {
        let number = self.insert(kind, UserId::SYSTEM, 0, now_ns);
        // The table is new and not full.
        let number = number.unwrap_or(0);
        if let Some(node) = self.nodes.get_mut(number) {
            node.parent = number;
        }
        number
    }

    /// The root of what can be written; context 0 means it too.
    pub const fn root(&self) -> u32 {
        self.root
    }

    /// The root of the boot archive.
    pub const fn boot_root(&self) -> u32 {
        self.boot_root
    }

    /// A node.
    #[inline]
    pub fn node(&self, number: u32) -> Result<&Node, Error> {
        self.nodes.get(number).ok_or(Error::NotFound)
    }

    /// A node, to be changed.
    #[inline]
    pub fn node_mut(&mut self, number: u32) -> Result<&mut Node, Error> {
        self.nodes.get_mut(number).ok_or(Error::NotFound)
    }

    /// A node and the pages of all files, to be changed.
    #[inline]
    pub fn node_and_pool(&mut self, number: u32) -> Result<(&mut Node, &mut Pool), Error> {
        Ok((self.nodes.get_mut(number).ok_or(Error::NotFound)?, &mut self.pool))
    }

    /// The node that a path names.
    pub fn find(&self, context: u32, path: &[u8]) -> Result<u32, Error> {
        let mut at = if context == 0 { self.root } else { context };
        let mut node = self.node(at)?;
        let mut steps = path::steps(path);
        while let Some(step) = steps.next() {
            let entries = node.entries()?;
            at = match step {
                Step::Up => node.parent,
                Step::Down(name) => *entries.get(name).ok_or(Error::NotFound)?,
            };
            if steps.is_at_end() {
                return Ok(at);
            }
            node = self.node(at)?;
        }
        if path::wants_directory(path) {
            node.entries()?;
        }
        Ok(at)
    }

    /// Where the last name of a path is, or would be if it were made.
    pub fn place<'a>(&self, context: u32, path: &'a [u8]) -> Result<Place<'a>, Error> {
        let (parent, name) = path::parent_and_name(path)?;
        let directory = self.find(context, parent)?;
        let node = self.node(directory)?.entries()?.get(name.as_bytes()).copied();
        if let Some(node) = node
            && path::wants_directory(path)
        {
            self.node(node)?.entries()?;
        }
        Ok(Place { directory, name, node })
    }

    /// A node's name in its directory; none for a root and for what has been removed.
    pub fn name(&self, number: u32) -> &str {
        self.nodes.get(number).and_then(|node| node.name.as_ref()).map_or("", |name| &name.0)
    }

    /// The path of a directory from its root.
    pub fn path(&self, context: u32) -> Result<String, Error> {
        let mut at = if context == 0 { self.root } else { context };
        self.node(at)?.entries()?;
        let mut path = String::new();
        while let name @ [_, ..] = self.name(at).as_bytes() {
            if path.len() + name.len() >= MAX_PATH_BYTES {
                return Err(Error::TooLong);
            }
            if !path.is_empty() {
                path.insert(0, '/');
            }
            path.insert_str(0, self.name(at));
            at = self.node(at)?.parent;
        }
        Ok(path)
    }

    /// The descriptors of everything in a directory, for `user`.
    pub fn list(&self, directory: u32, user: UserId, system: &mut dyn System) -> Result<Listing, Error> {
        self.node(directory)?.entries()?;
        self.check_access(directory, user, permissions::READ)?;
        let mut bytes = 0;
        for (name, number) in self.node(directory)?.entries()? {
            bytes += self.node(*number)?.descriptor(&name.0).bytes();
        }
        let mut listing = Listing::with_room(bytes, system)?;
        for (name, number) in self.node(directory)?.entries()? {
            listing.push(&self.node(*number)?.descriptor(&name.0));
        }
        Ok(listing)
    }

    /// Makes a file or directory at a free place, for `user`.
    pub fn create(
        &mut self,
        place: &Place<'_>,
        kind: Kind,
        user: UserId,
        system: &mut dyn System,
    ) -> Result<u32, Error> {
        let now_ns = system.real_ns();
        self.check_access(place.directory, user, permissions::WRITE)?;
        self.pool.check_memory(system)?;
        self.usage.add_object(user)?;
        let Some(number) = self.insert(kind, user, place.directory, now_ns) else {
            self.usage.remove_object(user);
            return Err(Error::NoResources);
        };
        self.link(place, number, now_ns)?;
        Ok(number)
    }

    /// Makes a file or directory of the boot archive, in place of what has the name.
    pub fn add_archived(&mut self, place: &Place<'_>, kind: Kind, modified_ns: u64) -> Result<u32, Error> {
        let number = self.insert(kind, UserId::SYSTEM, place.directory, modified_ns);
        let number = number.ok_or(Error::NoResources)?;
        if let Some(old) = place.node {
            self.nodes.remove(old);
        }
        self.add_entry(place, number)?;
        Ok(number)
    }

    /// Removes a file or empty directory.
    pub fn remove(&mut self, place: &Place<'_>, user: UserId, now_ns: u64) -> Result<(), Error> {
        let number = place.node.ok_or(Error::NotFound)?;
        self.check_may_remove(place.directory, number, user)?;
        if self.node(number)?.entries().is_ok_and(|entries| !entries.is_empty()) {
            return Err(Error::DirectoryNotEmpty);
        }
        self.unlink(place, now_ns)?;
        self.drop_if_unused(number);
        Ok(())
    }

    /// Gives a node another name; a file of that name is replaced at once.
    pub fn rename(
        &mut self,
        old: &Place<'_>,
        new: &Place<'_>,
        user: UserId,
        now_ns: u64,
    ) -> Result<(), Error> {
        let number = old.node.ok_or(Error::NotFound)?;
        self.check_may_remove(old.directory, number, user)?;
        self.check_access(new.directory, user, permissions::WRITE)?;
        if self.is_within(new.directory, number) {
            return Err(Error::BadArgument);
        }
        if let Some(replaced) = new.node {
            if replaced == number {
                return Ok(());
            }
            self.check_may_remove(new.directory, replaced, user)?;
            match (self.node(number)?.is_directory(), self.node(replaced)?.is_directory()) {
                (false, false) => {}
                (true, false) => return Err(Error::NotADirectory),
                (false, true) => return Err(Error::IsADirectory),
                (true, true) => return Err(Error::AlreadyExists),
            }
            self.unlink(new, now_ns)?;
            self.drop_if_unused(replaced);
        }
        self.unlink(old, now_ns)?;
        self.link(new, number, now_ns)
    }

    /// Whether a user may do what is wanted, bits of [`permissions`], with a file or directory.
    pub fn check_access(&self, number: u32, user: UserId, wanted: u32) -> Result<(), Error> {
        let node = self.node(number)?;
        if wanted & permissions::WRITE != 0 && node.is_archived() {
            return Err(Error::ReadOnly);
        }
        node.permissions.check(node.owner, user, wanted)
    }

    /// Whether a file or directory that can be changed is a user's, or the user the system.
    fn check_owns(&self, number: u32, user: UserId) -> Result<(), Error> {
        let node = self.node(number)?;
        if node.is_archived() {
            Err(Error::ReadOnly)
        } else if node.owner == user || user.is_system() {
            Ok(())
        } else {
            Err(Error::NoPermission)
        }
    }

    /// Sets the time of last change, for who owns the file or directory or may write it.
    pub fn set_modified(&mut self, number: u32, user: UserId, modified_ns: u64) -> Result<(), Error> {
        self.check_owns(number, user).or_else(|_| self.check_access(number, user, permissions::WRITE))?;
        self.node_mut(number)?.modified_ns = modified_ns;
        Ok(())
    }

    /// Sets who may read and write a file or directory, or gives it to a user with what it takes. The roots' are fixed.
    pub fn set_access(&mut self, number: u32, user: UserId, change: AccessChange) -> Result<(), Error> {
        if self.node(number)?.parent == number {
            return Err(Error::NotSupported);
        }
        self.check_owns(number, user)?;
        let node = self.nodes.get_mut(number).ok_or(Error::NotFound)?;
        match change {
            AccessChange::Permissions(permissions) => node.permissions = permissions,
            AccessChange::Owner(owner) => {
                let bytes = if let Kind::File(content) = &node.kind { content.cost() } else { 0 };
                self.usage.give(node.owner, owner, bytes)?;
                node.owner = owner;
            }
        }
        Ok(())
    }

    /// Forgets a node that has no name and is not open.
    pub fn drop_if_unused(&mut self, number: u32) {
        if !self.nodes.get(number).is_some_and(Node::is_unused) {
            return;
        }
        if let Some(mut node) = self.nodes.remove(number) {
            if let Kind::File(content) = &mut node.kind {
                self.usage.remove_bytes(node.owner, content.cost());
                content.clear(&mut self.pool);
            }
            self.usage.remove_object(node.owner);
        }
    }

    fn check_may_remove(&self, directory: u32, number: u32, user: UserId) -> Result<(), Error> {
        match self.check_owns(number, user) {
            Err(_) if directory != self.root => self.check_access(directory, user, permissions::WRITE),
            checked => checked,
        }
    }

    /// Whether `directory` is `ancestor` or below it.
    fn is_within(&self, directory: u32, ancestor: u32) -> bool {
        let mut at = directory;
        while let Some(node) = self.nodes.get(at) {
            if at == ancestor {
                return true;
            }
            if node.parent == at {
                return false;
            }
            at = node.parent;
        }
        false
    }

    fn insert(&mut self, kind: Kind, owner: UserId, parent: u32, now_ns: u64) -> Option<u32> {
        self.next_serial += 1;
        let is_archived = matches!(kind, Kind::Archived(_) | Kind::ArchivedDirectory(_));
        let node = Node {
            owner,
            permissions: if is_archived { Permissions::READ_ONLY } else { Permissions::USUAL },
            modified_ns: now_ns,
            created_ns: now_ns,
            serial: self.next_serial,
            parent,
            name: None,
            open_count: 0,
            kind,
        };
        self.nodes.insert(node).ok()
    }

    fn link(&mut self, place: &Place<'_>, number: u32, now_ns: u64) -> Result<(), Error> {
        self.add_entry(place, number)?;
        self.node_mut(place.directory)?.modified_ns = now_ns;
        self.node_mut(number)?.parent = place.directory;
        Ok(())
    }

    fn add_entry(&mut self, place: &Place<'_>, number: u32) -> Result<(), Error> {
        let name = Name(Rc::from(place.name));
        self.node_mut(place.directory)?.entries_mut()?.insert(name.clone(), number);
        self.node_mut(number)?.name = Some(name);
        Ok(())
    }

    fn unlink(&mut self, place: &Place<'_>, now_ns: u64) -> Result<(), Error> {
        let directory = self.node_mut(place.directory)?;
        let removed = directory.entries_mut()?.remove(place.name.as_bytes());
        directory.modified_ns = now_ns;
        let node = self.node_mut(removed.ok_or(Error::NotFound)?)?;
        node.parent = 0;
        node.name = None;
        Ok(())
    }
}
