//! Making a team of an image: its root process awaits its creator's reply while its memory is filled.
//!
//! The stack begins at [`STACK_TOP`](abi::boot::STACK_TOP) less the start block, which lies above it, so that both are
//! mapped by one request, and share a page. What is in the image is copied, straight from where the caller has it; or its pages are those of
//! its file, which the file's server is asked for when they are touched.

use abi::boot::{STACK_BYTES, STACK_TOP};
use abi::kernel::record;
use abi::kernel::{self, process, protection};
use abi::notice::notice::{Notice, TeamEnded};
use abi::protocol::Request;
use abi::{Error, LogicalHost, Message, PAGE_BYTES, Pid, Rights, UserId};
use protocols::program::begin::BeginProgram;
use v::memory;
use v::message::{self, Segment};

use crate::Layout;

/// Where a stack may begin.
const STACK_ALIGNMENT: u64 = 64;

const WRITABLE: u32 = protection::READ | protection::WRITE;

/// Whom a team belongs to, and what it may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Whose it is.
    pub user: UserId,
    /// What it may do.
    pub rights: Rights,
    /// Class and level.
    pub priority: u32,
    /// Most pages; 0 for as many as the creator may have.
    pub quota_pages: u32,
    /// Most processes; 0 for as many as the creator may have.
    pub quota_processes: u32,
}

/// A team that has not begun. Dropped without [`begin`](NewTeam::begin), it is destroyed.
#[derive(Debug)]
pub struct NewTeam {
    team: Pid,
    begun: bool,
}

impl NewTeam {
    /// Makes an empty team.
    pub fn create(owner: &Owner) -> Result<NewTeam, Error> {
        let request = process::CreateTeam {
            user: owner.user,
            rights: owner.rights,
            priority: owner.priority,
            quota_pages: owner.quota_pages,
            quota_processes: owner.quota_processes,
        };
        let team = ask(&request)?.team;
        Ok(NewTeam { team, begun: false })
    }

    /// Its root process.
    pub fn pid(&self) -> Pid {
        self.team
    }

    /// Makes it a guest, with this logical host, and a number that it and its later processes have from on. Its pid is
    /// another then.
    pub fn set_host(&mut self, host: LogicalHost, first_number: u32) -> Result<(), Error> {
        let host = host.to_bits();
        self.team = ask(&process::SetHost { team: self.team, host, first_number })?.team;
        Ok(())
    }

    /// Names its root process for listings.
    pub fn set_name(&self, name: &str) -> Result<(), Error> {
        let (first_bytes, last_bytes) = record::name_words(name);
        ask(&process::SetName { process: self.team, first_bytes, last_bytes })?;
        Ok(())
    }

    /// Lets it begin only when somebody asks the kernel to resume it.
    pub fn hold(&self) -> Result<(), Error> {
        ask(&process::Suspend { process: self.team })?;
        Ok(())
    }

    /// Binds the segments of an image to the pages of its file, which an instance of `server`'s is and stays, and maps zeros
    /// behind them. `copied` has the bytes that [`Segment::copied`](formats::image::Segment::copied) names, those of one
    /// segment after the other's.
    pub fn bind_image(
        &self,
        layout: &Layout,
        (server, instance): (Pid, u32),
        copied: &[u8],
    ) -> Result<(), Error> {
        let mut copied = copied;
        for segment in layout.segments() {
            if segment.file_pages > 0 {
                let source = (server, instance, segment.file_position());
                memory::bind(self.team, segment.address, segment.file_pages, segment.protection, source)?;
            }
            let rest = segment.pages - segment.file_pages;
            if rest == 0 {
                continue;
            }
            let address = segment.address + u64::from(segment.file_pages) * PAGE_BYTES;
            let bytes = segment.copied().end - segment.copied().start;
            let (data, others) = copied.split_at_checked(bytes as usize).ok_or(Error::BadImage)?;
            copied = others;
            memory::map(self.team, address, rest, WRITABLE)?;
            if !data.is_empty() {
                let offset = segment.offset.saturating_sub(u64::from(segment.file_pages) * PAGE_BYTES);
                message::move_to(self.team, address + offset, data)?;
            }
            if segment.protection != WRITABLE {
                memory::protect(self.team, address, rest, segment.protection)?;
            }
        }
        Ok(())
    }

    /// Maps the segments of an image. `content` is the part of the file that [`Layout::file`] names.
    pub fn map_image(&self, layout: &Layout, content: &[u8]) -> Result<(), Error> {
        let content_begin = layout.file().start;
        for segment in layout.segments() {
            memory::map(self.team, segment.address, segment.pages, WRITABLE)?;
            let begin = segment.file.start.saturating_sub(content_begin) as usize;
            let bytes = (segment.file.end - segment.file.start) as usize;
            if bytes > 0 {
                let data = content.get(begin..).and_then(|rest| rest.get(..bytes)).ok_or(Error::BadImage)?;
                message::move_to(self.team, segment.address + segment.offset, data)?;
            }
            if segment.protection != WRITABLE {
                memory::protect(self.team, segment.address, segment.pages, segment.protection)?;
            }
        }
        Ok(())
    }

    /// Others have seen to it that it begins.
    pub fn has_begun(mut self) {
        self.begun = true;
    }

    /// Maps stack and start block, and starts the root process at `entry`; its pid.
    pub fn begin(mut self, entry: u64, block: &[u8]) -> Result<Pid, Error> {
        let stack = (STACK_TOP - block.len() as u64) & !(STACK_ALIGNMENT - 1);
        let lowest = (stack & !(PAGE_BYTES - 1)) - STACK_BYTES;
        let pages = ((STACK_TOP - lowest) / PAGE_BYTES) as u32;
        memory::map(self.team, lowest, pages, protection::READ | protection::WRITE)?;
        if !block.is_empty() {
            message::move_to(self.team, stack, block)?;
        }
        ask(&process::Prepare { process: self.team, instruction: entry, stack })?;
        let begin = BeginProgram {
            block_address: stack,
            block_bytes: block.len() as u32,
            is_guest: self.team.is_guest().into(),
        };
        message::reply(self.team, &begin.to_message(), &[])?;
        self.begun = true;
        Ok(self.team)
    }
}

impl Drop for NewTeam {
    fn drop(&mut self) {
        if !self.begun {
            // The creator hears of its end as of any other team's.
            let _ = ask(&process::Destroy { process: self.team, status: abi::notice::STATUS_KILLED });
        }
    }
}

/// The end of a team, if `message` from `sender` is the kernel's notice of it. A process can send the same words, but
/// not after its end.
pub fn team_end(sender: Pid, message: &Message) -> Option<TeamEnded> {
    let Some(Notice::TeamEnded(ended)) = Notice::from_message(message) else {
        return None;
    };
    (sender == ended.team && v::process::has_ended(sender) == Ok(true)).then_some(ended)
}

/// Asks this machine's process server.
fn ask<R: Request>(request: &R) -> Result<R::Reply, Error> {
    v::call(kernel::server(kernel::PROCESS), request, Segment::None)
}
