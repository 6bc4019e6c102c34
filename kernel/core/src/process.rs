//! The descriptor of a process, and of everything else that can send.
//!
//! A slot of the process table is a program's process, or one of the kernel's *pseudo-senders*, which have no code
//! of their own: an interrupt, an alarm, a member's copy of a message to a group, an alien that stands for a process of
//! another node. All of them wait in the same queues and are answered by the same Reply.
//!
//! What a process waits for is said by its [`State`], whom by `partner`. Its message and its segment grant stay in
//! its own registers while it waits: nothing else of it runs, so nothing can change them.
//!
//! Invariants, which `check` tests after every step of the property tests:
//! * a slot is in at most one list: a ready list (`Ready`, `Working`) or its partner's queue (`Sending`);
//! * `Sending` and `AwaitingReply` name a partner in use, whose `waiters` counts this slot under its priority;
//! * the priority in force is the more urgent of the own one and of `waiters`' most urgent.
//!
//! Neighbours: `table` finds slots, `list` links them, `priority` keeps `waiters`, `ipc` moves the messages.

use abi::call::Registers;
use abi::kernel::record::UsageRecord;
use abi::kernel::{message_line, priority};
use abi::{Grant, Pid, UserId};

use crate::frame::Frame;
use crate::list::List;
use crate::machine::{ProcessIndex, Resume};
use crate::paging::Wait;
use crate::priority::Waiters;
use crate::team::{NO_TEAM, TeamIndex};

/// No process.
pub const NOBODY: ProcessIndex = ProcessIndex::MAX;

/// What a slot is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// The slot is not in use.
    Free,
    /// A kernel server: it answers at once and never runs.
    KernelServer,
    /// Runs, or waits for a processor in a ready list (in none while suspended).
    Ready,
    /// Waits in Receive for a message from anyone.
    Receiving,
    /// Waits in Receive for a message from `partner`.
    ReceivingFrom,
    /// Its message waits in the queue of `partner`.
    Sending,
    /// Its message was received; it waits for the reply of `partner`.
    AwaitingReply,
    /// Waits for the next reply to its Send to a group.
    AwaitingGroup,
    /// Waits for a time.
    Delaying,
    /// Long work goes on for it, a step whenever it would run.
    Working,
    /// A pseudo-sender with nothing to say, or a copy whose reply waits to be fetched.
    Idle,
}

/// What a slot stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A process that runs a program's code.
    Program,
    /// A claimed interrupt line.
    Interrupt,
    /// A process's alarm.
    Alarm,
    /// One member's copy of a message to a group.
    Copy,
    /// A process of another node.
    Alien,
    /// A page that is read from its server, or written back.
    Page,
}

/// Conditions that take a slot off the short path of Send and Reply, which wants none of them set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Flags(pub u8);

impl Flags {
    /// Does not run and receives nothing until resumed.
    pub const SUSPENDED: Flags = Flags(1);
    /// Has a deadline.
    pub const TIMED: Flags = Flags(2);
    /// Awaits its creator's reply, which starts it.
    pub const NEWBORN: Flags = Flags(4);
    /// Its message is an exception; the reply resumes all its registers.
    pub const EXCEPTION: Flags = Flags(8);
    /// An ended team's root: its message is the notice, and the reply frees the slot.
    pub const ENDED: Flags = Flags(16);
    /// Not a program's process.
    pub const PSEUDO: Flags = Flags(32);
    /// Has an outstanding Send to a group.
    pub const GROUP: Flags = Flags(64);
    /// Its message is for another node, and goes to the network server. An alien: it has been answered or forwarded
    /// there, and takes that to the network server.
    pub const REMOTE: Flags = Flags(128);

    /// Whether one of `other` is set.
    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing but `other` is set.
    #[inline]
    pub const fn only(self, other: Flags) -> bool {
        self.0 & !other.0 == 0
    }

    /// Sets `other`.
    #[inline]
    pub const fn set(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    /// Clears `other`.
    #[inline]
    pub const fn clear(&mut self, other: Flags) {
        self.0 &= !other.0;
    }
}

/// One slot of the process table. What the message path touches lies together, at the front.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Process<Space> {
    /// Registers at the last system call; while it waits, its message and its grant; then the results.
    pub registers: Registers,
    /// Who this is; [`Pid::NONE`] while the slot is free.
    pub pid: Pid,
    /// The address space of its team.
    pub space: Space,
    /// What it is doing.
    pub state: State,
    /// What else holds; beside the state, so that one comparison tests both.
    pub flags: Flags,
    /// What it stands for.
    pub kind: Kind,
    /// The priority in force.
    pub priority: u8,
    /// Its own priority.
    pub own_priority: u8,
    /// What it does when the page that it waits for has come.
    pub wait: Wait,
    /// Whether it waits for a page request only because that makes room.
    pub waits_for_room: bool,
    /// In a frozen team: whether it is suspended on its own account, too.
    pub stays_suspended: bool,
    /// How it goes on when it runs next; back to `Results` whenever it does.
    pub resume: Resume,
    /// Whom it waits for.
    pub partner: ProcessIndex,
    /// In the list that it is in.
    pub next: ProcessIndex,
    /// In the list that it is in.
    pub previous: ProcessIndex,
    /// Who waits to be received, the most urgent first.
    pub queue: List,
    /// Whose process it is; stamped on its messages.
    pub user: UserId,
    /// Of its last Send to another node: with the pid, the name of a transaction. Of an alien: its client's.
    pub transaction: u32,
    /// Who forwarded its message, or none.
    pub forwarder: Pid,
    /// Who waits for it, by priority.
    pub waiters: Waiters,

    /// Its team.
    pub team: TeamIndex,
    /// In the list of the team's processes.
    pub team_next: ProcessIndex,
    /// In the list of the team's processes.
    pub team_previous: ProcessIndex,
    /// How many processes wait in Receive for this one alone.
    pub expected_by: u16,
    /// Groups that it is a member of.
    pub memberships: u16,
    /// Interrupt lines that it has claimed.
    pub interrupts: u16,
    /// A pseudo-sender: whose it is.
    pub owner: ProcessIndex,
    /// Its alarm's slot, or nobody.
    pub alarm: ProcessIndex,
    /// The first copy of its message to a group, or nobody. A copy: the next one. An alien: the next in its row.
    pub copy: ProcessIndex,
    /// Which use of the slot this is, or was.
    pub generation: u16,
    /// When its deadline is, if `TIMED`.
    pub deadline_ns: u64,
    /// When it last began to wait or to be ready, by the coarse clock.
    pub since_ns: u64,
    /// What it has done; a root, with the processes of its team that have ended.
    pub usage: UsageRecord,
    /// Its name's bytes.
    pub name: [u64; 2],
    /// What only some kinds and states need.
    pub extra: Extra,
}

/// What only some kinds and states of a slot need; small enough for all to have it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// Long copy: bytes done. Fault: the address. Page request: the page. Interrupt: times since the last notice. Copy: bytes of reply data kept. Alien that was
    /// answered: bytes of reply data in its buffer.
    pub count: u64,
    /// Interrupt: the line. Page request: the object. Fault: see [`Wait`]. Alarm: the tag. Ended root: the status. Exception: the vector.
    pub value: u32,
    /// Group sender: its segment's first page. Copy: the reply's data. Page request: the page itself.
    pub frame: Option<Frame>,
    /// Alarm: it came due while its owner still had the last notice.
    pub due: bool,
}

impl<Space: Copy> Process<Space> {
    /// A slot not in use. Fields that a use needs are set when it begins.
    pub fn free(nowhere: Space) -> Process<Space> {
        Process {
            registers: Registers::default(),
            pid: Pid::NONE,
            space: nowhere,
            state: State::Free,
            kind: Kind::Program,
            flags: Flags::default(),
            priority: priority::COUNT - 1,
            own_priority: priority::COUNT - 1,
            wait: Wait::None,
            waits_for_room: false,
            stays_suspended: false,
            resume: Resume::Results,
            partner: NOBODY,
            next: NOBODY,
            previous: NOBODY,
            queue: List::EMPTY,
            user: UserId::default(),
            transaction: 0,
            forwarder: Pid::NONE,
            waiters: Waiters::default(),
            team: NO_TEAM,
            team_next: NOBODY,
            team_previous: NOBODY,
            expected_by: 0,
            memberships: 0,
            interrupts: 0,
            owner: NOBODY,
            alarm: NOBODY,
            copy: NOBODY,
            generation: 0,
            deadline_ns: 0,
            since_ns: 0,
            usage: UsageRecord::default(),
            name: [0; 2],
            extra: Extra::default(),
        }
    }

    /// Whether it simply is in this state, with no flag set.
    #[inline]
    pub(crate) const fn simply_is(&self, state: State) -> bool {
        u16::from_le_bytes([self.state as u8, self.flags.0]) == state as u16
    }

    /// It has a message, from whom, and what is told beside: these are the results of its Receive.
    #[inline(always)]
    #[allow(clippy::inline_always)] // The stores that each message consists of.
    pub(crate) fn hear(&mut self, from: u64, message: [u64; 4], extra: [u64; 5]) {
        self.registers.number = 0;
        self.registers.pid = from;
        self.registers.message = message;
        self.registers.extra = extra;
        self.usage.received += 1;
    }

    /// Whether a program's process has this slot.
    pub fn is_program(&self) -> bool {
        self.kind == Kind::Program && !matches!(self.state, State::Free | State::KernelServer)
    }

    /// Whether its message has been received by `receiver`.
    #[inline]
    pub(crate) fn awaits_reply_of(&self, receiver: ProcessIndex) -> bool {
        self.state == State::AwaitingReply && self.partner == receiver
    }

    /// Whether nothing more is to come of its message once that is received: an interrupt that is not masked.
    #[inline]
    pub(crate) fn wants_no_reply(&self) -> bool {
        self.kind == Kind::Interrupt && message_line::contains(self.extra.value)
    }

    /// An alien: how many bytes of its client's segment, from the beginning, are here.
    pub(crate) fn bytes_here(&self) -> u64 {
        self.registers.extra[3]
    }

    /// Where the segment that it grants begins. Meaningful while it sends or awaits a reply.
    #[inline]
    pub fn segment_address(&self) -> u64 {
        self.registers.extra[0]
    }

    /// Length and access of that segment.
    #[inline]
    pub fn grant(&self) -> Grant {
        Grant::from_bits(self.registers.extra[1])
    }
}
