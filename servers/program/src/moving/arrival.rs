//! Programs that come from other nodes.
//!
//! An offered program has a team with its address space, which awaits the manager's first reply, so that its memory can be
//! filled; what comes with a request is put there at once. Nothing here waits for another node. A ticket that is not used
//! any more ends, and the team with it: its program is where it was.

use alloc::vec::Vec;

use abi::kernel::priority;
use abi::{Error, PAGE_BYTES, Pid, Rights};
use program_image::{NewTeam, Owner};
use protocols::moving::{INSTALLED_TICKET_NS, MOST_STATE_BYTES, PUT_PAGE_BYTES, TICKET_NS};
use v::memory;

use super::description::Description;
use super::host;

/// Most programs that may be coming at a time.
const MOST_ARRIVALS: usize = 16;
/// Of the memory that is free, so much must remain so, in pages.
const SPARE_PAGES: u64 = 256;

/// A program that is coming.
#[derive(Debug)]
struct Arrival {
    ticket: u32,
    /// The process that takes its steps at the other node.
    mover: Pid,
    /// Its root, once it is here.
    program: Pid,
    description: Description,
    team: NewTeam,
    state: Vec<u8>,
    used_ns: u64,
}

/// A program that has come.
#[derive(Debug)]
pub struct Arrived {
    /// Its root, as everywhere before.
    pub program: Pid,
    /// What it is.
    pub description: Description,
}

/// A ticket that has done its work, of whom, and when.
#[derive(Debug)]
struct Used {
    ticket: u32,
    mover: Pid,
    since_ns: u64,
}

/// All programs that are coming.
#[derive(Debug, Default)]
pub struct Arrivals {
    list: Vec<Arrival>,
    used: Vec<Used>,
    tickets: u32,
}

impl Arrivals {
    /// A program is offered by `mover`: makes its team, of so many pages at most. Its ticket.
    pub fn offer(
        &mut self,
        mover: Pid,
        program: Pid,
        description: &[u8],
        quota_pages: u32,
        free_pages: u64,
    ) -> Result<u32, Error> {
        if !program.is_guest() {
            return Err(Error::BadArgument);
        }
        let description = Description::from_bytes(description)?;
        if description.user.is_system() {
            return Err(Error::NoPermission);
        }
        // An earlier try to move it has come to nothing.
        self.list.retain(|arrival| arrival.program.host() != program.host());
        if self.list.len() >= MOST_ARRIVALS {
            return Err(Error::NoResources);
        }
        if description.resident_pages + SPARE_PAGES > free_pages {
            return Err(Error::NoMemory);
        }
        let team = NewTeam::create(&Owner {
            user: description.user,
            rights: Rights::NONE,
            priority: u32::from(priority::GUEST + priority::PROGRAM_LEVEL),
            quota_pages,
            quota_processes: description.quota_processes,
        })?;
        team.set_name(&description.name)?;
        for region in &description.regions {
            match region.source {
                None => memory::map(team.pid(), region.address, region.pages, region.protection)?,
                Some((stream, position)) => {
                    let source = (stream.server, stream.instance, position);
                    memory::bind(team.pid(), region.address, region.pages, region.protection, source)?
                }
            };
        }
        self.tickets = self.tickets.wrapping_add(1);
        let ticket = self.tickets;
        let used_ns = v::time::now_ns();
        self.list.push(Arrival { ticket, mover, program, description, team, state: Vec::new(), used_ns });
        Ok(ticket)
    }

    fn find(&mut self, mover: Pid, ticket: u32) -> Result<usize, Error> {
        let is_it = |arrival: &Arrival| arrival.ticket == ticket && arrival.mover == mover;
        let at = self.list.iter().position(is_it).ok_or(Error::NotFound)?;
        self.list[at].used_ns = v::time::now_ns();
        Ok(at)
    }

    /// Puts pages of a program.
    pub fn put_pages(&mut self, mover: Pid, ticket: u32, put: &[u8]) -> Result<(), Error> {
        let at = self.find(mover, ticket)?;
        let count = put.len() / PUT_PAGE_BYTES;
        if !put.len().is_multiple_of(PUT_PAGE_BYTES) {
            return Err(Error::BadArgument);
        }
        let (addresses, pages) = put.split_at(count * 8);
        let team = self.list[at].team.pid();
        let addresses: Vec<u64> =
            addresses.as_chunks().0.iter().map(|address| u64::from_le_bytes(*address)).collect();
        // Pages that lie together are written together.
        let mut done = 0;
        for run in addresses.chunk_by(|one, next| one.checked_add(PAGE_BYTES) == Some(*next)) {
            let bytes = run.len() * PAGE_BYTES as usize;
            host::write_memory(team, run[0], &pages[done..][..bytes])?;
            done += bytes;
        }
        Ok(())
    }

    /// Drops pages of a program that were put.
    pub fn drop_pages(&mut self, mover: Pid, ticket: u32, dropped: &[u8]) -> Result<(), Error> {
        let at = self.find(mover, ticket)?;
        let (addresses, rest) = dropped.as_chunks();
        if !rest.is_empty() {
            return Err(Error::BadArgument);
        }
        let team = self.list[at].team.pid();
        addresses.iter().try_for_each(|address| memory::discard(team, u64::from_le_bytes(*address), 1))
    }

    /// Puts a part of a program's state.
    pub fn put_state(&mut self, mover: Pid, ticket: u32, part: &[u8]) -> Result<(), Error> {
        let at = self.find(mover, ticket)?;
        let state = &mut self.list[at].state;
        if state.len() + part.len() > MOST_STATE_BYTES {
            return Err(Error::TooLong);
        }
        state.extend_from_slice(part);
        Ok(())
    }

    /// Makes a program one of this node's; it runs once it is thawed. None if that was done before. Refused, it is not
    /// coming any more.
    pub fn install(&mut self, mover: Pid, ticket: u32) -> Result<Option<Arrived>, Error> {
        if self.used.iter().any(|used| used.ticket == ticket && used.mover == mover) {
            return Ok(None);
        }
        let at = self.find(mover, ticket)?;
        let Arrival { program, description, team, state, used_ns: since_ns, .. } = self.list.swap_remove(at);
        host::import(program.host(), team.pid(), &state)?;
        team.has_begun();
        self.used.push(Used { ticket, mover, since_ns });
        Ok(Some(Arrived { program, description }))
    }

    /// A program will not come.
    pub fn withdraw(&mut self, mover: Pid, ticket: u32) -> Result<(), Error> {
        let at = self.find(mover, ticket)?;
        self.list.swap_remove(at);
        Ok(())
    }

    /// Ends the tickets that nobody uses any more.
    pub fn expire(&mut self) {
        let now_ns = v::time::now_ns();
        self.list.retain(|arrival| now_ns < arrival.used_ns + TICKET_NS);
        self.used.retain(|used| now_ns < used.since_ns + INSTALLED_TICKET_NS);
    }

    /// Whether none is coming.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
