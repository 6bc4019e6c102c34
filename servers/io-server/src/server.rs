//! From a message to a call of the service and back to an answer. Everything in a message is an allegation: codes,
//! instances, grants, names and owners are checked here, once for all servers.

use alloc::vec::Vec;

use abi::protocol::{Reply, Request as _};
use abi::{Error, Pid, UserId};
use leases::{Grant, Permission};
use protocols::io::{attribute, io, mode};
use protocols::leases::leases as lease_messages;
use protocols::names::{Descriptor, kind, names};
use protocols::permissions::Permissions;
use v::server::Outcome;

use crate::instances::{Instances, Limits};
use crate::leasing::{Leasing, NEVER, PutOff};
use crate::listing::{Listing, ListingBudget};
use crate::path;
use crate::service::{
    AccessChange, Client, Completion, Content, HAS_WRITTEN_PAGES, OpenInstance, Opening, Reading, Request,
    Service, Writing,
};
use crate::sweeps::Sweeps;
use crate::system::System;

/// The block size of a directory.
const DIRECTORY_BLOCK_BYTES: u32 = 4096;

/// A service with its instances.
#[derive(Debug)]
pub struct IoServer<S: Service> {
    /// The service.
    pub service: S,
    instances: Instances<OpenInstance<S::Open>>,
    listings: ListingBudget,
    /// Where an answer that belongs to nobody else lies until it is sent.
    answer: Vec<u8>,
    sweeps: Sweeps,
    leasing: Leasing,
}

impl<S: Service> IoServer<S> {
    /// A server with nothing open.
    pub fn new(service: S, limits: Limits) -> IoServer<S> {
        IoServer {
            service,
            instances: Instances::new(limits),
            listings: ListingBudget::new(),
            answer: Vec::new(),
            sweeps: Sweeps::new(),
            leasing: Leasing::default(),
        }
    }

    /// The service had the same files in an earlier life, of which leases may be out: nobody opens one for writing until these
    /// have ended.
    pub fn wait_out_leases(&mut self, now_ns: u64) {
        self.leasing.wait_out(now_ns);
    }

    /// Does what a message asks. What is not in the I/O or the naming protocol goes to [`Service::other`].
    pub fn request(&mut self, request: &Request<'_>, system: &mut dyn System) -> Outcome<'_> {
        if request.message.code() == io::Read::CODE {
            return self.read(request, system).unwrap_or_else(Outcome::refuse);
        }
        if let Some(operation) = io::Io::from_message(request.message) {
            return self.io(operation, request, system).unwrap_or_else(Outcome::refuse);
        }
        if let Some(operation) = names::Names::from_message(request.message) {
            return self.names(operation, request, system).unwrap_or_else(Outcome::refuse);
        }
        if S::LEASES
            && let Some(operation) = lease_messages::Leases::from_message(request.message)
        {
            return self.leases(&operation, request, system).unwrap_or_else(Outcome::refuse);
        }
        self.service.other(request, &mut self.instances, system)
    }

    /// When [`tick`](IoServer::tick) wants to be called next, in nanoseconds since boot; while nothing is open, only if the
    /// service wants it.
    pub fn next_tick_ns(&self) -> Option<u64> {
        // Asked after nearly every request: numbers cost less here than options.
        let mut at_ns = self.service.next_tick_ns().unwrap_or(NEVER);
        if S::LEASES {
            at_ns = at_ns.min(self.leasing.next_ns());
        }
        if !self.instances.is_empty() {
            at_ns = at_ns.min(self.sweeps.next_ns(self.service.is_waited_on()));
        }
        (at_ns != NEVER).then_some(at_ns)
    }

    /// Closes what belonged to teams that have ended.
    pub fn tick(&mut self, system: &mut dyn System) {
        self.sweep(system);
        if S::LEASES {
            self.try_again(system);
            self.leasing.tick(system);
        }
        self.service.tick(system);
    }

    /// Closes what belonged to teams that have ended. Whether there was anything: a file whose name is gone takes room for as
    /// long as it is open.
    #[cold]
    #[inline(never)]
    fn sweep(&mut self, system: &mut dyn System) -> bool {
        self.sweeps.note_sweep(system.monotonic_ns());
        let (service, listings) = (&mut self.service, &mut self.listings);
        let mut closed = false;
        self.instances.sweep(system, |number, instance, system| {
            close(number, instance, service, listings, system);
            closed = true;
        });
        closed
    }

    /// How many ownerships of instances a user has.
    pub fn owned_by(&self, user: UserId) -> u32 {
        self.instances.owned_by(user)
    }

    fn io(
        &mut self,
        operation: io::Io,
        request: &Request<'_>,
        system: &mut dyn System,
    ) -> Result<Outcome<'_>, Error> {
        let client = request.client;
        match operation {
            io::Io::Open(open) => {
                let path = path::from_request(request.whole()?)?;
                if let Permission::At(until_ns) = self.may_open(&open, path, system) {
                    self.leasing.put_off(request, until_ns, system)?;
                    return Ok(Outcome::Later);
                }
                self.open(&open, client, path, system).map(plain)
            }
            io::Io::QueryInstance(query) => {
                let instance = self.instances.get(query.instance, client)?;
                let size = match &instance.content {
                    Content::Object(open) => self.service.size(open),
                    Content::Directory { listing, .. } => listing.bytes(),
                };
                Ok(plain(io::InstanceQueried {
                    attributes: instance.attributes & !HAS_WRITTEN_PAGES,
                    block_bytes: instance.block_bytes,
                    size,
                }))
            }
            io::Io::Read(_) => self.read(request, system),
            io::Io::Write(write) => self.write(&write, request, system),
            io::Io::Release(release) => {
                self.release(release.instance, release.owner, client, system)?;
                Ok(plain(io::Released {}))
            }
            io::Io::ReleaseStreams(release) => {
                for instance in [release.input, release.output, release.error] {
                    if instance != 0 {
                        // One that is not its own is nobody's loss.
                        let _ = self.release(instance, release.owner, client, system);
                    }
                }
                Ok(plain(io::StreamsReleased {}))
            }
            io::Io::Share(share) => {
                let (owner, user) = owner(share.owner, client, system)?;
                self.instances.share(share.instance, client, owner, user)?;
                Ok(plain(io::Shared {}))
            }
            io::Io::SetSize(set) => {
                let instance = self.instances.get(set.instance, client)?;
                require(instance.attributes, attribute::WRITABLE)?;
                self.service.set_size(instance.object()?, set.size, system)?;
                Ok(plain(io::SizeSet {}))
            }
            io::Io::Synchronize(synchronize) => {
                let instance = self.instances.get(synchronize.instance, client)?;
                let completion = match &mut instance.content {
                    Content::Object(open) => self.service.synchronize(client, open, system)?,
                    Content::Directory { .. } => Completion::Now,
                };
                Ok(match completion {
                    Completion::Now => plain(io::Synchronized {}),
                    Completion::Later => {
                        self.sweeps.note_wait(system.monotonic_ns());
                        Outcome::Later
                    }
                })
            }
        }
    }

    #[inline]
    fn release(
        &mut self,
        instance: u32,
        owner: Pid,
        client: &Client,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let owner = named_or_self(owner, client);
        if let Some(closed) = self.instances.release(instance, client, owner)? {
            close(instance, closed, &mut self.service, &mut self.listings, system);
        }
        Ok(())
    }

    fn open(
        &mut self,
        open: &io::Open,
        client: &Client,
        path: &[u8],
        system: &mut dyn System,
    ) -> Result<io::Opened, Error> {
        if open.mode & !mode::ALL != 0 {
            return Err(Error::BadArgument);
        }
        let (owner, user) = owner(open.owner, client, system)?;
        let client = Client { user, ..*client };
        self.instances.check_room(user, 1)?;
        // Called at one place, so that it becomes a part of this.
        let opening = loop {
            match self.service.open(&client, open.context, path, open.mode, system) {
                Err(Error::NoSpace) if self.sweep(system) => {}
                opening => break opening?,
            }
        };
        let (instance, size) = match opening {
            Opening::Directory(listing) => {
                self.listings.take(user, &listing)?;
                let size = listing.bytes();
                let attributes = attribute::READABLE | attribute::DIRECTORY;
                let content = Content::Directory { listing, user };
                let instance = OpenInstance::new(content, attributes, DIRECTORY_BLOCK_BYTES);
                (instance, size)
            }
            Opening::Object { open, attributes, block_bytes, size } => {
                let instance = OpenInstance::new(Content::Object(open), attributes, block_bytes);
                (instance, size)
            }
        };
        let (attributes, block_bytes) = (instance.attributes, instance.block_bytes);
        let number = self.instances.insert(owner, user, instance)?;
        Ok(io::Opened { instance: number, attributes, block_bytes, size })
    }

    fn read(&mut self, request: &Request<'_>, system: &mut dyn System) -> Result<Outcome<'_>, Error> {
        let read = io::Read::from_message(request.message);
        let instance = self.instances.get(read.instance, request.client)?;
        require(instance.attributes, attribute::READABLE)?;
        if request.client.page_of.is_some() && instance.attributes & attribute::WRITABLE != 0 {
            instance.attributes |= HAS_WRITTEN_PAGES;
        }
        let room = request.client.writable_bytes()?.min(S::MOST_READ_BYTES) as usize;
        let reading = match &mut instance.content {
            Content::Directory { listing, .. } => Reading::Data(listing.read(read.position, room)),
            Content::Object(_) if room == 0 => Reading::Moved(0),
            Content::Object(open) => self.service.read(request.client, open, read.position, room, system)?,
        };
        Ok(match reading {
            Reading::Data(data) => {
                let count = data.len() as u32;
                Outcome::data(io::ReadDone { count }, data)
            }
            Reading::Lent(data, access) => {
                let count = data.len().min(room) as u32;
                Outcome::Lend(io::ReadDone { count }.to_message(), data, access)
            }
            Reading::Moved(count) => plain(io::ReadDone { count }),
            Reading::Later => {
                self.sweeps.note_wait(system.monotonic_ns());
                Outcome::Later
            }
        })
    }

    /// When a file may be opened: at once, unless that is for writing and the file is leased.
    #[inline]
    fn may_open(&mut self, open: &io::Open, path: &[u8], system: &mut dyn System) -> Permission {
        if !S::LEASES || open.mode & mode::WRITES == 0 || self.leasing.is_idle() {
            return Permission::Now;
        }
        self.may_write(open, path, system)
    }

    #[cold]
    fn may_write(&mut self, open: &io::Open, path: &[u8], system: &mut dyn System) -> Permission {
        match self.service.describe(open.context, path) {
            Ok(file) => self.leasing.begin_write(file.object, system.monotonic_ns()),
            // What is not there is nobody's.
            Err(_) => Permission::Now,
        }
    }

    /// Opens what may be opened by now, of what was put off.
    #[cold]
    fn try_again(&mut self, system: &mut dyn System) {
        for PutOff { client, message, path, .. } in self.leasing.take_put_off() {
            let request = Request { client: &client, message: &message, head: &path };
            // Else it is put off again.
            let Outcome::Reply(reply) = self.request(&request, system) else { continue };
            if system.reply(client.pid, &reply, &[]).is_err() && reply.code() == Error::OK_CODE {
                // Who asked for it has gone.
                let (open, opened) = (io::Open::from_message(&message), io::Opened::from_message(&reply));
                let _ = self.release(opened.instance, open.owner, &client, system);
            }
        }
        self.leasing.recall(system);
    }

    /// A request of a cache's, which only the system's processes may be.
    fn leases(
        &mut self,
        operation: &lease_messages::Leases,
        request: &Request<'_>,
        system: &mut dyn System,
    ) -> Result<Outcome<'_>, Error> {
        let client = request.client;
        if !client.user.is_system() {
            return Err(Error::NoPermission);
        }
        match operation {
            lease_messages::Leases::Lease(lease) => {
                check_holder(lease.holder, client)?;
                let reader = Client { user: UserId(lease.user), ..*client };
                let instance = self.instances.get(lease.instance, &reader)?;
                require(instance.attributes, attribute::READABLE)?;
                let open = instance.object()?;
                let (file, size) = (self.service.identity(open)?, self.service.size(open));
                let grant = if !self.is_written(file) && self.service.may_lease(system) {
                    self.leasing.grant(file, lease.holder, system.monotonic_ns())
                } else {
                    Grant::NONE
                };
                let Grant { content, number: grant, term_ms } = grant;
                Ok(plain(lease_messages::Leased { content, term_ms, grant, size }))
            }
            lease_messages::Leases::Await(await_recall) => {
                check_holder(await_recall.holder, client)?;
                self.leasing.await_recall(client.pid, await_recall)?;
                self.try_again(system);
                Ok(Outcome::Later)
            }
        }
    }

    /// Whether a file is open for writing.
    fn is_written(&mut self, file: u64) -> bool {
        self.instances.iter().any(|instance| {
            let Content::Object(open) = &instance.content else { return false };
            instance.attributes & attribute::WRITABLE != 0 && self.service.identity(open) == Ok(file)
        })
    }

    fn write(
        &mut self,
        write: &io::Write,
        request: &Request<'_>,
        system: &mut dyn System,
    ) -> Result<Outcome<'_>, Error> {
        let instance = self.instances.get(write.instance, request.client)?;
        require(instance.attributes, attribute::WRITABLE)?;
        let data = request.incoming()?;
        let open = instance.object()?;
        if data.bytes() == 0 {
            return Ok(plain(io::Written { count: 0 }));
        }
        let writing = match self.service.write(request.client, open, write.position, &data, system) {
            Err(Error::NoSpace) if self.sweep(system) => {
                let open = self.instances.get(write.instance, request.client)?.object()?;
                self.service.write(request.client, open, write.position, &data, system)?
            }
            writing => writing?,
        };
        Ok(match writing {
            Writing::Done(count) => plain(io::Written { count }),
            Writing::Later => {
                self.sweeps.note_wait(system.monotonic_ns());
                Outcome::Later
            }
        })
    }

    fn names(
        &mut self,
        operation: names::Names,
        request: &Request<'_>,
        system: &mut dyn System,
    ) -> Result<Outcome<'_>, Error> {
        use names::Names;
        let client = request.client;
        let path = || path::from_request(request.whole()?);
        match operation {
            Names::GetContext(get) => {
                let found = self.service.context(get.context, path()?)?;
                Ok(plain(names::ContextFound { found }))
            }
            Names::GetContextName(get) => {
                let name = self.service.context_name(get.context)?;
                self.answer.clear();
                self.answer.extend_from_slice(name.as_bytes());
                if name.len() as u64 > client.writable_bytes()? {
                    return Err(Error::TooLong);
                }
                let count = self.answer.len() as u32;
                Ok(Outcome::data(names::ContextNamed { count }, &self.answer[..]))
            }
            Names::Describe(describe) => {
                let name = request.head.get(..describe.name_bytes as usize);
                let path = path::from_request(name.ok_or(Error::TooLong)?)?;
                client.readable_bytes()?;
                let room = client.writable_bytes()?;
                let descriptor = self.service.describe(describe.context, path)?;
                let count = put_descriptor(&descriptor, room, &mut self.answer);
                Ok(Outcome::data(names::Described { count }, &self.answer[..]))
            }
            Names::DescribeInstance(describe) => {
                let room = client.writable_bytes()?;
                let user = if client.user.is_system() { describe.user } else { client.user };
                let instance = self.instances.get(describe.instance, &Client { user, ..*client })?;
                let descriptor = match &instance.content {
                    Content::Object(open) => self.service.describe_open(open)?,
                    Content::Directory { listing, .. } => directory(listing),
                };
                let count = put_descriptor(&descriptor, room, &mut self.answer);
                Ok(Outcome::data(names::InstanceDescribed { count }, &self.answer[..]))
            }
            Names::Remove(remove) => {
                self.service.remove(client, remove.context, path()?, system)?;
                Ok(plain(names::Removed {}))
            }
            Names::Rename(rename) => {
                let (old, new) =
                    request.whole()?.split_at_checked(rename.old_bytes as usize).ok_or(Error::BadArgument)?;
                let old = (rename.old_context, path::from_request(old)?);
                let new = (rename.new_context, path::from_request(new)?);
                self.service.rename(client, old, new, system)?;
                Ok(plain(names::Renamed {}))
            }
            Names::CreateDirectory(create) => {
                self.service.create_directory(client, create.context, path()?, system)?;
                Ok(plain(names::DirectoryCreated {}))
            }
            Names::SetModified(set) => {
                self.service.set_modified(client, set.context, path()?, set.modified_ns)?;
                Ok(plain(names::ModifiedSet {}))
            }
            Names::SetPermissions(set) => {
                let permissions = Permissions::from_bits(set.permissions).ok_or(Error::BadArgument)?;
                let change = AccessChange::Permissions(permissions);
                self.service.set_access(client, set.context, path()?, change, system)?;
                Ok(plain(names::PermissionsSet {}))
            }
            Names::SetOwner(set) => {
                if !client.user.is_system() {
                    return Err(Error::NoPermission);
                }
                let change = AccessChange::Owner(set.owner);
                self.service.set_access(client, set.context, path()?, change, system)?;
                Ok(plain(names::OwnerSet {}))
            }
            Names::QuerySpace(query) => {
                self.sweep(system);
                Ok(plain(self.service.space(client, query.context)?))
            }
        }
    }
}

/// The last owner of an instance is gone, or it never had one. Who still has pages of it mapped cannot write there any more.
#[expect(clippy::inline_always, reason = "each close of a file passes here, and the other caller is cold")]
#[inline(always)]
fn close<S: Service>(
    number: u32,
    instance: OpenInstance<S::Open>,
    service: &mut S,
    listings: &mut ListingBudget,
    system: &mut dyn System,
) {
    if instance.attributes & HAS_WRITTEN_PAGES != 0 {
        take_pages_back(number, system);
    }
    match instance.content {
        Content::Object(open) => service.close(open, system),
        Content::Directory { listing, user } => listings.give_back(user, &listing),
    }
}

/// A cache says for itself what it holds, and for nobody else's node.
fn check_holder(holder: Pid, client: &Client) -> Result<(), Error> {
    if holder.host() == client.pid.host() { Ok(()) } else { Err(Error::BadArgument) }
}

#[cold]
fn take_pages_back(number: u32, system: &mut dyn System) {
    // The kernel may have none any more.
    let _ = system.revoke(number, 0, u32::MAX);
}

fn plain<R: Reply>(reply: R) -> Outcome<'static> {
    Outcome::Reply(reply.to_message())
}

fn require(attributes: u32, needed: u32) -> Result<(), Error> {
    match (attributes & needed != 0, needed) {
        (true, _) => Ok(()),
        (false, attribute::READABLE) => Err(Error::NotReadable),
        (false, _) => Err(Error::NotWritable),
    }
}

/// In a request, nobody means the client itself.
fn named_or_self(owner: Pid, client: &Client) -> Pid {
    if owner.is_none() { client.pid } else { owner }
}

/// Who is to own an instance, and of which user it is: the client's, unless the system asks. An owner on another node
/// is taken to be the client's user too, which gives nobody what the client could not do itself: who uses the instance
/// is asked for its user each time.
#[inline]
pub fn owner(named: Pid, client: &Client, system: &mut dyn System) -> Result<(Pid, UserId), Error> {
    let owner = named_or_self(named, client);
    if owner == client.pid {
        return Ok((owner, client.user));
    }
    let user = match system.user_of(owner) {
        Err(Error::ProcessElsewhere) => return Ok((owner, client.user)),
        user => user?,
    };
    if user == client.user || client.user.is_system() { Ok((owner, user)) } else { Err(Error::NoPermission) }
}

fn put_descriptor(descriptor: &Descriptor<'_>, room: u64, place: &mut Vec<u8>) -> u32 {
    place.clear();
    place.resize(Descriptor::MAX_BYTES, 0);
    let bytes = descriptor.encode(place).unwrap_or(0);
    place.truncate(bytes.min(usize::try_from(room).unwrap_or(bytes)));
    place.len() as u32
}

fn directory(listing: &Listing) -> Descriptor<'static> {
    Descriptor {
        kind: kind::DIRECTORY,
        attributes: attribute::READABLE | attribute::DIRECTORY,
        owner: UserId::SYSTEM.0,
        size: listing.bytes(),
        modified_ns: 0,
        created_ns: 0,
        object: 0,
        name: "",
    }
}
