//! The volume as a whole: found, made, checked, told about.

use abi::protocol::Reply;
use abi::{Error, UserId};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use io_server::{Outcome, Request, System};
use protocols::storage::{self, HOME, VolumeRecord, format_flag, storage as messages};
use volume::{BLOCK_BYTES, Disk, Kind, ROOT, Volume};

use crate::disks::Disks;
use crate::server::FileServer;

/// How much of a disk must be zeros, at its beginning and at its end, for it to be blank: where all that is known to keep
/// something on disks has its marks.
const BLANK_BLOCKS: u64 = 256;
/// Most bytes of what a check says.
const REPORT_BYTES: usize = 16 * 1024;

impl<S: Disks> FileServer<S> {
    /// Takes the volume on a disk or partition, if there is one: [`NotFound`](Error::NotFound) else.
    pub fn mount(&mut self, name: &str, now_ns: u64) -> Result<(), Error> {
        let disk = self.disks.open(name)?;
        let volume = Volume::mount(disk, self.options)?;
        self.take(volume, name, now_ns)
    }

    /// Makes a volume of a disk or partition, and takes it. One that is not blank is left as it is, unless `force`d.
    pub fn format(&mut self, name: &str, force: bool, now_ns: u64) -> Result<(), Error> {
        if self.volume.is_some() {
            return Err(Error::Busy);
        }
        let mut disk = self.disks.open(name)?;
        if !force && !is_blank(&mut disk)? {
            return Err(Error::AlreadyExists);
        }
        let id = self.disks.unique();
        let volume = Volume::format(disk, id, now_ns, self.options)?;
        self.disks.tell(&format!("{name} is a new volume of {} MiB", volume.space().total_bytes >> 20));
        self.take(volume, name, now_ns)
    }

    fn take(&mut self, mut volume: Volume<S::Disk>, name: &str, now_ns: u64) -> Result<(), Error> {
        if volume.look_up(ROOT, HOME.as_bytes()) == Err(Error::NotFound) {
            let made = volume.create(ROOT, HOME, Kind::Directory, UserId::OPERATOR.0, now_ns);
            // A disk may be full, and then there is no home on it.
            if let Err(error) = made.and_then(|_| volume.commit(now_ns)) {
                self.disks.tell(&format!("[storage]{HOME} cannot be made: {error}"));
            }
        }
        if volume.was_mended() {
            self.disks
                .tell(&format!("{name}: its map or a copy of its superblock is not whole; it is made anew"));
        }
        let space = volume.space();
        let (free, total) = (space.free_bytes >> 20, space.total_bytes >> 20);
        self.disks.tell(&format!("[storage] is {name}: {free} of {total} MiB are free"));
        self.volume = Some(volume);
        self.disk_name = String::from(name);
        self.disks.announce()
    }

    /// A request of the storage protocol.
    pub(crate) fn control(
        &mut self,
        request: &Request<'_>,
        system: &mut dyn System,
    ) -> Result<Outcome<'_>, Error> {
        let client = &request.client;
        match messages::Storage::from_message(request.message).ok_or(Error::BadRequest)? {
            messages::Storage::Query(_) => {
                let space = self.volume()?.space();
                let record = VolumeRecord {
                    total_bytes: space.total_bytes,
                    free_bytes: space.free_bytes,
                    cached_bytes: space.cached_bytes,
                    dirty_bytes: space.dirty_bytes,
                    generation: space.generation,
                    disk: &self.disk_name,
                };
                self.answer = vec![0; VolumeRecord::MAX_BYTES];
                let count = record.encode(&mut self.answer).ok_or(Error::TooLong)?;
                self.answer.truncate(count.min(client.writable_bytes()? as usize));
                Ok(Outcome::data(messages::Queried { count: count as u32 }, &self.answer[..]))
            }
            messages::Storage::Format(format) => {
                check_is_operator(client.user)?;
                let name = str::from_utf8(request.whole()?).map_err(|_| Error::BadName)?;
                let force = format.flags & format_flag::FORCE != 0;
                self.format(name, force, system.real_ns())?;
                Ok(Outcome::Reply(messages::Formatted {}.to_message()))
            }
            messages::Storage::Check(_) => {
                check_is_operator(client.user)?;
                self.check(client.writable_bytes()?, system)
            }
            messages::Storage::Synchronize(_) => {
                self.commit(system)?;
                Ok(Outcome::Reply(messages::Synchronized {}.to_message()))
            }
        }
    }

    fn check(&mut self, room: u64, system: &mut dyn System) -> Result<Outcome<'_>, Error> {
        self.volume()?;
        self.commit(system)?;
        let volume = self.volume()?;
        let report = volume.check()?;
        if !report.is_clean() {
            // A superblock's second copy, and a map, are what can be made anew.
            volume.repair(&report, system.real_ns())?;
        }
        let bytes = |blocks: u64| blocks * BLOCK_BYTES as u64 / 1024;
        let mut text = format!(
            "{}: commit {}, {} files, {} directories, {} of {} KiB used\n",
            self.disk_name,
            report.generation,
            report.files,
            report.directories,
            bytes(report.used),
            bytes(report.blocks),
        );
        for finding in &report.findings {
            let line = format!("{}: {finding}", self.disk_name);
            self.disks.tell(&line);
            text.push_str(&line);
            text.push('\n');
        }
        self.answer = text.into_bytes();
        self.answer.truncate((room as usize).min(REPORT_BYTES));
        let reply = messages::Checked {
            count: self.answer.len() as u32,
            findings: report.finding_count as u32,
            files: report.files as u32,
            directories: report.directories as u32,
        };
        Ok(Outcome::data(reply, &self.answer[..]))
    }
}

fn check_is_operator(user: UserId) -> Result<(), Error> {
    if user.may_operate() { Ok(()) } else { Err(Error::NoPermission) }
}

/// Whether nobody has anything on a disk, as far as its beginning and its end can tell.
pub(crate) fn is_blank(disk: &mut impl Disk) -> Result<bool, Error> {
    let mut block = vec![0; BLOCK_BYTES];
    let blocks = disk.blocks();
    let end = blocks.saturating_sub(BLANK_BLOCKS).max(BLANK_BLOCKS);
    for number in (0..blocks.min(BLANK_BLOCKS)).chain(end..blocks) {
        disk.read(number, &mut block)?;
        if block.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The serial number of the disk that a boot command line says may be made a volume of, if it is blank.
pub fn to_be_formatted(command_line: &str) -> Option<&str> {
    command_line.split_ascii_whitespace().find_map(|word| word.strip_prefix(storage::FORMAT_WORD))
}
