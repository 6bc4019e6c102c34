//! The supervisor at work: it receives what services and the kernel say, starts what is due, looks for what hangs.
//!
//! It Receives and Replies, and Sends to the kernel alone, so nothing that a server does can hold it up. What it has
//! to say goes to the kernel's log.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::kernel::device::ReleaseDma;
use abi::kernel::memory::QueryRegion;
use abi::kernel::record::ProcessRecord;
use abi::kernel::{self, process, statistics};
use abi::notice::notice::{EndNoted, TeamEnded};
use abi::protocol::{Reply, Request as _};
use abi::{Error, Message, Pid};
use program_image::team_end;
use protocols::device::DeviceRecord;
use protocols::log::{Heading, level};
use protocols::supervisor::supervisor::{
    Configured, DeviceQueried, DeviceStarted, MessageSet, ServiceKilled, ServiceQueried, ServiceStarted,
    ServiceStopped, SetMessage, StateLoaded, StateSaved, Supervisor,
};
use protocols::supervisor::{MAX_CONFIGURATION_BYTES, MAX_STATE_BYTES, ServiceRecord, supervisor};
use v::server::{Client, Outcome, Server};
use v::{Segment, time};

use crate::configuration::{self, Service};
use crate::configuration_space::ConfigurationSpace;
use crate::devices::Devices;
use crate::launch::Images;
use crate::operate::{Going, Operating};
use crate::power;
use crate::services::{Services, Verdict};
use crate::watchdog::{Watchdog, Watched};

/// How often the watchdog looks.
const LOOK_NS: u64 = 1_000_000_000;

/// Room for a record of either kind.
const RECORD_BYTES: usize = {
    let service = ServiceRecord::HEADER_BYTES + ServiceRecord::MAX_NAME_BYTES;
    if service > DeviceRecord::MAX_BYTES { service } else { DeviceRecord::MAX_BYTES }
};

/// All that the supervisor knows.
#[derive(Debug)]
pub struct Supervising {
    images: Images,
    services: Services,
    /// The node's own configuration.
    own: Vec<Service>,
    devices: Devices<ConfigurationSpace>,
    /// What each service has saved, by the service's place.
    saved: Vec<Vec<u8>>,
    watchdog: Watchdog,
    next_look_ns: u64,
    operating: Operating,
    /// Where a record lies until it is sent.
    record: [u8; RECORD_BYTES],
}

impl Supervising {
    /// A supervisor of the node's `own` services, with nothing started yet.
    pub fn new(images: Images, own: Vec<Service>, mut devices: Devices<ConfigurationSpace>) -> Supervising {
        let services = Services::new(wanted(&own, &devices));
        let configured: Vec<&Service> = services.entries().iter().map(|entry| &entry.configuration).collect();
        devices.assign(&configured);
        Supervising {
            images,
            saved: vec![Vec::new(); services.entries().len()],
            services,
            own,
            devices,
            watchdog: Watchdog::default(),
            next_look_ns: 0,
            operating: Operating::default(),
            record: [0; RECORD_BYTES],
        }
    }

    fn name(&self, place: usize) -> &str {
        &self.services.entries()[place].configuration.name
    }

    /// Starts every service that is due.
    fn start_due(&mut self) {
        while let Some(place) = self.services.next_to_start(time::now_ns()) {
            self.devices.prepare(place);
            let service = &self.services.entries()[place].configuration;
            let started = self.images.launch(service, &self.devices.resources(place));
            let now_ns = time::now_ns();
            match started {
                Ok(process) => self.services.started(place, process, now_ns),
                Err(failure) => {
                    let verdict = self.services.start_failed(place, now_ns);
                    let what = format!("cannot be started: {failure}");
                    self.tell(place, &what, verdict);
                }
            }
        }
    }

    /// Destroys what hangs; the notices of its end do the rest.
    fn look_for_hung(&mut self) {
        let now_ns = time::now_ns();
        if now_ns < self.next_look_ns {
            return;
        }
        self.next_look_ns = now_ns + LOOK_NS;
        let watched: Vec<Watched> = self
            .services
            .entries()
            .iter()
            .filter(|entry| !entry.process.is_none())
            .map(|entry| Watched { team: entry.process, patience_ns: entry.configuration.watchdog_ns })
            .collect();
        for team in self.watchdog.look(now_ns, &watched, &all_processes()) {
            if let Some(place) = self.services.find_process(team) {
                say(&format!("{} hangs: it receives nothing", self.name(place)));
                destroy(team);
            }
        }
        let late: Vec<usize> = self.services.late(now_ns).collect();
        for place in late {
            say(&format!("{} hangs: it has never become ready", self.name(place)));
            destroy(self.services.entries()[place].process);
        }
    }

    /// A team of the supervisor's has ended.
    fn ended(&mut self, ended: &TeamEnded) {
        let Some(place) = self.services.find_process(ended.team) else {
            return;
        };
        self.devices.ended(place, ended.team);
        let verdict = self.services.ended(place, ended.status, time::now_ns());
        self.tell(place, &format!("ended with status {}", ended.status), verdict);
    }

    /// Logs what happened to a service and what becomes of it; restarts the node if it can't be without it.
    fn tell(&self, place: usize, what: &str, verdict: Verdict) {
        let name = self.name(place);
        match verdict {
            Verdict::Again(delay_ns) => {
                say(&format!("{name} {what}; starting it again in {} ms", delay_ns / 1_000_000));
            }
            Verdict::Stays => say(&format!("{name} {what}; it stays stopped")),
            Verdict::GivenUp => {
                say(&format!("{name} {what}, again and again; it is given up"));
                if self.services.entries()[place].configuration.critical {
                    say("the node cannot do without it, and restarts");
                    power::restart();
                }
            }
        }
    }

    /// The service that the client's segment names, if the client may manage services.
    fn named(&self, client: &Client<'_>) -> Result<usize, Error> {
        if !client.user.may_operate() {
            return Err(Error::NoPermission);
        }
        let name = client.read_text(ServiceRecord::MAX_NAME_BYTES)?;
        self.services.find(&name).ok_or(Error::NoSuchService)
    }

    /// The service that the client is a process of.
    fn own_service(&self, client: &Client<'_>) -> Result<usize, Error> {
        let place = self.services.find_process(client.pid).or_else(|| {
            let team = v::process::identify(client.pid).ok()?.team;
            self.services.find_process(team)
        });
        place.ok_or(Error::NoPermission)
    }

    fn query(&mut self, client: &Client<'_>, position: u32) -> Outcome<'_> {
        let record = self.services.entries().get(position as usize).map(|entry| {
            let room = client.writable_bytes()? as usize;
            let count = entry.record().encode(&mut self.record).filter(|count| *count <= room);
            count.ok_or(Error::TooLong)
        });
        match record.unwrap_or(Err(Error::NotFound)) {
            Ok(count) => Outcome::data(ServiceQueried { count: count as u32 }, &self.record[..count]),
            Err(error) => Outcome::refuse(error),
        }
    }

    fn kill(&mut self, client: &Client<'_>) -> Result<ServiceKilled, Error> {
        let place = self.named(client)?;
        let process = self.services.entries()[place].process;
        if process.is_none() {
            return Err(Error::NonexistentProcess);
        }
        destroy(process);
        Ok(ServiceKilled {})
    }

    fn stop(&mut self, client: &Client<'_>) -> Result<ServiceStopped, Error> {
        let place = self.named(client)?;
        if let Some(process) = self.services.stop(place) {
            destroy(process);
        }
        Ok(ServiceStopped {})
    }

    fn start(&mut self, client: &Client<'_>) -> Result<ServiceStarted, Error> {
        let place = self.named(client)?;
        if !self.services.start(place, time::now_ns()) {
            return Err(Error::Busy);
        }
        Ok(ServiceStarted {})
    }

    /// Lays the client's configuration over the node's own. Services that run and are others now are destroyed; their ends do
    /// the rest.
    fn configure(&mut self, client: &Client<'_>) -> Result<Configured, Error> {
        if !client.user.may_operate() {
            return Err(Error::NoPermission);
        }
        let text = client.read_text(MAX_CONFIGURATION_BYTES)?;
        let laid = configuration::parse_over(&text, &self.own).map_err(|mistake| {
            say(&format!("the further configuration has a mistake, and is left out: line {mistake}"));
            Error::BadArgument
        })?;
        let changed = self.services.configure(wanted(&laid, &self.devices), time::now_ns());
        self.saved.resize(self.services.entries().len(), Vec::new());
        for place in &changed {
            say(&format!("{} is configured anew", self.name(*place)));
            let process = self.services.entries()[*place].process;
            if !process.is_none() {
                destroy(process);
            }
        }
        Ok(Configured { changed: changed.len() as u32 })
    }

    fn query_device(&mut self, client: &Client<'_>, position: u32) -> Outcome<'_> {
        let entries = self.services.entries();
        let name = |place: usize| entries[place].configuration.name.as_str();
        let record = self.devices.record(position as usize, name).map(|record| {
            let room = client.writable_bytes()? as usize;
            let count = record.encode(&mut self.record).filter(|count| *count <= room);
            count.ok_or(Error::TooLong)
        });
        match record.unwrap_or(Err(Error::NotFound)) {
            Ok(count) => Outcome::data(DeviceQueried { count: count as u32 }, &self.record[..count]),
            Err(error) => Outcome::refuse(error),
        }
    }

    fn start_device(&mut self, client: &Client<'_>, device: u32) -> Result<DeviceStarted, Error> {
        let place = self.own_service(client)?;
        let mut released_pages = 0;
        for team in self.devices.start(place, device)? {
            match v::call(kernel::server(kernel::DEVICE), &ReleaseDma { team }, Segment::None) {
                Ok(released) => released_pages += released.pages,
                Err(error) => say(&format!("cannot release the memory of {team}: {error}")),
            }
        }
        Ok(DeviceStarted { released_pages })
    }

    fn set_message(&mut self, client: &Client<'_>, set: &SetMessage) -> Result<MessageSet, Error> {
        let place = self.own_service(client)?;
        self.devices.set_message(place, set.device, (set.address, set.data))?;
        Ok(MessageSet {})
    }

    fn save_state(&mut self, client: &Client<'_>) -> Result<StateSaved, Error> {
        let place = self.own_service(client)?;
        self.saved[place] = client.read_segment(MAX_STATE_BYTES)?;
        Ok(StateSaved {})
    }

    fn load_state(&self, client: &Client<'_>) -> Outcome<'_> {
        let saved = || {
            let saved = &self.saved[self.own_service(client)?];
            if client.writable_bytes()? < saved.len() as u64 {
                return Err(Error::TooLong);
            }
            Ok(saved)
        };
        match saved() {
            Ok(saved) => {
                let count = saved.len() as u32;
                Outcome::data(StateLoaded { count }, saved)
            }
            Err(error) => Outcome::refuse(error),
        }
    }
}

impl Server for Supervising {
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_> {
        if let Some(ended) = team_end(client.pid, message) {
            self.ended(&ended);
            return Outcome::Reply(EndNoted {}.to_message());
        }
        if message.code() == QueryRegion::CODE {
            return self.operating.query_region(client, &QueryRegion::from_message(message));
        }
        let Some(request) = Supervisor::from_message(message) else {
            return Outcome::refuse(Error::BadRequest);
        };
        match request {
            Supervisor::Ready(_) => match self.services.ready(client.pid) {
                Some(_) => Outcome::Reply(supervisor::ReadyNoted {}.to_message()),
                None => Outcome::refuse(Error::NoSuchService),
            },
            Supervisor::QueryService(query) => self.query(client, query.position),
            Supervisor::KillService(_) => Outcome::from(self.kill(client)),
            Supervisor::StopService(_) => Outcome::from(self.stop(client)),
            Supervisor::StartService(_) => Outcome::from(self.start(client)),
            Supervisor::PowerOff(off) => self.operating.go(client, Going::Off { status: off.status }),
            Supervisor::Reboot(_) => self.operating.go(client, Going::Again),
            Supervisor::SetTrace(set) => Outcome::from(Operating::set_trace(client, set.events)),
            Supervisor::ReadTrace(read) => self.operating.read_trace(client, read.from),
            Supervisor::QueryDevice(query) => self.query_device(client, query.position),
            Supervisor::StartDevice(start) => Outcome::from(self.start_device(client, start.device)),
            Supervisor::SetMessage(set) => Outcome::from(self.set_message(client, &set)),
            Supervisor::Configure(_) => Outcome::from(self.configure(client)),
            Supervisor::SaveState(_) => Outcome::from(self.save_state(client)),
            Supervisor::LoadState(_) => self.load_state(client),
        }
    }

    fn tick(&mut self) {
        self.start_due();
        self.look_for_hung();
        self.operating.tick();
    }

    fn next_tick_ns(&self) -> Option<u64> {
        let dues = [self.services.next_due_ns(), self.operating.next_tick_ns(), Some(self.next_look_ns)];
        dues.into_iter().flatten().min()
    }
}

/// Appends a line to the kernel's log.
pub fn say(text: &str) {
    const MOST_BYTES: usize = 256;
    let heading = Heading { time_ns: time::now_ns(), level: level::NOTICE, program: "supervisor" };
    let mut line = format!("{heading}{text}");
    let end = line.floor_char_boundary(MOST_BYTES - 1);
    line.truncate(end);
    line.push('\n');
    // Where even the kernel's log fails there is nobody left to tell.
    let _ =
        v::call(kernel::server(kernel::STATISTICS), &statistics::WriteLog {}, Segment::Read(line.as_bytes()));
}

fn destroy(team: Pid) {
    let request = process::Destroy { process: team, status: abi::notice::STATUS_KILLED };
    if let Err(error) = v::call(kernel::server(kernel::PROCESS), &request, Segment::None) {
        say(&format!("cannot destroy {team}: {error}"));
    }
}

/// Every process of the node.
fn all_processes() -> Vec<ProcessRecord> {
    v::process::all().unwrap_or_else(|error| {
        say(&format!("cannot look at the processes: {error}"));
        Vec::new()
    })
}

/// The node's own configuration, in the archive: all services that it names.
pub fn configured(images: &Images) -> Result<Vec<Service>, String> {
    const PATH: &str = "configuration/services";
    let file = images.file(PATH).ok_or_else(|| format!("{PATH} is not in the boot archive"))?;
    let text = core::str::from_utf8(file).map_err(|_| format!("{PATH} is not UTF-8"))?;
    let services = configuration::parse(text).map_err(|mistake| format!("{PATH}:{mistake}"))?;
    if services.is_empty() { Err(format!("{PATH} names no service")) } else { Ok(services) }
}

/// Of these services those that this node wants; of those that drive devices, the ones that have some.
fn wanted(services: &[Service], devices: &Devices<ConfigurationSpace>) -> Vec<Service> {
    let command_line = v::entry::boot_command_line();
    configuration::select(services, |service| service.is_wanted(command_line) && devices.has_any_for(service))
}
