//! What the network server's partner library needs, made of a simulated node: its system calls, and memory for the
//! buffers that it lends to the kernel.

use std::collections::BTreeMap;

use abi::call::{self, MoveFrom, MoveTo, Registers};
use abi::kernel::record::{AlienRecord, ProcessRecord};
use abi::kernel::{GROUP, PROCESS, group, process};
use abi::remote::Alien;
use abi::wire::PREFIX_BYTES;
use abi::{Access, Error, Grant, Message, Pid};
use network_partner::{AlienPlace, Kernel, MovingKernel, groups};

use crate::{Node, Outcome};

/// Bytes of each of the network server's areas: the inbox, the outbox, a lent buffer.
const AREA_BYTES: u64 = 0x1_0000;
const OUTBOX: u64 = AREA_BYTES;
const RECORD: u64 = 2 * AREA_BYTES;
const LENT: u64 = 3 * AREA_BYTES;

/// Buffers that the kernel has.
#[derive(Default)]
pub struct Lent {
    /// By cookie: which area, and the buffer as it was lent.
    buffers: BTreeMap<u64, (u64, Vec<u8>)>,
    /// By cookie.
    aliens: BTreeMap<u64, Pid>,
}

impl Lent {
    /// Pages of memory for so many buffers at a time.
    pub const fn pages(buffers: usize) -> u32 {
        ((LENT + buffers as u64 * AREA_BYTES) / abi::PAGE_BYTES) as u32
    }

    /// Whether the kernel has none.
    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    fn free_area(&self) -> u64 {
        let taken = |area| self.buffers.values().any(|(other, _)| *other == area);
        (0..=self.buffers.len() as u64).find(|area| !taken(*area)).expect("one more than are taken")
    }
}

/// The network server, seen from its library.
pub struct Bridge<'a> {
    pub node: &'a mut Node,
    pub pid: Pid,
    pub lent: &'a mut Lent,
}

impl Bridge<'_> {
    /// A call that does not wait.
    fn call(&mut self, registers: Registers) -> (Registers, Result<(), Error>) {
        let Outcome::Done(results) = self.node.call(self.pid, registers) else {
            panic!("the network server waits");
        };
        (results, Error::check(results.number as u32))
    }

    fn reply_as(&mut self, reply: call::Reply) -> Result<(), Error> {
        self.call(reply.encode()).1
    }

    /// Sends an alien, with bits beside its priority.
    fn send(&mut self, alien: &Alien, buffer: Vec<u8>, bits: u64) -> Result<(), Error> {
        let area = self.lent.free_area();
        let buffer_address = Node::data(LENT + area * AREA_BYTES);
        // A request without segment has no prefix, and no place for more than a reply's message.
        let place = buffer.get(PREFIX_BYTES..).unwrap_or_default();
        self.node.poke(self.pid, buffer_address, &place[..alien.head_bytes]);
        let mut record = alien.record(buffer_address, place.len() as u64);
        record.priority |= bits;
        self.lent.buffers.insert(alien.cookie, (area, buffer));
        self.node.poke(self.pid, Node::data(RECORD), &record.to_bytes());
        let to = match self.lent.aliens.get(&alien.cookie) {
            Some(alien) => *alien,
            None => self.node.request(self.pid, PROCESS, &process::CreateAlien {})?.alien,
        };
        self.lent.aliens.insert(alien.cookie, to);
        self.reply_as(call::Reply {
            to,
            message: alien.message,
            segment_address: Node::data(RECORD),
            segment_bytes: AlienRecord::BYTES as u64,
            replier: 0,
            error: 0,
        })
    }
}

impl Kernel for Bridge<'_> {
    fn reply(&mut self, client: Pid, message: &Message, data: &[u8], replier: Pid) -> Result<(), Error> {
        let address = Node::data(OUTBOX);
        self.node.poke(self.pid, address, data);
        self.reply_as(call::Reply {
            to: client,
            message: *message,
            segment_address: address,
            segment_bytes: data.len() as u64,
            replier: replier.to_bits(),
            error: 0,
        })
    }

    fn fail(&mut self, client: Pid, error: Error) -> Result<(), Error> {
        self.reply_as(call::Reply {
            to: client,
            message: Message::default(),
            segment_address: 0,
            segment_bytes: 0,
            replier: 0,
            error: u64::from(error.code()),
        })
    }

    fn forward(&mut self, client: Pid, to: Pid, message: &Message, forwarder: Pid) -> Result<(), Error> {
        let forward =
            call::Forward { client, message: *message, to: to.to_bits(), forwarder: forwarder.to_bits() };
        self.call(forward.encode()).1
    }

    fn move_to(&mut self, client: Pid, offset: u64, data: &[u8]) -> (u64, Result<(), Error>) {
        let address = Node::data(OUTBOX);
        self.node.poke(self.pid, address, data);
        let bytes = data.len() as u64;
        let (results, outcome) =
            self.call(MoveTo { client, segment_offset: offset, address, bytes }.encode());
        (results.extra[0], outcome)
    }

    fn move_from(&mut self, client: Pid, offset: u64, buffer: &mut [u8]) -> (u64, Result<(), Error>) {
        let (address, bytes) = (Node::data(OUTBOX), buffer.len() as u64);
        let (results, outcome) =
            self.call(MoveFrom { client, segment_offset: offset, address, bytes }.encode());
        let count = results.extra[0] as usize;
        buffer[..count].copy_from_slice(&self.node.peek_touched(self.pid, address, count));
        (results.extra[0], outcome)
    }

    fn send_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error> {
        self.send(alien, buffer, 0)
    }

    fn members(&mut self, group: Pid) -> Vec<Pid> {
        groups::members(|position| {
            let query = group::QueryGroup { group, position };
            let queried = self.node.request(self.pid, GROUP, &query).ok()?;
            Some((queried.member, queried.count))
        })
    }

    fn take_back(&mut self, cookie: u64) -> Vec<u8> {
        if let Some(alien) = self.lent.aliens.remove(&cookie) {
            let destroy = process::DestroyAlien { alien };
            self.node.request(self.pid, PROCESS, &destroy).expect("it can be ended at any time");
        }
        let (area, mut buffer) = self.lent.buffers.remove(&cookie).expect("a buffer that was lent");
        let place = buffer.get_mut(PREFIX_BYTES..).unwrap_or_default();
        let content = self.node.peek_touched(self.pid, Node::data(LENT + area * AREA_BYTES), place.len());
        place.copy_from_slice(&content);
        buffer
    }
}

impl MovingKernel for Bridge<'_> {
    fn look_at_alien(&mut self, cookie: u64, client: Pid) -> Result<AlienPlace, Error> {
        let alien = *self.lent.aliens.get(&cookie).expect("an alien that was sent");
        let query = process::QueryProcess { process: alien };
        let grant = Grant::new(ProcessRecord::BYTES as u64, Access::WRITE);
        self.node.request_with(self.pid, PROCESS, &query, Node::data(RECORD), grant)?;
        let bytes = self.node.peek(self.pid, Node::data(RECORD), ProcessRecord::BYTES);
        AlienPlace::of(&ProcessRecord::from_bytes(bytes.first_chunk().expect("a record")), client)
    }

    fn restore_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error> {
        self.send(alien, buffer, AlienRecord::RECEIVED_BIT)
    }

    fn read_team(&mut self, team: Pid, most_bytes: usize) -> Result<Vec<u8>, Error> {
        let address = Node::data(OUTBOX);
        let grant = Grant::new((most_bytes as u64).min(AREA_BYTES), Access::WRITE);
        let read = process::ReadTeam { team };
        let bytes = self.node.request_with(self.pid, PROCESS, &read, address, grant)?.bytes;
        if u64::from(bytes) > grant.bytes() {
            return Err(Error::TooLong);
        }
        Ok(self.node.peek(self.pid, address, bytes as usize))
    }

    fn write_team(&mut self, team: Pid, state: &[u8]) -> Result<(), Error> {
        let address = Node::data(OUTBOX);
        self.node.poke(self.pid, address, state);
        let grant = Grant::new(state.len() as u64, Access::READ);
        let write = process::WriteTeam { team };
        self.node.request_with(self.pid, PROCESS, &write, address, grant).map(|_| ())
    }
}
