//! The kernel: its tables, and its entry points for the machine.
//!
//! The machine saves what a program had in its registers, calls one entry point with interrupts off and the kernel's
//! lock held, and does what the returned [`Next`] says. At a system call the registers go to and come from the
//! process's [`registers`](crate::process::Process::registers), which never move; at an interrupt, fault or exception the machine keeps all of them itself, by the
//! process's index, until `Next::Run` says `Resume::Full`.
//!
//! Nothing is allocated after [`Kernel::new`], and no table ever moves.

use alloc::boxed::Box;

use abi::LogicalHost;
use abi::kernel::record::StatisticsRecord;

use crate::alien::Aliens;
use crate::cache::Cache;
use crate::frame::Frames;
use crate::group::Groups;
use crate::log::LOG_BYTES;
use crate::machine::{Machine, Next, ProcessIndex};
use crate::page_request::PageRequests;
use crate::process::NOBODY;
use crate::region::{RegionList, Regions};
use crate::ring::Ring;
use crate::schedule::ReadyLists;
use crate::table::Processes;
use crate::team::{FIRST_TEAM, NO_TEAM, Team, TeamIndex};
use crate::timer::Deadlines;
use crate::trace::Trace;

/// Processors that the kernel can run.
pub const CPUS: usize = 1;

/// Device interrupt lines that can be claimed.
pub const INTERRUPT_LINES: usize = 256;

/// How large the kernel's tables are, and who the node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Configuration {
    /// The node's own logical host: random, never 0.
    pub logical_host: LogicalHost,
    /// Slots for processes and pseudo-senders.
    pub process_slots: u16,
    /// Slots for teams.
    pub team_slots: u16,
    /// Slots for regions of address spaces.
    pub region_slots: u32,
    /// Events that the trace ring keeps; a power of two.
    pub trace_records: u32,
    /// Frames that the kernel's image and tables take, for `free`; known to the machine.
    pub kernel_frames: u32,
}

impl Configuration {
    /// Tables in proportion to memory: about one part in sixty of it.
    pub fn for_memory(frame_count: u32, logical_host: LogicalHost) -> Configuration {
        let process_slots = (frame_count / 16).clamp(256, 16_384) as u16;
        Configuration {
            logical_host,
            process_slots,
            team_slots: process_slots / 2,
            region_slots: u32::from(process_slots) * 4,
            trace_records: (frame_count / 8).next_power_of_two().clamp(512, 65_536),
            kernel_frames: 0,
        }
    }
}

/// What belongs to one processor.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// The process that runs, or nobody: idle, or at long work.
    pub current: ProcessIndex,
    /// The process that ran last, to which time not yet charged belongs.
    pub last: ProcessIndex,
    /// Up to when time has been charged.
    pub charged_ns: u64,
    /// When the running process's share of its level ends.
    pub slice_end_ns: u64,
    /// For when the machine's timer is set.
    pub timer_ns: u64,
    /// Whether it waits for an interrupt.
    pub idle: bool,
}

/// Calls that took the short path. They are counted nowhere else, which saves the path an instruction or two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShortCalls {
    /// Sends, each of them also a switch.
    pub sends: u64,
    /// Likewise replies.
    pub replies: u64,
}

/// The kernel of one node.
pub struct Kernel<M: Machine> {
    /// The processors.
    pub cpus: [Cpu; CPUS],
    /// Who waits for a processor.
    pub ready: ReadyLists,
    /// Everything that can send.
    pub processes: Processes<M::Space>,
    /// What is counted since boot, less the short calls; the record's other fields are left at 0.
    pub counters: StatisticsRecord,
    /// The short calls.
    pub short_calls: ShortCalls,
    /// The machine.
    pub machine: M,
    /// Free memory.
    pub frames: Frames,
    /// Every team.
    pub teams: Box<[Team<M::Space>]>,
    /// First team slot that is free.
    pub free_team: TeamIndex,
    /// How many teams there are.
    pub teams_used: u32,
    /// Who claimed which interrupt line; nobody for most.
    pub interrupt_slots: Box<[ProcessIndex]>,
    /// What the teams' address spaces consist of.
    pub regions: Regions,
    /// Pages of what they are bound to.
    pub cache: Cache,
    /// Pages asked for, or written back.
    pub page_requests: PageRequests<M::Space>,
    /// The request that was begun or joined last, for who waits for it.
    pub missing: ProcessIndex,
    /// Whether it is only waited for to make room, and its outcome is nothing to who waits.
    pub missing_room: bool,
    /// DMA memory of ended teams.
    pub held: RegionList,
    /// Process groups.
    pub groups: Groups,
    /// The partner for processes on other nodes, or nobody.
    pub network_server: ProcessIndex,
    /// How many network servers there were before.
    pub former_network_servers: u32,
    /// What it sends for them.
    pub aliens: Aliens,
    /// The latest events.
    pub trace: Trace,
    /// What kernel and servers had to say.
    pub log: Ring<1>,
    /// Frames that the kernel's image and tables take.
    pub kernel_frames: u32,
    /// Who waits for a time.
    pub deadlines: Deadlines,
    /// The monotonic clock when the kernel last read it: good enough for listings.
    pub coarse_now_ns: u64,
    /// Nanoseconds from 1970 to boot; 0 until someone knows.
    pub real_base_ns: u64,
    /// A space with no pages: what slots have that belong to no team.
    pub nowhere: M::Space,
}

impl<M: Machine> Kernel<M> {
    /// A kernel without teams. The tables are allocated here, once.
    ///
    /// # Panics
    /// If `frames` has too little memory for one address space.
    pub fn new(mut machine: M, mut frames: Frames, configuration: &Configuration) -> Kernel<M> {
        let nowhere = machine.create_space(&mut frames).expect("memory for one address space");
        let page_requests = PageRequests::new(&mut machine, &mut frames);
        let cache = Cache::new(frames.end());
        let process_slots = configuration.process_slots;
        let team_slots = configuration.team_slots.min(NO_TEAM - 1);
        let mut teams: Box<[Team<M::Space>]> = (0..team_slots).map(|_| Team::free(nowhere)).collect();
        for (team, next) in teams.iter_mut().zip(1..team_slots) {
            team.next_free = next;
        }
        Kernel {
            cpus: [Cpu {
                current: NOBODY,
                last: NOBODY,
                charged_ns: 0,
                slice_end_ns: 0,
                timer_ns: u64::MAX,
                idle: true,
            }; CPUS],
            ready: ReadyLists::default(),
            processes: Processes::new(configuration.logical_host, process_slots, nowhere),
            counters: StatisticsRecord::default(),
            short_calls: ShortCalls::default(),
            machine,
            frames,
            teams,
            free_team: FIRST_TEAM,
            teams_used: 0,
            interrupt_slots: (0..INTERRUPT_LINES).map(|_| NOBODY).collect(),
            regions: Regions::new(configuration.region_slots),
            cache,
            page_requests,
            missing: NOBODY,
            missing_room: false,
            held: RegionList::EMPTY,
            groups: Groups::new(process_slots),
            network_server: NOBODY,
            former_network_servers: 0,
            aliens: Aliens::new(process_slots),
            trace: Trace::new(configuration.trace_records),
            log: Ring::new(LOG_BYTES),
            kernel_frames: configuration.kernel_frames,
            deadlines: Deadlines::new(process_slots),
            coarse_now_ns: 0,
            real_base_ns: 0,
            nowhere,
        }
    }

    /// This processor's state.
    #[inline]
    pub fn cpu(&self) -> &Cpu {
        &self.cpus[0]
    }

    /// This processor's state.
    #[inline]
    pub fn cpu_mut(&mut self) -> &mut Cpu {
        &mut self.cpus[0]
    }

    /// Goes on after `Next::Idle` or `Next::Work`.
    pub fn step(&mut self) -> Next<M::Space> {
        self.leave()
    }
}
