//! A kernel with teams of clients and servers, which is all that a partner sees of one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use abi::kernel::{REMOTE, remote};
use abi::protocol::Request as _;
use abi::remote::{Alien, Arrival, Received};
use abi::segment::HEAD_BYTES;
use abi::wire::PREFIX_BYTES;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid, UserId};
use network_partner::{AlienPlace, Kernel, MovingKernel};

use crate::oracle::{Oracle, Request, answer_byte, question_byte};

/// Code of a request.
const ASK: u32 = 0x1234;
const USER: UserId = UserId(7);

/// What a client waits for.
#[derive(Clone)]
pub struct Wait {
    pub request: Request,
    read: Vec<u8>,
    pub write: Vec<u8>,
}

#[derive(Clone)]
pub struct Client {
    pub pid: Pid,
    /// Requests so far.
    pub count: u32,
    transaction: u32,
    pub waits: Option<Wait>,
    pub next_ns: u64,
}

/// A request that a server has.
#[derive(Clone)]
struct Work {
    client: Pid,
    request: Request,
    until_ns: u64,
    /// How much of the client's segment it writes by itself, before it answers.
    copy_bytes: usize,
    has_copied: bool,
}

#[derive(Clone)]
pub struct Server {
    pub pid: Pid,
    transaction: u32,
    work: Option<Work>,
    /// It waits for its copy.
    is_copying: bool,
}

/// Clients and servers of one logical host.
#[derive(Clone)]
pub struct Team {
    pub root: Pid,
    pub is_frozen: bool,
    /// Its state was read.
    pub is_moved: bool,
    pub clients: Vec<Client>,
    pub servers: Vec<Server>,
}

/// An alien that was sent.
struct Away {
    alien: Alien,
    buffer: Vec<u8>,
    received_by: Pid,
    /// Its answer waits for the partner.
    is_back: bool,
    number: u64,
}

/// Teams whose state was read, by the number that their state's bytes are.
pub type Limbo = Rc<RefCell<BTreeMap<u64, Team>>>;

pub struct Machine {
    pub teams: BTreeMap<u32, Team>,
    aliens: BTreeMap<u64, Away>,
    /// What is to be received by the partner, each with its segment's head.
    pub sent: Vec<(Received, Vec<u8>)>,
    limbo: Limbo,
    oracle: Rc<RefCell<Oracle>>,
    count: u64,
    pub now_ns: u64,
}

impl Team {
    /// A team with so many clients and as many servers.
    pub fn new(host: LogicalHost, count: u16) -> Team {
        let pid = |index| Pid::process(host, 1, index);
        let client = |index| Client { pid: pid(index), count: 0, transaction: 0, waits: None, next_ns: 0 };
        let server = |index| Server { pid: pid(100 + index), transaction: 0, work: None, is_copying: false };
        Team {
            root: pid(0),
            is_frozen: false,
            is_moved: false,
            clients: (0..count).map(client).collect(),
            servers: (0..count).map(server).collect(),
        }
    }
}

impl Machine {
    pub fn new(limbo: Limbo, oracle: Rc<RefCell<Oracle>>) -> Machine {
        Machine {
            teams: BTreeMap::new(),
            aliens: BTreeMap::new(),
            sent: Vec::new(),
            limbo,
            oracle,
            count: 0,
            now_ns: 0,
        }
    }

    fn team(&mut self, pid: Pid) -> Option<&mut Team> {
        self.teams.get_mut(&pid.host().to_bits())
    }

    fn client(&mut self, pid: Pid) -> Option<&mut Client> {
        self.team(pid)?.clients.iter_mut().find(|client| client.pid == pid && client.waits.is_some())
    }

    fn server(&mut self, pid: Pid) -> Option<&mut Server> {
        self.team(pid)?.servers.iter_mut().find(|server| server.pid == pid)
    }

    /// A client sends to a server of another logical host.
    pub fn ask(&mut self, client: Pid, to: Pid, (read, write): (usize, usize)) {
        let team = self.teams.get_mut(&client.host().to_bits()).expect("its team is here");
        let client = team.clients.iter_mut().find(|other| other.pid == client).expect("a client");
        client.count += 1;
        client.transaction = client.transaction.wrapping_add(256);
        let request = Request { client: client.pid, number: client.count };
        let read: Vec<u8> = (0..read).map(|at| question_byte(request, at)).collect();
        let bytes = read.len().max(write);
        let grant = match (read.len(), write) {
            (0, 0) => Grant::NONE,
            (0, _) => Grant::new(bytes as u64, Access::WRITE),
            (_, 0) => Grant::new(bytes as u64, Access::READ),
            _ => Grant::new(bytes as u64, Access::READ_WRITE),
        };
        let head = if read.is_empty() { 0 } else { bytes.min(HEAD_BYTES as usize) };
        let mut content = read.clone();
        content.resize(bytes, 0);
        let message = Message { words: [ASK, request.number, bytes as u32, 0, 0, 0, 0, head as u32] };
        let received = Received {
            sender: client.pid,
            message,
            grant,
            user: USER,
            forwarder: Pid::NONE,
            arrival: Arrival::Elsewhere { to, transaction: client.transaction },
        };
        self.sent.push((received, content[..head].to_vec()));
        client.waits = Some(Wait { request, read: content, write: vec![0; bytes] });
        self.oracle.borrow_mut().begin(request);
    }

    /// The servers receive, work and answer.
    pub fn run(&mut self, random: &mut dyn FnMut(u64) -> u64) {
        let servers: Vec<Pid> = self
            .teams
            .values()
            .filter(|team| !team.is_frozen)
            .flat_map(|team| team.servers.iter().map(|server| server.pid))
            .collect();
        for pid in servers {
            let server = self.server(pid).expect("it is here");
            match server.work.clone() {
                None => self.receive(pid, random),
                Some(_) if server.is_copying => {}
                Some(work) if work.until_ns > self.now_ns => {}
                Some(work) if work.copy_bytes > 0 => self.copy(pid, &work),
                Some(work) => self.answer(pid, &work),
            }
        }
    }

    fn receive(&mut self, pid: Pid, random: &mut dyn FnMut(u64) -> u64) {
        let waits = |away: &&mut Away| away.alien.to == pid && away.received_by.is_none() && !away.is_back;
        let Some(away) = self.aliens.values_mut().filter(waits).min_by_key(|away| away.number) else {
            return;
        };
        away.received_by = pid;
        let alien = away.alien;
        let request = Request { client: alien.client, number: alien.message.words[1] };
        assert_eq!(alien.message.code(), ASK);
        let head = &away.buffer[PREFIX_BYTES.min(away.buffer.len())..];
        for (at, byte) in head[..alien.head_bytes].iter().enumerate() {
            let expected = question_byte(request, at);
            assert!(*byte == expected || *byte == 0, "{request:?} has other content");
        }
        let bytes = alien.grant.bytes() as usize;
        let writable = alien.grant.access().contains(Access::WRITE);
        let copies = writable && bytes > HEAD_BYTES as usize;
        let work = Work {
            client: alien.client,
            request,
            until_ns: self.now_ns + random(60_000_000),
            copy_bytes: if copies { bytes } else { 0 },
            has_copied: false,
        };
        self.oracle.borrow_mut().execute(request);
        self.server(pid).expect("it is here").work = Some(work);
    }

    fn copy(&mut self, pid: Pid, work: &Work) {
        let transaction = self.aliens.values().find(|away| away.received_by == pid && !away.is_back);
        let Some(transaction) = transaction.map(|away| away.alien.transaction) else {
            // The client has given up.
            return self.finish(pid);
        };
        let server = self.server(pid).expect("it is here");
        server.is_copying = true;
        server.transaction = server.transaction.wrapping_add(256);
        let received = Received {
            sender: pid,
            message: remote::MoveTo { client: work.client, transaction, offset: 0 }.to_message(),
            grant: Grant::new(work.copy_bytes as u64, Access::READ),
            user: USER,
            forwarder: Pid::NONE,
            arrival: Arrival::Elsewhere {
                to: Pid::kernel_server(work.client.host(), REMOTE),
                transaction: server.transaction,
            },
        };
        self.sent.push((received, Vec::new()));
    }

    fn answer(&mut self, pid: Pid, work: &Work) {
        let found = self.aliens.iter_mut().find(|(_, away)| away.received_by == pid && !away.is_back);
        if let Some((cookie, away)) = found {
            let writable = away.alien.grant.access().contains(Access::WRITE);
            let bytes = away.alien.grant.bytes() as usize;
            let data = if writable && bytes <= HEAD_BYTES as usize { bytes } else { 0 };
            for at in 0..data {
                away.buffer[PREFIX_BYTES + at] = answer_byte(work.request, at);
            }
            away.is_back = true;
            let copied = u32::from(work.has_copied);
            let message = Message { words: [0, work.request.number, copied, 0, 0, 0, 0, data as u32] };
            let arrival = Arrival::Answered { cookie: *cookie, replier: pid, outcome: Ok(()) };
            let received = Received {
                sender: Pid::NONE,
                message,
                grant: Grant::NONE,
                user: USER,
                forwarder: Pid::NONE,
                arrival,
            };
            self.sent.push((received, Vec::new()));
        }
        self.finish(pid);
    }

    fn finish(&mut self, pid: Pid) {
        self.server(pid).expect("it is here").work = None;
    }

    fn take_alien(&mut self, alien: &Alien, received_by: Pid, buffer: Vec<u8>) -> Result<(), Error> {
        self.count += 1;
        let is_here = self.server(alien.to).is_some();
        let away = Away { alien: *alien, buffer, received_by, is_back: false, number: self.count };
        // The buffer is the kernel's until it is taken back, whatever comes of it.
        assert!(self.aliens.insert(alien.cookie, away).is_none(), "one at a time");
        if is_here { Ok(()) } else { Err(Error::NonexistentProcess) }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.aliens.is_empty() && self.sent.is_empty()
    }
}

impl Kernel for Machine {
    fn reply(&mut self, client: Pid, message: &Message, data: &[u8], _: Pid) -> Result<(), Error> {
        if let Some(server) = self.server(client) {
            assert!(std::mem::take(&mut server.is_copying), "{client} waits for nothing");
            let work = server.work.as_mut().expect("it copies for someone");
            work.has_copied =
                message.code() == Error::OK_CODE && message.words[1] as usize == work.copy_bytes;
            work.copy_bytes = 0;
            return Ok(());
        }
        let oracle = self.oracle.clone();
        let now_ns = self.now_ns;
        let client = self.client(client).ok_or(Error::NotAwaitingReply)?;
        let mut wait = client.waits.take().expect("it waits");
        assert_eq!(message.words[1], wait.request.number, "another's reply");
        wait.write[..data.len()].copy_from_slice(data);
        client.next_ns = now_ns;
        let whole = if message.words[2] == 1 { wait.write.len() } else { data.len() };
        oracle.borrow_mut().replied(wait.request, &wait.write[..whole]);
        Ok(())
    }

    fn fail(&mut self, client: Pid, error: Error) -> Result<(), Error> {
        if let Some(server) = self.server(client) {
            server.is_copying = false;
            if let Some(work) = &mut server.work {
                work.copy_bytes = 0;
            }
            return Ok(());
        }
        let oracle = self.oracle.clone();
        let client = self.client(client).ok_or(Error::NotAwaitingReply)?;
        let wait = client.waits.take().expect("it waits");
        oracle.borrow_mut().failed(wait.request, error);
        Ok(())
    }

    fn forward(&mut self, _: Pid, _: Pid, _: &Message, _: Pid) -> Result<(), Error> {
        unreachable!("nobody forwards")
    }

    fn move_to(&mut self, client: Pid, offset: u64, data: &[u8]) -> (u64, Result<(), Error>) {
        let Some(client) = self.client(client) else { return (0, Err(Error::NotAwaitingReply)) };
        let write = &mut client.waits.as_mut().expect("it waits").write;
        write[offset as usize..][..data.len()].copy_from_slice(data);
        (data.len() as u64, Ok(()))
    }

    fn move_from(&mut self, client: Pid, offset: u64, buffer: &mut [u8]) -> (u64, Result<(), Error>) {
        if let Some(server) = self.server(client) {
            let work = server.work.as_ref().filter(|_| server.is_copying);
            let Some(work) = work else { return (0, Err(Error::NotAwaitingReply)) };
            for (at, byte) in buffer.iter_mut().enumerate() {
                *byte = answer_byte(work.request, offset as usize + at);
            }
            return (buffer.len() as u64, Ok(()));
        }
        let Some(client) = self.client(client) else { return (0, Err(Error::NotAwaitingReply)) };
        let read = &client.waits.as_ref().expect("it waits").read;
        buffer.copy_from_slice(&read[offset as usize..][..buffer.len()]);
        (buffer.len() as u64, Ok(()))
    }

    fn send_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error> {
        self.take_alien(alien, Pid::NONE, buffer)
    }

    fn members(&mut self, _: Pid) -> Vec<Pid> {
        Vec::new()
    }

    fn take_back(&mut self, cookie: u64) -> Vec<u8> {
        self.aliens.remove(&cookie).expect("a buffer that was lent").buffer
    }
}

impl MovingKernel for Machine {
    fn look_at_alien(&mut self, cookie: u64, _: Pid) -> Result<AlienPlace, Error> {
        let away = &self.aliens[&cookie];
        if away.is_back {
            return Err(Error::Busy);
        }
        let is_queued = away.received_by.is_none();
        Ok(if is_queued { AlienPlace::Queued(away.alien.to) } else { AlienPlace::Received(away.received_by) })
    }

    fn restore_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error> {
        self.take_alien(alien, alien.to, buffer)
    }

    fn read_team(&mut self, team: Pid, most_bytes: usize) -> Result<Vec<u8>, Error> {
        let team = self.team(team).ok_or(Error::NonexistentProcess)?;
        assert!(team.is_frozen && !team.is_moved);
        if most_bytes < 8 {
            return Err(Error::TooLong);
        }
        // What is not received yet is sent anew from where the team goes.
        let copy = team.clone();
        team.is_moved = true;
        let mut limbo = self.limbo.borrow_mut();
        let number = limbo.len() as u64;
        limbo.insert(number, copy);
        Ok(number.to_be_bytes().to_vec())
    }

    fn write_team(&mut self, team: Pid, state: &[u8]) -> Result<(), Error> {
        let number = u64::from_be_bytes(state.try_into().map_err(|_| Error::BadArgument)?);
        let state = self.limbo.borrow().get(&number).cloned().ok_or(Error::BadArgument)?;
        if state.root == team {
            self.team(team).ok_or(Error::NonexistentProcess)?.is_moved = false;
        } else {
            self.teams.insert(state.root.host().to_bits(), state);
        }
        Ok(())
    }
}
