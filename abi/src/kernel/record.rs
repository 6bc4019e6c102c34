//! Records that kernel servers write into segments: fixed layouts of little-endian 64-bit words.

use crate::{Pid, Rights, UserId};

/// Declares a record: 64-bit words in their order.
macro_rules! record {
    ($(#[$doc:meta])* $Name:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        #[repr(C)]
        pub struct $Name {
            $($(#[$field_doc])* pub $field: u64,)*
        }

        impl $Name {
            /// Bytes of a record.
            pub const BYTES: usize = 8 * [$(stringify!($field)),*].len();

            /// As bytes.
            #[allow(unused_assignments)]
            pub fn to_bytes(&self) -> [u8; Self::BYTES] {
                let mut bytes = [0; Self::BYTES];
                let mut at = 0;
                $(
                    bytes[at..at + 8].copy_from_slice(&self.$field.to_le_bytes());
                    at += 8;
                )*
                bytes
            }

            /// From bytes.
            #[allow(unused_assignments)]
            pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
                let mut record = Self::default();
                let mut at = 0;
                $(
                    let mut word = [0; 8];
                    word.copy_from_slice(&bytes[at..at + 8]);
                    record.$field = u64::from_le_bytes(word);
                    at += 8;
                )*
                record
            }
        }
    };
}

pub(crate) use record;

record! {
    /// What a process has done; of a root, with what its team's processes did that have ended.
    UsageRecord {
        /// Time that it has run, in nanoseconds, as ticks found it.
        run_ns,
        /// Messages that it has received.
        received,
        /// Messages that it has sent, requests to kernel servers among them.
        sent,
        /// Of these, and of pieces of its MoveTo and MoveFrom, those that the network server got to carry.
        sent_elsewhere,
        /// Its page faults that gave a page.
        page_faults,
        /// Of these, those for which a page's server was asked.
        page_reads,
    }
}

impl UsageRecord {
    /// With what another process has done. What came from another node may be any number, and sums wrap.
    #[must_use]
    pub fn plus(&self, other: &UsageRecord) -> UsageRecord {
        UsageRecord {
            run_ns: self.run_ns.wrapping_add(other.run_ns),
            received: self.received.wrapping_add(other.received),
            sent: self.sent.wrapping_add(other.sent),
            sent_elsewhere: self.sent_elsewhere.wrapping_add(other.sent_elsewhere),
            page_faults: self.page_faults.wrapping_add(other.page_faults),
            page_reads: self.page_reads.wrapping_add(other.page_reads),
        }
    }
}

/// Gives a record the fields of a [`UsageRecord`].
macro_rules! with_usage {
    ($Name:ident) => {
        impl From<&UsageRecord> for $Name {
            /// A record that tells only that.
            fn from(usage: &UsageRecord) -> $Name {
                let UsageRecord { run_ns, received, sent, sent_elsewhere, page_faults, page_reads } = *usage;
                let empty = $Name::default();
                $Name { run_ns, received, sent, sent_elsewhere, page_faults, page_reads, ..empty }
            }
        }

        impl $Name {
            /// What it has done.
            pub fn usage(&self) -> UsageRecord {
                let $Name { run_ns, received, sent, sent_elsewhere, page_faults, page_reads, .. } = *self;
                UsageRecord { run_ns, received, sent, sent_elsewhere, page_faults, page_reads }
            }
        }
    };
}

pub(crate) use with_usage;

with_usage!(ProcessRecord);

record! {
    /// What the kernel knows of a process. What it has done is said as in [`UsageRecord`].
    ProcessRecord {
        /// Its pid.
        pid,
        /// Its team: the root's pid.
        team,
        /// Who receives the team's end.
        owner,
        /// A [`ProcessState`] number.
        state,
        /// Whom it waits for, or none.
        waits_on,
        /// User id in the low half, rights in the high half.
        user_and_rights,
        /// Own priority in the low half, the one in force in the high half.
        priorities,
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
        /// Messages that wait for it.
        queued,
        /// When it last began to wait or run, in nanoseconds since boot.
        since_ns,
        /// Pages that its team has.
        team_pages,
        /// First eight bytes of its name.
        name_first,
        /// The other eight.
        name_last,
    }
}

impl AlienRecord {
    /// Bit added to `priority` for an alien whose message a process of a frozen team had received already, before it moved
    /// here: it awaits that process's reply at once.
    pub const RECEIVED_BIT: u64 = 1 << 32;
}

impl ProcessRecord {
    /// The process.
    pub fn process(&self) -> Pid {
        Pid::from_bits(self.pid)
    }

    /// Whose it is.
    pub fn user(&self) -> UserId {
        UserId(self.user_and_rights as u32)
    }

    /// Its team's rights.
    pub fn rights(&self) -> Rights {
        Rights((self.user_and_rights >> 32) as u32)
    }

    /// Its name's bytes, zeros at the end.
    pub fn name_bytes(&self) -> [u8; 16] {
        name_bytes(self.name_first, self.name_last)
    }
}

record! {
    /// That a process is in a group.
    MembershipRecord {
        /// The group.
        group,
        /// The process.
        member,
        /// The user id of the group's maker, as far as this node knows it: of an unrestricted group of another node, of the first member here.
        user,
    }
}

impl MembershipRecord {
    /// The group.
    pub fn group(&self) -> Pid {
        Pid::from_bits(self.group)
    }

    /// The process.
    pub fn member(&self) -> Pid {
        Pid::from_bits(self.member)
    }
}

/// A name as `SetName` and [`ProcessRecord`] carry it.
pub fn name_words(name: &str) -> (u64, u64) {
    let mut bytes = [0; 16];
    let mut end = name.len().min(16);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    bytes[..end].copy_from_slice(&name.as_bytes()[..end]);
    let word = |at: usize| {
        let mut half = [0; 8];
        half.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(half)
    };
    (word(0), word(8))
}

/// The bytes of such a name.
pub fn name_bytes(first: u64, last: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&last.to_le_bytes());
    bytes
}

/// What a process is doing, with V's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum ProcessState {
    /// May run, and waits for a processor or has it.
    Ready = 1,
    /// Waits in Receive.
    ReceiveBlocked = 2,
    /// Its message waits to be received.
    SendBlocked = 3,
    /// Its message was received; it waits for the reply.
    AwaitingReply = 4,
    /// As above, and the message was handed on.
    Forwarded = 5,
    /// Waits for a time.
    Delaying = 6,
    /// Waits for replies of a group.
    AwaitingGroup = 7,
    /// A long operation of the kernel is under way for it.
    Working = 8,
    /// Was created, and waits for its creator's reply.
    Newborn = 9,
    /// Met an exception, which the exception server has.
    Exception = 10,
    /// Ended; its owner has not replied to the notice.
    Ended = 11,
}

impl ProcessState {
    /// Every state with the word that `ps` prints.
    pub const NAMES: &[(ProcessState, &str)] = &[
        (ProcessState::Ready, "ready"),
        (ProcessState::ReceiveBlocked, "receive"),
        (ProcessState::SendBlocked, "send"),
        (ProcessState::AwaitingReply, "reply"),
        (ProcessState::Forwarded, "forwarded"),
        (ProcessState::Delaying, "delay"),
        (ProcessState::AwaitingGroup, "group"),
        (ProcessState::Working, "working"),
        (ProcessState::Newborn, "newborn"),
        (ProcessState::Exception, "exception"),
        (ProcessState::Ended, "ended"),
    ];

    /// Bit added to `state` in a record while the process is suspended.
    pub const SUSPENDED_BIT: u64 = 1 << 32;

    /// From the number in a record.
    pub fn from_number(number: u64) -> Option<ProcessState> {
        let number = number & !ProcessState::SUSPENDED_BIT;
        ProcessState::NAMES.iter().map(|(state, _)| *state).find(|state| *state as u64 == number)
    }
}

record! {
    /// Every register of an interrupted or faulting x86-64 process.
    RegisterRecord {
        /// General.
        rax,
        /// General.
        rbx,
        /// General.
        rcx,
        /// General.
        rdx,
        /// General.
        rsi,
        /// General.
        rdi,
        /// Frame pointer.
        rbp,
        /// Stack pointer.
        rsp,
        /// General.
        r8,
        /// General.
        r9,
        /// General.
        r10,
        /// General.
        r11,
        /// General.
        r12,
        /// General.
        r13,
        /// General.
        r14,
        /// General.
        r15,
        /// Instruction pointer.
        rip,
        /// Flags.
        rflags,
    }
}

record! {
    /// What a kernel counts since boot.
    StatisticsRecord {
        /// Frames of usable memory.
        total_frames,
        /// Of these, free.
        free_frames,
        /// Frames that the kernel's tables and image take.
        kernel_frames,
        /// Slots for processes.
        process_slots,
        /// Of these, in use.
        processes,
        /// Slots for teams.
        team_slots,
        /// Of these, in use.
        teams,
        /// Messages sent.
        sends,
        /// Requests to kernel servers among them.
        kernel_requests,
        /// Replies.
        replies,
        /// Bytes that copies and segments carried.
        bytes_moved,
        /// Switches from one process to another.
        switches,
        /// Page faults that gave a page.
        page_faults,
        /// Exceptions that went to the exception server.
        exceptions,
        /// Device interrupts.
        interrupts,
        /// Timer interrupts.
        timer_interrupts,
        /// Nanoseconds without work.
        idle_ns,
        /// Nanoseconds since boot.
        uptime_ns,
        /// Slots for regions.
        region_slots,
        /// Of these, in use.
        regions,
        /// Processors that run.
        processors,
        /// Frames that hold pages of instances, for whoever touches them next.
        cached_frames,
        /// Of these, with changes that were not written back yet.
        dirty_frames,
        /// Pages asked for from instances' servers.
        page_reads,
        /// Pages written back to them.
        page_writes,
        /// Frames that were taken from such pages because there was no other.
        reclaimed_frames,
    }
}

record! {
    /// For which process on another machine the network server sends an alien: the data of its reply to that.
    AlienRecord {
        /// The client: a process of another logical host.
        client,
        /// Whom it addresses: a process or kernel server of this node.
        to,
        /// Who forwarded its message, or none.
        forwarder,
        /// The client's user id in the low half, the number of its transaction in the high half.
        user_and_transaction,
        /// The priority with which it waits; not above the network server's own.
        priority,
        /// Length and access of the segment that the client grants.
        grant,
        /// Where in the network server's memory the segment's head lies, and a reply's data goes.
        buffer_address,
        /// Bytes of the segment, from its beginning, that are in the buffer.
        buffer_bytes,
        /// Bytes that the buffer holds; enough for the longest reply if the grant is for writing.
        buffer_capacity,
        /// What the network server knows it by.
        cookie,
    }
}

record! {
    /// What a region is bound to: see [`Bind`](crate::kernel::memory::Bind).
    BindingRecord {
        /// The server of the instance.
        pager,
        /// The instance there.
        instance,
        /// Where in it the region begins: a multiple of the page size.
        position,
    }
}

record! {
    /// Pages one after the other.
    PagesRecord {
        /// Of the first.
        address,
        /// How many.
        pages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let record = ProcessRecord { pid: 7, name_last: u64::MAX, ..ProcessRecord::default() };
        assert_eq!(ProcessRecord::from_bytes(&record.to_bytes()), record);
        assert_eq!(ProcessRecord::BYTES, 18 * 8);
    }

    #[test]
    fn names_are_cut_at_a_character() {
        let (first, last) = name_words("fifteen bytes..ä");
        assert_eq!(&name_bytes(first, last), b"fifteen bytes..\0");
    }
}
