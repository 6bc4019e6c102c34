//! Which other nodes there are: every network server answers the group of all of them with its node's name.
//!
//! | word | the question | the answer |
//! |---|---|---|
//! | 0 | [`WHO_IS_THERE`] | 0 |
//! | 1–6 | 0 | the name, its bytes from the highest of each word down, then zeros |
//!
//! The answer's server tells the logical host. Neither has a segment: they are about no process, so no kernel sees them.

use alloc::collections::VecDeque;

use abi::kernel::{REMOTE, well_known_group};
use abi::{Error, LogicalHost, Pid};
use vmtp::packet::message::MULTIPLE_RESPONSES;
use vmtp::{Refusal, Reply, Request, Response, SendId};

use crate::{Partner, Standing, entity, pid};

/// Code of the question.
const WHO_IS_THERE: u32 = 0x0801;
/// Bytes of the longest name.
pub const NAME_BYTES: usize = 24;

/// A node's name, filled up with zeros.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Name(pub [u8; NAME_BYTES]);

impl Name {
    /// The name with these bytes; of a longer one, the beginning.
    pub fn new(name: &str) -> Name {
        let mut bytes = [0; NAME_BYTES];
        for (place, byte) in bytes.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        Name(bytes)
    }

    fn from_words(words: &[u32; 8]) -> Name {
        let mut bytes = [0; NAME_BYTES];
        for (four, word) in bytes.chunks_exact_mut(4).zip(&words[1..]) {
            four.copy_from_slice(&word.to_be_bytes());
        }
        Name(bytes)
    }

    fn words(&self) -> [u32; 8] {
        let mut words = [0; 8];
        for (word, four) in words[1..].iter_mut().zip(self.0.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*four);
        }
        words
    }
}

/// A node that has answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host {
    /// Where it is.
    pub logical_host: LogicalHost,
    /// What it is called, as it says.
    pub name: Name,
}

/// The question that is under way, and the answers.
#[derive(Debug, Default)]
pub struct Hosts {
    asked: Option<SendId>,
    last_transaction: u32,
    answers: VecDeque<Host>,
}

impl Partner {
    /// Asks who is there; answers come until `until_ns`, one by one, by [`Partner::next_host`].
    /// [`Busy`](Error::Busy) while it is being asked, [`NoNetwork`](Error::NoNetwork) while the node's logical host is not
    /// its own. [`Partner::act`] is to be called next.
    pub fn ask_hosts(&mut self, now_ns: u64, until_ns: u64) -> Result<(), Error> {
        if self.standing != Standing::Owned {
            return Err(Error::NoNetwork);
        }
        // The numbers must grow, also from one network server of the node to the next: so they are times.
        let transaction = self.hosts.last_transaction.wrapping_add(1).max((now_ns / 1_000_000) as u32);
        let mut message = vmtp::Message::default();
        message.words[0] = WHO_IS_THERE | MULTIPLE_RESPONSES;
        let send = vmtp::Send {
            client: entity(Pid::kernel_server(self.own, REMOTE)),
            transaction,
            server: entity(well_known_group::NETWORK_SERVERS),
            message,
            deadline_ns: Some(until_ns),
            ..vmtp::Send::default()
        };
        let (id, first) = self.engine.send(now_ns, &send).map_err(|_| Error::Busy)?;
        self.due.extend(first);
        self.hosts.last_transaction = transaction;
        self.hosts.asked = Some(id);
        Ok(())
    }

    /// Whether it is being asked who is there.
    #[inline]
    pub fn asks_hosts(&self) -> bool {
        self.hosts.asked.is_some()
    }

    /// The next node that has answered.
    #[inline]
    pub fn next_host(&mut self) -> Option<Host> {
        self.hosts.answers.pop_front()
    }

    /// Another node's network server asks.
    pub(crate) fn answer_host(&mut self, now_ns: u64, request: &Request) {
        if request.message.code() != WHO_IS_THERE || self.standing != Standing::Owned {
            let _ = self.engine.refuse(now_ns, request.id, Refusal::NonexistentEntity);
            return;
        }
        let server = entity(Pid::kernel_server(self.own, REMOTE));
        let message = vmtp::Message { words: self.configuration.name.words() };
        // Who does not ask any more needs no answer.
        let reply = self.engine.reply(now_ns, request.id, &Reply { server, message, segment: None });
        self.due.extend(reply.ok().flatten());
    }

    /// A node has answered, if that was the question.
    pub(crate) fn collect_host(&mut self, id: SendId, response: &Response) {
        let logical_host = pid(response.server).host();
        if self.hosts.asked == Some(id) && logical_host != self.own {
            let name = Name::from_words(&response.message.words);
            self.hosts.answers.push_back(Host { logical_host, name });
        }
    }

    /// Whether a transaction that is over was the question.
    #[inline]
    pub(crate) fn have_asked(&mut self, id: SendId) -> bool {
        self.hosts.asked.take_if(|asked| *asked == id).is_some()
    }
}
