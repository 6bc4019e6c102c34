//! Page requests: pages asked for from their server, and pages given back to it.
//!
//! A request is a pseudo-sender of no team. Its segment is the page itself: its frame is mapped into a space of the
//! kernel's, at the request's *window*, so that a reply, MoveTo and MoveFrom, and the network server's, take it for any
//! client's segment. Who waits for the page waits in the request's queue and lends it its priority.
//!
//! A request that was answered leaves its slot, and so its pid, to the next one in its window. So pids, of which a slot has
//! but so many, are not used up, and a server on another node has as few clients to remember as there are windows. One that
//! was given up does not: what is answered too late must be for nobody. A frame that was not needed, since the server lent
//! its pages, stays in the window likewise, until frames are wanted.
//!
//! There is one request for a page at a time, and [`PAGE_REQUESTS`] in all. A pager's reply is an allegation: it fills the
//! frame, or lends pages of the pager's own, or says no; anything else is as good as no.

use abi::kernel::priority;
use abi::kernel::protection::{READ, WRITE};
use abi::page::page::{Read, Write};
use abi::page::{DEADLINE_NS, MOST_LENT};
use abi::protocol::Request as _;
use abi::{Access, Error, Grant, Message, PAGE_BYTES};

use crate::cache::{EntryIndex, flag};
use crate::frame::{Frame, Frames};
use crate::kernel::Kernel;
use crate::machine::{Caching, Machine, ProcessIndex};
use crate::object::{Object, ObjectIndex};
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

/// Pages that are asked for of another node at a time, where one follows the other.
const READ_AHEAD: u32 = 8;

/// Where the first window is in the kernel's space for them.
const WINDOWS: u64 = 1 << 21;

/// What a page is filled up with.
static ZEROS: [u8; PAGE_BYTES as usize] = [0; PAGE_BYTES as usize];

/// The requests under way.
#[derive(Debug)]
pub struct PageRequests<Space> {
    /// By window; nobody where none was yet, or the last was given up.
    slots: [ProcessIndex; PAGE_REQUESTS],
    /// By window, when its request was made.
    since_ns: [u64; PAGE_REQUESTS],
    /// By window, a bit: its request is under way.
    under_way: u32,
    /// Likewise: it is, or who waited for it is being told.
    busy: u32,
    /// Where their windows are.
    space: Space,
    /// Whether the current process will wait for what is asked for, so that the server may be switched to.
    pub(crate) may_switch: bool,
    /// The server that is: ready, and in no list.
    pub(crate) woken: ProcessIndex,
}

const _: () = assert!(PAGE_REQUESTS == u32::BITS as usize);

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
        let (slots, since_ns) = ([NOBODY; PAGE_REQUESTS], [0; PAGE_REQUESTS]);
        PageRequests { slots, since_ns, under_way: 0, busy: 0, space, may_switch: false, woken: NOBODY }
    }

    /// The slots of those that are under way.
    pub fn under_way(&self) -> impl Iterator<Item = ProcessIndex> {
        bits(self.under_way).map(|window| self.slots[window])
    }
}

/// Which page of which object.
pub(crate) type PageOf = (ObjectIndex, u32);

impl<M: Machine> Kernel<M> {
    /// Asks for a page that is not in the cache, and maybe for some behind it, before page `end`. [`PAGE_MISSING`] if it has
    /// been asked for.
    pub(crate) fn request_page(&mut self, object: ObjectIndex, page: u32, end: u32) -> Error {
        if let Err(error) = self.begin_read((object, page)) {
            return error;
        }
        if self.processes[self.missing].flags.has(Flags::REMOTE) {
            self.read_ahead((object, page), end);
        }
        PAGE_MISSING
    }

    /// Asks for pages behind one that comes from another node, if those before it have: with each that is waited for, further
    /// ones are on their way. Nothing is taken for them that others might want.
    #[cold]
    fn read_ahead(&mut self, (object, page): PageOf, end: u32) {
        let waits_for = self.missing;
        let begins = page < 2 || (1..3).any(|before| self.cache.find(object, page - before).is_none());
        for ahead in page + 1..end.min(page.saturating_add(READ_AHEAD)) {
            let has_room = self.page_requests.busy.count_ones() < PAGE_REQUESTS as u32 / 2
                && self.frames.free_count() > 2 * self.reserve();
            if begins
                || !has_room
                || self.cache.find(object, ahead).is_some()
                || self.begin_read((object, ahead)).is_err()
            {
                break;
            }
        }
        (self.missing, self.missing_room) = (waits_for, false);
    }

    #[inline]
    fn begin_read(&mut self, page: PageOf) -> Result<()> {
        if let Some(slot) = self.find_request(page) {
            (self.missing, self.missing_room) = (slot, false);
            return Ok(());
        }
        let mut window = self.free_window(page.0)?;
        if self.frame_in(window).is_none() {
            let frame = self.take_frame(self.reserve())?;
            // Pages may have been begun to be written back for the frame, which takes windows.
            window = self.free_window(page.0).inspect_err(|_| self.frames.release(frame))?;
            self.fill_window(window, frame);
        }
        let instance = self.regions.objects.get(page.0).instance;
        let request = Read { instance, position: position(page.1) };
        self.begin_request(window, page, &request.to_message(), Grant::new(PAGE_BYTES, Access::WRITE))?;
        self.missing_room = false;
        self.counters.page_reads += 1;
        Ok(())
    }

    /// Begins to write an entry back. [`PAGE_MISSING`] if that goes on.
    pub(crate) fn request_write(&mut self, index: EntryIndex) -> Error {
        self.begin_write(index).err().unwrap_or(PAGE_MISSING)
    }

    fn begin_write(&mut self, index: EntryIndex) -> Result<()> {
        self.missing_room = true;
        let entry = *self.cache.get(index);
        let page = (entry.object, entry.page);
        if let Some(slot) = self.find_request(page) {
            self.missing = slot;
            return Ok(());
        }
        let window = self.free_window(entry.object)?;
        self.empty_window(window);
        self.fill_window(window, entry.frame);
        // What is written from now on is a new change.
        self.protect_mappings(index);
        self.cache.set_flags(index, flag::DIRTY, flag::BUSY);
        let instance = self.regions.objects.get(entry.object).instance;
        let request = Write { instance, position: position(entry.page) };
        let grant = Grant::new(entry.bytes.into(), Access::READ);
        self.begin_request(window, page, &request.to_message(), grant).inspect_err(|error| {
            self.take_out(window);
            self.written_back(page, Err(*error));
        })?;
        self.counters.page_writes += 1;
        Ok(())
    }

    /// A window, with its slot, for one more request of an object. If there is none: who wants it waits for one of them.
    #[inline]
    fn free_window(&mut self, object: ObjectIndex) -> Result<usize> {
        let is_system = self.regions.objects.get(object).user.is_system();
        let first = if is_system { 0 } else { SYSTEM_WINDOWS };
        let Some(window) = bits(!self.page_requests.busy >> first << first).next() else {
            let used = bits(self.page_requests.under_way >> first << first).next();
            (self.missing, self.missing_room) =
                (used.map_or(NOBODY, |used| self.page_requests.slots[used]), true);
            return Err(PAGE_MISSING);
        };
        if self.page_requests.slots[window] == NOBODY {
            let slot = self.processes.allocate()?;
            let process = &mut self.processes[slot];
            process.kind = Kind::Page;
            process.space = self.page_requests.space;
            process.registers.extra[0] = window_address(window);
            self.processes.set_aside(slot);
            self.page_requests.slots[window] = slot;
        }
        Ok(window)
    }

    /// The frame in a window.
    fn frame_in(&self, window: usize) -> Option<Frame> {
        let slot = self.page_requests.slots[window];
        if slot == NOBODY { None } else { self.processes[slot].extra.frame }
    }

    /// Puts a frame into a window that has none.
    fn fill_window(&mut self, window: usize, frame: Frame) {
        self.processes[self.page_requests.slots[window]].extra.frame = Some(frame);
        let (space, address) = (self.page_requests.space, window_address(window));
        // Its table is there: see `new`.
        self.machine.map_run(space, address, 1, |_| Some((frame, READ | WRITE)));
    }

    /// Takes the frame out of a window.
    fn take_out(&mut self, window: usize) {
        self.processes[self.page_requests.slots[window]].extra.frame = None;
        self.machine.unmap(self.page_requests.space, window_address(window));
    }

    /// Frees the frame in a window, if there is one.
    fn empty_window(&mut self, window: usize) {
        if let Some(frame) = self.frame_in(window) {
            self.take_out(window);
            self.frames.release(frame);
        }
    }

    /// Frees the frames in windows without a request.
    pub fn empty_windows(&mut self) {
        bits(!self.page_requests.busy).for_each(|window| self.empty_window(window));
    }

    fn find_request(&self, page: PageOf) -> Option<ProcessIndex> {
        let mut under_way = self.page_requests.under_way();
        let has_any = self.regions.objects.get(page.0).requests > 0;
        has_any.then(|| under_way.find(|slot| self.page_of(*slot) == page))?
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
        message: &Message,
        grant: Grant,
    ) -> Result<()> {
        let Object { pager, user, .. } = *self.regions.objects.get(object);
        // As urgent as who brings it about, so that a server which is switched to becomes no more urgent when that one waits.
        let priority = match self.cpu().current {
            NOBODY => priority::SYSTEM,
            current => self.processes[current].priority,
        };
        let slot = self.page_requests.slots[window];
        let process = &mut self.processes[slot];
        process.priority = priority;
        process.own_priority = priority;
        process.user = user;
        process.extra.count = page.into();
        process.extra.value = u32::from(object);
        process.registers.pid = pager.to_bits();
        process.registers.message = message.to_registers();
        process.registers.extra[1] = grant.to_bits();
        let is_timed = process.flags.has(Flags::TIMED);
        let to = if self.short_request(slot, pager) {
            None
        } else {
            match self.find_receiver_anywhere(self.processes.host(), pager) {
                // The next network server sends it.
                Err(Error::NoNetwork) if self.former_network_servers > 0 => Some(NOBODY),
                found => Some(found?),
            }
        };
        self.processes.take_up(slot);
        self.page_requests.under_way |= 1 << window;
        self.page_requests.busy |= 1 << window;
        self.page_requests.since_ns[window] = self.coarse_now_ns;
        self.regions.objects.get_mut(object).requests += 1;
        self.missing = slot;
        if !is_timed {
            self.set_deadline(slot, self.coarse_now_ns + DEADLINE_NS);
        }
        match to {
            None => {}
            Some(NOBODY) => {
                self.processes[slot].flags.set(Flags::REMOTE);
                self.send_stranded();
            }
            Some(pager) => {
                self.trace_message(abi::trace::Event::Send, slot, pager);
                self.post(slot, pager);
            }
        }
        Ok(())
    }

    /// The time has come for the request of a slot, or for one before it: there is one deadline, set for the earliest.
    pub(crate) fn request_due(&mut self, slot: ProcessIndex) {
        let window = window_of(self.processes[slot].segment_address());
        if self.page_requests.under_way & 1 << window == 0 {
            return;
        }
        let at_ns = self.page_requests.since_ns[window] + DEADLINE_NS;
        if self.coarse_now_ns < at_ns {
            self.set_deadline(slot, at_ns);
        } else {
            self.end_request(slot, Err(Error::DeadlinePassed), Answer::None);
        }
    }

    /// Sends the requests that are for another node and with nobody, because there was no network server, or the one that
    /// had them has ended: they may be made again.
    pub(crate) fn send_stranded(&mut self) {
        let server = self.network_server;
        for window in bits(self.page_requests.under_way) {
            let slot = self.page_requests.slots[window];
            let process = &mut self.processes[slot];
            if server != NOBODY && process.flags.has(Flags::REMOTE) && process.state == State::Idle {
                process.begin_transaction();
                self.trace_message(abi::trace::Event::Send, slot, server);
                self.post(slot, server);
            }
        }
    }

    /// The server of a page has answered its request, which waits for nobody; with `data` at `address` of its own, lent if it
    /// says for what. Returns who is ready because of it but in no list yet, or nobody.
    pub(crate) fn page_answered(
        &mut self,
        pager: ProcessIndex,
        slot: ProcessIndex,
        address: u64,
        data: Grant,
    ) -> Result<ProcessIndex> {
        let reply = Message::from_registers(self.processes[pager].registers.message);
        let is_remote = self.processes[slot].flags.has(Flags::REMOTE);
        let outcome = if is_remote { self.reply_for(pager).1 } else { Ok(()) };
        let is_heard = outcome.is_ok();
        let outcome = outcome.and_then(|()| Error::check(reply.code()));
        let reads = self.processes[slot].grant().access() == Access::WRITE;
        let lends = reads && outcome.is_ok() && data.access().contains(Access::READ) && !is_remote;
        if lends {
            self.lend(pager, self.page_of(slot), address, data)?;
        } else if data.bytes() != 0 {
            self.copy_reply(pager, slot, address, data.bytes())?;
        }
        self.counters.replies += 1;
        self.trace_message(abi::trace::Event::Reply, pager, slot);
        self.end_waiting(slot, pager);
        self.processes[slot].state = State::Idle;
        let answer = if lends { Answer::Lent } else { Answer::Copied(data.bytes()) };
        Ok(self.finish_request(slot, outcome, if is_heard { answer } else { Answer::None }))
    }

    /// A request has come to its end.
    pub(crate) fn end_request(&mut self, slot: ProcessIndex, outcome: Result<()>, answer: Answer) {
        let woken = self.finish_request(slot, outcome, answer);
        if woken != NOBODY {
            self.make_ready(woken);
        }
    }

    /// The same; returns the last of those who are ready because of it, if that is in no list yet.
    fn finish_request(&mut self, slot: ProcessIndex, outcome: Result<()>, answer: Answer) -> ProcessIndex {
        if self.processes[slot].state != State::Idle {
            self.leave_state(slot);
        }
        let page = self.page_of(slot);
        let process = &mut self.processes[slot];
        let reads = process.grant().access() == Access::WRITE;
        let (window, frame) = (window_of(process.segment_address()), process.extra.frame);
        self.page_requests.under_way &= !(1 << window);
        self.regions.objects.get_mut(page.0).requests -= 1;
        let mut outcome = outcome;
        if !reads {
            self.take_out(window);
            self.written_back(page, outcome);
        } else if let (Ok(()), Answer::Copied(bytes), Some(frame)) = (outcome, answer, frame) {
            self.take_out(window);
            if bytes < PAGE_BYTES {
                self.machine.write_frame(frame, bytes as usize, &ZEROS[bytes as usize..]);
            }
            // It may have been lent meanwhile, with another page.
            let is_there = self.cache.find(page.0, page.1).is_some();
            if is_there || !self.enter(page, frame, bytes as u16, flag::REFERENCED) {
                self.frames.release(frame);
            }
            if self.cache.find(page.0, page.1).is_none() {
                outcome = Err(Error::NoMemory);
            }
        }
        let mut woken = NOBODY;
        while let waiter = self.processes[slot].queue.head
            && waiter != NOBODY
        {
            if woken != NOBODY {
                self.make_ready(woken);
            }
            let outcome = if self.processes[waiter].waits_for_room { Ok(()) } else { outcome };
            woken = self.end_page_wait(waiter, outcome);
        }
        if self.processes[slot].expected_by > 0 {
            self.disappoint(slot);
        }
        if answer == Answer::None {
            self.empty_window(window);
            self.page_requests.slots[window] = NOBODY;
            self.clear_deadline(slot);
            self.processes.release(slot, self.nowhere);
        } else {
            self.processes.set_aside(slot);
        }
        self.page_requests.busy &= !(1 << window);
        woken
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

    /// Enters pages of a pager's own memory, from `address` on, as those from `page` on, up to one that is there. All that is
    /// asked is that the first can be lent; of the others those that can.
    fn lend(&mut self, pager: ProcessIndex, (object, page): PageOf, address: u64, data: Grant) -> Result<()> {
        let team = self.processes[pager].team;
        let access = data.access();
        ensure(address.is_multiple_of(PAGE_BYTES) && data.bytes() > 0, Error::BadArgument)?;
        let writable = if access.contains(Access::WRITE) { flag::WRITABLE } else { 0 };
        let mut left = data.bytes().min(MOST_LENT * PAGE_BYTES);
        let mut ahead = 0;
        // What is there was lent before, or meanwhile, and so most likely what is behind it.
        while left > 0 && self.cache.find(object, page + ahead).is_none() {
            let lent = self.find_lendable(team, address + position(ahead), access).and_then(|frame| {
                let flags = flag::LENT | flag::REFERENCED | writable;
                let entered = self.enter((object, page + ahead), frame, left.min(PAGE_BYTES) as u16, flags);
                ensure(entered, Error::NoResources)
            });
            if ahead == 0 {
                lent?;
            }
            ahead += 1;
            left = left.saturating_sub(PAGE_BYTES);
        }
        Ok(())
    }

    /// The frame behind a pager's page, if it may be lent so: the pager's own, or memory that nobody gives back.
    fn find_lendable(&mut self, team: TeamIndex, address: u64, access: Access) -> Result<Frame> {
        let wanted = if access.contains(Access::WRITE) { READ | WRITE } else { READ };
        let list = &mut self.teams[usize::from(team)].regions;
        let region = self.regions.find(list, address).ok_or(Error::BadAddress)?;
        let ordinary =
            matches!(region.backing, Backing::Zero | Backing::Physical { caching: Caching::Cached, .. });
        ensure(ordinary && region.protection & wanted == wanted, Error::BadAddress)?;
        let space = self.team(team).space;
        // Mostly it is there: the server has just written or read it.
        if let Some(frame) = self.machine.translate(space, address, wanted) {
            return Ok(frame);
        }
        self.touch(team, address, wanted)?;
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

const fn position(page: u32) -> u64 {
    page as u64 * PAGE_BYTES
}

const fn window_address(window: usize) -> u64 {
    WINDOWS + window as u64 * PAGE_BYTES
}

const fn window_of(address: u64) -> usize {
    ((address - WINDOWS) / PAGE_BYTES) as usize
}

/// Which bits are set.
fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let bit = set.trailing_zeros() as usize;
        set &= set.wrapping_sub(1);
        (bit < u32::BITS as usize).then_some(bit)
    })
}
