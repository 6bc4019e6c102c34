//! What the kernel tells its partner for processes on other machines, the network server, beside the message.
//!
//! The network server receives, in its one queue, what is sent to itself, what processes of its node send to other
//! machines, and what became of the *aliens*: the processes of other machines for which it has sent. Receive says in
//! the high half of `extra[1]` which it is, and uses its registers accordingly:
//!
//! | | `pid` | `extra[0]` | `extra[2]` | `extra[3]` | `extra[4]` |
//! |---|---|---|---|---|---|
//! | to itself | sender | grant | forwarder | 0 | 0 |
//! | to elsewhere | sender | grant | forwarder | whom it addresses | its transaction |
//! | alien answered | the alien | error or 0 | who replied | 0 | cookie |
//! | alien forwarded | the alien | 0 | who forwarded it | to whom | cookie |
//!
//! Who sends to elsewhere awaits the network server's reply: its segment is read and written, and its Send ended, as
//! any client's. An alien that tells what became of it awaits a reply too: one with an [`AlienRecord`] for data, which
//! sends the reply's message for another client. If that fails, nothing was sent, and the alien awaits the reply still.

use crate::call::Registers;
use crate::kernel::record::AlienRecord;
use crate::{Error, Grant, Message, Pid, UserId};

/// From one transaction of a process to the next: VMTP uses a number for each packet group of a long message
/// (RFC 1045, 2.14).
pub const TRANSACTION_STEP: u32 = 256;
/// In the number of a transaction, which is a multiple of that: an earlier network server had received it, and it may have
/// been executed.
pub const AGAIN: u32 = 1;

/// What a message to the network server is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It is for the network server itself.
    Own,
    /// The sender addresses a process of another machine.
    Elsewhere {
        /// Whom.
        to: Pid,
        /// The number of the sender's transaction: with its pid, never used again; and [`AGAIN`] if it is not new.
        transaction: u32,
    },
    /// An alien was answered: the message is the reply, and its data is in the alien's buffer.
    Answered {
        /// What the network server gave to know it by.
        cookie: u64,
        /// Who replied.
        replier: Pid,
        /// Why there is no reply, if there is none.
        outcome: Result<(), Error>,
    },
    /// Who received an alien's message forwarded it to another machine.
    Forwarded {
        /// What the network server gave to know it by.
        cookie: u64,
        /// Who forwarded it.
        forwarder: Pid,
        /// To whom.
        to: Pid,
    },
}

/// Numbers of the kinds, in the high half of `extra[1]`.
const ELSEWHERE: u64 = 1;
const ANSWERED: u64 = 2;
const FORWARDED: u64 = 3;
const KIND_SHIFT: u32 = 32;

impl Arrival {
    /// Adds to the results of a Receive, in which all but this has been set.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Where the kind is known, it is a few stores.
    pub fn encode(&self, registers: &mut Registers) {
        let user = registers.extra[1] & 0xffff_ffff;
        let [grant, _, forwarder, ..] = registers.extra;
        registers.extra = match *self {
            Arrival::Own => [grant, user, forwarder, 0, 0],
            Arrival::Elsewhere { to, transaction } => {
                let kind = ELSEWHERE << KIND_SHIFT;
                [grant, user | kind, forwarder, to.to_bits(), u64::from(transaction)]
            }
            Arrival::Answered { cookie, replier, outcome } => {
                let code = outcome.err().map_or(Error::OK_CODE, Error::code);
                [u64::from(code), user | ANSWERED << KIND_SHIFT, replier.to_bits(), 0, cookie]
            }
            Arrival::Forwarded { cookie, forwarder, to } => {
                [0, user | FORWARDED << KIND_SHIFT, forwarder.to_bits(), to.to_bits(), cookie]
            }
        };
    }

    /// Out of the results of a Receive.
    #[inline]
    pub fn decode(registers: &Registers) -> Arrival {
        let [first, kind, who, to, cookie] = registers.extra;
        let (who, to) = (Pid::from_bits(who), Pid::from_bits(to));
        match kind >> KIND_SHIFT {
            ELSEWHERE => Arrival::Elsewhere { to, transaction: cookie as u32 },
            ANSWERED => Arrival::Answered { cookie, replier: who, outcome: Error::check(first as u32) },
            FORWARDED => Arrival::Forwarded { cookie, forwarder: who, to },
            _ => Arrival::Own,
        }
    }
}

/// What the network server receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Who sent; an alien that is back.
    pub sender: Pid,
    /// The message. Its word 7 says how much of the sender's segment is in the receiver's buffer, or of a reply in an
    /// alien's.
    pub message: Message,
    /// Length and access of the segment that the sender granted.
    pub grant: Grant,
    /// The sender's user id.
    pub user: UserId,
    /// Who forwarded the message, or none.
    pub forwarder: Pid,
    /// What it is about.
    pub arrival: Arrival,
}

impl Received {
    /// Out of the results of a Receive.
    #[inline]
    pub fn decode(registers: &Registers) -> Received {
        let arrival = Arrival::decode(registers);
        let [grant, user, forwarder, ..] = registers.extra;
        let is_sender = matches!(arrival, Arrival::Own | Arrival::Elsewhere { .. });
        Received {
            sender: Pid::from_bits(registers.pid),
            message: Message::from_registers(registers.message),
            grant: if is_sender { Grant::from_bits(grant) } else { Grant::NONE },
            user: UserId(user as u32),
            forwarder: Pid::from_bits(forwarder),
            arrival,
        }
    }
}

/// A client on another machine, for which the network server sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alien {
    /// Who it is.
    pub client: Pid,
    /// Whom it addresses: a process or kernel server of this machine.
    pub to: Pid,
    /// Who forwarded its message, or none.
    pub forwarder: Pid,
    /// Its user id.
    pub user: UserId,
    /// The number of its transaction.
    pub transaction: u32,
    /// The priority with which it waits.
    pub priority: u8,
    /// Its message.
    pub message: Message,
    /// What it grants.
    pub grant: Grant,
    /// Bytes of its segment, from the beginning, that are in the buffer lent to the kernel.
    pub head_bytes: usize,
    /// What it is known by when the kernel speaks of it.
    pub cookie: u64,
}

impl Alien {
    /// What the kernel is told beside the message, with the place of the buffer that it is lent.
    pub fn record(&self, buffer_address: u64, buffer_capacity: u64) -> AlienRecord {
        AlienRecord {
            client: self.client.to_bits(),
            to: self.to.to_bits(),
            forwarder: self.forwarder.to_bits(),
            user_and_transaction: u64::from(self.user.0) | u64::from(self.transaction) << 32,
            priority: u64::from(self.priority),
            grant: self.grant.to_bits(),
            buffer_address,
            buffer_bytes: self.head_bytes as u64,
            buffer_capacity,
            cookie: self.cookie,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_come_back() {
        let pid = Pid::from_bits(0x2000_0001_0002_0003);
        for arrival in [
            Arrival::Own,
            Arrival::Elsewhere { to: pid, transaction: u32::MAX },
            Arrival::Answered { cookie: u64::MAX, replier: pid, outcome: Ok(()) },
            Arrival::Answered { cookie: 0, replier: Pid::NONE, outcome: Err(Error::StaleProcess) },
            Arrival::Forwarded { cookie: 1, forwarder: pid, to: pid },
        ] {
            let mut registers = Registers { extra: [1, 7, 3, 4, 5], ..Registers::default() };
            arrival.encode(&mut registers);
            let received = Received::decode(&registers);
            assert_eq!((received.arrival, received.user), (arrival, UserId(7)));
        }
    }
}
