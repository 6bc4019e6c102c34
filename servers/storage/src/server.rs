//! The I/O and naming protocols in terms of the volume, and when it is committed.
//!
//! A commit happens [`COMMIT_AFTER_NS`] after the first change, when so much is changed that memory runs short, and when
//! somebody asks. Where there is no room that the last commit does not need, one is made and what was refused is tried again.

use abi::page::MOST_LENT;
use abi::segment::HEAD_BYTES;
use abi::{Access, Error, PAGE_BYTES, UserId};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use io_server::{
    AccessChange, Client, Completion, Incoming, Instances, Opening, Outcome, Reading, Request, Service,
    System, Writing, path, service::OpenInstance,
};
use protocols::io::{attribute, mode};
use protocols::names::{Descriptor, names::SpaceQueried};
use protocols::permissions;
use volume::{BLOCK_BYTES, Kind, MAX_SIZE, Options, ROOT, Volume};

use crate::disks::Disks;
use crate::names::{self, Place};
use crate::opened::OpenObjects;
use crate::reader::{self, Reader};

/// How long a change may be in memory only.
pub const COMMIT_AFTER_NS: u64 = 5_000_000_000;
/// The context of `[volume]`, where no files are.
pub const CONTROL_CONTEXT: u32 = u32::MAX;
/// How long to wait after a commit that failed.
const COMMIT_AGAIN_NS: u64 = 1_000_000_000;
/// An open file.
#[derive(Debug)]
pub struct OpenFile {
    object: u32,
    /// Bits of [`mode`].
    mode: u32,
    /// As which instance the kernel has pages of it.
    paged: Option<u32>,
    reader: Reader,
}

/// The file server.
#[derive(Debug)]
pub struct FileServer<S: Disks> {
    pub(crate) disks: S,
    pub(crate) volume: Option<Volume<S::Disk>>,
    /// On which disk or partition that is.
    pub(crate) disk_name: String,
    pub(crate) options: Options,
    pub(crate) open: OpenObjects,
    /// When the next commit is due.
    commit_at_ns: Option<u64>,
    /// The name of what was described last.
    pub(crate) name: String,
    /// Until when leases of files may be out.
    pub(crate) leased_until_ns: u64,
    /// The answer to a request that is not of a file.
    pub(crate) answer: Vec<u8>,
}

impl<S: Disks> FileServer<S> {
    /// A server without a volume.
    pub fn new(disks: S, options: Options) -> FileServer<S> {
        FileServer {
            disks,
            volume: None,
            disk_name: String::new(),
            options,
            open: OpenObjects::default(),
            commit_at_ns: None,
            name: String::new(),
            leased_until_ns: 0,
            answer: Vec::new(),
        }
    }

    /// Whether there is a volume.
    pub const fn has_volume(&self) -> bool {
        self.volume.is_some()
    }

    /// The volume; without one nothing is found.
    pub(crate) fn volume(&mut self) -> Result<&mut Volume<S::Disk>, Error> {
        self.volume.as_mut().ok_or(Error::NotFound)
    }

    /// Does something with the volume. If there is no room, it is committed and that is done again: then there is that of
    /// what was removed.
    pub(crate) fn with_room<T>(
        &mut self,
        system: &mut dyn System,
        mut what: impl FnMut(&mut Volume<S::Disk>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let volume = self.volume()?;
        match what(volume) {
            Err(Error::NoSpace) if volume.has_changes() => {
                volume.commit(system.real_ns())?;
                what(volume)
            }
            outcome => outcome,
        }
    }

    /// What is to be done after the volume was used: to tell who had pages that are not in memory any more, to write when
    /// much is changed, to see to it that the rest is written some time.
    fn after_use(&mut self, system: &mut dyn System) {
        let Some(volume) = &mut self.volume else { return };
        for (object, index) in volume.take_given_up() {
            self.open.revoke(object, (index, 1), false, None, system);
        }
        if volume.is_full_of_changes() {
            // What cannot be written stays where it is, and is told when it is to be safe.
            let _ = volume.write_out();
            if volume.is_full_of_changes() {
                let _ = volume.commit(system.real_ns());
            }
        }
        if !volume.has_changes() {
            self.commit_at_ns = None;
        } else if self.commit_at_ns.is_none() {
            self.commit_at_ns = Some(system.monotonic_ns() + COMMIT_AFTER_NS);
        }
    }

    /// Makes everything safe.
    pub(crate) fn commit(&mut self, system: &mut dyn System) -> Result<(), Error> {
        self.forget_leases(system.monotonic_ns());
        let Some(volume) = &mut self.volume else { return Ok(()) };
        let outcome = volume.commit(system.real_ns());
        self.commit_at_ns = outcome.err().map(|_| system.monotonic_ns() + COMMIT_AGAIN_NS);
        outcome
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
        let volume = self.volume()?;
        if mode & mode::CREATE == 0 {
            return names::find(volume, context, path);
        }
        let place = match names::place(volume, context, path) {
            // `.` and the like are there, and are directories.
            Err(Error::BadName) if path::ends_without_name(path) => {
                return names::find(volume, context, path);
            }
            place => place?,
        };
        match place.object {
            Some(_) if mode & mode::NEW != 0 => Err(Error::AlreadyExists),
            Some(object) => Ok(object),
            None if path::wants_directory(path) => Err(Error::IsADirectory),
            None => self.create(&place, Kind::File, user, system),
        }
    }

    fn create(
        &mut self,
        place: &Place<'_>,
        kind: Kind,
        user: UserId,
        system: &mut dyn System,
    ) -> Result<u32, Error> {
        names::check_access(self.volume()?, place.directory, user, permissions::WRITE)?;
        let now_ns = system.real_ns();
        let made =
            self.with_room(system, |volume| volume.create(place.directory, place.name, kind, user.0, now_ns));
        self.after_use(system);
        made
    }

    /// Ends an object that has no name and is not open.
    fn destroy(&mut self, object: u32, system: &mut dyn System) {
        if let Err(error) = self.with_room(system, |volume| volume.destroy(object)) {
            // When the volume is found the next time, it is tried again.
            self.disks.tell(&format!("object {object} still takes room: {error}"));
        }
        self.after_use(system);
    }

    fn set_size_of(&mut self, object: u32, size: u64, system: &mut dyn System) -> Result<(), Error> {
        let now_ns = system.real_ns();
        let old_size = self.volume()?.inode(object)?.size;
        let outcome = self.with_room(system, |volume| volume.set_size(object, size, now_ns));
        let changed = size.min(old_size) / PAGE_BYTES;
        self.open.revoke(object, (changed, u32::MAX), false, None, system);
        self.after_use(system);
        outcome
    }

    /// Writes one page's share of `data`, which begins `done` bytes into it.
    fn write_page(
        &mut self,
        object: u32,
        (position, done, count): (u64, usize, usize),
        data: &Incoming<'_>,
        (writer, system): (Option<u32>, &mut dyn System),
    ) -> Result<(), Error> {
        let (index, begin) = (position / PAGE_BYTES, (position % PAGE_BYTES) as usize);
        let is_paged = self.open.is_paged(object);
        let was_hole = is_paged && !self.volume()?.is_present(object, index)?;
        let whole = count == BLOCK_BYTES;
        self.with_room(system, |volume| volume.page_to_change(object, index, whole).map(drop))?;
        let page = self.volume()?.page_to_change(object, index, whole)?;
        let copied = data.copy_to(done, &mut page[begin..begin + count], system);
        if is_paged {
            // Pages that are lent have changed with it. Of a hole the kernel has zeros.
            self.open.revoke(object, (index, 1), !was_hole, writer, system);
        }
        copied
    }

    /// A page of a file for the kernel: the volume's own, unless it may be written there.
    fn read_page(&mut self, open: &mut OpenFile, position: u64, instance: u32) -> Result<Reading<'_>, Error> {
        let object = open.object;
        let may_write = open.mode & mode::WRITE != 0 && open.mode & mode::APPEND == 0;
        if open.paged != Some(instance) {
            self.open.note_paged(object, instance, may_write);
            open.paged = Some(instance);
        }
        let (ahead, following) = open.reader.ahead(position);
        let volume = self.volume.as_mut().ok_or(Error::NotFound)?;
        volume.fetch(object, position, ahead.max(reader::FIRST_BYTES), following);
        if !may_write {
            let most = MOST_LENT as usize;
            let count = volume.lend(object, position / PAGE_BYTES, most)?.len();
            if count > 0 {
                open.reader.note_end(position + count as u64);
                return Ok(Reading::Lent(volume.lend(object, position / PAGE_BYTES, most)?, Access::READ));
            }
        }
        open.reader.note_end(position + PAGE_BYTES);
        Ok(Reading::Data(volume.piece(object, position, BLOCK_BYTES)?))
    }
}

impl<S: Disks> Service for FileServer<S> {
    type Open = OpenFile;
    const LEASES: bool = true;

    fn open(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        system: &mut dyn System,
    ) -> Result<Opening<OpenFile>, Error> {
        if mode & mode::DIRECTORY != 0 {
            let directory = names::find(self.volume()?, context, path)?;
            let listing = self.list(directory, client.user)?;
            self.after_use(system);
            return Ok(Opening::Directory(listing));
        }
        let object = self.find_or_create(context, path, mode, client.user, system)?;
        let inode = self.volume()?.inode(object)?;
        if inode.kind == Kind::Directory {
            return Err(Error::IsADirectory);
        }
        let writes = mode & mode::WRITES != 0;
        names::check_access(self.volume()?, object, client.user, permissions::wanted(mode))?;
        let mut size = inode.size;
        if mode & mode::TRUNCATE != 0 && size > 0 {
            self.set_size_of(object, 0, system)?;
            size = 0;
        }
        self.open.open(object);
        let when = |may: bool, attribute: u32| if may { attribute } else { 0 };
        let attributes = when(mode & mode::READ != 0, attribute::READABLE)
            | when(writes, attribute::WRITABLE)
            | when(mode & mode::APPEND != 0, attribute::APPEND_ONLY);
        self.after_use(system);
        Ok(Opening::Object {
            size,
            open: OpenFile { object, mode, paged: None, reader: Reader::default() },
            attributes,
            block_bytes: BLOCK_BYTES as u32,
        })
    }

    fn close(&mut self, open: OpenFile, system: &mut dyn System) {
        if self.open.close(open.object, open.paged)
            && self.volume().and_then(|volume| volume.inode(open.object)).is_ok_and(|inode| inode.parent == 0)
        {
            self.destroy(open.object, system);
        }
    }

    fn identity(&mut self, open: &OpenFile) -> Result<u64, Error> {
        Ok(self.volume()?.inode(open.object)?.serial)
    }

    fn may_lease(&mut self, system: &mut dyn System) -> bool {
        self.note_lease(system)
    }

    fn size(&mut self, open: &OpenFile) -> u64 {
        self.volume().and_then(|volume| volume.inode(open.object)).map_or(0, |inode| inode.size)
    }

    fn read<'a>(
        &'a mut self,
        client: &Client,
        open: &'a mut OpenFile,
        position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        self.after_use(system);
        if let Some(instance) = client.page_of {
            return self.read_page(open, position, instance);
        }
        let object = open.object;
        let (ahead, following) = open.reader.ahead(position);
        let ahead = ahead.max(room as u64).min(reader::MOST_BYTES);
        let volume = self.volume.as_mut().ok_or(Error::NotFound)?;
        let size = volume.inode(object)?.size;
        let wanted = size.saturating_sub(position).min(room as u64) as usize;
        open.reader.note_end(position + wanted as u64);
        let in_page = BLOCK_BYTES - (position % PAGE_BYTES) as usize;
        if ahead > PAGE_BYTES {
            volume.fetch(object, position, ahead, following);
        }
        // What lies in one place goes along with the answer.
        if wanted <= in_page
            || wanted <= HEAD_BYTES as usize && volume.piece(object, position, wanted)?.len() == wanted
        {
            return Ok(Reading::Data(volume.piece(object, position, wanted)?));
        }
        let mut done = 0;
        while done < wanted {
            let at = position + done as u64;
            if at.is_multiple_of(PAGE_BYTES) {
                volume.fetch(object, at, ahead.min((wanted - done) as u64), following);
            }
            let piece = match volume.piece(object, at, wanted - done) {
                Ok(piece) => piece,
                // What comes before the damage is as it should be.
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            system.move_to(client.pid, done as u64, piece)?;
            done += piece.len();
        }
        open.reader.note_end(position + done as u64);
        Ok(Reading::Moved(done as u32))
    }

    fn write(
        &mut self,
        client: &Client,
        open: &mut OpenFile,
        position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        let object = open.object;
        let size = self.volume()?.inode(object)?.size;
        let position = if open.mode & mode::APPEND != 0 { size } else { position };
        if position.checked_add(data.bytes() as u64).is_none_or(|end| end > MAX_SIZE) {
            return Err(Error::NoSpace);
        }
        let mut done = 0;
        let mut outcome = Ok(());
        while done < data.bytes() && outcome.is_ok() {
            let at = position + done as u64;
            let count = (data.bytes() - done).min(BLOCK_BYTES - (at % PAGE_BYTES) as usize);
            outcome = self.write_page(object, (at, done, count), data, (client.page_of, system));
            if outcome.is_ok() {
                done += count;
            }
        }
        if done > 0 {
            let now_ns = system.real_ns();
            let end = position + done as u64;
            self.with_room(system, |volume| volume.note_written(object, end, now_ns))?;
        }
        self.after_use(system);
        match outcome {
            // What follows is refused when it is asked for.
            Err(error) if done == 0 => Err(error),
            _ => Ok(Writing::Done(done as u32)),
        }
    }

    fn set_size(&mut self, open: &mut OpenFile, size: u64, system: &mut dyn System) -> Result<(), Error> {
        self.set_size_of(open.object, size, system)
    }

    fn synchronize(
        &mut self,
        _client: &Client,
        _open: &mut OpenFile,
        system: &mut dyn System,
    ) -> Result<Completion, Error> {
        self.commit(system)?;
        Ok(Completion::Now)
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        let object = names::find(self.volume()?, context, path)?;
        self.describe_object(object)
    }

    fn describe_open<'a>(&'a mut self, open: &'a OpenFile) -> Result<Descriptor<'a>, Error> {
        self.describe_object(open.object)
    }

    fn context(&mut self, context: u32, path: &[u8]) -> Result<u32, Error> {
        if context == CONTROL_CONTEXT {
            return Err(Error::NotADirectory);
        }
        let volume = self.volume()?;
        let object = names::find(volume, context, path)?;
        names::directory(volume, object)?;
        Ok(object)
    }

    fn context_name(&mut self, context: u32) -> Result<String, Error> {
        let volume = self.volume()?;
        let mut at = names::directory_of(context);
        names::directory(volume, at)?;
        let mut path = String::new();
        while at != ROOT {
            let name = volume.name_of(at)?;
            if name.is_empty() {
                return Err(Error::NotFound);
            }
            if path.len() + name.len() >= protocols::names::MAX_PATH_BYTES {
                return Err(Error::TooLong);
            }
            if !path.is_empty() {
                path.insert(0, '/');
            }
            path.insert_str(0, &name);
            at = volume.inode(at)?.parent;
        }
        Ok(path)
    }

    fn remove(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let volume = self.volume()?;
        let place = names::place(volume, context, path)?;
        let object = place.object.ok_or(Error::NotFound)?;
        names::check_may_remove(volume, place.directory, object, client.user)?;
        if volume.inode(object)?.names > 0 {
            return Err(Error::DirectoryNotEmpty);
        }
        let now_ns = system.real_ns();
        self.with_room(system, |volume| volume.unlink(place.directory, place.name, now_ns))?;
        if !self.open.is_open(object) {
            self.destroy(object, system);
        }
        self.after_use(system);
        Ok(())
    }

    fn rename(
        &mut self,
        client: &Client,
        old: (u32, &[u8]),
        new: (u32, &[u8]),
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let volume = self.volume()?;
        let (from, to) = (names::place(volume, old.0, old.1)?, names::place(volume, new.0, new.1)?);
        let object = from.object.ok_or(Error::NotFound)?;
        let is_directory = volume.inode(object)?.kind == Kind::Directory;
        if path::wants_directory(new.1) && !is_directory {
            return Err(Error::NotADirectory);
        }
        names::check_may_remove(volume, from.directory, object, client.user)?;
        names::check_access(volume, to.directory, client.user, permissions::WRITE)?;
        if names::is_within(volume, to.directory, object)? {
            return Err(Error::BadArgument);
        }
        if let Some(replaced) = to.object {
            if replaced == object {
                return Ok(());
            }
            names::check_may_remove(volume, to.directory, replaced, client.user)?;
            match (is_directory, volume.inode(replaced)?.kind == Kind::Directory) {
                (false, false) => {}
                (true, false) => return Err(Error::NotADirectory),
                (false, true) => return Err(Error::IsADirectory),
                (true, true) => return Err(Error::AlreadyExists),
            }
        }
        let now_ns = system.real_ns();
        let replaced = self.with_room(system, |volume| {
            volume.rename((from.directory, from.name), (to.directory, to.name), now_ns)
        })?;
        if let Some(replaced) = replaced.filter(|replaced| !self.open.is_open(*replaced)) {
            self.destroy(replaced, system);
        }
        self.after_use(system);
        Ok(())
    }

    fn create_directory(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let volume = self.volume()?;
        let place = match names::place(volume, context, path) {
            // `.` and the like are there; what isn't says so.
            Err(Error::BadName) if path::ends_without_name(path) => {
                return names::find(volume, context, path).and(Err(Error::AlreadyExists));
            }
            place => place?,
        };
        if place.object.is_some() {
            return Err(Error::AlreadyExists);
        }
        self.create(&place, Kind::Directory, client.user, system)?;
        Ok(())
    }

    fn set_modified(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        modified_ns: u64,
    ) -> Result<(), Error> {
        let volume = self.volume()?;
        let object = names::find(volume, context, path)?;
        names::check_owns(&volume.inode(object)?, client.user)
            .or_else(|_| names::check_access(volume, object, client.user, permissions::WRITE))?;
        volume.set_modified(object, modified_ns)
    }

    fn set_access(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        change: AccessChange,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let volume = self.volume()?;
        let object = names::find(volume, context, path)?;
        let (owner, permissions) = names::changed(object, &volume.inode(object)?, client.user, change)?;
        self.with_room(system, |volume| volume.set_access(object, owner.0, permissions.kept()))?;
        self.after_use(system);
        Ok(())
    }

    fn space(&mut self, _client: &Client, _context: u32) -> Result<SpaceQueried, Error> {
        let space = self.volume()?.space();
        // What is kept back is nobody's to take.
        let (total_bytes, free_bytes) = (space.total_bytes, space.free_bytes);
        Ok(SpaceQueried { total_bytes, free_bytes, available_bytes: free_bytes })
    }

    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        _instances: &mut Instances<OpenInstance<OpenFile>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        self.control(request, system).unwrap_or_else(Outcome::refuse)
    }

    fn next_tick_ns(&self) -> Option<u64> {
        self.commit_at_ns
    }

    fn tick(&mut self, system: &mut dyn System) {
        if self.commit_at_ns.is_some_and(|at_ns| at_ns <= system.monotonic_ns())
            && let Err(error) = self.commit(system)
        {
            self.disks.tell(&format!("what was written is not safe yet: {error}"));
        }
        self.after_use(system);
    }
}
