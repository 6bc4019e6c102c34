//! The first team: the supervisor, loaded from the boot archive with everything that the node has.
//!
//! What the supervisor finds is described in [`abi::boot`]. Whatever goes wrong here ends the boot with a sentence.

use alloc::format;
use alloc::string::{String, ToString};

use abi::boot::start::Start;
use abi::boot::{ARCHIVE_ADDRESS, STACK_BYTES, STACK_TOP};
use abi::kernel::protection::{READ, WIRED, WRITE};
use abi::kernel::record::name_words;
use abi::kernel::{priority, resource};
use abi::{Error, PAGE_BYTES, Request};
use formats::archive::{Archive, Kind};
use formats::image::{Layout, Segment};

use crate::Result;
use crate::device_server::add_grant;
use crate::frame::Frame;
use crate::kernel::{INTERRUPT_LINES, Kernel};
use crate::machine::{Caching, Machine};
use crate::region::Backing;
use crate::team::{DeviceGrant, TeamIndex};

/// The supervisor's name, which the archive's first entry must have.
const SUPERVISOR: &str = "bin/supervisor";

/// The boot archive, which the machine's loader put into memory. Its frames are never free.
#[derive(Clone, Copy, Debug)]
pub struct BootArchive<'a> {
    /// Its content.
    pub bytes: &'a [u8],
    /// Where it is.
    pub physical: u64,
}

/// Physical memory that the kernel does not use: the first team gets it to hand out to drivers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceMemory {
    /// The first frame.
    pub first: Frame,
    /// How many.
    pub pages: u32,
    /// Whether it is ordinary memory, which may be cached, and which the kernel can read.
    pub cached: bool,
}

impl<M: Machine> Kernel<M> {
    /// Makes the first team and starts it, or says why not. `acpi_root_table` is for its use, 0 if there is none.
    pub fn boot(
        &mut self,
        archive: BootArchive<'_>,
        memory: &[DeviceMemory],
        acpi_root_table: u64,
    ) -> Result<(), String> {
        let file = first_file(archive.bytes)?;
        let layout = Layout::parse(file, file.len() as u64)
            .map_err(|reason| format!("the supervisor cannot be run: {reason}"))?;
        let failed = |what| move |error| format!("cannot make {what}: {error}");
        let team = self.create_first_team(priority::SYSTEM).map_err(failed("the first team"))?;
        for segment in layout.segments() {
            self.load(team, segment, file).map_err(failed("a segment of the supervisor"))?;
        }
        let stack_pages = (STACK_BYTES / PAGE_BYTES) as u32;
        self.add_region(team, STACK_TOP - STACK_BYTES, stack_pages, READ | WRITE, Backing::Zero)
            .map_err(failed("the supervisor's stack"))?;
        self.map_archive(team, archive)?;
        self.grant_everything(team, memory);

        let root = self.team(team).root;
        let (first_bytes, last_bytes) = name_words("supervisor");
        self.processes[root].name = [first_bytes, last_bytes];
        let start = Start {
            archive_physical: archive.physical,
            archive_bytes: archive.bytes.len() as u64,
            acpi_root_table,
        };
        self.start_first(team, layout.entry, STACK_TOP, &start.to_message());
        Ok(())
    }

    /// Maps one segment of an image, all of it present, and fills it from the image's file.
    fn load(&mut self, team: TeamIndex, segment: &Segment, file: &[u8]) -> Result<()> {
        self.add_region(team, segment.address, segment.pages, segment.protection | WIRED, Backing::Zero)?;
        let mut content = &file[segment.file.start as usize..segment.file.end as usize];
        let mut offset = segment.offset as usize;
        for address in (segment.address..segment.end()).step_by(PAGE_BYTES as usize) {
            self.touch(team, address, READ)?;
            let space = self.team(team).space;
            let frame = self.machine.translate(space, address, READ).ok_or(Error::BadAddress)?;
            let (piece, rest) = content.split_at(content.len().min(PAGE_BYTES as usize - offset));
            self.machine.write_frame(frame, offset, piece);
            content = rest;
            offset = 0;
        }
        Ok(())
    }

    fn map_archive(&mut self, team: TeamIndex, archive: BootArchive<'_>) -> Result<(), String> {
        let pages = u32::try_from((archive.bytes.len() as u64).div_ceil(PAGE_BYTES));
        let first = u32::try_from(archive.physical / PAGE_BYTES);
        let (Ok(pages), Ok(first), true) = (pages, first, archive.physical.is_multiple_of(PAGE_BYTES)) else {
            return Err("the boot archive lies at a strange place in memory".into());
        };
        let backing = Backing::Physical { first: Frame(first), caching: Caching::Cached };
        self.add_region(team, ARCHIVE_ADDRESS, pages, READ, backing)
            .map(|_| ())
            .map_err(|error| format!("cannot make room for the boot archive: {error}"))
    }

    /// Gives the first team every device resource.
    fn grant_everything(&mut self, team: TeamIndex, memory: &[DeviceMemory]) {
        let grant = |kind, count| DeviceGrant { kind, count, ..DeviceGrant::default() };
        let fixed = [
            grant(resource::PORTS, 1 << 16),
            grant(resource::INTERRUPTS, INTERRUPT_LINES as u32),
            grant(resource::DMA, self.frames.total_count()),
        ];
        let memory = memory.iter().map(|memory| DeviceGrant {
            kind: resource::MEMORY,
            count: memory.pages,
            start: u64::from(memory.first.0),
            cached: memory.cached,
        });
        let mut refused = 0;
        for grant in fixed.into_iter().chain(memory).filter(|grant| grant.count > 0) {
            refused += u32::from(add_grant(self.team_mut(team), grant).is_err());
        }
        if refused > 0 {
            self.log(
                b"V: more ranges of device memory than there is room for; the last ones cannot be used\n",
            );
        }
    }
}

/// The content of the archive's first entry, which must be the supervisor.
fn first_file(archive: &[u8]) -> Result<&[u8], String> {
    match Archive::new(archive).entries().next() {
        Some(Ok(entry)) if entry.kind == Kind::File && entry.is_at(SUPERVISOR) => Ok(entry.content),
        Some(Err(damage)) => Err(damage.to_string()),
        _ => Err(format!("the boot archive does not begin with the file {SUPERVISOR}")),
    }
}

#[cfg(test)]
#[path = "tests/boot.rs"]
mod tests;
