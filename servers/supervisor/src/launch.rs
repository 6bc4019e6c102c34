//! Starting a service: its image out of the boot archive, its team, its resources, its start block.
//!
//! The supervisor needs no server for this, so it can start any of them again.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use abi::kernel::{self, process, resource};
use abi::{Error, PAGE_BYTES, Pid};
use formats::archive::{Archive, Damage, Kind};
use program_image::{BadImage, HEAD_BYTES, Layout, NewTeam, Owner};
use protocols::program::Entry;
use protocols::supervisor::{ARCHIVE_VARIABLE, ArchivePlace};
use v::Segment;

use crate::configuration::{Resource, Service};

/// The boot archive, its entries found once.
#[derive(Debug)]
pub struct Images {
    entries: Vec<formats::archive::Entry<'static>>,
    place: ArchivePlace,
}

/// Why a service could not be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The archive has no such program.
    NoImage,
    /// It is no program.
    BadImage(BadImage),
    /// The kernel refused something.
    Refused(&'static str, Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoImage => f.write_str("its program is not in the boot archive"),
            Failure::BadImage(reason) => write!(f, "its program cannot be run: {reason}"),
            Failure::Refused(step, error) => write!(f, "{step}: {error}"),
        }
    }
}

impl Images {
    /// Looks through the archive in `bytes`, which lies at `physical`.
    pub fn new(bytes: &'static [u8], physical: u64) -> Result<Images, Damage> {
        Ok(Images {
            entries: Archive::new(bytes).entries().collect::<Result<_, _>>()?,
            place: ArchivePlace { physical, bytes: bytes.len() as u64 },
        })
    }

    /// The content of a file of the archive; the last of that name counts.
    pub fn file(&self, path: &str) -> Option<&'static [u8]> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.kind == Kind::File && entry.is_at(path))
            .map(|entry| entry.content)
    }

    /// Starts a service, with what its devices need; its root process.
    pub fn launch(&self, service: &Service, devices: &[Resource]) -> Result<Pid, Failure> {
        let refused = |step| move |error| Failure::Refused(step, error);
        let image = self.file(&service.program).ok_or(Failure::NoImage)?;
        let head = &image[..image.len().min(HEAD_BYTES)];
        let layout = Layout::parse(head, image.len() as u64).map_err(Failure::BadImage)?;

        let team = NewTeam::create(&owner(service)).map_err(refused("cannot make its team"))?;
        team.set_name(&service.name).map_err(refused("cannot name it"))?;
        for resource in self.resources(service).chain(devices.iter().copied()) {
            grant(team.pid(), &resource).map_err(refused("cannot grant it a device"))?;
        }
        let file = layout.file();
        let content = &image[file.start as usize..file.end as usize];
        team.map_image(&layout, content).map_err(refused("cannot load its program"))?;
        team.begin(layout.entry, &self.start_block(service)).map_err(refused("cannot begin it"))
    }

    fn resources(&self, service: &Service) -> impl Iterator<Item = Resource> {
        let archive = service.archive.then(|| Resource {
            kind: resource::MEMORY,
            start: self.place.physical / PAGE_BYTES,
            count: self.place.bytes.div_ceil(PAGE_BYTES) as u32,
        });
        service.resources.iter().copied().chain(archive)
    }

    fn start_block(&self, service: &Service) -> Vec<u8> {
        let mut block = Vec::new();
        Entry::Argument(&service.name).append(&mut block);
        for argument in &service.arguments {
            Entry::Argument(argument).append(&mut block);
        }
        for (name, target) in &service.aliases {
            Entry::Alias { name, target }.append(&mut block);
        }
        if service.archive {
            let variable: String = format!("{ARCHIVE_VARIABLE}={}", self.place);
            Entry::Variable(&variable).append(&mut block);
        }
        block
    }
}

fn owner(service: &Service) -> Owner {
    Owner {
        user: service.user,
        rights: service.rights,
        priority: service.priority,
        quota_pages: service.quota_pages,
        quota_processes: service.quota_processes,
    }
}

fn grant(team: Pid, resource: &Resource) -> Result<(), Error> {
    // So much DMA memory at most: on a small node that may be more than there is, and nobody may grant what is not there.
    let most = match resource.kind {
        resource::DMA => u32::try_from(v::entry::information().total_frames).unwrap_or(u32::MAX),
        _ => u32::MAX,
    };
    let count = resource.count.min(most);
    let request = process::GrantDevice { team, kind: resource.kind, start: resource.start, count };
    v::call(kernel::server(kernel::PROCESS), &request, Segment::None)?;
    Ok(())
}
