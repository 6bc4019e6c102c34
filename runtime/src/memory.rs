//! The address space: mapping, unmapping and protecting pages, of one's own team or of one that is being made.
//!
//! For memory of one's own, take [`Pages`]. The functions here are the kernel's requests as they are; unmapping or
//! protecting what Rust has in use is as deadly as it sounds.

use abi::kernel::{self, memory};
use abi::{Error, Pid};

use crate::message::{Segment, call};

pub use crate::alloc::Pages;
pub use abi::PAGE_BYTES;
pub use abi::kernel::protection;

/// Maps zeroed pages in `team` ([`Pid::NONE`]: the caller's own) at `address` (0: anywhere) and says where.
pub fn map(team: Pid, address: u64, pages: u32, protection: u32) -> Result<u64, Error> {
    let request = memory::Map { team, address, pages, protection };
    Ok(crate::message::kernel(kernel::MEMORY, &request)?.address)
}

/// Unmaps pages.
pub fn unmap(team: Pid, address: u64, pages: u32) -> Result<(), Error> {
    let request = memory::Unmap { team, address, pages };
    crate::message::kernel(kernel::MEMORY, &request)?;
    Ok(())
}

/// Changes what may be done with mapped pages: bits of [`protection`].
pub fn protect(team: Pid, address: u64, pages: u32, protection: u32) -> Result<(), Error> {
    let request = memory::Protect { team, address, pages, protection };
    crate::message::kernel(kernel::MEMORY, &request)?;
    Ok(())
}

/// The first region of `team` that ends after `address`.
pub fn query_region(team: Pid, address: u64) -> Result<memory::RegionQueried, Error> {
    crate::message::kernel(kernel::MEMORY, &memory::QueryRegion { team, address })
}

/// Quota and use of `team`, of any node.
pub fn query_team(team: Pid) -> Result<memory::TeamQueried, Error> {
    let server = Pid::kernel_server(team.host(), kernel::MEMORY);
    call(server, &memory::QueryTeam { team }, Segment::None)
}
