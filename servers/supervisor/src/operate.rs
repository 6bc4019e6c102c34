//! What operators ask: the machine's power; and for those of other nodes what their kernels do not answer them.

use alloc::format;
use alloc::vec::Vec;

use abi::Error;
use abi::kernel::memory::{QueryRegion, RegionQueried};
use abi::kernel::{self, statistics};
use abi::trace::TraceRecord;
use protocols::supervisor::MOST_TRACE_RECORDS;
use protocols::supervisor::supervisor::{PoweringOff, Rebooting, TraceRead, TraceSet};
use v::server::{Client, Outcome};
use v::{Segment, time};

use crate::power;
use crate::supervise::say;

/// How long a client elsewhere has to get its answer before the machine goes down.
const FAREWELL_NS: u64 = 200_000_000;

/// What becomes of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Going {
    /// It is switched off; what the tool that runs it is told.
    Off {
        /// The status.
        status: u32,
    },
    /// It is restarted.
    Again,
}

impl Going {
    /// Does it; returns only if that fails.
    fn now(self) {
        match self {
            Going::Off { status } => {
                say(&format!("switching off, with status {status}"));
                power::switch_off(status);
                say("the machine does not switch off");
            }
            Going::Again => {
                say("restarting");
                power::restart();
                say("the machine does not restart");
            }
        }
    }
}

/// What is asked by operators and not answered at once; and a place for what they read.
#[derive(Debug, Default)]
pub struct Operating {
    going: Option<(Going, u64)>,
    records: Vec<u8>,
}

impl Operating {
    /// The machine is to go down: at once for a client of this node; one elsewhere is
    /// answered before, since nobody could answer it later.
    pub fn go(&mut self, client: &Client<'_>, going: Going) -> Outcome<'static> {
        if !client.user.may_operate() {
            return Outcome::refuse(Error::NoPermission);
        }
        if client.pid.host() == v::process::team().host() {
            going.now();
            return Outcome::refuse(Error::NotSupported);
        }
        self.going = Some((going, time::now_ns() + FAREWELL_NS));
        match going {
            Going::Off { .. } => Outcome::from(Ok(PoweringOff {})),
            Going::Again => Outcome::from(Ok(Rebooting {})),
        }
    }

    /// Goes down if it is time to.
    pub fn tick(&mut self) {
        if let Some((going, _)) = self.going.take_if(|(_, at_ns)| *at_ns <= time::now_ns()) {
            going.now();
        }
    }

    /// When [`Operating::tick`] wants to be called.
    pub fn next_tick_ns(&self) -> Option<u64> {
        self.going.map(|(_, at_ns)| at_ns)
    }

    /// Chooses which events the kernel records.
    pub fn set_trace(client: &Client<'_>, events: u32) -> Result<TraceSet, Error> {
        if !client.user.may_operate() {
            return Err(Error::NoPermission);
        }
        let request = statistics::SetTrace { events };
        v::call(kernel::server(kernel::STATISTICS), &request, Segment::None)?;
        Ok(TraceSet {})
    }

    /// The kernel's own request, for a part of the map of a team of the client's user: a kernel does for those of other
    /// nodes only what it does at once.
    pub fn query_region(&mut self, client: &Client<'_>, query: &QueryRegion) -> Outcome<'_> {
        match self.fetch_region(client, query) {
            Ok(region) => Outcome::data(region, &self.records),
            Err(error) => Outcome::refuse(error),
        }
    }

    fn fetch_region(&mut self, client: &Client<'_>, query: &QueryRegion) -> Result<RegionQueried, Error> {
        let QueryRegion { team, address } = *query;
        // Its own kernel knows the teams of this node, and says of others that they are elsewhere.
        if v::process::identify(team)?.user != client.user && !client.user.is_system() {
            return Err(Error::NoPermission);
        }
        let (region, binding) = v::memory::query_region(team, address)?;
        self.records.clear();
        if client.writable_bytes().is_ok() {
            self.records.extend(binding.to_bytes());
        }
        Ok(region)
    }

    /// What the kernel has recorded.
    pub fn read_trace(&mut self, client: &Client<'_>, from: u64) -> Outcome<'_> {
        match self.fetch_trace(client, from) {
            Ok((read, bytes)) => Outcome::data(read, &self.records[..bytes]),
            Err(error) => Outcome::refuse(error),
        }
    }

    fn fetch_trace(&mut self, client: &Client<'_>, from: u64) -> Result<(TraceRead, usize), Error> {
        if !client.user.may_operate() {
            return Err(Error::NoPermission);
        }
        let room = client.writable_bytes()? as usize / TraceRecord::BYTES;
        self.records.resize(room.min(MOST_TRACE_RECORDS) * TraceRecord::BYTES, 0);
        let request = statistics::ReadTrace { from };
        let server = kernel::server(kernel::STATISTICS);
        let read = v::call(server, &request, Segment::Write(&mut self.records))?;
        let bytes = read.count as usize * TraceRecord::BYTES;
        Ok((TraceRead { count: read.count, next: read.next }, bytes))
    }
}
