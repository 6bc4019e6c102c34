//! Clients on other machines that send to processes here: each request becomes an alien, and what becomes of that the
//! response.
//!
//! A serve's memory is the request's segment, which the kernel gets as the alien's buffer; then, with a new prefix, the
//! response's, until the client's machine has it.

use alloc::vec::Vec;
use core::fmt;

use abi::kernel::priority;
use abi::remote::Alien;
use abi::segment::HEAD_BYTES;
use abi::wire::{PREFIX_BYTES, ReplyPrefix, RequestPrefix};
use abi::{Access, Error, LogicalHost, Message, Pid};
use vmtp::packet::message;
use vmtp::{Buffer, Refusal, Reply, Request, RequestId, Segment};

use crate::kernel::Kernel;
use crate::moves::is_remote_server;
use crate::{Link, Partner, entity, from_wire, pid, to_wire};

/// What became of an alien, but for data.
pub struct Answer<'a> {
    /// The reply.
    pub message: &'a Message,
    /// Who replied.
    pub replier: Pid,
    /// Why there is none, if there is none.
    pub outcome: Result<(), Error>,
}

/// A client's request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serve {
    /// There is none.
    Free,
    /// Its alien is with the kernel.
    Under {
        /// Whose.
        id: RequestId,
        /// For whom.
        server: Pid,
        /// Whether it is a member of the group that was sent to.
        is_member: bool,
    },
    /// It is answered, and the response's segment kept.
    Answered {
        /// Whose machine has not said yet that it has it.
        host: LogicalHost,
        /// Whose answer it is.
        server_host: LogicalHost,
        /// Bytes of the segment.
        bytes: usize,
    },
}

impl Serve {
    /// The request to a group that a member is to answer.
    fn member_of(&self) -> Option<RequestId> {
        match self {
            Serve::Under { id, is_member: true, .. } => Some(*id),
            _ => None,
        }
    }

    /// Whether what became of its alien is no answer: a group's member that has nothing to say, or is no more.
    fn is_silent(&self, message: &Message, outcome: Result<(), Error>) -> bool {
        self.member_of().is_some() && (outcome.is_err() || message.code() == Error::NothingToSay.code())
    }

    fn host(&self) -> Option<LogicalHost> {
        match self {
            Serve::Free => None,
            Serve::Under { id, .. } => Some(pid(id.client).host()),
            Serve::Answered { host, .. } => Some(*host),
        }
    }
}

/// All of them.
pub struct Serves {
    /// First those for aliens, then those for copies: these let others end, and must not wait for them.
    slots: Vec<Serve>,
    aliens: usize,
    /// Free slots, for aliens and for copies.
    free_for_aliens: Vec<usize>,
    free_for_copies: Vec<usize>,
    /// Machines with clients that are served or were answered, and how many each has.
    hosts: Vec<(LogicalHost, usize)>,
    /// Requests to groups that members are to answer, and how many.
    groups: Vec<(RequestId, usize)>,
    /// What the kernel was told of the aliens for guests, which may move: by their slots, until these are free.
    for_guests: Vec<(usize, Alien)>,
}

impl fmt::Debug for Serves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots.iter().filter(|slot| **slot != Serve::Free)).finish()
    }
}

impl Serves {
    /// None, and room for so many aliens and copies.
    pub fn new(aliens: usize, copies: usize) -> Serves {
        Serves {
            slots: alloc::vec![Serve::Free; aliens + copies],
            aliens,
            free_for_aliens: (0..aliens).rev().collect(),
            free_for_copies: (aliens..aliens + copies).rev().collect(),
            hosts: Vec::new(),
            groups: Vec::new(),
            for_guests: Vec::new(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.free_for_aliens.len() + self.free_for_copies.len() == self.slots.len()
    }

    /// Whether the one in a slot is answered, and its response kept.
    pub fn is_answered(&self, slot: usize) -> bool {
        matches!(self.slots[slot], Serve::Answered { .. })
    }

    /// How many there are.
    pub fn used(&self) -> usize {
        self.slots.iter().filter(|slot| **slot != Serve::Free).count()
    }

    /// A free slot for a copy's reply.
    fn free_for_copy(&self) -> Option<usize> {
        self.free_for_copies.last().copied()
    }

    /// A free slot for a client of `host`, if that has not `most` already.
    fn free(&self, host: LogicalHost, most: usize) -> Option<usize> {
        let hosts_own = self.hosts.iter().find(|(known, _)| *known == host).map_or(0, |(_, count)| *count);
        self.free_for_aliens.last().copied().filter(|_| hosts_own < most)
    }

    /// So many free slots for aliens, or as many as there are.
    pub fn free_slots(&self, count: usize) -> Vec<usize> {
        self.free_for_aliens.iter().rev().copied().take(count).collect()
    }

    /// The requests that processes of a guest's logical host are to answer: slot, server, and what the kernel was told.
    pub fn under_of(&self, host: LogicalHost) -> Vec<(usize, Pid, Alien)> {
        let of = |(slot, serve): (usize, &Serve)| match serve {
            Serve::Under { server, .. } if server.host() == host => {
                let (_, alien) = self.for_guests.iter().find(|(of, _)| *of == slot)?;
                Some((slot, *server, *alien))
            }
            _ => None,
        };
        self.slots.iter().enumerate().filter_map(of).collect()
    }

    /// The answers of a logical host that are kept: slot, the client's host, and bytes.
    pub fn answered_of(&self, host: LogicalHost) -> Vec<(usize, LogicalHost, usize)> {
        let of = |(slot, serve): (usize, &Serve)| match serve {
            Serve::Answered { host: client, server_host, bytes } if *server_host == host => {
                Some((slot, *client, *bytes))
            }
            _ => None,
        };
        self.slots.iter().enumerate().filter_map(of).collect()
    }

    /// Whether a process of a logical host is to answer as a member of a group.
    pub fn is_member_busy(&self, host: LogicalHost) -> bool {
        let is_it = |serve: &Serve| matches!(serve, Serve::Under { server, is_member: true, .. } if server.host() == host);
        self.slots.iter().any(is_it)
    }

    /// Puts a client's request into a slot that is free: most often the one that was offered last.
    pub fn begin(&mut self, slot: usize, host: LogicalHost, serve: Serve) {
        self.slots[slot] = serve;
        if let Some(id) = serve.member_of() {
            match self.groups.iter_mut().find(|(known, _)| *known == id) {
                Some((_, count)) => *count += 1,
                None => self.groups.push((id, 1)),
            }
        }
        let is_copy = slot >= self.aliens;
        let free = if is_copy { &mut self.free_for_copies } else { &mut self.free_for_aliens };
        if free.pop_if(|last| *last == slot).is_none() {
            let place = free.iter().position(|other| *other == slot).expect("what is free is listed");
            free.remove(place);
        }
        if is_copy {
            return;
        }
        match self.hosts.iter_mut().find(|(known, _)| *known == host) {
            Some((_, count)) => *count += 1,
            None => self.hosts.push((host, 1)),
        }
    }

    /// Keeps what the kernel was told of the alien of a slot, which is for a guest.
    pub fn note_for_guest(&mut self, slot: usize, alien: &Alien) {
        self.for_guests.push((slot, *alien));
    }

    /// A request was answered, and the response's segment is kept. A copy's slot is free until then.
    pub fn keep(&mut self, slot: usize, host: LogicalHost, server_host: LogicalHost, bytes: usize) {
        let answered = Serve::Answered { host, server_host, bytes };
        self.end_member(slot);
        if matches!(self.slots[slot], Serve::Free) {
            self.begin(slot, host, answered);
        } else {
            self.slots[slot] = answered;
        }
    }

    /// A member that was to answer a request to a group has, or will not.
    fn end_member(&mut self, slot: usize) {
        let Some(id) = self.slots[slot].member_of() else { return };
        let Some(place) = self.groups.iter().position(|(known, _)| *known == id) else { return };
        self.groups[place].1 -= 1;
        if self.groups[place].1 == 0 {
            self.groups.swap_remove(place);
        }
    }

    /// Frees a slot.
    pub fn end(&mut self, slot: usize) {
        let Some(host) = self.slots[slot].host() else { return };
        self.end_member(slot);
        self.slots[slot] = Serve::Free;
        if !self.for_guests.is_empty() {
            self.for_guests.retain(|(of, _)| *of != slot);
        }
        if slot >= self.aliens {
            return self.free_for_copies.push(slot);
        }
        self.free_for_aliens.push(slot);
        if let Some(place) = self.hosts.iter().position(|(known, _)| *known == host) {
            self.hosts[place].1 -= 1;
            if self.hosts[place].1 == 0 {
                self.hosts.swap_remove(place);
            }
        }
    }

    /// The logical host of whom a request that is being served is for.
    fn server_host(&self, slot: usize) -> Option<LogicalHost> {
        match &self.slots[slot] {
            Serve::Under { server, .. } => Some(server.host()),
            _ => None,
        }
    }

    /// The slot of which an alien's cookie is the number, if it has an alien.
    fn of_cookie(&self, cookie: u64) -> Option<usize> {
        let slot = cookie as usize;
        matches!(self.slots.get(slot), Some(Serve::Under { .. })).then_some(slot)
    }
}

impl Partner {
    /// A request has come for a process here.
    pub(crate) fn serve<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        request: &Request,
        kernel: &mut K,
        link: &mut L,
    ) {
        let place = request.segment.and_then(|segment| self.places.take(segment.buffer));
        let segment = match request.segment {
            Some(segment) => {
                let mut content = self.memory.take(segment.buffer);
                // More than that is of a request of which the rest never came.
                content.truncate(segment.bytes as usize);
                // Less is of one that no kernel sends.
                let is_whole = place.is_some() || content.len() == segment.bytes as usize;
                self.engine.release_buffer(segment.buffer);
                if is_whole { content } else { Vec::new() }
            }
            None => Vec::new(),
        };
        let prefix = match request.segment {
            Some(_) => segment.first_chunk().and_then(RequestPrefix::decode),
            None => Some(RequestPrefix::from_word_7(request.message.words[7])),
        };
        // Nobody waits for the answer to a datagram, so nobody would ever say that the alien is not needed any more.
        let Some(prefix) = prefix.filter(|_| !request.message.has(message::DATAGRAM)) else {
            // Who sends such is no kernel.
            let _ = self.engine.refuse(now_ns, request.id, Refusal::NonexistentEntity);
            return;
        };
        if request.server.is_group() {
            return self.serve_group(now_ns, request, &prefix, &segment, kernel, link);
        }
        let (client, server) = (pid(request.id.client), pid(request.server));
        let is_copy = is_remote_server(server);
        let slot = if is_copy { self.serves.free_for_copy() } else { self.free_serve(client, segment.len()) };
        let Some(slot) = slot else {
            // The client waits, as it would in a queue here, and its machine sends the request again.
            let _ = self.engine.refuse(now_ns, request.id, Refusal::Busy);
            return;
        };
        if is_copy {
            return self.move_for(now_ns, request, &prefix, place, slot, kernel, link);
        }
        self.begin_serve(now_ns, request, server, &prefix, segment, slot, kernel, link);
    }

    /// A free slot for a client whose request has a segment of so many bytes, if it may have one.
    pub(crate) fn free_serve(&self, client: Pid, segment_bytes: usize) -> Option<usize> {
        let room = self.memory.used_bytes() + segment_bytes < self.configuration.memory_bytes;
        self.serves.free(client.host(), self.configuration.serves_per_host).filter(|_| room)
    }

    /// Makes an alien of a request, for `server`.
    #[allow(clippy::too_many_arguments)] // What a request consists of, and who serves it.
    pub(crate) fn begin_serve<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        request: &Request,
        server: Pid,
        prefix: &RequestPrefix,
        segment: Vec<u8>,
        slot: usize,
        kernel: &mut K,
        link: &mut L,
    ) {
        let client = pid(request.id.client);
        let cookie = slot as u64;
        let head_bytes = segment.len().saturating_sub(PREFIX_BYTES);
        let reply_bytes = if prefix.grant.access().contains(Access::WRITE) {
            prefix.grant.bytes().min(HEAD_BYTES) as usize
        } else {
            0
        };
        let buffer = if reply_bytes <= head_bytes {
            segment
        } else {
            let mut buffer = self.memory.room(PREFIX_BYTES + reply_bytes);
            buffer[..segment.len()].copy_from_slice(&segment);
            buffer
        };
        let alien = Alien {
            client,
            to: server,
            forwarder: prefix.forwarder,
            user: prefix.user,
            transaction: request.id.transaction,
            priority: priority::FOREGROUND + priority::PROGRAM_LEVEL,
            message: from_wire(&request.message, head_bytes),
            grant: prefix.grant,
            head_bytes,
            cookie,
        };
        self.memory.lend(buffer.len());
        self.aliens = self.aliens.max(slot + 1);
        let is_member = request.server.is_group();
        self.serves.begin(slot, client.host(), Serve::Under { id: request.id, server, is_member });
        if server.host() != self.own {
            self.serves.note_for_guest(slot, &alien);
        }
        if let Err(error) = kernel.send_alien(&alien, buffer) {
            let answer = Answer { message: &Message::default(), replier: server, outcome: Err(error) };
            self.answered(now_ns, cookie, &answer, kernel, link);
        }
    }

    /// An alien is back: its server has answered, or never will.
    #[inline]
    pub(crate) fn answered<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        cookie: u64,
        &Answer { message, replier, outcome }: &Answer<'_>,
        kernel: &mut K,
        link: &mut L,
    ) {
        let segment = kernel.take_back(cookie);
        self.memory.give_back(segment.len());
        let Some(slot) = self.serves.of_cookie(cookie) else { return };
        let group = self.serves.slots[slot].member_of();
        if self.serves.slots[slot].is_silent(message, outcome) {
            self.serves.end(slot);
        } else {
            self.answer(now_ns, slot, (message, replier), outcome, segment, kernel, link);
        }
        if let Some(id) = group
            && !self.serves.groups.iter().any(|(other, _)| *other == id)
        {
            // Of one member, the answer has ended it.
            let _ = self.engine.finish(now_ns, id);
        }
    }

    /// The response to a request: the answer of its server, or why there is none.
    #[inline]
    #[allow(clippy::too_many_arguments)] // What an answer consists of.
    fn answer<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        slot: usize,
        (message, replier): (&Message, Pid),
        outcome: Result<(), Error>,
        mut segment: Vec<u8>,
        kernel: &mut K,
        link: &mut L,
    ) {
        let data_bytes = if outcome.is_ok() { message.segment_bytes() as usize } else { 0 };
        let mut bytes = 0;
        if outcome.is_err() || data_bytes > 0 {
            make_room_for_prefix(&mut segment);
            let prefix = ReplyPrefix { outcome, forward_to: Pid::NONE };
            segment[..PREFIX_BYTES].copy_from_slice(&prefix.encode());
            bytes = PREFIX_BYTES + data_bytes;
        }
        self.respond(now_ns, slot, (message, replier), (segment, bytes), kernel, link);
    }

    /// An alien is back: it was forwarded to a process of another machine. Its own machine is to send it there.
    #[allow(clippy::too_many_arguments)] // What a Forward consists of.
    pub(crate) fn forwarded<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        cookie: u64,
        message: &Message,
        forwarder: Pid,
        to: Pid,
        kernel: &mut K,
        link: &mut L,
    ) {
        let mut segment = kernel.take_back(cookie);
        self.memory.give_back(segment.len());
        let Some(slot) = self.serves.of_cookie(cookie) else { return };
        make_room_for_prefix(&mut segment);
        segment[..PREFIX_BYTES].copy_from_slice(&ReplyPrefix { outcome: Ok(()), forward_to: to }.encode());
        self.respond(now_ns, slot, (message, forwarder), (segment, PREFIX_BYTES), kernel, link);
    }

    /// Gives the engine the response of a serve.
    #[inline]
    fn respond<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        slot: usize,
        (message, replier): (&Message, Pid),
        segment: (Vec<u8>, usize),
        kernel: &mut K,
        link: &mut L,
    ) {
        let Serve::Under { id, server, .. } = self.serves.slots[slot] else { return };
        let replier = if replier.is_none() { server } else { replier };
        self.reply(now_ns, slot, id, (message, replier), segment, kernel, link);
    }

    /// Answers a request with the first so many bytes of a segment that is kept in `slot`, or none.
    #[inline]
    #[allow(clippy::too_many_arguments)] // What a reply consists of.
    pub(crate) fn reply<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        slot: usize,
        id: RequestId,
        (message, replier): (&Message, Pid),
        (segment, bytes): (Vec<u8>, usize),
        kernel: &mut K,
        link: &mut L,
    ) {
        let buffer = self.memory.reply(slot);
        let reply = Reply {
            server: entity(replier),
            message: to_wire(message),
            segment: (bytes > 0).then_some(Segment { buffer, bytes: bytes as u32 }),
        };
        let mut sent = self.engine.reply(now_ns, id, &reply);
        if sent.is_ok() && bytes > 0 {
            self.memory.put(buffer, segment);
            let server_host = self.serves.server_host(slot).unwrap_or_else(|| replier.host());
            self.serves.keep(slot, pid(id.client).host(), server_host, bytes);
        } else {
            self.memory.recycle(segment);
            self.serves.end(slot);
        }
        // If it failed, the client has given up: then nobody wants it.
        if let Ok(first) = &mut sent {
            self.act_at_once(now_ns, first, kernel, link);
        }
    }

    /// The client of a request does not wait any more.
    pub(crate) fn abandon<K: Kernel>(&mut self, id: RequestId, kernel: &mut K) {
        self.abandon_where(kernel, |other| *other == id);
    }

    /// As [`Partner::abandon`], of all requests that `is_over` says it of.
    pub(crate) fn abandon_where<K: Kernel>(&mut self, kernel: &mut K, is_over: impl Fn(&RequestId) -> bool) {
        let is_it = |slot: &Serve| matches!(slot, Serve::Under { id, .. } if is_over(id));
        // To a group it has one for each member.
        while let Some(slot) = self.serves.slots.iter().position(is_it) {
            let buffer = kernel.take_back(slot as u64);
            self.memory.give_back(buffer.len());
            self.serves.end(slot);
        }
    }

    /// A response's segment has arrived, or will not.
    pub(crate) fn release(&mut self, buffer: Buffer) {
        if let Some(slot) = self.memory.serve_of(buffer) {
            self.places.take(buffer);
            let content = self.memory.take(buffer);
            self.memory.recycle(content);
            self.serves.end(slot);
        }
    }
}

/// A request without segment has left none.
fn make_room_for_prefix(segment: &mut Vec<u8>) {
    if segment.len() < PREFIX_BYTES {
        segment.resize(PREFIX_BYTES, 0);
    }
}
