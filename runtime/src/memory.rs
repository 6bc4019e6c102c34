//! The address space: mapping, unmapping and protecting pages, of one's own team or of one that is being made.
//!
//! For memory of one's own, take [`Pages`]; for a file as memory, [`map_file`]. The other functions here are the kernel's requests as they are; unmapping or
//! protecting what Rust has in use is as deadly as it sounds.

mod mapped;

use abi::kernel::record::BindingRecord;
use abi::kernel::{self, memory};
use abi::{Error, Pid};

use crate::message::{Segment, call};

pub use crate::alloc::Pages;
pub use abi::PAGE_BYTES;
pub use abi::kernel::protection;
pub use mapped::{MappedFile, Mapping, map_file};

/// Maps zeroed pages in `team` ([`Pid::NONE`]: the caller's own) at `address` (0: anywhere) and says where.
pub fn map(team: Pid, address: u64, pages: u32, protection: u32) -> Result<u64, Error> {
    let request = memory::Map { team, address, pages, protection };
    Ok(crate::message::kernel(kernel::MEMORY, &request)?.address)
}

/// Binds pages in `team`, at `address` (0: anywhere), to those of an instance of `pager` from `position` on, and says
/// where. The instance must stay open as long as the pages are bound.
pub fn bind(
    team: Pid,
    address: u64,
    pages: u32,
    protection: u32,
    (pager, instance, position): (Pid, u32, u64),
) -> Result<u64, Error> {
    let binding = BindingRecord { pager: pager.to_bits(), instance: instance.into(), position };
    let request = memory::Bind { team, address, pages, protection };
    let bytes = binding.to_bytes();
    Ok(call(kernel::server(kernel::MEMORY), &request, Segment::Read(&bytes))?.address)
}

/// Writes back what was changed in pages bound to instances; returns when that is done.
pub fn flush(team: Pid, address: u64, pages: u32) -> Result<(), Error> {
    crate::message::kernel(kernel::MEMORY, &memory::Flush { team, address, pages })?;
    Ok(())
}

/// Of a server: what the kernel keeps of pages of one of its instances, from `position` on, is out of date. Returns how
/// many there were.
pub fn revoke(instance: u32, position: u64, pages: u32) -> Result<u32, Error> {
    Ok(crate::message::kernel(kernel::MEMORY, &memory::Revoke { instance, position, pages })?.count)
}

/// Has bound pages read, so that touching one waits for nobody. What cannot be read is an error.
pub fn fetch(team: Pid, address: u64, pages: u32) -> Result<(), Error> {
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(kernel::MOST_FETCHED);
        let address = address + u64::from(done) * PAGE_BYTES;
        crate::message::kernel(kernel::MEMORY, &memory::Fetch { team, address, pages: count })?;
        done += count;
    }
    Ok(())
}

/// Makes pages of zeros of ordinary ones. What was lent of them stays as it is with those who have it mapped.
pub fn discard(team: Pid, address: u64, pages: u32) -> Result<(), Error> {
    crate::message::kernel(kernel::MEMORY, &memory::Discard { team, address, pages })?;
    Ok(())
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

/// The first region of `team` that ends after `address`, and what it is bound to; by no pager if to nothing.
pub fn query_region(team: Pid, address: u64) -> Result<(memory::RegionQueried, BindingRecord), Error> {
    query_region_by(kernel::server(kernel::MEMORY), team, address)
}

/// As [`query_region`], of another node's team: its supervisor takes the same request.
pub fn query_region_by(
    server: Pid,
    team: Pid,
    address: u64,
) -> Result<(memory::RegionQueried, BindingRecord), Error> {
    let mut binding = [0; BindingRecord::BYTES];
    let query = memory::QueryRegion { team, address };
    let found = call(server, &query, Segment::Write(&mut binding))?;
    Ok((found, BindingRecord::from_bytes(&binding)))
}

/// Quota and use of `team`, of any node.
pub fn query_team(team: Pid) -> Result<memory::TeamQueried, Error> {
    let server = Pid::kernel_server(team.host(), kernel::MEMORY);
    call(server, &memory::QueryTeam { team }, Segment::None)
}
