//! Teams: an address space with its processes, user, rights and quotas.
//!
//! A team is named by the pid of its first process, the root, and dies with it. Its slot is in use until its owner
//! has replied to the notice of its end.

use abi::{LogicalHost, Pid, Rights, UserId};

use crate::machine::ProcessIndex;
use crate::process::NOBODY;
use crate::region::RegionList;

/// Index of a team's slot.
pub type TeamIndex = u16;

/// The first team's, the supervisor's. The node does not outlive it.
pub const FIRST_TEAM: TeamIndex = 0;

/// No team.
pub const NO_TEAM: TeamIndex = TeamIndex::MAX;

/// Device resources that a team may have been granted.
pub const GRANTS_PER_TEAM: usize = 16;

/// A device resource that a team may use; nothing if `count` is 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeviceGrant {
    /// One of [`abi::kernel::resource`].
    pub kind: u32,
    /// How much.
    pub count: u32,
    /// From where.
    pub start: u64,
    /// For memory: whether it is ordinary memory, which may be cached.
    pub cached: bool,
}

/// What a team may have, and has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// At most.
    pub limit: u32,
    /// Now.
    pub used: u32,
}

impl Quota {
    /// Nothing used of so much.
    pub const fn new(limit: u32) -> Quota {
        Quota { limit, used: 0 }
    }

    /// Takes `count` if that stays within the limit.
    #[inline]
    pub fn take(&mut self, count: u32) -> Result<(), abi::Error> {
        let used = self.used.checked_add(count).filter(|used| *used <= self.limit);
        self.used = used.ok_or(abi::Error::NoQuota)?;
        Ok(())
    }

    /// Gives `count` back.
    ///
    /// # Panics
    /// If so many were never taken: a bug in the kernel.
    #[inline]
    pub fn give_back(&mut self, count: u32) {
        assert!(count <= self.used, "quota given back twice");
        self.used -= count;
    }
}

/// One slot of the team table.
#[derive(Clone, Debug)]
pub struct Team<Space> {
    /// The root's slot; nobody while the slot is free.
    pub root: ProcessIndex,
    /// The address space; one without pages while the slot is free, and once it has been torn down.
    pub space: Space,
    /// Who is told when it ends.
    pub owner: Pid,
    /// A guest's logical host; [`LogicalHost::OWN`] for those of the node's own.
    pub host: LogicalHost,
    /// Whose it is.
    pub user: UserId,
    /// What it may do.
    pub rights: Rights,
    /// Its most urgent legal priority without the right to more.
    pub priority: u8,
    /// Its end has begun: nothing in it runs again.
    pub ending: bool,
    /// Nothing in it runs or receives until it is thawed.
    pub frozen: bool,
    /// How far its monotonic clock is ahead of the node's.
    pub clock_offset_ns: i64,
    /// Who hears of its exceptions, or none; the teams that it creates begin with the same.
    pub exception_server: Pid,
    /// Pages of memory, page tables included.
    pub pages: Quota,
    /// Slots of the process table.
    pub processes: Quota,
    /// First of its programs' processes.
    pub first_process: ProcessIndex,
    /// Its regions.
    pub regions: RegionList,
    /// Pages of regions that are wired.
    pub wired_pages: u32,
    /// Pages of DMA memory.
    pub dma_pages: u32,
    /// Device resources that it was granted.
    pub grants: [DeviceGrant; GRANTS_PER_TEAM],
    /// Next free slot, while free.
    pub next_free: TeamIndex,
}

impl<Space> Team<Space> {
    /// A slot not in use.
    pub fn free(nowhere: Space) -> Team<Space> {
        Team {
            root: NOBODY,
            space: nowhere,
            owner: Pid::NONE,
            host: LogicalHost::OWN,
            user: UserId::default(),
            rights: Rights::NONE,
            priority: abi::kernel::priority::COUNT - 1,
            ending: false,
            frozen: false,
            clock_offset_ns: 0,
            exception_server: Pid::NONE,
            pages: Quota::default(),
            processes: Quota::default(),
            first_process: NOBODY,
            regions: RegionList::EMPTY,
            wired_pages: 0,
            dma_pages: 0,
            grants: [DeviceGrant::default(); GRANTS_PER_TEAM],
            next_free: NO_TEAM,
        }
    }
}
