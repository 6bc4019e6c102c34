//! Page requests: pages asked for from their server, and pages given back to it.
//!
//! A request is a pseudo-sender of no team. Its segment is the page itself: its frame is mapped into a space of the
//! kernel's, at the request's *window*, so that a reply, MoveTo and MoveFrom, and the network server's, take it for any
//! client's segment. Who waits for the page waits in the request's queue and lends it its priority.
//!
//! A request that was answered leaves its slot, and so its pid, to another. So pids, of which a slot has
//! but so many, are not used up, and a server on another node has as few clients to remember as there are windows. One that
//! was given up does not: what is answered too late must be for nobody.
//!
//! There is one request for a page at a time, and [`PAGE_REQUESTS`] in all. A pager's reply is an allegation: it fills the
//! frame, or lends pages of the pager's own, or says no; anything else is as good as no.

use abi::call::Reply;
use abi::kernel::priority;
use abi::kernel::protection::{READ, WRITE};
use abi::page::page::{Read, Write};
use abi::page::{DEADLINE_NS, MOST_LENT};
use abi::protocol::Request as _;
use abi::{Access, Error, Grant, Message, PAGE_BYTES, Pid, UserId};

use crate::cache::{EntryIndex, flag};
use crate::frame::{Frame, Frames};
use crate::kernel::Kernel;
use crate::machine::{Caching, Machine, Place, ProcessIndex};
use crate::object::ObjectIndex;
use crate::paging::PAGE_MISSING;
use crate::process::{Flags, Kind, NOBODY, State};
use crate::region::Backing;
use crate::team::TeamIndex;
use crate::{Result, ensure};

/// Most page requests at a time. So many process slots are kept free for them.
pub const PAGE_REQUESTS: usize = 32;

/// Windows that only pages of the system's users get: a user whose pagers don't answer must not keep programs from
/// being read.
const SYSTEM_WINDOWS: usize = PAGE_REQUESTS / 4;

/// Where the first window is in the kernel's space for them.
const WINDOWS: u64 = 1 << 21;

/// What a page is filled up with.
static ZEROS: [u8; PAGE_BYTES as usize] = [0; PAGE_BYTES as usize];

/// The requests under way.
#[derive(Debug)]
pub struct PageRequests<Space> {
    /// By window; nobody for most.
    pub slots: [ProcessIndex; PAGE_REQUESTS],
    /// Slots of former ones, set aside for further ones; nobody behind them.
    idle: [ProcessIndex; PAGE_REQUESTS],
    /// Where their windows are.
    pub space: Space,
}

impl<Space: Copy + Eq + core::fmt::Debug> PageRequests<Space> {
    /// None, and all that their windows need.
    ///
    /// # Panics
    /// If there is not enough memory for that.
    pub fn new(machine: &mut impl Machine<Space = Space>, frames: &mut Frames) -> PageRequests<Space> {
        let space = machine.create_space(frames).expect("memory for the space of page requests");
        // The tables stay when a window is unmapped again.
        let frame = frames.allocate().expect("a frame");
        for window in 0..PAGE_REQUESTS {
            let address = window_address(window);
            machine
                .map(space, address, frame, READ, Caching::Cached, frames)
                .expect("memory for page tables");
            machine.unmap(space, address);
        }
        frames.release(frame);
        PageRequests { slots: [NOBODY; PAGE_REQUESTS], idle: [NOBODY; PAGE_REQUESTS], space }
    }

    /// The slot that was set aside last.
    fn take_idle(&mut self) -> Option<ProcessIndex> {
        let last = self.idle.iter_mut().rev().find(|slot| **slot != NOBODY)?;
        Some(core::mem::replace(last, NOBODY))
    }

    /// A place for one more.
    fn idle_place(&mut self) -> Option<&mut ProcessIndex> {
        self.idle.iter_mut().find(|slot| **slot == NOBODY)
    }
}

/// Which page of which object.
pub(crate) type PageOf = (ObjectIndex, u32);

impl<M: Machine> Kernel<M> {
    /// Asks for a page that is not in the cache. [`PAGE_MISSING`] if it has been asked for.
    pub(crate) fn request_page(&mut self, object: ObjectIndex, page: u32) -> Error {
        if let Some(slot) = self.find_request((object, page)) {
            (self.missing, self.missing_room) = (slot, false);
            return PAGE_MISSING;
        }
        let frame = match self.take_frame_for_cache() {
            Ok(frame) => frame,
            Err(error) => return error,
        };
        // Only now: pages may have been begun to be written back for the frame, which takes windows.
        let window = match self.free_window(object) {
            Ok(window) => window,
            Err(error) => {
                self.frames.release(frame);
                return error;
            }
        };
        let request = Read { instance: self.regions.objects.get(object).instance, position: position(page) };
        let grant = Grant::new(PAGE_BYTES, Access::WRITE);
        match self.begin_request(window, (object, page), frame, request.to_message(), grant) {
            Ok(()) => {
                self.counters.page_reads += 1;
                self.missing_room = false;
                PAGE_MISSING
            }
            Err(error) => {
                self.frames.release(frame);
                error
            }
        }
    }

    /// Begins to write an entry back. [`PAGE_MISSING`] if that goes on.
    pub(crate) fn request_write(&mut self, index: EntryIndex) -> Error {
        let entry = *self.cache.get(index);
        if let Some(slot) = self.find_request((entry.object, entry.page)) {
            (self.missing, self.missing_room) = (slot, true);
            return PAGE_MISSING;
        }
        let window = match self.free_window(entry.object) {
            Ok(window) => window,
            Err(error) => return error,
        };
        // What is written from now on is a new change.
        self.protect_mappings(index);
        self.cache.set_flags(index, flag::DIRTY, flag::BUSY);
        let instance = self.regions.objects.get(entry.object).instance;
        let request = Write { instance, position: position(entry.page) };
        let grant = Grant::new(entry.bytes.into(), Access::READ);
        let begun =
            self.begin_request(window, (entry.object, entry.page), entry.frame, request.to_message(), grant);
        match begun {
            Ok(()) => {
                self.counters.page_writes += 1;
                self.missing_room = true;
                PAGE_MISSING
            }
            Err(error) => {
                self.written_back((entry.object, entry.page), Err(error));
                error
            }
        }
    }

    /// A window for one more request of an object. If there is none: who wants it waits for one of them.
    fn free_window(&mut self, object: ObjectIndex) -> Result<usize> {
        let is_system = self.regions.objects.get(object).user.is_system();
        let first = if is_system { 0 } else { SYSTEM_WINDOWS };
        let free = self.page_requests.slots[first..].iter().position(|slot| *slot == NOBODY);
        free.map(|window| first + window).ok_or_else(|| {
            (self.missing, self.missing_room) = (self.page_requests.slots[first], true);
            PAGE_MISSING
        })
    }

    fn find_request(&self, page: PageOf) -> Option<ProcessIndex> {
        let slots = self.page_requests.slots.iter().copied();
        slots.into_iter().find(|slot| *slot != NOBODY && self.page_of(*slot) == page)
    }

    fn page_of(&self, slot: ProcessIndex) -> PageOf {
        let extra = &self.processes[slot].extra;
        (extra.value as ObjectIndex, extra.count as u32)
    }

    /// Sends a request to the page's server.
    fn begin_request(
        &mut self,
        window: usize,
        (object, page): PageOf,
        frame: Frame,
        message: Message,
        grant: Grant,
    ) -> Result<()> {
        let Object { pager, user } = self.pager_of(object);
        let found = match self.find_receiver_anywhere(self.processes.host(), pager) {
            // The next network server sends it.
            Err(Error::NoNetwork) if self.former_network_servers > 0 => NOBODY,
            found => found?,
        };
        let slot = match self.page_requests.take_idle() {
            Some(idle) => {
                self.processes.take_up(idle);
                idle
            }
            None => self.processes.allocate()?,
        };
        let address = window_address(window);
        let space = self.page_requests.space;
        let mapped = self.machine.map(space, address, frame, READ | WRITE, Caching::Cached, &mut self.frames);
        if mapped.is_err() {
            self.processes.release(slot, self.nowhere);
            return Err(Error::NoMemory);
        }
        self.page_requests.slots[window] = slot;
        self.regions.objects.get_mut(object).requests += 1;
        let process = &mut self.processes[slot];
        process.kind = Kind::Page;
        process.state = State::Idle;
        process.flags = Flags::PSEUDO;
        process.priority = priority::SYSTEM;
        process.own_priority = priority::SYSTEM;
        process.user = user;
        process.space = space;
        process.extra.count = page.into();
        process.extra.value = u32::from(object);
        process.extra.frame = Some(frame);
        process.registers.pid = pager.to_bits();
        process.registers.message = message.to_registers();
        process.registers.extra[0] = address;
        process.registers.extra[1] = grant.to_bits();
        self.missing = slot;
        let deadline_ns = self.read_clock() + DEADLINE_NS;
        self.set_deadline(slot, deadline_ns);
        if found == NOBODY {
            self.processes[slot].flags.set(Flags::REMOTE);
            self.send_stranded();
        } else {
            self.trace_message(abi::trace::Event::Send, slot, found);
            self.post(slot, found);
        }
        Ok(())
    }

    /// Sends the requests that are for another node and with nobody, because there was no network server, or the one that
    /// had them has ended: they may be made again.
    pub(crate) fn send_stranded(&mut self) {
        let server = self.network_server;
        for window in 0..PAGE_REQUESTS {
            let slot = self.page_requests.slots[window];
            if server == NOBODY || slot == NOBODY {
                continue;
            }
            let process = &mut self.processes[slot];
            if process.flags.has(Flags::REMOTE) && process.state == State::Idle {
                process.begin_transaction();
                self.trace_message(abi::trace::Event::Send, slot, server);
                self.post(slot, server);
            }
        }
    }

    fn pager_of(&self, object: ObjectIndex) -> Object {
        let object = self.regions.objects.get(object);
        Object { pager: object.pager, user: object.user }
    }

    /// The server of a page has answered its request, which waits for nobody; with `bytes` of data at `address` of its own.
    pub(crate) fn page_answered(
        &mut self,
        pager: ProcessIndex,
        slot: ProcessIndex,
        address: u64,
        bytes: u64,
    ) -> Result<()> {
        let registers = &self.processes[pager].registers;
        let reply = Message::from_registers(registers.message);
        let lend =
            if registers.number == Reply::NUMBER { Access(registers.extra[4] as u8 & 3) } else { Access(0) };
        let flags = self.processes[slot].flags;
        let outcome = if flags.has(Flags::REMOTE) { self.reply_for(pager).1 } else { Ok(()) };
        let is_heard = outcome.is_ok();
        let outcome = outcome.and_then(|()| Error::check(reply.code()));
        let reads = self.processes[slot].grant().access() == Access::WRITE;
        let lends = reads && outcome.is_ok() && lend.contains(Access::READ) && !flags.has(Flags::REMOTE);
        if lends {
            self.lend(pager, self.page_of(slot), address, bytes, lend)?;
        } else if bytes != 0 {
            self.copy_reply(pager, slot, address, bytes)?;
        }
        self.counters.replies += 1;
        self.trace_message(abi::trace::Event::Reply, pager, slot);
        self.end_waiting(slot, pager);
        self.processes[slot].state = State::Idle;
        let answer = if lends { Answer::Lent } else { Answer::Copied(bytes) };
        self.end_request(slot, outcome, if is_heard { answer } else { Answer::None });
        Ok(())
    }

    /// A request has come to its end.
    pub(crate) fn end_request(&mut self, slot: ProcessIndex, outcome: Result<()>, answer: Answer) {
        let process = &self.processes[slot];
        let page = self.page_of(slot);
        let reads = process.grant().access() == Access::WRITE;
        let mut outcome = outcome;
        if let Some(frame) = process.extra.frame {
            if !reads {
                self.written_back(page, outcome);
            } else if let (Ok(()), Answer::Copied(bytes)) = (outcome, answer) {
                if bytes < PAGE_BYTES {
                    self.machine.write_frame(frame, bytes as usize, &ZEROS[bytes as usize..]);
                }
                // It may have been lent meanwhile, with another page.
                let is_there = self.cache.find(page.0, page.1).is_some();
                let objects = &mut self.regions.objects;
                if is_there || !self.cache.insert(objects, page, frame, bytes as u16, flag::REFERENCED) {
                    self.frames.release(frame);
                }
                if self.cache.find(page.0, page.1).is_none() {
                    outcome = Err(Error::NoMemory);
                }
            } else {
                self.frames.release(frame);
            }
        }
        self.regions.objects.get_mut(page.0).requests -= 1;
        if let Some(window) = self.page_requests.slots.iter().position(|other| *other == slot) {
            self.page_requests.slots[window] = NOBODY;
            self.machine.unmap(self.page_requests.space, window_address(window));
        }
        self.leave_state(slot);
        while let waiter = self.processes[slot].queue.head
            && waiter != NOBODY
        {
            let outcome = if self.processes[waiter].waits_for_room { Ok(()) } else { outcome };
            self.end_page_wait(waiter, outcome);
        }
        if self.processes[slot].expected_by > 0 {
            self.disappoint(slot);
        }
        match self.page_requests.idle_place() {
            Some(place) if answer != Answer::None => {
                *place = slot;
                self.processes.set_aside(slot, self.nowhere);
            }
            _ => self.processes.release(slot, self.nowhere),
        }
    }

    /// A page has been written back, or could not be: then its object knows why until someone asks.
    fn written_back(&mut self, (object, page): PageOf, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.regions.objects.get_mut(object).failure = error.code();
        }
        let Some(index) = self.cache.find(object, page) else { return };
        self.cache.set_flags(index, flag::BUSY, 0);
        if self.cache.get(index).flags & flag::REVOKED != 0 {
            self.drop_entry(index);
        }
    }

    /// Enters pages of a pager's own memory, from `address` on, as those from `page` on. All that is asked is that the
    /// first can be lent; of the others those that can.
    fn lend(
        &mut self,
        pager: ProcessIndex,
        (object, page): PageOf,
        address: u64,
        bytes: u64,
        access: Access,
    ) -> Result<()> {
        let team = self.processes[pager].team;
        ensure(address.is_multiple_of(PAGE_BYTES) && bytes > 0, Error::BadArgument)?;
        let mut flags = flag::LENT | flag::REFERENCED;
        if access.contains(Access::WRITE) {
            flags |= flag::WRITABLE;
        }
        for ahead in 0..bytes.div_ceil(PAGE_BYTES).min(MOST_LENT) as u32 {
            let at = address + position(ahead);
            let left = (bytes - position(ahead)).min(PAGE_BYTES);
            if self.cache.find(object, page + ahead).is_some() {
                // Lent meanwhile, with a page before it.
                continue;
            }
            let lent = self.find_lendable(team, at, access).and_then(|frame| {
                let objects = &mut self.regions.objects;
                let entered = self.cache.insert(objects, (object, page + ahead), frame, left as u16, flags);
                ensure(entered, Error::NoResources)
            });
            if ahead == 0 {
                lent?;
            }
        }
        Ok(())
    }

    /// The frame behind a pager's page, if it may be lent so: the pager's own, or memory that nobody gives back.
    fn find_lendable(&mut self, team: TeamIndex, address: u64, access: Access) -> Result<Frame> {
        let wanted = if access.contains(Access::WRITE) { READ | WRITE } else { READ };
        let list = &mut self.teams[usize::from(team)].regions;
        let region = self.regions.find(list, address).copied().ok_or(Error::BadAddress)?;
        let ordinary = match region.backing {
            Backing::Zero => true,
            Backing::Physical { caching, .. } => caching == Caching::Cached,
            _ => false,
        };
        ensure(ordinary && region.protection & wanted == wanted, Error::BadAddress)?;
        let space = self.team(team).space.ok_or(Error::BadAddress)?;
        // Mostly it is there: the server has just written or read it.
        if self.machine.translate(space, address, wanted).is_none() {
            self.touch(team, address, wanted)?;
        }
        // What the kernel cannot read it could not copy for who writes it.
        self.machine.read(Place { space, address }, &mut [0]).map_err(|_| Error::BadAddress)?;
        self.machine.translate(space, address, wanted).ok_or(Error::BadAddress)
    }
}

/// What came of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// Nothing: its server has not answered it.
    None,
    /// So many bytes, which are in the frame of what is read.
    Copied(u64),
    /// Pages of the server's own.
    Lent,
}

/// Who serves an object, and for whom.
struct Object {
    pager: Pid,
    user: UserId,
}

const fn position(page: u32) -> u64 {
    page as u64 * PAGE_BYTES
}

const fn window_address(window: usize) -> u64 {
    WINDOWS + window as u64 * PAGE_BYTES
}
