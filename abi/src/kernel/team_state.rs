//! The state of a guest's processes, as it moves from one kernel to another: what `ReadTeam` writes and `WriteTeam` reads.
//!
//! ```text
//! TeamStateRecord
//! StandingRecord     for each alien that waits for one of its processes
//! MembershipRecord   for each group that one of its processes is in: as `QueryMemberships` tells it
//! MovedProcessRecord for each process, the root first; behind one that was interrupted: RegisterRecord, vector state
//! ```
//!
//! Memory and regions are not part of it. Times are the team's own: its clock goes on where it was.

use crate::call::{FOREVER, Registers};
use crate::kernel::record::{UsageRecord, record, with_usage};
use crate::{Grant, USER_ADDRESS_END};

/// The layout described here.
pub const VERSION: u64 = 2;
/// Most processes of a team that moves, which program managers let no program exceed: its state is told and checked in one
/// go, in a time that grows with their number.
pub const MOST_PROCESSES: usize = 256;
/// Most bytes of one process's vector state.
pub const MOST_VECTOR_BYTES: usize = 1024;

/// What a process does next: the low half of a record's `activity`.
pub mod activity {
    /// Goes on where it was interrupted.
    pub const INTERRUPTED: u64 = 1;
    /// Goes on with the results in its registers.
    pub const RETURNS: u64 = 2;
    /// Makes the system call in its registers, for the first time or again.
    pub const CALLS: u64 = 3;
    /// Delays until its deadline.
    pub const DELAYS: u64 = 4;
    /// Awaits the reply to what it has sent elsewhere, of the network server.
    pub const AWAITS_ELSEWHERE: u64 = 5;
    /// Awaits the reply of its partner.
    pub const AWAITS_PARTNER: u64 = 6;
    /// Added while it is suspended.
    pub const SUSPENDED_BIT: u64 = 1 << 32;
    /// Added to `AWAITS_PARTNER` of a process that was not started yet.
    pub const NEWBORN_BIT: u64 = 1 << 33;
}

record! {
    /// What comes first.
    TeamStateRecord {
        /// Layout version; this is [`VERSION`].
        version,
        /// The logical host.
        host,
        /// The number of its next process.
        next_number,
        /// What its monotonic clock says.
        clock_ns,
        /// How many aliens follow.
        aliens,
        /// How many memberships.
        memberships,
        /// How many processes.
        processes,
        /// Bytes of a vector state.
        vector_bytes,
    }
}

record! {
    /// An alien in the queue of one of the processes, or received by it. The network server makes it anew, for it has its
    /// segment; what may have changed since it sent it, because it was forwarded, is here.
    StandingRecord {
        /// The client.
        client,
        /// The number of its transaction.
        transaction,
        /// For which of the processes it waits.
        receiver,
        /// Who forwarded its message, or none.
        forwarder,
        /// 1 if its message was received: [`RECEIVED_BIT`](crate::kernel::record::AlienRecord::RECEIVED_BIT).
        was_received,
        /// Its message.
        message_0,
        /// Its message.
        message_1,
        /// Its message.
        message_2,
        /// Its message.
        message_3,
    }
}

record! {
    /// One process.
    MovedProcessRecord {
        /// Its pid.
        pid,
        /// One of [`activity`], with bits.
        activity,
        /// Whom it awaits, of the same team.
        partner,
        /// Who forwarded its message, or none.
        forwarder,
        /// The number of its last transaction.
        transaction,
        /// Its own priority.
        priority,
        /// First eight bytes of its name.
        name_first,
        /// The other eight.
        name_last,
        /// Time that it has run, in nanoseconds.
        run_ns,
        /// Messages that it has received.
        received,
        /// Messages that it has sent.
        sent,
        /// Of these, those that the network server got to carry.
        sent_elsewhere,
        /// Page faults that gave a page.
        page_faults,
        /// Of these, those for which a page's server was asked.
        page_reads,
        /// Until when it delays.
        deadline_ns,
        /// When its alarm comes; 0 for none.
        alarm_ns,
        /// Of its alarm.
        alarm_tag,
        /// Registers: the call's number.
        number,
        /// Registers: the pid.
        register_pid,
        /// Registers: the message.
        message_0,
        /// Registers: the message.
        message_1,
        /// Registers: the message.
        message_2,
        /// Registers: the message.
        message_3,
        /// Registers: arguments.
        extra_0,
        /// Registers: arguments.
        extra_1,
        /// Registers: arguments.
        extra_2,
        /// Registers: arguments.
        extra_3,
        /// Registers: arguments.
        extra_4,
        /// Where it goes on.
        instruction,
        /// Its stack pointer.
        stack,
        /// Its flags.
        flags,
    }
}

with_usage!(MovedProcessRecord);

impl StandingRecord {
    /// Its message.
    pub fn message(&self) -> [u64; 4] {
        [self.message_0, self.message_1, self.message_2, self.message_3]
    }

    /// The record with a message.
    #[must_use]
    pub fn with_message(self, [message_0, message_1, message_2, message_3]: [u64; 4]) -> StandingRecord {
        StandingRecord { message_0, message_1, message_2, message_3, ..self }
    }
}

impl MovedProcessRecord {
    /// Its registers at its last system call, or the results.
    pub fn registers(&self) -> Registers {
        Registers {
            number: self.number,
            pid: self.register_pid,
            message: [self.message_0, self.message_1, self.message_2, self.message_3],
            extra: [self.extra_0, self.extra_1, self.extra_2, self.extra_3, self.extra_4],
            instruction: self.instruction,
            stack: self.stack,
            flags: self.flags,
        }
    }

    /// The record with registers.
    #[must_use]
    pub fn with_registers(self, registers: &Registers) -> MovedProcessRecord {
        let Registers { number, pid, message, extra, instruction, stack, flags } = *registers;
        let ([message_0, message_1, message_2, message_3], register_pid) = (message, pid);
        let [extra_0, extra_1, extra_2, extra_3, extra_4] = extra;
        #[rustfmt::skip]
        let record = MovedProcessRecord {
            number, register_pid, message_0, message_1, message_2, message_3,
            extra_0, extra_1, extra_2, extra_3, extra_4, instruction, stack, flags, ..self
        };
        record
    }

    /// Whether its registers are those of a Send to one process that a kernel has accepted.
    pub fn is_accepted_send(&self) -> bool {
        let grant = Grant::from_bits(self.extra_1);
        let is_within = self.extra_0 <= USER_ADDRESS_END && self.extra_0 + grant.bytes() <= USER_ADDRESS_END;
        self.extra_2 == FOREVER && grant.to_bits() == self.extra_1 && (self.extra_1 == 0 || is_within)
    }
}

/// The aliens that a state tells of; none if it is no state.
pub fn aliens(state: &[u8]) -> impl Iterator<Item = StandingRecord> {
    let head = state.split_first_chunk().map(|(head, rest)| (TeamStateRecord::from_bytes(head), rest));
    let head = head.filter(|(head, _)| head.version == VERSION);
    let (count, rest) = head.map_or((0, &[][..]), |(head, rest)| (head.aliens as usize, rest));
    let (records, _) = rest.as_chunks::<{ StandingRecord::BYTES }>();
    records.iter().take(count).map(StandingRecord::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn registers_come_back() {
        let registers = Registers {
            number: 1,
            pid: 2,
            message: [3, 4, 5, 6],
            extra: [7, 8, 9, 10, 11],
            instruction: 12,
            stack: 13,
            flags: 14,
        };
        let record =
            MovedProcessRecord { pid: 15, ..MovedProcessRecord::default() }.with_registers(&registers);
        let record = MovedProcessRecord::from_bytes(&record.to_bytes());
        assert_eq!((record.registers(), record.pid), (registers, 15));
        assert_eq!(StandingRecord::default().with_message([1, 2, 3, 4]).message(), [1, 2, 3, 4]);
    }

    #[test]
    fn aliens_are_found() {
        let head = TeamStateRecord { version: VERSION, aliens: 2, ..TeamStateRecord::default() };
        let one = |client| StandingRecord { client, transaction: 256, ..StandingRecord::default() };
        let mut state = Vec::from(head.to_bytes());
        for client in [3, 4, 5] {
            state.extend(one(client).to_bytes());
        }
        assert_eq!(aliens(&state).collect::<Vec<_>>(), [one(3), one(4)]);
        assert_eq!(aliens(&state[..TeamStateRecord::BYTES + StandingRecord::BYTES + 6]).count(), 1);
        assert_eq!(aliens(&state[..8]).count(), 0);
        state[0] = 9;
        assert_eq!(aliens(&state).count(), 0);
    }
}
