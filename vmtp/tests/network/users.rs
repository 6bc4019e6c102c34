//! What servers do with requests, and what clients check of what they are told.

use vmtp::packet::message;
use vmtp::{
    Buffer, Forward, ForwardError, LogicalHost, Message, Outcome, Refusal, Reply, Request, RequestId,
    Segment, Send, SendId,
};

use crate::net::{Host, MILLISECOND, Net, process, segment};

/// What servers of even index do with a request's code.
pub mod ask {
    /// Answer at once with a segment as long as word 1 says.
    pub const SEGMENT: u32 = 0x1001;
    /// Answer after word 2 milliseconds.
    pub const DELAY: u32 = 0x1002;
    /// As SEGMENT, idempotent.
    pub const IDEMPOTENT: u32 = 0x1003;
    /// There is no such server.
    pub const NOBODY: u32 = 0x1004;
    /// Forward to the host of index word 3, which does as for SEGMENT.
    pub const FORWARD: u32 = 0x1005;
    /// Let the response to the next one stand for this one's, too, if that can be; else as SEGMENT.
    pub const BATCH: u32 = 0x1006;
    /// There is no room now, every other time; then as SEGMENT.
    pub const BUSY: u32 = 0x1007;
}

/// The host with one member of each group; all others have two.
pub const HOST_OF_ONE_MEMBER: usize = 3;

impl Net {
    /// The server does what the request's code says.
    pub fn serve(&mut self, at: usize, request: &Request) {
        let host = &mut self.hosts[at];
        let transaction = request.id.transaction;
        if let Some(received) = request.segment {
            let bytes = host.memory.remove(&received.buffer).expect("the segment was stored");
            assert_eq!(&bytes[..received.bytes as usize], &segment(transaction, received.bytes as usize)[..]);
            host.engine.release_buffer(received.buffer);
        }
        let words = request.message.words;
        if request.message.code() == ask::NOBODY {
            host.engine.refuse(self.now_ns, request.id, Refusal::NonexistentEntity).expect("it waits");
            return;
        }
        if request.message.code() == ask::FORWARD {
            let number = LogicalHost::from_bits(100 + words[3]);
            let mut words = words;
            words[0] = ask::SEGMENT;
            let held = (words[2] != 0).then(|| {
                let buffer = Buffer(host.next_buffer);
                host.next_buffer += 1;
                host.memory.insert(buffer, segment(transaction, words[2] as usize));
                Segment { buffer, bytes: words[2] }
            });
            let forward = Forward { server: process(number, 50), message: Message { words }, segment: held };
            match host.engine.forward(self.now_ns, request.id, &forward) {
                Ok(()) => return,
                Err(error) => assert_eq!(error, ForwardError::Nested, "in a run only"),
            }
            held.and_then(|segment| host.memory.remove(&segment.buffer));
        }
        if request.server.is_group() {
            self.executed.insert((request.id.client, transaction), 1);
            let number = host.number;
            let answer = |host: &mut Host, member| {
                let (message, response) = host.answer(transaction, words[1]);
                let reply = Reply { server: process(number, member), message, segment: response };
                host.engine.reply(self.now_ns, request.id, &reply).expect("it waits")
            };
            if at == HOST_OF_ONE_MEMBER {
                host.engine.expect_one(request.id).expect("it waits");
                let first = answer(host, 200);
                return self.do_first(at, first);
            }
            for member in 200..202 {
                assert_eq!(answer(host, member), None, "of several, none is first");
            }
            host.engine.finish(self.now_ns, request.id).expect("it waits");
            return;
        }
        let is_again =
            request.message.code() == ask::BUSY && host.turned_away.insert((request.id.client, transaction));
        if is_again {
            host.engine.refuse(self.now_ns, request.id, Refusal::Busy).expect("it waits");
            return;
        }
        self.check_order(at, request.id);
        let host = &mut self.hosts[at];
        *self.executed.entry((request.id.client, transaction)).or_default() += 1;
        if request.message.has(message::DATAGRAM) {
            return;
        }
        if request.message.code() == ask::BATCH && host.engine.batch(self.now_ns, request.id).is_ok() {
            return;
        }
        let bytes = if request.message.code() == ask::DELAY { 0 } else { words[1] };
        let (mut answer, response) = host.answer(transaction, bytes);
        if request.message.code() == ask::IDEMPOTENT {
            answer.words[0] |= message::DATAGRAM;
            self.idempotent.insert((request.id.client, transaction));
        }
        let reply = Reply { server: request.server, message: answer, segment: response };
        if request.message.code() == ask::DELAY {
            host.later.push((self.now_ns + u64::from(words[2]) * MILLISECOND, request.id, reply));
        } else {
            let first = host.engine.reply(self.now_ns, request.id, &reply).expect("it waits");
            self.do_first(at, first);
        }
    }

    /// A client's requests are executed in order, and the user has one at a time.
    fn check_order(&mut self, at: usize, id: RequestId) {
        let host = &mut self.hosts[at];
        let has_one = |later: &(u64, RequestId, Reply)| {
            later.1.client == id.client && later.1 != id && !host.abandoned.contains(&later.1)
        };
        assert!(!host.later.iter().any(has_one), "{id:?} comes before the one before it is answered");
        if let Some(last) = host.last_executed.insert(id.client, id.transaction) {
            let ahead = id.transaction.wrapping_sub(last).cast_signed();
            assert!(ahead >= 0, "{id:?} is executed after {last}");
        }
    }

    /// An outcome must be true.
    pub fn check(&self, at: usize, id: SendId, sent: &Send, outcome: Outcome) {
        let times = self.executed.get(&(id.client, id.transaction)).copied().unwrap_or(0);
        if !self.idempotent.contains(&(id.client, id.transaction)) {
            assert!(times <= 1, "{id:?} was executed {times} times");
        }
        match outcome {
            Outcome::Response(response) => {
                assert_eq!(times.min(1), 1, "{id:?} has a response but was never executed");
                if sent.message.code() == ask::BATCH && response.message == Message::default() {
                    return;
                }
                assert_eq!(response.message.words[2], id.transaction);
                let bytes = response.segment_bytes as usize;
                let memory = &self.hosts[at].memory[&sent.response.buffer];
                assert_eq!(&memory[..bytes], &segment(id.transaction ^ 0x55, bytes)[..], "{id:?}");
            }
            Outcome::Failed { may_have_been_executed: false, .. } => {
                assert_eq!(times, 0, "{id:?} failed for certain but was executed");
            }
            Outcome::Batched { .. } => assert_eq!(times, 1, "{id:?} is answered but was never executed"),
            Outcome::Failed { .. } | Outcome::Sent | Outcome::Collected { .. } => {}
        }
    }
}
