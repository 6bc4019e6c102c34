//! The objects of a driver's disks, and who has them open. A context is a disk, by its place among the driver's.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use abi::notice::notice;
use abi::protocol::Request as _;
use abi::{Error, UserId};
use hardware::interrupt::InterruptLine;
use io_server::instances::Instances;
use io_server::path::{self, Step};
use io_server::service::OpenInstance;
use io_server::{
    Client, Completion, Incoming, Listing, Opening, Outcome, Reading, Request, Service, System, Writing,
};
use protocols::block::{ALL, Geometry, block, flag};
use protocols::io::{attribute, mode};
use protocols::names::{Descriptor, kind};

use crate::unit::{Job, Unit, Writer};
use crate::{LARGEST_TRANSFER_BYTES, partitions::Partition};

/// An object number has its disk's number above these bits, and the partition's in them.
const PARTITION_BITS: u32 = 16;

/// The server.
pub struct DiskServer {
    /// The service's name.
    driver: String,
    units: Vec<Unit>,
    /// Where an answer lies until it is sent.
    answer: Vec<u8>,
}

/// An object that is open.
#[derive(Debug)]
pub struct Open {
    unit: usize,
    /// Its blocks on the disk, whatever the table says by now.
    blocks: Range<u64>,
    name: String,
    /// What the table said of it.
    partition: Option<Partition>,
    writer: Option<Writer>,
}

/// What a path means.
#[derive(Clone, Copy, Debug)]
enum Object<'a> {
    Root,
    All,
    Partition(&'a Partition),
}

impl DiskServer {
    /// A server of the disks of the service `driver`.
    pub fn new(driver: &str, units: Vec<Unit>) -> DiskServer {
        DiskServer { driver: driver.to_string(), units, answer: Vec::new() }
    }

    /// Its disks.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Sees what devices have ended.
    pub fn attend(&mut self, system: &mut dyn System) {
        for unit in &mut self.units {
            unit.attend(system);
        }
    }

    fn resolve(&self, context: u32, path: &[u8]) -> Result<(usize, Object<'_>), Error> {
        let at = context as usize;
        let unit = self.units.get(at).ok_or(Error::BadContext)?;
        let mut steps = path::steps(path).skip_while(|step| *step == Step::Up);
        let Some(Step::Down(name)) = steps.next() else {
            return Ok((at, Object::Root));
        };
        let object = if name == ALL.as_bytes() {
            Object::All
        } else {
            let is_it = |partition: &&Partition| partition.number.to_string().as_bytes() == name;
            let found = unit.table().partitions.iter().find(is_it);
            Object::Partition(found.ok_or(Error::NotFound)?)
        };
        if steps.next().is_some() || path::wants_directory(path) {
            return Err(Error::NotADirectory);
        }
        Ok((at, object))
    }

    fn descriptor<'a>(&self, at: usize, (number, count): (u32, u64), name: &'a str) -> Descriptor<'a> {
        let facts = self.units[at].facts();
        let attributes = if facts.is_read_only { 0 } else { attribute::WRITABLE };
        Descriptor {
            kind: kind::DEVICE,
            attributes: attribute::READABLE | attributes,
            owner: UserId::OPERATOR.0,
            size: count * u64::from(facts.block_bytes),
            modified_ns: 0,
            created_ns: 0,
            object: u64::from(self.units[at].number) << PARTITION_BITS | u64::from(1 + number),
            name,
        }
    }

    fn listing(&self, at: usize) -> Listing {
        let mut listing = Listing::new();
        listing.push(&self.descriptor(at, (0, self.units[at].facts().block_count), ALL));
        for partition in &self.units[at].table().partitions {
            let place = (partition.number, partition.count);
            listing.push(&self.descriptor(at, place, &partition.number.to_string()));
        }
        listing
    }

    /// The bytes of the disk that one transfer has of up to `bytes` from `position` of an object on; none at its end.
    fn transfer(&self, open: &Open, position: u64, bytes: u64) -> Option<(u64, usize)> {
        let facts = self.units[open.unit].facts();
        let block_bytes = u64::from(facts.block_bytes);
        let left = ((open.blocks.end - open.blocks.start) * block_bytes).saturating_sub(position);
        // The first block takes room in the buffer also where it is meant in part.
        let largest = u64::from(facts.largest_transfer_bytes) - position % block_bytes;
        let bytes = left.min(bytes).min(largest) as usize;
        (bytes > 0).then(|| (open.blocks.start * block_bytes + position, bytes))
    }

    fn geometry(&mut self, open: &Open) -> Result<(), Error> {
        let unit = &self.units[open.unit];
        let facts = unit.facts();
        let flags = [
            (facts.has_write_cache, flag::HAS_WRITE_CACHE),
            (facts.is_read_only, flag::IS_READ_ONLY),
            (facts.largest_discard_blocks > 0, flag::DISCARDS),
            (unit.is_being_written(&open.blocks), flag::IS_BEING_WRITTEN),
        ];
        let partition = open.partition.as_ref();
        let geometry = Geometry {
            flags: flags.iter().filter(|(is_so, _)| *is_so).fold(0, |flags, (_, flag)| flags | flag),
            block_bytes: facts.block_bytes,
            physical_block_bytes: facts.physical_block_bytes,
            largest_transfer_bytes: facts.largest_transfer_bytes,
            first_block: open.blocks.start,
            block_count: open.blocks.end - open.blocks.start,
            driver: &self.driver,
            model: &facts.model,
            serial: &facts.serial,
            kind: partition.map_or(unit.table().kind.name(), |partition| &partition.kind),
            label: partition.map_or("", |partition| &partition.label),
        };
        self.answer.clear();
        self.answer.resize(Geometry::MAX_BYTES, 0);
        let bytes = geometry.encode(&mut self.answer).ok_or(Error::TooLong)?;
        self.answer.truncate(bytes);
        Ok(())
    }

    fn block<'a>(
        &'a mut self,
        request: &Request<'_>,
        operation: block::Block,
        instances: &mut Instances<OpenInstance<Open>>,
        system: &mut dyn System,
    ) -> Result<Outcome<'a>, Error> {
        let client = &request.client;
        match operation {
            block::Block::QueryGeometry(query) => {
                let instance = instances.get(query.instance, client)?;
                self.geometry(instance.object()?)?;
                if client.writable_bytes()? < self.answer.len() as u64 {
                    return Err(Error::TooLong);
                }
                let count = self.answer.len() as u32;
                Ok(Outcome::data(block::GeometryQueried { count }, &self.answer))
            }
            block::Block::ReadAhead(ahead) => {
                let open = instances.get(ahead.instance, client)?.object()?;
                if let Some((position, bytes)) = self.transfer(open, ahead.position, ahead.bytes) {
                    self.units[open.unit].expect(position, bytes, system);
                }
                Ok(Outcome::from(Ok(block::Expected {})))
            }
            block::Block::Discard(discard) => {
                let instance = instances.get(discard.instance, client)?;
                if instance.attributes & attribute::WRITABLE == 0 {
                    return Err(Error::NotWritable);
                }
                let open = instance.object()?;
                let unit = &mut self.units[open.unit];
                if unit.facts().largest_discard_blocks == 0 {
                    return Err(Error::NotSupported);
                }
                let blocks = blocks_of(unit, open, discard.position, discard.bytes)?;
                if blocks.is_empty() {
                    return Ok(Outcome::from(Ok(block::Discarded {})));
                }
                let job = Job::Discard { client: client.pid, first: blocks.start, end: blocks.end };
                unit.submit(job, None, system)?;
                Ok(Outcome::Later)
            }
        }
    }
}

/// The blocks of the disk that bytes of an object are: whole ones, and all of them the object's.
fn blocks_of(unit: &Unit, open: &Open, position: u64, bytes: u64) -> Result<Range<u64>, Error> {
    let block_bytes = u64::from(unit.facts().block_bytes);
    if !position.is_multiple_of(block_bytes) || !bytes.is_multiple_of(block_bytes) {
        return Err(Error::BadArgument);
    }
    let first = position / block_bytes;
    let end = first + bytes / block_bytes;
    if end > open.blocks.end - open.blocks.start {
        return Err(Error::NoSpace);
    }
    Ok(open.blocks.start + first..open.blocks.start + end)
}

impl Service for DiskServer {
    type Open = Open;

    const MOST_READ_BYTES: u64 = LARGEST_TRANSFER_BYTES as u64;

    fn open(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<Open>, Error> {
        let (at, object) = self.resolve(context, path)?;
        let (blocks, name, partition) = match (object, mode & mode::DIRECTORY != 0) {
            (Object::Root, true) => return Ok(Opening::Directory(self.listing(at))),
            (Object::Root, false) => return Err(Error::IsADirectory),
            (_, true) => return Err(Error::NotADirectory),
            (Object::All, false) => (0..self.units[at].facts().block_count, ALL.to_string(), None),
            (Object::Partition(partition), false) => {
                let blocks = partition.first..partition.first + partition.count;
                (blocks, partition.number.to_string(), Some(partition.clone()))
            }
        };
        if !client.user.may_operate() {
            return Err(Error::NoPermission);
        }
        if mode & mode::CREATE != 0 && mode & mode::NEW != 0 {
            return Err(Error::AlreadyExists);
        }
        if mode & mode::APPEND != 0 {
            return Err(Error::NotSupported);
        }
        let unit = &mut self.units[at];
        let (block_bytes, count) = (unit.facts().block_bytes, blocks.end - blocks.start);
        let mut attributes = if mode & mode::READ != 0 { attribute::READABLE } else { 0 };
        let mut writer = None;
        if mode & mode::WRITE != 0 {
            if unit.facts().is_read_only {
                return Err(Error::ReadOnly);
            }
            writer = Some(unit.add_writer(blocks.clone())?);
            attributes |= attribute::WRITABLE;
        }
        let open = Open { unit: at, blocks, name, partition, writer };
        Ok(Opening::Object { open, attributes, block_bytes, size: count * u64::from(block_bytes) })
    }

    fn close(&mut self, open: Open, system: &mut dyn System) {
        if let Some(writer) = open.writer {
            self.units[open.unit].remove_writer(writer, system);
        }
    }

    fn size(&mut self, open: &Open) -> u64 {
        (open.blocks.end - open.blocks.start) * u64::from(self.units[open.unit].facts().block_bytes)
    }

    fn read<'a>(
        &'a mut self,
        client: &Client,
        open: &'a mut Open,
        position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        let Some((position, bytes)) = self.transfer(open, position, room as u64) else {
            return Ok(Reading::Moved(0));
        };
        let unit = &mut self.units[open.unit];
        unit.submit(Job::Read { client: client.pid, position, bytes }, None, system)?;
        Ok(Reading::Later)
    }

    fn write(
        &mut self,
        client: &Client,
        open: &mut Open,
        position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        // All of it is checked, though only the beginning may be written.
        let wanted = client.grant.bytes();
        if position.checked_add(wanted).is_none_or(|end| end > self.size(open)) {
            return Err(Error::NoSpace);
        }
        let Some((position, bytes)) = self.transfer(open, position, wanted) else {
            return Ok(Writing::Done(0));
        };
        let unit = &mut self.units[open.unit];
        let block_bytes = u64::from(unit.facts().block_bytes);
        let is_whole = position.is_multiple_of(block_bytes) && (bytes as u64).is_multiple_of(block_bytes);
        let client = client.pid;
        let job = if is_whole {
            Job::Write { client, position, bytes }
        } else {
            Job::Patch { client, position, bytes }
        };
        unit.submit(job, Some(data), system)?;
        Ok(Writing::Later)
    }

    /// As with any device: it stays as long as it is.
    fn set_size(&mut self, open: &mut Open, size: u64, _system: &mut dyn System) -> Result<(), Error> {
        if size <= self.size(open) { Ok(()) } else { Err(Error::NoSpace) }
    }

    fn synchronize(
        &mut self,
        client: &Client,
        open: &mut Open,
        system: &mut dyn System,
    ) -> Result<Completion, Error> {
        let unit = &mut self.units[open.unit];
        if !unit.facts().has_write_cache {
            return Ok(Completion::Now);
        }
        unit.submit(Job::Flush { client: client.pid }, None, system)?;
        Ok(Completion::Later)
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        let (at, object) = self.resolve(context, path)?;
        let name = match path::parent_and_name(path) {
            Ok((_, name)) => name,
            Err(_) => "",
        };
        Ok(match object {
            Object::Root => Descriptor {
                object: u64::from(self.units[at].number) << PARTITION_BITS,
                ..io_server::listing::flat_root(1 + self.units[at].table().partitions.len())
            },
            Object::All => self.descriptor(at, (0, self.units[at].facts().block_count), name),
            Object::Partition(partition) => self.descriptor(at, (partition.number, partition.count), name),
        })
    }

    fn describe_open<'a>(&'a mut self, open: &'a Open) -> Result<Descriptor<'a>, Error> {
        let number = open.partition.as_ref().map_or(0, |partition| partition.number);
        Ok(self.descriptor(open.unit, (number, open.blocks.end - open.blocks.start), &open.name))
    }

    fn context(&mut self, context: u32, path: &[u8]) -> Result<u32, Error> {
        match self.resolve(context, path)? {
            (_, Object::Root) => Ok(context),
            _ => Err(Error::NotADirectory),
        }
    }

    fn context_name(&mut self, context: u32) -> Result<String, Error> {
        self.units.get(context as usize).map(|_| String::new()).ok_or(Error::NotFound)
    }

    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        instances: &mut Instances<OpenInstance<Open>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        if request.message.code() == notice::Interrupt::CODE {
            let sender = Some(request.client.pid);
            let mut own = self.units.iter_mut().filter(|unit| unit.interrupt() == sender).peekable();
            if own.peek().is_none() {
                return Outcome::refuse(Error::BadRequest);
            }
            own.for_each(|unit| unit.attend(system));
            return InterruptLine::attended(request.message);
        }
        match block::Block::from_message(request.message) {
            Some(operation) => {
                self.block(request, operation, instances, system).unwrap_or_else(Outcome::refuse)
            }
            None => Outcome::refuse(Error::BadRequest),
        }
    }

    /// A disk without interrupts is looked at soon, and more seldom the longer it takes.
    fn is_waited_on(&self) -> bool {
        self.units.iter().any(|unit| unit.interrupt().is_none() && unit.is_working())
    }

    fn tick(&mut self, system: &mut dyn System) {
        let now_ns = system.monotonic_ns();
        for unit in &mut self.units {
            // An interrupt that the device forgot is made up for.
            unit.attend(system);
            unit.check_patience(now_ns);
        }
    }
}
