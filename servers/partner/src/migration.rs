//! A guest's logical host moves: what the partner and the engine have of it, and what the kernel has of its processes, as
//! bytes, which another machine's partner goes on with, or this one if that fails.
//!
//! ```text
//! head    version u16 = 1, nothing u16, logical host u32, bytes of the team's state u32, of the engine's u32,
//!         count of sends u32, of requests u32, of answers u32
//! team    the kernel's           engine  see `vmtp::Engine::export`
//! send    client u64, to u64, transaction u32, request and response, each its number u32, its length u32 and bytes
//! request client u64, transaction u32, server u64, who has received its message u64 or 0, forwarder u64, user u32,
//!         priority u32, message eight u32, grant u64, head's bytes u32, length of the buffer u32,
//!         content: length u32 and bytes
//! answer  client's host u32, number and content as of a send
//! ```
//! All numbers are big-endian. A buffer's number is that by which the engine's state names it.
//!
//! What ends soon is not taken along, but waited for: whoever moves the guest is told to try again a moment later
//! ([`Busy`](Error::Busy)). That is a copy to or from a segment, a message to a group, one that a member has of a group,
//! and an answer that waits to be received.

use alloc::vec::Vec;

use abi::remote::Alien;
use abi::wire::PREFIX_BYTES;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid, UserId};
use vmtp::{Buffer, ImportError, Imported, Refusal, RequestId, SendId};

use crate::guests::vmtp_host;
use crate::kernel::{AlienPlace, MovingKernel};
use crate::moves::is_remote_server;
use crate::sends::Sent;
use crate::serves::{Answer, Serve};
use crate::state::{Reader, Writer};
use crate::{Link, Partner, WIRE_SEGMENT_BYTES, entity};

const VERSION: u16 = 1;
/// Bytes of a state beside what is of a transaction, a buffer, or the team.
const HEAD_BYTES: usize = 128;
/// Bytes of a send, request or answer beside its buffers.
const RECORD_BYTES: usize = 160;

/// A send, as it travels.
struct MovedSend<'a> {
    sent: Sent,
    request: (Buffer, &'a [u8]),
    response: (Buffer, &'a [u8]),
}

/// A request that a process of the guest is to answer.
struct MovedRequest<'a> {
    alien: Alien,
    /// Who has received its message already, or none.
    received_by: Pid,
    buffer_bytes: usize,
    content: &'a [u8],
}

/// An answer that its client may ask for again.
struct MovedAnswer<'a> {
    host: LogicalHost,
    number: Buffer,
    content: &'a [u8],
}

/// Where what is in a state goes.
struct Slots {
    sends: Vec<usize>,
    requests: Vec<usize>,
    answers: Vec<usize>,
}

/// A state, taken apart and checked as far as that can be without the engine.
struct State<'a> {
    team: &'a [u8],
    engine: &'a [u8],
    sends: Vec<MovedSend<'a>>,
    requests: Vec<MovedRequest<'a>>,
    answers: Vec<MovedAnswer<'a>>,
}

impl Partner {
    /// Takes out all that there is of the guest with a logical host, whose team is frozen, in at most so many bytes. From
    /// then on it is not here: who sends to it looks for it.
    ///
    /// # Errors
    ///
    /// Nothing has been done. [`NotFound`](Error::NotFound) if no guest here has it, [`Busy`](Error::Busy) where something
    /// must end first, [`TooLong`](Error::TooLong), or what the kernel says.
    pub fn export_host<K: MovingKernel, L: Link>(
        &mut self,
        now_ns: u64,
        (host, team): (LogicalHost, Pid),
        most_bytes: usize,
        kernel: &mut K,
        link: &mut L,
    ) -> Result<Vec<u8>, Error> {
        if !self.guests.has(host) {
            return Err(Error::NotFound);
        }
        if team.host() != host {
            return Err(Error::BadArgument);
        }
        // What is due is done, so that nothing of it is left behind.
        self.act(now_ns, None, kernel, link);
        if !self.loopback.is_empty() || !self.is_movable(host) {
            return Err(Error::Busy);
        }
        let served = self.serves.under_of(host);
        let mut receivers = Vec::with_capacity(served.len());
        for (slot, server, alien) in &served {
            receivers.push(match kernel.look_at_alien(*slot as u64, alien.client)? {
                AlienPlace::Received(receiver) => receiver,
                AlienPlace::Queued(server_too) if server_too == *server => Pid::NONE,
                // Of what was forwarded within the guest only the kernel knows the message.
                AlienPlace::Queued(_) => return Err(Error::Busy),
            });
        }
        let bound = self.state_bytes(host);
        let room = most_bytes.checked_sub(bound).ok_or(Error::TooLong)?;
        let mut out = Writer::with_room(bound)?;
        let team_state = kernel.read_team(team, room)?;
        let team_state_bytes = team_state.len();
        // From here on nothing fails.
        let engine_state = self.engine.export(now_ns, vmtp_host(host)).unwrap_or_default();
        self.guests.remove(host);
        self.guests.note_moved(host);
        let (sends, answers) = (self.sends.of_host(host), self.serves.answered_of(host));
        out.u16(VERSION);
        out.u16(0);
        out.u32(host.to_bits());
        let lengths = [team_state_bytes, engine_state.len(), sends.len(), served.len(), answers.len()];
        for length in lengths {
            out.u32(length as u32);
        }
        out.raw(&team_state);
        out.raw(&engine_state);
        for slot in sends {
            self.export_send(slot, &mut out);
        }
        for ((slot, _, alien), received_by) in served.into_iter().zip(receivers) {
            self.export_request(slot, &alien, received_by, kernel, &mut out);
        }
        for (slot, client_host, bytes) in answers {
            let content = self.memory.take(self.memory.reply(slot));
            out.u32(client_host.to_bits());
            out.u32(self.memory.reply(slot).0);
            out.bytes(&content[..bytes.min(content.len())]);
            self.memory.recycle(content);
            self.serves.end(slot);
        }
        self.act(now_ns, None, kernel, link);
        Ok(out.0)
    }

    /// Whether nothing is under way that cannot be taken along.
    fn is_movable(&self, host: LogicalHost) -> bool {
        let stays =
            |sent: &Sent| sent.client.host() == host && (sent.to.is_group() || is_remote_server(sent.to));
        !self.sends.iter().any(stays)
            && !self.serves.is_member_busy(host)
            && !self.places.is_any_of(host)
            && !self.waiting.iter().any(|received| received.sender.host() == host)
    }

    /// Most bytes of the state of a logical host, without the team's.
    fn state_bytes(&self, host: LogicalHost) -> usize {
        let of_sends = self.sends.of_host(host).into_iter().map(|slot| {
            let bytes = |buffer| self.memory.get(buffer).len();
            RECORD_BYTES + bytes(self.memory.request(slot)) + bytes(self.memory.response(slot))
        });
        let of_requests =
            self.serves.under_of(host).into_iter().map(|(.., alien)| RECORD_BYTES + needed_bytes(&alien));
        let of_answers = self.serves.answered_of(host).into_iter().map(|(_, _, bytes)| RECORD_BYTES + bytes);
        HEAD_BYTES
            + self.engine.state_bytes(vmtp_host(host))
            + of_sends.chain(of_requests).chain(of_answers).sum::<usize>()
    }

    fn export_send(&mut self, slot: usize, out: &mut Writer) {
        let (request, response) = (self.memory.request(slot), self.memory.response(slot));
        let Some(sent) = self.sends.take(slot) else { return };
        out.u64(sent.client.to_bits());
        out.u64(sent.to.to_bits());
        out.u32(sent.transaction);
        let content = self.memory.take(request);
        out.u32(request.0);
        out.bytes(&content[..content.len().min(sent.request_bytes)]);
        self.memory.recycle(content);
        out.u32(response.0);
        out.bytes(&self.memory.take(response));
    }

    fn export_request<K: MovingKernel>(
        &mut self,
        slot: usize,
        alien: &Alien,
        received_by: Pid,
        kernel: &mut K,
        out: &mut Writer,
    ) {
        let buffer = kernel.take_back(slot as u64);
        self.memory.give_back(buffer.len());
        self.serves.end(slot);
        out.u64(alien.client.to_bits());
        out.u32(alien.transaction);
        for pid in [alien.to, received_by, alien.forwarder] {
            out.u64(pid.to_bits());
        }
        out.u32(alien.user.0);
        out.u32(u32::from(alien.priority));
        alien.message.words.iter().for_each(|word| out.u32(*word));
        out.u64(alien.grant.to_bits());
        out.u32(alien.head_bytes as u32);
        let whole = needed_bytes(alien).min(buffer.len());
        out.u32(whole as u32);
        // Behind the head is what the server has written so far, if it has the message.
        let head = PREFIX_BYTES + alien.head_bytes;
        let used = if received_by.is_none() { head.min(whole) } else { whole };
        out.bytes(&buffer[..used]);
        self.memory.recycle(buffer);
    }

    /// Goes on with a guest: its logical host is here from now on. Its processes come into `team`, which is a newborn one, or
    /// they are still there, if `team` is its own. Nothing of it runs before it is thawed.
    ///
    /// # Errors
    ///
    /// Nothing has been done. [`BadArgument`](Error::BadArgument) if the state is not one, or another host's;
    /// [`Busy`](Error::Busy) if that is here; [`NoResources`](Error::NoResources), or what the kernel says.
    pub fn import_host<K: MovingKernel, L: Link>(
        &mut self,
        now_ns: u64,
        (host, team): (LogicalHost, Pid),
        bytes: &[u8],
        kernel: &mut K,
        link: &mut L,
    ) -> Result<(), Error> {
        let state = State::read(bytes, host)?;
        self.act(now_ns, None, kernel, link);
        let slots = self.find_room(&state)?;
        let mut imported = self.import_engine(now_ns, &state, &slots)?;
        // What here has been overtaken by what came.
        for (client, transaction) in imported.abandoned.drain(..) {
            self.abandon_where(kernel, |id| id.client == client && id.transaction == transaction);
        }
        let is_new = |buffer: Buffer| slots.answers.iter().any(|slot| self.memory.reply(*slot) == buffer);
        let (unwanted, overtaken): (Vec<_>, Vec<_>) =
            imported.released.drain(..).partition(|buffer| is_new(*buffer));
        for buffer in overtaken {
            self.release(buffer);
        }
        let is_whole = imported.sends.len() == state.sends.len()
            && imported.sends.iter().all(|id| state.sends.iter().any(|send| send.is_of(id)));
        let filled = if is_whole { kernel.write_team(team, state.team) } else { Err(Error::BadArgument) };
        if let Err(error) = filled {
            // As if it had not come: what is taken out again is dropped.
            self.engine.export(now_ns, vmtp_host(host));
            return Err(error);
        }
        self.guests.add(host);
        for (send, slot) in state.sends.iter().zip(slots.sends) {
            let Some(id) = imported.sends.iter().find(|id| send.is_of(id)) else { continue };
            self.memory.put(self.memory.request(slot), send.request.1.to_vec());
            self.memory.put(self.memory.response(slot), send.response.1.to_vec());
            self.sends.put(slot, Sent { id: *id, ..send.sent });
        }
        for (answer, slot) in state.answers.iter().zip(slots.answers) {
            let buffer = self.memory.reply(slot);
            if !unwanted.contains(&buffer) {
                self.memory.put(buffer, answer.content.to_vec());
                self.serves.keep(slot, answer.host, host, answer.content.len());
            }
        }
        let mut requests = imported.requests;
        for (request, slot) in state.requests.iter().zip(slots.requests) {
            if let Some(at) = requests.iter().position(|id| request.is_of(id)) {
                self.restore_request(now_ns, requests.swap_remove(at), request, slot, kernel, link);
            }
        }
        for id in requests {
            // Nobody has them.
            let _ = self.engine.refuse(now_ns, id, Refusal::Died);
        }
        self.act(now_ns, None, kernel, link);
        Ok(())
    }

    /// Slots for the sends, requests and answers of a state.
    fn find_room(&self, state: &State<'_>) -> Result<Slots, Error> {
        let sends = self.sends.free_slots(state.sends.len());
        let mut served = self.serves.free_slots(state.requests.len() + state.answers.len());
        let bytes =
            state.sends.iter().map(|send| send.request.1.len() + send.response.1.len()).sum::<usize>()
                + state.requests.iter().map(|request| request.buffer_bytes).sum::<usize>()
                + state.answers.iter().map(|answer| answer.content.len()).sum::<usize>();
        let fits = sends.len() == state.sends.len()
            && served.len() == state.requests.len() + state.answers.len()
            && self.memory.used_bytes() + bytes <= self.configuration.memory_bytes;
        let answers = served.split_off(state.requests.len().min(served.len()));
        if fits { Ok(Slots { sends, requests: served, answers }) } else { Err(Error::NoResources) }
    }

    /// The engine's part.
    fn import_engine(&mut self, now_ns: u64, state: &State<'_>, slots: &Slots) -> Result<Imported, Error> {
        let Partner { engine, memory, .. } = self;
        // By its old number each buffer is one thing's only.
        let mut numbers: Vec<(Buffer, Buffer)> = Vec::new();
        for (send, slot) in state.sends.iter().zip(&slots.sends) {
            numbers.push((send.request.0, memory.request(*slot)));
            numbers.push((send.response.0, memory.response(*slot)));
        }
        for (answer, slot) in state.answers.iter().zip(&slots.answers) {
            numbers.push((answer.number, memory.reply(*slot)));
        }
        let renumber = |buffer: Buffer| {
            let at = numbers.iter().position(|(old, _)| *old == buffer)?;
            Some(numbers.swap_remove(at).1)
        };
        engine.import(now_ns, state.engine, renumber).map_err(|error| match error {
            ImportError::Malformed | ImportError::UnknownBuffer => Error::BadArgument,
            ImportError::NotRemote => Error::Busy,
            ImportError::NoRoom => Error::NoResources,
        })
    }

    /// The alien of a request that came along stands again where it stood.
    fn restore_request<K: MovingKernel, L: Link>(
        &mut self,
        now_ns: u64,
        id: RequestId,
        request: &MovedRequest<'_>,
        slot: usize,
        kernel: &mut K,
        link: &mut L,
    ) {
        let mut buffer = self.memory.room(request.buffer_bytes);
        buffer.resize(request.buffer_bytes, 0);
        buffer[..request.content.len()].copy_from_slice(request.content);
        let cookie = slot as u64;
        let alien = Alien { cookie, ..request.alien };
        let server = alien.to;
        self.memory.lend(buffer.len());
        self.aliens = self.aliens.max(slot + 1);
        let serve = Serve::Under { id, server, is_member: false };
        self.serves.begin(slot, alien.client.host(), serve);
        self.serves.note_for_guest(slot, &alien);
        let sent = if request.received_by.is_none() {
            kernel.send_alien(&alien, buffer)
        } else {
            kernel.restore_alien(&Alien { to: request.received_by, ..alien }, buffer)
        };
        if let Err(error) = sent {
            let answer = Answer { message: &Message::default(), replier: server, outcome: Err(error) };
            self.answered(now_ns, cookie, &answer, kernel, link);
        }
    }
}

/// Bytes of an alien's buffer that are for anything: for its head, and for a reply.
fn needed_bytes(alien: &Alien) -> usize {
    let writable = alien.grant.access().contains(Access::WRITE);
    let reply_bytes = if writable { alien.grant.bytes().min(abi::segment::HEAD_BYTES) as usize } else { 0 };
    PREFIX_BYTES + alien.head_bytes.max(reply_bytes)
}

impl MovedSend<'_> {
    fn is_of(&self, id: &SendId) -> bool {
        id.client == entity(self.sent.client) && id.transaction == self.sent.transaction
    }
}

impl MovedRequest<'_> {
    fn is_of(&self, id: &RequestId) -> bool {
        id.client == entity(self.alien.client) && id.transaction == self.alien.transaction
    }
}

impl<'a> State<'a> {
    /// Takes a state of `host` apart.
    fn read(bytes: &'a [u8], host: LogicalHost) -> Result<State<'a>, Error> {
        let mut from = Reader(bytes);
        let (version, nothing, number) = (from.u16()?, from.u16()?, from.u32()?);
        let [team_bytes, engine_bytes, sends, requests, answers] = from.u32s()?.map(|length| length as usize);
        if version != VERSION || nothing != 0 || number != host.to_bits() {
            return Err(Error::BadArgument);
        }
        let (team, engine) = (from.raw(team_bytes)?, from.raw(engine_bytes)?);
        // A count says nothing of what is there: each is read for itself.
        let sends = (0..sends).map(|_| MovedSend::read(&mut from, host)).collect::<Result<_, _>>()?;
        let requests =
            (0..requests).map(|_| MovedRequest::read(&mut from, host)).collect::<Result<_, _>>()?;
        let answers = (0..answers).map(|_| MovedAnswer::read(&mut from)).collect::<Result<_, _>>()?;
        if from.0.is_empty() {
            Ok(State { team, engine, sends, requests, answers })
        } else {
            Err(Error::BadArgument)
        }
    }
}

impl<'a> MovedSend<'a> {
    fn read(from: &mut Reader<'a>, host: LogicalHost) -> Result<MovedSend<'a>, Error> {
        let (client, to) = (Pid::from_bits(from.u64()?), Pid::from_bits(from.u64()?));
        let transaction = from.u32()?;
        let request = (Buffer(from.u32()?), from.bytes()?);
        let response = (Buffer(from.u32()?), from.bytes()?);
        let is_sound = client.host() == host
            && !client.is_group()
            && !to.is_group()
            && !is_remote_server(to)
            && request.1.len() <= WIRE_SEGMENT_BYTES
            && response.1.len() <= WIRE_SEGMENT_BYTES;
        // The engine says by what number it knows it.
        let id = SendId { index: 0, client: entity(client), transaction };
        let sent = Sent { client, to, transaction, request_bytes: request.1.len(), id };
        if is_sound { Ok(MovedSend { sent, request, response }) } else { Err(Error::BadArgument) }
    }
}

impl<'a> MovedRequest<'a> {
    fn read(from: &mut Reader<'a>, host: LogicalHost) -> Result<MovedRequest<'a>, Error> {
        let (client, transaction) = (Pid::from_bits(from.u64()?), from.u32()?);
        let [to, received_by, forwarder] = [from.u64()?, from.u64()?, from.u64()?].map(Pid::from_bits);
        let (user, priority) = (UserId(from.u32()?), from.u32()?);
        let message = Message { words: from.u32s()? };
        let grant = Grant::from_bits(from.u64()?);
        let (head_bytes, buffer_bytes) = (from.u32()? as usize, from.u32()? as usize);
        let content = from.bytes()?;
        let alien = Alien {
            client,
            to,
            forwarder,
            user,
            transaction,
            priority: u8::try_from(priority).map_err(|_| Error::BadArgument)?,
            message,
            grant,
            head_bytes,
            cookie: 0,
        };
        let is_sound = client.host() != host
            && to.host() == host
            && (received_by.is_none() || received_by.host() == host)
            && buffer_bytes <= WIRE_SEGMENT_BYTES
            && content.len() <= buffer_bytes
            && (head_bytes == 0 || PREFIX_BYTES + head_bytes <= content.len());
        if is_sound {
            Ok(MovedRequest { alien, received_by, buffer_bytes, content })
        } else {
            Err(Error::BadArgument)
        }
    }
}

impl<'a> MovedAnswer<'a> {
    fn read(from: &mut Reader<'a>) -> Result<MovedAnswer<'a>, Error> {
        let (host, number, content) = (from.u32()?, Buffer(from.u32()?), from.bytes()?);
        let is_sound = !content.is_empty() && content.len() <= WIRE_SEGMENT_BYTES;
        let answer = MovedAnswer { host: LogicalHost::from_bits(host), number, content };
        if is_sound { Ok(answer) } else { Err(Error::BadArgument) }
    }
}
