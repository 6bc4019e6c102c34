//! Clients whose read or write has to wait, in the order in which they came.

use alloc::collections::VecDeque;

use abi::protocol::{Reply, refusal};
use abi::{Error, Message, Pid};
use protocols::io::io;

use crate::ring::Ring;
use crate::system::System;

/// A client that awaits the reply to a read or a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiter {
    /// Who.
    pub client: Pid,
    /// Through which instance, by a number that the service chose.
    pub instance: u64,
    /// Room of the read, or bytes of the write.
    pub bytes: usize,
}

/// Those who wait for the same thing.
#[derive(Clone, Debug, Default)]
pub struct Waiters {
    queue: VecDeque<Waiter>,
}

impl Waiters {
    /// Nobody.
    pub const fn new() -> Waiters {
        Waiters { queue: VecDeque::new() }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds one behind all others.
    pub fn push(&mut self, waiter: Waiter) {
        self.queue.push_back(waiter);
    }

    /// Who has waited longest.
    pub fn first(&self) -> Option<Waiter> {
        self.queue.front().copied()
    }

    /// Takes out who has waited longest.
    pub fn pop(&mut self) -> Option<Waiter> {
        self.queue.pop_front()
    }

    /// Takes out who has come last.
    pub fn pop_last(&mut self) -> Option<Waiter> {
        self.queue.pop_back()
    }

    /// Gives everyone the same answer.
    pub fn answer_all(&mut self, reply: &Message, system: &mut dyn System) {
        for waiter in self.queue.drain(..) {
            // Who has gone needs no answer.
            let _ = system.reply(waiter.client, reply, &[]);
        }
    }

    /// Refuses those who wait through an instance that is being closed.
    pub fn close(&mut self, instance: u64, system: &mut dyn System) {
        self.queue.retain(|waiter| {
            if waiter.instance == instance {
                let _ = system.reply(waiter.client, &refusal(Error::BadInstance), &[]);
            }
            waiter.instance != instance
        });
    }

    /// Forgets those that have ended.
    pub fn forget_ended(&mut self, system: &mut dyn System) {
        self.queue.retain(|waiter| !system.has_ended(waiter.client));
    }

    /// Gives readers what is in `ring`, one after the other, as long as there is some.
    pub fn read_from(&mut self, ring: &mut Ring, system: &mut dyn System) {
        while !ring.is_empty()
            && let Some(reader) = self.pop()
        {
            // A reader that has gone takes nothing with it.
            let _ = reply_read(reader.client, ring, reader.bytes, system);
        }
    }

    /// Takes from writers what fits `ring`, one after the other, as long as something does.
    pub fn write_to(&mut self, ring: &mut Ring, system: &mut dyn System) {
        while ring.room() > 0
            && let Some(writer) = self.pop()
        {
            let _ = take_write(writer.client, ring, writer.bytes, system);
        }
    }
}

/// Replies to a read with what is in `ring`, at most `room` bytes, which are taken out if the reply arrives.
pub fn reply_read(client: Pid, ring: &mut Ring, room: usize, system: &mut dyn System) -> Result<(), Error> {
    let (first, second) = ring.oldest(room);
    let count = first.len() + second.len();
    let reply = io::ReadDone { count: count as u32 }.to_message();
    let answered = match second {
        [] => Ok(()),
        _ => system.move_to(client, first.len() as u64, second),
    };
    match answered.and_then(|()| system.reply(client, &reply, first)) {
        Ok(()) => {
            ring.drop_oldest(count);
            Ok(())
        }
        Err(error) => {
            let _ = system.reply(client, &refusal(error), &[]);
            Err(error)
        }
    }
}

/// Takes what fits `ring` of a write that has been waiting, and replies.
fn take_write(client: Pid, ring: &mut Ring, bytes: usize, system: &mut dyn System) -> Result<(), Error> {
    let taken = ring.push_from(client, bytes, system);
    let reply = match taken {
        Ok(count) => io::Written { count: count as u32 }.to_message(),
        Err(error) => refusal(error),
    };
    system.reply(client, &reply, &[])
}
