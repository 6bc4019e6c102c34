//! The kernel servers: what a program asks of a kernel, as messages, so that it can ask another machine's as well.
//!
//! Each server has a fixed index; [`server`] gives its pid on any logical host. Where a request names a process or
//! a team, [`Pid::NONE`] means the caller's own. A team is named by the pid of its first process, its root, and
//! dies with it.

use crate::protocol::Request as _;
use crate::{LogicalHost, Pid, Rights, UserId, protocol};

/// Index of the process server.
pub const PROCESS: u16 = 1;
/// Index of the memory server.
pub const MEMORY: u16 = 2;
/// Index of the device server.
pub const DEVICE: u16 = 3;
/// Index of the time server.
pub const TIME: u16 = 4;
/// Index of the group server.
pub const GROUP: u16 = 5;
/// Index of the statistics server.
pub const STATISTICS: u16 = 6;
/// Index of the remote server: what the network server, not the kernel, answers for other machines alone.
pub const REMOTE: u16 = 7;
/// First index that programs' processes use.
pub const FIRST_PROCESS_INDEX: u16 = 16;

/// The kernel server with `index` on the caller's own logical host.
pub const fn server(index: u16) -> Pid {
    Pid::kernel_server(LogicalHost::OWN, index)
}

/// Priorities: 0 is the most urgent. A team has a class, a process a level within it.
pub mod priority {
    /// Levels in a class.
    pub const LEVELS: u8 = 6;
    /// The level at which programs begin.
    pub const PROGRAM_LEVEL: u8 = 2;
    /// All priorities are below this.
    pub const COUNT: u8 = 30;
    /// In `CreateProcess`: the caller's own priority.
    pub const OWN: u32 = u32::MAX;
    /// First level of the class for drivers.
    pub const REAL_TIME: u8 = 0;
    /// First level of the class for servers.
    pub const SYSTEM: u8 = 6;
    /// First level of the class for programs at the terminal.
    pub const FOREGROUND: u8 = 12;
    /// First level of the class for programs started with `&`.
    pub const BACKGROUND: u8 = 18;
    /// First level of the class for other nodes' programs.
    pub const GUEST: u8 = 24;
}

/// Protection of mapped memory: bits of `protection` fields.
pub mod protection {
    /// May be read.
    pub const READ: u32 = 1;
    /// May be written.
    pub const WRITE: u32 = 2;
    /// May be executed. Never together with `WRITE`.
    pub const EXECUTE: u32 = 4;
    /// Frames are there from the start, not when first touched.
    pub const WIRED: u32 = 8;
    /// In answers only: the region is device memory or the boot archive, not the team's own frames.
    pub const DEVICE: u32 = 16;
    /// Of a region that is bound to an instance: what is written goes to the instance, and all who have it mapped so see
    /// it. Without it each team has copies of the pages that it writes.
    pub const SHARED: u32 = 32;
}

/// Interrupt lines on which devices interrupt by a write to memory (MSI, MSI-X). They are no global system interrupts:
/// who has devices to hand out gives each line to one device.
pub mod message_line {
    /// The first of them; wired lines are below.
    pub const FIRST: u32 = 128;
    /// How many there are.
    pub const COUNT: u32 = 64;

    /// Whether `line` is one of them.
    #[inline]
    pub const fn contains(line: u32) -> bool {
        line.wrapping_sub(FIRST) < COUNT
    }
}

/// Kinds of device resource that a team may be granted: the `kind` of [`process::GrantDevice`].
pub mod resource {
    /// I/O ports: first port and count.
    pub const PORTS: u32 = 1;
    /// Interrupt lines (global system interrupts and [message lines](super::message_line)): first line and count.
    pub const INTERRUPTS: u32 = 2;
    /// Physical memory: first byte's page number and count of pages.
    pub const MEMORY: u32 = 3;
    /// DMA memory: count of pages; the start is 0.
    pub const DMA: u32 = 4;
}

protocol! {
    /// Processes and teams.
    pub mod process = 0x01, enum Process {
        /// Makes a team with an empty address space and its root process, which awaits the caller's reply: that
        /// reply starts it, and its message is what the process finds in its registers. The whole address space is
        /// granted to the caller until then. The caller becomes the team's owner: when the team ends, the owner
        /// receives [`TeamEnded`](crate::notice::notice::TeamEnded), and the pid is free once that is replied to.
        CreateTeam = 1 {
            /// Whose; another user's needs the right.
            user: UserId,
            /// A subset of the caller's.
            rights: Rights,
            /// Class and level; not above the caller's without the right.
            priority: u32,
            /// Most pages of memory, page tables included; 0 for as many as the caller's team may have.
            quota_pages: u32,
            /// Most processes; 0 for as many as the caller's team may have.
            quota_processes: u32,
        } => TeamCreated {
            /// The root process.
            team: Pid,
        };
        /// Makes a process in the caller's team, awaiting the caller's reply, which starts it.
        CreateProcess = 2 {
            /// Where it begins.
            instruction: u64,
            /// Its stack pointer.
            stack: u64,
            /// Class and level; not above the team's without the right. Or [`priority::OWN`].
            priority: u32,
        } => ProcessCreated {
            /// The new process.
            process: Pid,
        };
        /// Says where a process that awaits its first reply from the caller is to begin.
        Prepare = 3 { process: Pid, instruction: u64, stack: u64 } => Prepared {};
        /// Ends a process; a root, and so its team. Others' need the user's id or the right.
        Destroy = 4 {
            process: Pid,
            /// For the owner, when a team ends.
            status: u32,
        } => Destroyed {};
        /// Writes a [`record::ProcessRecord`](crate::kernel::record::ProcessRecord) for each process from slot `index` on, as many as the write segment holds.
        QueryProcesses = 5 { index: u32 } => ProcessesQueried {
            /// Records written.
            count: u32,
            /// Slot to go on with; 0 when there are no more.
            next: u32,
        };
        /// As above, for one process.
        QueryProcess = 6 { process: Pid } => ProcessQueried {};
        /// Stops a process from running until resumed. Its messages wait.
        Suspend = 7 { process: Pid } => Suspended {};
        /// Lets it run again.
        Resume = 8 { process: Pid } => Resumed {};
        /// Names a process for listings and reports: up to 16 bytes of UTF-8, zero-padded.
        SetName = 10 { process: Pid, first_bytes: u64, last_bytes: u64 } => NameSet {};
        /// Sends the exceptions of `team`, and of the teams that it will make, to `server`.
        SetExceptionServer = 11 { team: Pid, server: Pid } => ExceptionServerSet {
            /// To whom they went before.
            former: Pid,
        };
        /// Hands a device resource that the caller has to `team`.
        GrantDevice = 12 { team: Pid, kind: u32, start: u64, count: u32 } => DeviceGranted {};
        /// The caller's creator, root, user and rights; or another process's.
        Identify = 13 { process: Pid } => Identified { team: Pid, owner: Pid, user: UserId, rights: Rights };
        /// Reads the registers of a process that awaits the caller's reply to its exception, or that is suspended, as far as
        /// the caller could suspend it: a [`record::RegisterRecord`](crate::kernel::record::RegisterRecord) into the write
        /// segment. Of one that is in a system call: what it asks for, or its results.
        ReadRegisters = 14 { process: Pid } => RegistersRead {};
        /// Writes them from the read segment. Of a process in a system call instruction, stack and flags are changed alone.
        WriteRegisters = 15 { process: Pid } => RegistersWritten {};
        /// Makes the caller the network server: the kernel's partner for processes on other machines, until it ends.
        /// Needs the right; there is one at a time. See [`remote`](crate::remote).
        BecomeNetworkServer = 17 {} => NetworkServerSet {
            /// How many there were before it: the first has the node's logical host to claim.
            former: u32,
        };
        /// Of the network server: makes an alien, a sender for processes on other machines. It awaits the caller's
        /// reply, which sends it for one of them: see [`remote`](crate::remote).
        CreateAlien = 18 {} => AlienCreated { alien: Pid };
        /// Of the network server: ends an alien. Who has received its message finds that the client awaits no reply.
        DestroyAlien = 19 { alien: Pid } => AlienDestroyed {};
        /// Makes the caller the owner of a team whose owner has ended, so that it receives the team's end. Needs the
        /// right to create teams for others.
        AdoptTeam = 20 { team: Pid } => TeamAdopted {};
        /// Makes a team that awaits its first reply from the caller a *guest*, with a logical host of its own: its pids are
        /// relative to that, and it sends to all others as to processes of another machine. It has no rights. Needs the
        /// right to create teams for others; that the logical host is nobody else's, the caller knows, and that no process
        /// of it has ever had a number from `first_number` on, see [`Pid::guest`](crate::Pid::guest).
        SetHost = 21 { team: Pid, host: u32, first_number: u32 } => HostSet {
            /// The root's new pid.
            team: Pid,
        };
        /// Stops a guest that is to move: nothing in it runs or receives any more. [`Busy`](crate::Error::Busy) while something
        /// is under way that cannot move but will be over; [`NotMovable`](crate::Error::NotMovable) if it never can. What it has
        /// sent elsewhere and nobody has received yet is taken back, to be sent again. Needs the right to create teams for
        /// others, as what follows; the network server may as well.
        FreezeTeam = 22 { team: Pid } => TeamFrozen {};
        /// Lets a frozen team go on, here. [`ProcessElsewhere`](crate::Error::ProcessElsewhere) if its state was told, and not
        /// taken back by [`WriteTeam`](process::WriteTeam).
        ThawTeam = 23 { team: Pid } => TeamThawed {};
        /// Writes the state of a frozen team's processes into the write segment, if it holds so much: see
        /// [`team_state`](crate::kernel::team_state). From then on its logical host is elsewhere for whoever is here, until the
        /// state is taken back; only its pid is still known, and it is in no group.
        ReadTeam = 24 { team: Pid } => TeamRead {
            /// Bytes that it takes; nothing was done if the segment is shorter.
            bytes: u32,
        };
        /// Makes a team that awaits its first reply, and has nothing but its root and its memory, the one whose state is in
        /// the read segment: a guest with that logical host, frozen. It awaits no reply from its creator any more. If the state is
        /// refused, the team ends.
        WriteTeam = 25 { team: Pid } => TeamWritten {
            /// The root's new pid.
            team: Pid,
        };
    }
}

protocol! {
    /// Address spaces.
    pub mod memory = 0x02, enum Memory {
        /// Maps zeroed pages. A team other than the caller's must await its first reply from the caller.
        Map = 1 {
            team: Pid,
            /// A multiple of the page size; or 0 for the kernel to choose, which leaves an unmapped page on either side.
            address: u64,
            pages: u32,
            /// Bits of [`protection`](crate::kernel::protection).
            protection: u32,
        } => Mapped { address: u64 };
        /// Unmaps pages, also parts of regions.
        Unmap = 2 { team: Pid, address: u64, pages: u32 } => Unmapped {};
        /// Changes what may be done with mapped pages. No access at all makes guard pages of them, which keep their frames.
        Protect = 3 { team: Pid, address: u64, pages: u32, protection: u32 } => Protected {};
        /// The first region that ends after `address`. A write segment takes its
        /// [`record::BindingRecord`](crate::kernel::record::BindingRecord).
        QueryRegion = 4 { team: Pid, address: u64 } => RegionQueried {
            address: u64,
            pages: u32,
            protection: u32,
            /// Pages that have a frame.
            resident: u32,
            /// Of a region whose writes go to an instance: pages that are not written back yet.
            dirty: u32,
        };
        /// Quota and use of a team.
        QueryTeam = 5 { team: Pid } => TeamQueried {
            /// Pages that it may have.
            quota_pages: u32,
            /// Pages that it has, page tables included.
            used_pages: u32,
            /// Processes that it may have.
            quota_processes: u32,
            /// Processes that it has.
            used_processes: u32,
        };
        /// As `Map`, of pages of the instance that the read segment, a
        /// [`record::BindingRecord`](crate::kernel::record::BindingRecord), names: a page is read from its server when it is
        /// first touched. The reads are the caller's, by its user id; the instance must stay open as long as the region.
        Bind = 6 { team: Pid, address: u64, pages: u32, protection: u32 } => Bound { address: u64 };
        /// Writes back what was changed in pages bound [`SHARED`](protection::SHARED); replies when that is done.
        Flush = 7 { team: Pid, address: u64, pages: u32 } => Flushed {};
        /// Of a server: pages of an instance, from a position on, that the kernel keeps from the caller's replies are out of
        /// date. Changes that were not written back are lost.
        Revoke = 8 { instance: u32, position: u64, pages: u32 } => Revoked {
            /// Pages that were kept.
            count: u32,
        };
        /// Has bound pages read, up to [`MOST_FETCHED`](crate::kernel::MOST_FETCHED) of them; replies when the kernel keeps them all, so that
        /// touching one waits for nobody. What cannot be read is an error. Ordinary pages are given frames, none of the reserve
        /// that some teams have: [`NoMemory`](crate::Error::NoMemory) if there are no others, and then some may have theirs.
        Fetch = 9 { team: Pid, address: u64, pages: u32 } => Fetched {};
        /// Makes zeroed pages of ordinary ones, not wired, by taking their frames. Frames that were lent stay with those who
        /// have them mapped.
        Discard = 10 { team: Pid, address: u64, pages: u32 } => Discarded {};
        /// Tells which pages of a guest from an address on are frames of its own that were written since this was last asked,
        /// as [`record::PagesRecord`](crate::kernel::record::PagesRecord)s into the write segment. A page counts as written
        /// when its frame comes. Needs the right to create teams for others, as all that moves a guest.
        TakeWritten = 11 {
            team: Pid,
            address: u64,
            /// 1 for all that are there, whether written or not; what was written is told again then.
            all: u32,
        } => WrittenTaken {
            /// Records written.
            count: u32,
            /// Address to go on with; 0 when there are no more.
            next: u64,
        };
        /// Reads whole pages of a guest's own into the write segment, whatever their protection, up to the first that is
        /// none of its own.
        ReadMemory = 12 { team: Pid, address: u64 } => MemoryRead { pages: u32 };
        /// Makes the whole pages of the read segment own pages, at an address, of a team that awaits its first reply from the
        /// caller, or whose exception server the caller is: in its regions of zeros or private bound ones, whatever their protection, and without asking for what lies
        /// under them.
        WriteMemory = 13 { team: Pid, address: u64 } => MemoryWritten {};
        /// Reads from an address of a team that the caller may control into the write segment, what that holds but no further
        /// than the page, as the team itself could read it.
        Peek = 14 { team: Pid, address: u64 } => Peeked {};
    }
}

/// Most pages that a [`Fetch`](memory::Fetch) is for.
pub const MOST_FETCHED: u32 = 64;

protocol! {
    /// Interrupts, ports, device memory. Everything must have been granted.
    pub mod device = 0x03, enum Device {
        /// From now on the line's interrupts come to the caller as [`Interrupt`](crate::notice::notice::Interrupt)
        /// messages from `interrupt`; each reply unmasks the line. Those of a
        /// [message line](crate::kernel::message_line) want no reply: when one has been received the next may come.
        ClaimInterrupt = 1 {
            /// The global system interrupt; legacy lines 0–15 follow the machine's overrides.
            line: u32,
        } => InterruptClaimed {
            interrupt: Pid,
            /// Of a [message line](crate::kernel::message_line): the address to which the device writes `data`.
            address: u64,
            data: u32,
        };
        /// Gives the line back.
        ReleaseInterrupt = 2 { interrupt: Pid } => InterruptReleased {};
        /// Maps granted physical memory into the caller's team; uncached unless it is ordinary memory.
        MapPhysical = 3 { physical: u64, pages: u32, protection: u32, address: u64 } => PhysicalMapped { address: u64 };
        /// Maps contiguous, wired, zeroed memory for DMA.
        AllocateDma = 4 { pages: u32, address: u64 } => DmaAllocated { address: u64, physical: u64 };
        /// Reads a port of `width` 1, 2 or 4 bytes.
        ReadPort = 5 { port: u32, width: u32 } => PortRead { value: u32 };
        /// Writes a port.
        WritePort = 6 { port: u32, width: u32, value: u32 } => PortWritten {};
        /// Writes the bytes of the read segment, up to 256, to a port one after the other.
        WritePortBytes = 7 { port: u32 } => PortBytesWritten { count: u32 };
        /// Says that the devices of a team that has ended were reset: its DMA memory, held back until now, is free
        /// again. Needs the right.
        ReleaseDma = 8 { team: Pid } => DmaReleased { pages: u32 };
        /// Reads a port of one byte up to 16 times: a device's queue.
        ReadPortBytes = 9 { port: u32, count: u32 } => PortBytesRead {
            /// The first eight bytes, the very first in the lowest bits.
            first_bytes: u64,
            /// The other eight.
            last_bytes: u64,
        };
    }
}

protocol! {
    /// Clocks and alarms. Reading the clock needs no message: see [`information`](crate::information).
    pub mod time = 0x04, enum Time {
        /// Both clocks, in nanoseconds: since boot, and since 1970.
        Now = 1 {} => Clocks { monotonic_ns: u64, real_ns: u64 };
        /// Replies when the monotonic clock has reached `until_ns`.
        Delay = 2 { until_ns: u64 } => Delayed {};
        /// Sends an [`Alarm`](crate::notice::notice::Alarm) message to the caller at a time. A process has one alarm; a new one replaces
        /// it, and 0 cancels it.
        SetAlarm = 4 { at_ns: u64, tag: u32 } => AlarmSet {};
        /// Sets the real-time clock; needs the right.
        SetTime = 5 { real_ns: u64 } => TimeSet {};
    }
}

protocol! {
    /// Process groups.
    pub mod group = 0x05, enum Group {
        /// Makes a group with the caller's own process as its first member.
        Create = 1 {
            /// 1 if only processes of the caller's user may join.
            restricted: u32,
        } => Created { group: Pid };
        /// Adds a process of the caller's own user. If the group is restricted and of another node, that node's group server is
        /// asked first: by this same request, which from elsewhere adds nobody but says whether the sender's user may.
        Join = 2 { group: Pid, process: Pid } => Joined {};
        /// Takes a process of the caller's own user out. The last one ends the group.
        Leave = 3 { group: Pid, process: Pid } => Left {};
        /// The member at a position, counted from 0.
        QueryGroup = 4 { group: Pid, position: u32 } => GroupQueried { member: Pid, count: u32 };
        /// Writes a [`record::MembershipRecord`](crate::kernel::record::MembershipRecord) for each member of a group, of the
        /// node's processes, from row `row` of the table on, as many as the write segment holds.
        QueryMemberships = 5 { row: u32 } => MembershipsQueried {
            /// Records written.
            count: u32,
            /// Row to go on with; 0 when there are no more.
            next: u32,
        };
    }
}

/// Groups whose number every machine knows. Only processes of the system's user may join them.
pub mod well_known_group {
    use super::{LogicalHost, Pid};
    /// Group numbers below this are the well-known ones.
    pub const FIRST_DYNAMIC_NUMBER: u32 = 256;
    /// Every node's naming server.
    pub const NAMING: Pid = Pid::unrestricted_group(LogicalHost::OWN, 1);
    /// Every node's program manager.
    pub const PROGRAM_MANAGERS: Pid = Pid::unrestricted_group(LogicalHost::OWN, 2);
    /// Every node's network server; only they speak to it, by VMTP.
    pub const NETWORK_SERVERS: Pid = Pid::unrestricted_group(LogicalHost::OWN, 3);
    /// The naming servers of all nodes.
    pub const ALL_NAMING: Pid = Pid::unrestricted_group(LogicalHost::EVERY, 1);
    /// The program managers of all nodes.
    pub const ALL_PROGRAM_MANAGERS: Pid = Pid::unrestricted_group(LogicalHost::EVERY, 2);
}

protocol! {
    /// What the kernel counts, traces and logs.
    pub mod statistics = 0x06, enum Statistics {
        /// Does nothing: the cost of a message to the kernel.
        Null = 1 {} => Nothing {};
        /// Writes a [`record::StatisticsRecord`](crate::kernel::record::StatisticsRecord) into the write segment.
        QueryStatistics = 2 {} => StatisticsQueried {};
        /// Chooses the events that are traced: bits by [`trace::Event`](crate::trace::Event) number; needs the right.
        SetTrace = 3 { events: u32 } => TraceSet { previous: u32 };
        /// Writes [`trace::TraceRecord`](crate::trace::TraceRecord)s from sequence number `from` on into the write
        /// segment; needs the right. Older ones than the ring holds are skipped.
        ReadTrace = 4 { from: u64 } => TraceRead {
            /// Records written.
            count: u32,
            /// Sequence number to go on with.
            next: u64,
        };
        /// Appends the read segment (up to 256 bytes) to the kernel's log; needs the trace right.
        WriteLog = 5 {} => LogWritten {};
        /// Copies the kernel's log from byte `from` on into the write segment; needs the right.
        ReadLog = 6 { from: u64 } => LogRead { count: u32, next: u64 };
    }
}

/// What a process on another machine may ask of the kernel servers: what names its object and is done at once. No part
/// of the network server's own team is within its reach by the words "the caller's own".
pub const FROM_ELSEWHERE: [u32; 14] = [
    process::Destroy::CODE,
    process::QueryProcesses::CODE,
    process::QueryProcess::CODE,
    process::Suspend::CODE,
    process::Resume::CODE,
    process::SetName::CODE,
    process::Identify::CODE,
    memory::QueryTeam::CODE,
    time::Now::CODE,
    group::Join::CODE,
    group::QueryGroup::CODE,
    group::QueryMemberships::CODE,
    statistics::Null::CODE,
    statistics::QueryStatistics::CODE,
];

/// Most bytes of a copy to or from another machine that are asked for at a time.
pub const MOST_MOVED_BYTES: u64 = 1024 * 1024;

protocol! {
    /// Copies to and from the segment of a process on another machine, which awaits the reply of the sender. The
    /// sender grants what is to be copied, or where it is to go. MoveTo and MoveFrom turn into these.
    pub mod remote = 0x07, enum Remote {
        /// Copies the sender's segment into the client's.
        MoveTo = 1 {
            client: Pid,
            /// Which of its Sends.
            transaction: u32,
            /// Where in its segment, in bytes from its beginning.
            offset: u64,
        } => Moved { count: u32 };
        /// Copies the client's segment into the sender's.
        MoveFrom = 2 { client: Pid, transaction: u32, offset: u64 } => MovedBack { count: u32 };
    }
}

pub mod record;
pub mod team_state;
