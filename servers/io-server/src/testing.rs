//! A [`System`] in memory: clients are entries of a table with a segment each, and replies are kept to be looked at.
//! For tests of servers on the host.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use abi::protocol::{Reply as _, Request as WireRequest};
use abi::{Access, Error, Grant, LogicalHost, Message, Pid, UserId};
use protocols::io::io;
use v::server::Outcome;

use crate::server::IoServer;
use crate::service::{Client, Request, Service};
use crate::system::System;

/// How much of a segment comes along with a request, as in the real serve loop.
pub const HEAD_BYTES: usize = 2048;

/// A process that is a client.
#[derive(Clone, Debug, Default)]
struct Process {
    user: UserId,
    ended: bool,
    /// The segment of the request whose reply it awaits.
    segment: Option<(Vec<u8>, Access)>,
    reply: Option<Message>,
}

const HERE: LogicalHost = LogicalHost::from_bits(1);
const ELSEWHERE: LogicalHost = LogicalHost::from_bits(2);

/// A kernel made of tables.
#[derive(Clone, Debug, Default)]
pub struct TestSystem {
    processes: BTreeMap<Pid, Process>,
    /// What the clock says, in nanoseconds since boot. Real time is one second later.
    pub now_ns: u64,
    /// Whether no server can copy out of segments, as if they were not mapped. Heads come along all the same.
    pub break_segments: bool,
    /// Whether there are no more frames.
    pub is_exhausted: bool,
    /// Processes that a server has ended, with the status.
    pub ended: Vec<(Pid, u32)>,
    /// For which users.
    pub ended_for: Vec<UserId>,
    /// Pages of instances that the kernel has, by instance and page: those that are the server's, and copies.
    pub pages: BTreeMap<(u32, u64), KernelPage>,
}

/// What the kernel has of a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KernelPage {
    /// The server's page at this address, for such access.
    Lent {
        /// Where it is.
        address: usize,
        /// What may be done with it.
        access: Access,
    },
    /// A copy.
    Own(Vec<u8>),
    /// One that was the server's, until that discarded it.
    Kept(Vec<u8>),
}

impl TestSystem {
    /// A system without processes.
    pub fn new() -> TestSystem {
        TestSystem::default()
    }

    /// Makes a process of a user.
    pub fn process(&mut self, user: UserId) -> Pid {
        let pid = Pid::process(HERE, 1, 100 + self.processes.len() as u16);
        let process = Process { user, ..Process::default() };
        self.processes.insert(pid, process);
        pid
    }

    /// Makes a process of another node, of a user.
    pub fn process_elsewhere(&mut self, user: UserId) -> Pid {
        let pid = Pid::process(ELSEWHERE, 1, 100 + self.processes.len() as u16);
        self.processes.insert(pid, Process { user, ..Process::default() });
        pid
    }

    /// Ends a process: it awaits no reply any more.
    pub fn kill(&mut self, pid: Pid) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.ended = true;
            process.segment = None;
        }
    }

    /// Whether the process has not been ended.
    pub fn is_alive(&self, pid: Pid) -> bool {
        self.processes.get(&pid).is_some_and(|process| !process.ended)
    }

    /// Whether the process awaits a reply.
    pub fn is_waiting(&self, pid: Pid) -> bool {
        self.processes.get(&pid).is_some_and(|process| process.segment.is_some())
    }

    /// The reply that a process got, once, and its segment.
    pub fn take_reply(&mut self, pid: Pid) -> Option<(Message, Vec<u8>)> {
        let process = self.processes.get_mut(&pid)?;
        let reply = process.reply.take()?;
        let (segment, _) = process.segment.take()?;
        Some((reply, segment))
    }

    /// Sends a request of `pid` with a segment to a server. The reply waits for [`take_reply`](TestSystem::take_reply),
    /// now or later.
    ///
    /// # Panics
    /// If there is no such process, or it waits already.
    pub fn send<S: Service>(
        &mut self,
        server: &mut IoServer<S>,
        pid: Pid,
        message: &Message,
        segment: Vec<u8>,
        access: Access,
    ) {
        let process = self.processes.get_mut(&pid).expect("a process of this system");
        assert!(process.segment.is_none(), "the process waits already");
        let head = if access.contains(Access::READ) {
            segment[..segment.len().min(HEAD_BYTES)].to_vec()
        } else {
            Vec::new()
        };
        let request = Request {
            client: &Client {
                pid,
                user: process.user,
                grant: Grant::new(segment.len() as u64, access),
                forwarder: Pid::NONE,
                page_of: None,
            },
            message,
            head: &head,
        };
        process.segment = Some((segment, access));
        let answered = match server.request(&request, self) {
            Outcome::Reply(message) => self.reply(pid, &message, &[]),
            // As the kernel does: the data goes straight from the server's memory.
            Outcome::ReplyData(message, data) => self.reply(pid, &message, data),
            Outcome::Lend(..) => panic!("it is no page request"),
            Outcome::Later => Ok(()),
        };
        answered.expect("an answer fits its client");
    }

    /// The kernel wants a page of an instance for `user`, unless it has it. What it is given with it, it takes as well.
    ///
    /// # Panics
    /// If the answer does not come at once, or does not lend whole pages.
    pub fn want_page<S: Service>(
        &mut self,
        server: &mut IoServer<S>,
        user: UserId,
        (instance, page): (u32, u64),
    ) -> Result<&KernelPage, Error> {
        const PAGE: usize = abi::PAGE_BYTES as usize;
        if !self.pages.contains_key(&(instance, page)) {
            let pid = self.process(user);
            let message = io::Read { instance, position: page * abi::PAGE_BYTES }.to_message();
            let grant = Grant::new(abi::PAGE_BYTES, Access::WRITE);
            let client = Client { pid, user, grant, forwarder: Pid::NONE, page_of: Some(instance) };
            let request = Request { client: &client, message: &message, head: &[] };
            if let Some(process) = self.processes.get_mut(&pid) {
                process.segment = Some((vec![0; PAGE], Access::WRITE));
            }
            let found = match server.request(&request, self) {
                Outcome::Lend(_, data, access) => {
                    assert!(data.as_ptr().addr().is_multiple_of(PAGE) && data.len().is_multiple_of(PAGE));
                    let pages = data.chunks_exact(PAGE).enumerate();
                    Ok(pages.map(|(at, data)| (at as u64, data.as_ptr().addr(), access)).collect::<Vec<_>>())
                }
                Outcome::ReplyData(message, data) => {
                    self.reply(pid, &message, data)?;
                    Err(message)
                }
                Outcome::Reply(message) => Err(message),
                Outcome::Later => panic!("a page comes at once"),
            };
            match found {
                Ok(lent) => {
                    assert!(!lent.is_empty(), "nothing is lent");
                    let first = page;
                    for (at, address, access) in lent {
                        let page = KernelPage::Lent { address, access };
                        self.pages.entry((instance, first + at)).or_insert(page);
                    }
                }
                Err(message) => {
                    Error::check(message.code())?;
                    let segment = self.processes.get_mut(&pid).and_then(|process| process.segment.take());
                    let data = segment.map_or_else(Vec::new, |(data, _)| data);
                    self.pages.insert((instance, page), KernelPage::Own(data));
                }
            }
            self.kill(pid);
        }
        self.pages.get(&(instance, page)).ok_or(Error::BadReply)
    }

    /// Sends and takes the reply, which must come at once; and the segment as it is then.
    pub fn call<S: Service, R: WireRequest>(
        &mut self,
        server: &mut IoServer<S>,
        pid: Pid,
        request: &R,
        segment: Vec<u8>,
        access: Access,
    ) -> Result<(R::Reply, Vec<u8>), Error> {
        self.send(server, pid, &request.to_message(), segment, access);
        let (reply, segment) = self.take_reply(pid).ok_or(Error::NothingWaiting)?;
        match reply.code() {
            Error::OK_CODE => Ok((R::Reply::from_message(&reply), segment)),
            code => Err(Error::from_code(code)),
        }
    }

    /// [`call`](TestSystem::call) with a name or data that the server reads.
    pub fn say<S: Service, R: WireRequest>(
        &mut self,
        server: &mut IoServer<S>,
        pid: Pid,
        request: &R,
        data: &[u8],
    ) -> Result<R::Reply, Error> {
        self.call(server, pid, request, data.to_vec(), Access::READ).map(|(reply, _)| reply)
    }

    /// [`call`](TestSystem::call) with room for what the server writes.
    pub fn ask<S: Service, R: WireRequest>(
        &mut self,
        server: &mut IoServer<S>,
        pid: Pid,
        request: &R,
        room: usize,
    ) -> Result<(R::Reply, Vec<u8>), Error> {
        self.call(server, pid, request, vec![0; room], Access::WRITE)
    }
}

impl System for TestSystem {
    fn reply(&mut self, client: Pid, message: &Message, data: &[u8]) -> Result<(), Error> {
        if !data.is_empty() {
            self.move_to(client, 0, data)?;
        }
        let process = self
            .processes
            .get_mut(&client)
            .filter(|process| process.segment.is_some() && process.reply.is_none())
            .ok_or(Error::NotAwaitingReply)?;
        process.reply = Some(*message);
        Ok(())
    }

    fn move_to(&mut self, client: Pid, offset: u64, data: &[u8]) -> Result<(), Error> {
        let process = self.processes.get_mut(&client).ok_or(Error::NonexistentProcess)?;
        let (segment, access) = process.segment.as_mut().ok_or(Error::NotAwaitingReply)?;
        if !access.contains(Access::WRITE) {
            return Err(Error::NoWriteAccess);
        }
        let place = segment.get_mut(offset as usize..).and_then(|rest| rest.get_mut(..data.len()));
        place.ok_or(Error::TooLong)?.copy_from_slice(data);
        Ok(())
    }

    fn move_from(&mut self, client: Pid, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let process = self.processes.get_mut(&client).ok_or(Error::NonexistentProcess)?;
        let (segment, access) = process.segment.as_mut().ok_or(Error::NotAwaitingReply)?;
        if !access.contains(Access::READ) {
            return Err(Error::NoReadAccess);
        }
        if self.break_segments {
            return Err(Error::BadAddressOfOther);
        }
        let place = segment.get(offset as usize..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(place.ok_or(Error::TooLong)?);
        Ok(())
    }

    fn user_of(&mut self, process: Pid) -> Result<UserId, Error> {
        match self.processes.get(&process) {
            _ if process.host() != HERE => Err(Error::ProcessElsewhere),
            None => Err(Error::NonexistentProcess),
            Some(process) if process.ended => Err(Error::StaleProcess),
            Some(process) => Ok(process.user),
        }
    }

    fn has_ended(&mut self, process: Pid) -> bool {
        !self.is_alive(process)
    }

    fn revoke(&mut self, instance: u32, position: u64, pages: u32) -> Result<(), Error> {
        let first = position / abi::PAGE_BYTES;
        self.pages.retain(|(other, page), _| {
            *other != instance || !(first..first + u64::from(pages)).contains(page)
        });
        Ok(())
    }

    fn discard(&mut self, page: &mut [u8]) -> Result<(), Error> {
        let lent_address = page.as_ptr().addr();
        assert!(lent_address.is_multiple_of(page.len()) && page.len() as u64 == abi::PAGE_BYTES);
        for kept in self.pages.values_mut() {
            if matches!(kept, KernelPage::Lent { address, .. } if *address == lent_address) {
                *kept = KernelPage::Kept(page.to_vec());
            }
        }
        page.fill(0);
        Ok(())
    }

    fn make_present(&mut self, address: usize, _: u32) -> Result<(), Error> {
        assert!(address.is_multiple_of(abi::PAGE_BYTES as usize));
        if self.is_exhausted { Err(Error::NoMemory) } else { Ok(()) }
    }

    fn end(&mut self, process: Pid, user: UserId, status: u32) -> Result<(), Error> {
        match self.user_of(process) {
            Ok(_) | Err(Error::ProcessElsewhere) => self.kill(process),
            Err(error) => return Err(error),
        }
        self.ended.push((process, status));
        self.ended_for.push(user);
        Ok(())
    }

    fn monotonic_ns(&self) -> u64 {
        self.now_ns
    }

    fn real_ns(&self) -> u64 {
        self.now_ns + 1_000_000_000
    }
}
