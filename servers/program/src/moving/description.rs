//! What a program is, beside its memory's content and its state: what the other manager makes its team from.
//!
//! ```text
//! head     version u32 = 1, user u32, starter pid u64, flags u32, quota of processes u32, resident pages u64,
//!          standard error: server pid u64, instance u32 (none: pid 0),
//!          length of the name u32, count of jobs u32, count of regions u32
//! name     its bytes
//! job      whose pid u64, number u32
//! region   address u64, pages u32, protection u32, pager pid u64 (0: zeros), instance u32, position u64
//! ```
//! All numbers are little-endian. It comes from another node: every field is an allegation.

use alloc::string::String;
use alloc::vec::Vec;

use abi::{Error, PAGE_BYTES, Pid, USER_ADDRESS_END, UserId};
use protocols::moving::MOST_DESCRIPTION_BYTES;
use protocols::program::ProgramRecord;

use crate::programs::{Job, Program, Stream};

const VERSION: u32 = 1;
const DETACHED: u32 = 1;
const MOST_NAME_BYTES: usize = ProgramRecord::NAME_BYTES;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// Whose it is.
    pub user: UserId,
    /// The team that started it, if that is known.
    pub starter: Option<Pid>,
    /// Whether nobody waits for it.
    pub detached: bool,
    /// How many processes it may have.
    pub quota_processes: u32,
    /// Pages of its own that it has now.
    pub resident_pages: u64,
    /// Its standard error, if it has one.
    pub standard_error: Option<Stream>,
    /// What it is called.
    pub name: String,
    /// The jobs that it is of.
    pub jobs: Vec<Job>,
    /// Its address space, in order.
    pub regions: Vec<Region>,
}

/// A region of its address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Where it begins.
    pub address: u64,
    /// How long it is.
    pub pages: u32,
    /// Bits of [`protection`](abi::kernel::protection).
    pub protection: u32,
    /// The instance whose pages they are, and where in that they begin; or zeros.
    pub source: Option<(Stream, u64)>,
}

impl Program {
    /// What is known of it, for another manager; the rest, who sees its team adds.
    pub fn describe(&self) -> Description {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        Description {
            user: self.user,
            starter: self.starter,
            detached: self.detached,
            quota_processes: 0,
            resident_pages: 0,
            standard_error: self.standard_error,
            name: core::str::from_utf8(&self.name[..end]).unwrap_or_default().into(),
            jobs: self.jobs.clone(),
            regions: Vec::new(),
        }
    }
}

impl Description {
    /// As the program that it describes is known here.
    pub fn program(&self) -> Program {
        let mut name = [0; ProgramRecord::NAME_BYTES];
        name[..self.name.len()].copy_from_slice(self.name.as_bytes());
        Program {
            user: self.user,
            starter: self.starter,
            detached: self.detached,
            standard_error: self.standard_error,
            is_guest: true,
            held_since_ns: None,
            is_stopped: false,
            name,
            jobs: self.jobs.clone(),
        }
    }

    /// The instances that its regions are bound to, each once.
    pub fn sources(&self) -> Vec<Stream> {
        let mut sources: Vec<Stream> = Vec::new();
        for (stream, _) in self.regions.iter().filter_map(|region| region.source) {
            if !sources.contains(&stream) {
                sources.push(stream);
            }
        }
        sources
    }

    /// As bytes; [`TooLong`](Error::TooLong) if they are more than another manager takes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let name = self.name.as_bytes();
        put32(&mut bytes, VERSION);
        put32(&mut bytes, self.user.0);
        put64(&mut bytes, self.starter.unwrap_or(Pid::NONE).to_bits());
        put32(&mut bytes, if self.detached { DETACHED } else { 0 });
        put32(&mut bytes, self.quota_processes);
        put64(&mut bytes, self.resident_pages);
        put_stream(&mut bytes, self.standard_error);
        put32(&mut bytes, name.len() as u32);
        put32(&mut bytes, self.jobs.len() as u32);
        put32(&mut bytes, self.regions.len() as u32);
        bytes.extend_from_slice(name);
        for (shell, number) in &self.jobs {
            put64(&mut bytes, shell.to_bits());
            put32(&mut bytes, *number);
        }
        for region in &self.regions {
            put64(&mut bytes, region.address);
            put32(&mut bytes, region.pages);
            put32(&mut bytes, region.protection);
            put_stream(&mut bytes, region.source.map(|(stream, _)| stream));
            put64(&mut bytes, region.source.map_or(0, |(_, position)| position));
        }
        if bytes.len() > MOST_DESCRIPTION_BYTES {
            return Err(Error::TooLong);
        }
        Ok(bytes)
    }

    /// Out of bytes; [`BadArgument`](Error::BadArgument) for what no manager says. Regions are in order, apart, and in a
    /// program's part of the address space.
    pub fn from_bytes(bytes: &[u8]) -> Result<Description, Error> {
        Description::read(&mut Reader(bytes)).ok_or(Error::BadArgument)
    }

    fn read(from: &mut Reader<'_>) -> Option<Description> {
        if from.number32()? != VERSION {
            return None;
        }
        let user = UserId(from.number32()?);
        let starter = Pid::from_bits(from.number64()?);
        let flags = from.number32()?;
        let (quota_processes, resident_pages) = (from.number32()?, from.number64()?);
        let standard_error = from.stream()?;
        let (name_bytes, job_count, count) = (from.number32()? as usize, from.number32()?, from.number32()?);
        if flags & !DETACHED != 0 || name_bytes > MOST_NAME_BYTES {
            return None;
        }
        let name = String::from(core::str::from_utf8(from.take(name_bytes)?).ok()?);
        let mut jobs = Vec::new();
        for _ in 0..job_count {
            jobs.push((Pid::from_bits(from.number64()?), from.number32()?));
        }
        let mut regions = Vec::new();
        let mut end = 0;
        for _ in 0..count {
            let region = from.region()?;
            let last = region.address.checked_add(u64::from(region.pages) * PAGE_BYTES)?;
            if region.address < end
                || region.address % PAGE_BYTES != 0
                || region.pages == 0
                || last > USER_ADDRESS_END
            {
                return None;
            }
            end = last;
            regions.push(region);
        }
        let starter = (!starter.is_none()).then_some(starter);
        let detached = flags & DETACHED != 0;
        let description = Description {
            user,
            starter,
            detached,
            quota_processes,
            resident_pages,
            standard_error,
            name,
            jobs,
            regions,
        };
        from.0.is_empty().then_some(description)
    }
}

fn put32(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put64(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_stream(bytes: &mut Vec<u8>, stream: Option<Stream>) {
    let (server, instance) = stream.map_or((Pid::NONE, 0), |stream| (stream.server, stream.instance));
    put64(bytes, server.to_bits());
    put32(bytes, instance);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn number32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn number64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// A stream; the outer option is of what is malformed.
    #[expect(clippy::option_option, reason = "that there is none is well-formed")]
    fn stream(&mut self) -> Option<Option<Stream>> {
        let (server, instance) = (Pid::from_bits(self.number64()?), self.number32()?);
        if server.is_none() {
            return (instance == 0).then_some(None);
        }
        Some(Some(Stream { server, instance }))
    }

    fn region(&mut self) -> Option<Region> {
        let (address, pages, protection) = (self.number64()?, self.number32()?, self.number32()?);
        let (stream, position) = (self.stream()?, self.number64()?);
        if stream.is_none() && position != 0 {
            return None;
        }
        Some(Region { address, pages, protection, source: stream.map(|stream| (stream, position)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(number: u32) -> Stream {
        Stream { server: Pid::from_bits(0x2000_0001_0001_0000 | u64::from(number)), instance: number }
    }

    fn description() -> Description {
        Description {
            user: UserId(7),
            starter: Some(Pid::from_bits(0x2000_0002_0001_0020)),
            detached: false,
            quota_processes: 256,
            resident_pages: 3,
            standard_error: Some(stream(2)),
            name: String::from("count-to"),
            jobs: Vec::from([(Pid::from_bits(0x2000_0002_0001_0021), 3)]),
            regions: Vec::from([
                Region { address: 0x40_0000, pages: 3, protection: 5, source: Some((stream(3), 4096)) },
                Region { address: 0x50_0000, pages: 16, protection: 3, source: None },
            ]),
        }
    }

    #[test]
    fn a_description_comes_back_and_no_part_of_it() {
        let bytes = description().to_bytes().unwrap();
        assert_eq!(Description::from_bytes(&bytes), Ok(description()));
        for end in 0..bytes.len() {
            assert_eq!(Description::from_bytes(&bytes[..end]), Err(Error::BadArgument), "{end}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(Description::from_bytes(&longer), Err(Error::BadArgument));
    }

    #[test]
    fn regions_are_in_order_and_in_bounds() {
        let changed = |change: fn(&mut Description)| {
            let mut changed = description();
            change(&mut changed);
            Description::from_bytes(&changed.to_bytes().unwrap())
        };
        let refused = Err(Error::BadArgument);
        assert_eq!(changed(|program| program.regions[1].address = 0x40_2000), refused);
        assert_eq!(changed(|program| program.regions[0].address += 1), refused);
        assert_eq!(changed(|program| program.regions[0].pages = 0), refused);
        assert_eq!(changed(|program| program.regions[1].address = USER_ADDRESS_END), refused);
        assert_eq!(changed(|program| program.regions[1].address = u64::MAX - 4095), refused);
        assert!(changed(|program| program.regions[1].address = 0x40_3000).is_ok());
    }

    proptest! {
        #[test]
        fn anything_is_taken_apart_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Description::from_bytes(&bytes);
        }

        #[test]
        fn what_is_accepted_is_what_was_said(at in 0_usize..160, byte: u8) {
            let mut bytes = description().to_bytes().unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(program) = Description::from_bytes(&bytes) {
                prop_assert_eq!(program.to_bytes(), Ok(bytes));
            }
        }
    }
}
