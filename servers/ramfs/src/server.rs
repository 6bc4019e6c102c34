//! The I/O and naming protocols in terms of the tree.
//!
//! A read that lies within one chunk, or in the boot archive, is answered with the bytes where they are: one copy,
//! made by the kernel, and no allocation. What goes beyond a chunk is moved chunk by chunk.

use alloc::collections::BTreeMap;
use alloc::string::String;

use abi::page::MOST_LENT;
use abi::{Access, Error, UserId};
use formats::archive::Damage;
use io_server::listing::slice_at;
use io_server::path;
use io_server::{AccessChange, Client, Incoming, Opening, Reading, Service, System, Writing};
use protocols::io::{attribute, mode};
use protocols::names::Descriptor;
use protocols::names::names::SpaceQueried;
use protocols::permissions::{self, Permissions};

use crate::boot;
use crate::content::{CHUNK_BYTES, Content, MAX_SIZE};
use crate::pool::Pool;
use crate::quota::Quota;
use crate::tree::{Kind, Place, Tree};

/// An open file.
#[derive(Debug)]
pub struct OpenFile {
    node: u32,
    /// Bits of [`mode`].
    mode: u32,
    /// As which instance the kernel has pages of it.
    paged: Option<u32>,
}

/// The file server.
#[derive(Debug)]
pub struct FileServer {
    tree: Tree,
}

impl FileServer {
    /// A server with nothing in it.
    pub fn new(quota: Quota, now_ns: u64) -> FileServer {
        FileServer { tree: Tree::new(quota, now_ns) }
    }

    /// Shows the archive as `[boot]`, up to the first damage in it, which comes back.
    pub fn add_archive(&mut self, archive: &'static [u8]) -> Result<(), Damage> {
        boot::add_archive(&mut self.tree, archive)
    }

    /// The context of `[tmp]`.
    pub const fn temporary_context(&self) -> u32 {
        self.tree.root()
    }

    /// The context of `[boot]`.
    pub const fn boot_context(&self) -> u32 {
        self.tree.boot_root()
    }

    /// Directories and files with what they take.
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The page of a file at an address in memory.
    #[cfg(test)]
    pub fn page_at(&mut self, address: usize) -> Option<&mut [u8]> {
        let page = self.tree.pool.find(address)?;
        Some(self.tree.pool.page_mut(page))
    }

    /// The file to open, made if it is not there and the mode says so.
    fn find_or_create(
        &mut self,
        context: u32,
        path: &[u8],
        mode: u32,
        user: UserId,
        system: &mut dyn System,
    ) -> Result<u32, Error> {
        if mode & mode::CREATE == 0 {
            return self.tree.find(context, path);
        }
        let place = match self.tree.place(context, path) {
            // `.` and the like are there, and are directories.
            Err(Error::BadName) if path::ends_without_name(path) => return self.tree.find(context, path),
            place => place?,
        };
        match place.node {
            Some(_) if mode & mode::NEW != 0 => Err(Error::AlreadyExists),
            Some(node) => Ok(node),
            None if path::wants_directory(path) => Err(Error::IsADirectory),
            None => self.tree.create(&place, Kind::File(Content::new()), user, system),
        }
    }

    /// Changes the content of a file by `change`, after making sure that its owner may have `cost` bytes.
    fn change(
        &mut self,
        number: u32,
        cost: impl FnOnce(&Content) -> Result<u64, Error>,
        change: impl FnOnce(&mut Content, &mut Pool) -> Result<(), Error>,
        now_ns: u64,
    ) -> Result<(), Error> {
        let node = self.tree.node(number)?;
        let owner = node.owner;
        let Kind::File(content) = &node.kind else {
            return Err(Error::ReadOnly);
        };
        let (old_cost, cost) = (content.cost(), cost(content)?);
        let charged = cost.max(old_cost);
        if charged > old_cost {
            self.tree.usage.add_bytes(owner, charged - old_cost)?;
        }
        let (node, pool) = self.tree.node_and_pool(number)?;
        let Kind::File(content) = &mut node.kind else {
            return Err(Error::ReadOnly);
        };
        let outcome = change(content, pool);
        let new_cost = content.cost();
        if outcome.is_ok() {
            node.modified_ns = now_ns;
        }
        if new_cost < charged {
            self.tree.usage.remove_bytes(owner, charged - new_cost);
        }
        outcome
    }

    fn place<'a>(&self, at: (u32, &'a [u8])) -> Result<Place<'a>, Error> {
        self.tree.place(at.0, at.1)
    }
}

impl Service for FileServer {
    type Open = OpenFile;
    const LEASES: bool = true;

    #[inline]
    fn open(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        system: &mut dyn System,
    ) -> Result<Opening<OpenFile>, Error> {
        if mode & mode::DIRECTORY != 0 {
            let directory = self.tree.find(context, path)?;
            return Ok(Opening::Directory(self.tree.list(directory, client.user, system)?));
        }
        let number = self.find_or_create(context, path, mode, client.user, system)?;
        let writes = mode & mode::WRITES != 0;
        if writes {
            if self.tree.node(number)?.is_directory() {
                return Err(Error::IsADirectory);
            }
            self.tree.check_access(number, client.user, permissions::wanted(mode))?;
        }
        if mode & mode::TRUNCATE != 0 {
            self.set_size_of(number, 0, system)?;
        }
        let node = self.tree.node_mut(number)?;
        if node.is_directory() {
            return Err(Error::IsADirectory);
        }
        // The usual ones let everyone read.
        if node.permissions != Permissions::USUAL {
            node.permissions.check(node.owner, client.user, permissions::wanted(mode))?;
        }
        node.open_count += 1;
        let when = |may: bool, attribute: u32| if may { attribute } else { 0 };
        let attributes = when(mode & mode::READ != 0, attribute::READABLE)
            | when(writes, attribute::WRITABLE)
            | when(mode & mode::APPEND != 0, attribute::APPEND_ONLY);
        Ok(Opening::Object {
            size: node.size(),
            open: OpenFile { node: number, mode, paged: None },
            attributes,
            block_bytes: CHUNK_BYTES as u32,
        })
    }

    #[inline]
    fn close(&mut self, open: OpenFile, _system: &mut dyn System) {
        if let Ok(node) = self.tree.node_mut(open.node) {
            node.open_count -= 1;
            if let (Kind::File(content), Some(instance)) = (&mut node.kind, open.paged) {
                content.forget_instance(instance);
            }
            if node.is_unused() {
                self.tree.drop_if_unused(open.node);
            }
        }
    }

    fn identity(&mut self, open: &OpenFile) -> Result<u64, Error> {
        Ok(self.tree.node(open.node)?.serial)
    }

    fn size(&mut self, open: &OpenFile) -> u64 {
        self.tree.node(open.node).map_or(0, crate::tree::Node::size)
    }

    #[inline]
    fn read<'a>(
        &'a mut self,
        client: &Client,
        open: &'a mut OpenFile,
        position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        if let Some(instance) = client.page_of {
            return self.read_page(open, position, instance, system);
        }
        let pool = &self.tree.pool;
        let content = match &self.tree.node(open.node)?.kind {
            Kind::File(content) => content,
            Kind::Archived(content) => {
                return Ok(Reading::Data(slice_at(content, position, room)));
            }
            Kind::Directory(_) | Kind::ArchivedDirectory(_) => return Err(Error::IsADirectory),
        };
        let first = content.piece(pool, position, room);
        let wanted = content.size().saturating_sub(position).min(room as u64) as usize;
        if first.len() == wanted {
            return Ok(Reading::Data(first));
        }
        let mut done = 0;
        while let piece @ [_, ..] = content.piece(pool, position + done as u64, room - done) {
            system.move_to(client.pid, done as u64, piece)?;
            done += piece.len();
        }
        Ok(Reading::Moved(done as u32))
    }

    fn write(
        &mut self,
        _client: &Client,
        open: &mut OpenFile,
        position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        let position =
            if open.mode & mode::APPEND != 0 { self.tree.node(open.node)?.size() } else { position };
        let now_ns = system.real_ns();
        self.change(
            open.node,
            |content| content.cost_after_write(position, data.bytes()),
            |content, pool| content.write(pool, position, data, system),
            now_ns,
        )?;
        Ok(Writing::Done(data.bytes() as u32))
    }

    fn set_size(&mut self, open: &mut OpenFile, size: u64, system: &mut dyn System) -> Result<(), Error> {
        self.set_size_of(open.node, size, system)
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        let number = self.tree.find(context, path)?;
        Ok(self.tree.node(number)?.descriptor(self.tree.name(number)))
    }

    fn describe_open<'a>(&'a mut self, open: &'a OpenFile) -> Result<Descriptor<'a>, Error> {
        Ok(self.tree.node(open.node)?.descriptor(self.tree.name(open.node)))
    }

    fn context(&mut self, context: u32, path: &[u8]) -> Result<u32, Error> {
        let number = self.tree.find(context, path)?;
        if self.tree.node(number)?.is_directory() { Ok(number) } else { Err(Error::NotADirectory) }
    }

    fn context_name(&mut self, context: u32) -> Result<String, Error> {
        self.tree.path(context)
    }

    fn remove(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let place = self.place((context, path))?;
        self.tree.remove(&place, client.user, system.real_ns())
    }

    fn rename(
        &mut self,
        client: &Client,
        old: (u32, &[u8]),
        new: (u32, &[u8]),
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let (from, to) = (self.place(old)?, self.place(new)?);
        let is_file = |node: u32| self.tree.node(node).is_ok_and(|node| !node.is_directory());
        if path::wants_directory(new.1) && from.node.is_some_and(is_file) {
            return Err(Error::NotADirectory);
        }
        self.tree.rename(&from, &to, client.user, system.real_ns())
    }

    fn create_directory(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let place = match self.place((context, path)) {
            // `.` and the like are there; what isn't says so.
            Err(Error::BadName) if path::ends_without_name(path) => {
                return self.tree.find(context, path).and(Err(Error::AlreadyExists));
            }
            place => place?,
        };
        if place.node.is_some() {
            return Err(Error::AlreadyExists);
        }
        let kind = Kind::Directory(BTreeMap::new());
        self.tree.create(&place, kind, client.user, system)?;
        Ok(())
    }

    fn tick(&mut self, system: &mut dyn System) {
        self.tree.pool.trim(system);
    }

    fn set_modified(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        modified_ns: u64,
    ) -> Result<(), Error> {
        let number = self.tree.find(context, path)?;
        self.tree.set_modified(number, client.user, modified_ns)
    }

    fn set_access(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        change: AccessChange,
        _system: &mut dyn System,
    ) -> Result<(), Error> {
        let number = self.tree.find(context, path)?;
        self.tree.set_access(number, client.user, change)
    }

    fn space(&mut self, client: &Client, context: u32) -> Result<SpaceQueried, Error> {
        let number = self.tree.find(context, b"")?;
        if self.tree.node(number)?.is_archived() {
            return Err(Error::NotSupported);
        }
        let (total_bytes, free_bytes, available_bytes) = self.tree.usage.room(client.user);
        Ok(SpaceQueried { total_bytes, free_bytes, available_bytes })
    }
}

/// The pages that bytes of the archive begin with, if these begin where a page does: what is behind the last whole one is of
/// others.
fn lendable(bytes: &'static [u8]) -> Option<&'static [u8]> {
    let pages = (bytes.len() / CHUNK_BYTES).min(MOST_LENT as usize);
    let begins_page = bytes.as_ptr().addr().is_multiple_of(CHUNK_BYTES);
    (begins_page && pages > 0).then(|| &bytes[..pages * CHUNK_BYTES])
}

impl FileServer {
    /// A page of a file for the kernel, which gets the very page if there is one. Where it may be written there is one.
    #[inline]
    fn read_page(
        &mut self,
        open: &mut OpenFile,
        position: u64,
        instance: u32,
        system: &mut dyn System,
    ) -> Result<Reading<'_>, Error> {
        let may_write = open.mode & mode::WRITE != 0 && open.mode & mode::APPEND == 0;
        if may_write
            && let Kind::File(content) = &self.tree.node(open.node)?.kind
            && position < content.size()
            && !content.is_present(position)
        {
            let now_ns = system.real_ns();
            self.change(
                open.node,
                |content| content.cost_after_write(position, 1),
                |content, pool| content.make_present(pool, position, system),
                now_ns,
            )?;
        }
        let (node, pool) = self.tree.node_and_pool(open.node)?;
        let content = match &mut node.kind {
            Kind::File(content) => content,
            Kind::Archived(content) => {
                let rest = slice_at(content, position, usize::MAX);
                return Ok(match lendable(rest) {
                    Some(pages) => Reading::Lent(pages, Access::READ),
                    None => Reading::Data(&rest[..rest.len().min(CHUNK_BYTES)]),
                });
            }
            Kind::Directory(_) | Kind::ArchivedDirectory(_) => return Err(Error::IsADirectory),
        };
        if open.paged != Some(instance) {
            content.note_instance(instance)?;
            open.paged = Some(instance);
        }
        let pages = content.lend(pool, position);
        let access = if may_write { Access::READ_WRITE } else { Access::READ };
        Ok(match pages {
            [] => Reading::Data(content.piece(pool, position, CHUNK_BYTES)),
            pages => Reading::Lent(pages, access),
        })
    }

    fn set_size_of(&mut self, number: u32, size: u64, system: &mut dyn System) -> Result<(), Error> {
        if size > MAX_SIZE {
            return Err(Error::NoSpace);
        }
        let now_ns = system.real_ns();
        let set = |content: &mut Content, pool: &mut Pool| {
            content.set_size(pool, size, system);
            Ok(())
        };
        self.change(number, |content| Ok(content.cost()), set, now_ns)
    }
}
