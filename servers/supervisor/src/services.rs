//! The state of every service, and when which is started again.
//!
//! Pure bookkeeping: what happens comes in with its time, what is to be done comes out. A service that dies is
//! started again after a delay that doubles with each quick death in a row; after [`MOST_QUICK_DEATHS`] it is given
//! up until somebody starts it by hand.

use alloc::vec::Vec;

use abi::Pid;
use protocols::supervisor::{ServiceRecord, state};

use crate::configuration::{Restart, Service};

/// A service that lived shorter died quickly.
pub const QUICK_NS: u64 = 10_000_000_000;
/// Delay before the first restart.
pub const FIRST_DELAY_NS: u64 = 10_000_000;
/// The delay doubles up to this.
pub const LONGEST_DELAY_NS: u64 = 5_000_000_000;
/// So many quick deaths in a row, and the service is given up.
pub const MOST_QUICK_DEATHS: u32 = 10;
/// How long a service may take until it says that it is ready.
pub const START_PATIENCE_NS: u64 = 30_000_000_000;

/// What a service is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Was started, has not said that it is ready.
    Starting,
    /// Runs.
    Running,
    /// Is started at that time, if what it comes after is ready.
    Waiting {
        /// In nanoseconds since boot.
        due_ns: u64,
    },
    /// Was destroyed on purpose, and stays stopped once it has ended.
    Stopping,
    /// Was destroyed since its configuration is another, and is started as that once it has ended.
    Changing,
    /// Does not run.
    Stopped,
}

/// A service with its state.
#[derive(Debug)]
pub struct Entry {
    /// What the configuration says.
    pub configuration: Service,
    /// What it does.
    pub state: State,
    /// Its root process, while it has one.
    pub process: Pid,
    /// How often it was started again.
    pub restarts: u32,
    /// When it was last started.
    pub started_ns: u64,
    /// How it last ended.
    pub last_status: u32,
    quick_deaths: u32,
    ever_started: bool,
    /// The configuration still has it.
    is_configured: bool,
}

impl Entry {
    /// One that wants to be started.
    fn new(configuration: Service) -> Entry {
        Entry {
            configuration,
            state: State::Waiting { due_ns: 0 },
            process: Pid::NONE,
            restarts: 0,
            started_ns: 0,
            last_status: 0,
            quick_deaths: 0,
            ever_started: false,
            is_configured: true,
        }
    }

    fn keeps_nobody_waiting(&self) -> bool {
        match self.state {
            State::Running => true,
            State::Stopped => self.is_given_up() || self.ever_started && self.last_status == 0,
            State::Starting | State::Waiting { .. } | State::Stopping | State::Changing => false,
        }
    }

    const fn is_given_up(&self) -> bool {
        matches!(self.state, State::Stopped) && self.quick_deaths == MOST_QUICK_DEATHS
    }
}

/// What becomes of a service that has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is started again after so many nanoseconds.
    Again(u64),
    /// It stays stopped, as it was asked to or as its policy says.
    Stays,
    /// It died quickly too often.
    GivenUp,
}

/// All services, in the configuration's order.
#[derive(Debug)]
pub struct Services {
    entries: Vec<Entry>,
}

impl Services {
    /// Services that all want to be started.
    pub fn new(configuration: impl IntoIterator<Item = Service>) -> Services {
        Services { entries: configuration.into_iter().map(Entry::new).collect() }
    }

    /// These services are wanted from now on. Those that are there keep their places, and run on if nothing is said of them
    /// that was not before. Gives the places of those that changed; if one still has a process, that is to be destroyed.
    pub fn configure(&mut self, wanted: impl IntoIterator<Item = Service>, now_ns: u64) -> Vec<usize> {
        let mut changed = Vec::new();
        let mut is_wanted = alloc::vec![false; self.entries.len()];
        for service in wanted {
            let Some(place) = self.find(&service.name) else {
                changed.push(self.entries.len());
                is_wanted.push(true);
                self.entries.push(Entry::new(service));
                continue;
            };
            is_wanted[place] = true;
            let entry = &mut self.entries[place];
            if entry.is_configured && entry.configuration == service {
                continue;
            }
            (entry.configuration, entry.is_configured, entry.quick_deaths) = (service, true, 0);
            let is_gone = entry.process.is_none();
            entry.state = if is_gone { State::Waiting { due_ns: now_ns } } else { State::Changing };
            changed.push(place);
        }
        for place in (0..is_wanted.len()).filter(|place| !is_wanted[*place]) {
            if core::mem::replace(&mut self.entries[place].is_configured, false) {
                self.stop(place);
                changed.push(place);
            }
        }
        changed
    }

    /// The services.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The place of the service with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.configuration.name == name)
    }

    /// The place of the service with this root process.
    pub fn find_process(&self, process: Pid) -> Option<usize> {
        self.entries.iter().position(|entry| entry.process == process && !process.is_none())
    }

    /// The next service to start: the first whose time has come and that waits for no other.
    pub fn next_to_start(&self, now_ns: u64) -> Option<usize> {
        self.entries.iter().position(|entry| {
            matches!(entry.state, State::Waiting { due_ns } if due_ns <= now_ns) && self.may_start(entry)
        })
    }

    /// When the next one that only waits for its time is due.
    pub fn next_due_ns(&self) -> Option<u64> {
        let due = |entry: &Entry| match entry.state {
            State::Waiting { due_ns } if self.may_start(entry) => Some(due_ns),
            _ => None,
        };
        self.entries.iter().filter_map(due).min()
    }

    /// Whether all that it comes after is ready. A service that is not there keeps nobody waiting, and neither does one that
    /// has ended well, for want of something to do, or one that was given up: the system goes on without it, all but those
    /// that only go with it.
    fn may_start(&self, entry: &Entry) -> bool {
        let Service { after, with, .. } = &entry.configuration;
        after.iter().all(|name| {
            self.find(name).is_none_or(|place| {
                let other = &self.entries[place];
                other.state == State::Running || with.as_ref() != Some(name) && other.keeps_nobody_waiting()
            })
        })
    }

    /// A service has been started.
    pub fn started(&mut self, place: usize, process: Pid, now_ns: u64) {
        let entry = &mut self.entries[place];
        entry.state = State::Starting;
        entry.process = process;
        entry.started_ns = now_ns;
        entry.restarts += u32::from(entry.ever_started);
        entry.ever_started = true;
    }

    /// A service could not be started; that counts as a quick death.
    pub fn start_failed(&mut self, place: usize, now_ns: u64) -> Verdict {
        self.entries[place].started_ns = now_ns;
        self.died(place, now_ns)
    }

    /// The process says that its service is ready; the service's place, if it is one.
    pub fn ready(&mut self, process: Pid) -> Option<usize> {
        let place = self.find_process(process)?;
        let entry = &mut self.entries[place];
        if entry.state == State::Starting {
            entry.state = State::Running;
        }
        Some(place)
    }

    /// The service's team has ended.
    pub fn ended(&mut self, place: usize, status: u32, now_ns: u64) -> Verdict {
        let entry = &mut self.entries[place];
        entry.process = Pid::NONE;
        entry.last_status = status;
        let stays = match entry.configuration.restart {
            Restart::Always => false,
            Restart::OnFailure => status == 0,
            Restart::Never => true,
        };
        if entry.state == State::Changing {
            entry.state = State::Waiting { due_ns: now_ns };
            return Verdict::Again(0);
        }
        if stays || entry.state == State::Stopping {
            entry.state = State::Stopped;
            return Verdict::Stays;
        }
        self.died(place, now_ns)
    }

    fn died(&mut self, place: usize, now_ns: u64) -> Verdict {
        let entry = &mut self.entries[place];
        if now_ns.saturating_sub(entry.started_ns) >= QUICK_NS {
            entry.quick_deaths = 0;
        }
        if entry.quick_deaths == MOST_QUICK_DEATHS {
            entry.state = State::Stopped;
            return Verdict::GivenUp;
        }
        let delay_ns = (FIRST_DELAY_NS << entry.quick_deaths).min(LONGEST_DELAY_NS);
        entry.quick_deaths += 1;
        entry.state = State::Waiting { due_ns: now_ns + delay_ns };
        Verdict::Again(delay_ns)
    }

    /// The service shall stop: the process to destroy, if it runs.
    pub fn stop(&mut self, place: usize) -> Option<Pid> {
        let entry = &mut self.entries[place];
        entry.state = if entry.process.is_none() { State::Stopped } else { State::Stopping };
        Some(entry.process).filter(|process| !process.is_none())
    }

    /// A stopped service shall start, and has all its chances again. False if it is not stopped.
    pub fn start(&mut self, place: usize, now_ns: u64) -> bool {
        let entry = &mut self.entries[place];
        if entry.state != State::Stopped {
            return false;
        }
        entry.quick_deaths = 0;
        entry.state = State::Waiting { due_ns: now_ns };
        true
    }

    /// Services that were started too long ago and are still not ready.
    pub fn late(&self, now_ns: u64) -> impl Iterator<Item = usize> {
        let is_late = move |entry: &Entry| {
            entry.state == State::Starting
                && entry.configuration.watchdog_ns.is_some()
                && now_ns.saturating_sub(entry.started_ns) > START_PATIENCE_NS
        };
        (0..self.entries.len()).filter(move |place| is_late(&self.entries[*place]))
    }
}

impl Entry {
    /// The service for others to see.
    pub fn record(&self) -> ServiceRecord<'_> {
        ServiceRecord {
            state: match self.state {
                State::Starting => state::STARTING,
                State::Running => state::RUNNING,
                State::Waiting { .. } | State::Changing => state::WAITING,
                State::Stopping | State::Stopped => state::STOPPED,
            },
            restarts: self.restarts,
            process: self.process.to_bits(),
            started_ns: self.started_ns,
            last_status: self.last_status,
            name: &self.configuration.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::LogicalHost;

    fn pid(number: u16) -> Pid {
        Pid::process(LogicalHost::from_bits(1), 1, number)
    }

    fn services(text: &str) -> Services {
        Services::new(crate::configuration::parse(text).unwrap())
    }

    #[test]
    fn they_start_in_order_as_they_become_ready() {
        let mut services = services("service a\nservice b\n after a\nservice c\nservice d\n after b c");
        for (place, number) in [(0, 1), (2, 3)] {
            assert_eq!(services.next_to_start(0), Some(place));
            services.started(place, pid(number), 0);
        }
        assert_eq!(services.next_to_start(0), None);
        assert_eq!((services.ready(pid(3)), services.next_to_start(0)), (Some(2), None));
        assert_eq!((services.ready(pid(1)), services.next_to_start(0)), (Some(0), Some(1)));
        services.started(1, pid(2), 0);
        services.ready(pid(2));
        assert_eq!(services.next_to_start(0), Some(3));
        assert_eq!(services.ready(pid(9)), None);
        assert_eq!(services.ready(Pid::NONE), None);
    }

    #[test]
    fn a_service_that_is_not_wanted_keeps_nobody_waiting() {
        let mut all = crate::configuration::parse("service a\nservice b\n after a").unwrap();
        all.remove(0);
        assert_eq!(Services::new(all).next_to_start(0), Some(0));
    }

    #[test]
    fn quick_deaths_delay_longer_and_longer_and_end() {
        let mut services = services("service a");
        let mut now_ns = 5;
        for death in 0..MOST_QUICK_DEATHS {
            assert_eq!(services.next_to_start(now_ns), Some(0));
            services.started(0, pid(1), now_ns);
            let expected = (FIRST_DELAY_NS << death).min(LONGEST_DELAY_NS);
            assert_eq!(services.ended(0, 1, now_ns), Verdict::Again(expected));
            assert_eq!(services.next_to_start(now_ns), None);
            assert_eq!(services.next_due_ns(), Some(now_ns + expected));
            now_ns += expected;
        }
        services.started(0, pid(1), now_ns);
        assert_eq!(services.ended(0, 7, now_ns), Verdict::GivenUp);
        let record = services.entries()[0].record();
        assert_eq!(
            (record.state, record.restarts, record.last_status, record.process),
            (state::STOPPED, MOST_QUICK_DEATHS, 7, 0)
        );
        assert_eq!(services.next_due_ns(), None);
        assert!(services.start(0, now_ns) && !services.start(0, now_ns));
        assert_eq!(services.next_to_start(now_ns), Some(0));
    }

    #[test]
    fn a_long_life_forgives() {
        let mut services = services("service a");
        for _ in 0..3 * MOST_QUICK_DEATHS {
            services.started(0, pid(1), 0);
            assert_eq!(services.ended(0, 1, QUICK_NS), Verdict::Again(FIRST_DELAY_NS));
        }
    }

    #[test]
    fn policies_and_orders_decide_who_stays_down() {
        let mut services = services("service a\n restart on-failure\nservice b\n restart never\nservice c");
        for place in 0..3 {
            services.started(place, pid(1 + place as u16), 0);
        }
        assert_eq!(services.ended(0, 3, 0), Verdict::Again(FIRST_DELAY_NS));
        services.started(0, pid(9), 0);
        assert_eq!(services.ended(0, 0, 0), Verdict::Stays);
        assert_eq!(services.ended(1, 3, 0), Verdict::Stays);
        assert_eq!(services.stop(2), Some(pid(3)));
        assert_eq!(services.ready(pid(3)), Some(2));
        assert_eq!(services.ended(2, 137, 0), Verdict::Stays);
        assert_eq!((services.stop(2), services.next_due_ns()), (None, None));
        assert_eq!(services.find("c"), Some(2));
        assert_eq!(services.find("d"), None);
    }

    #[test]
    fn who_has_ended_well_keeps_nobody_waiting() {
        let mut services = services("service a\n restart on-failure\nservice b\n after a");
        services.started(0, pid(1), 0);
        services.ready(pid(1));
        services.ended(0, 1, QUICK_NS);
        assert_eq!(services.next_to_start(QUICK_NS), None, "a failed, and is to be started again");
        services.started(0, pid(2), 2 * QUICK_NS);
        services.ended(0, 0, 2 * QUICK_NS);
        assert_eq!(services.next_to_start(2 * QUICK_NS), Some(1));
    }

    #[test]
    fn who_goes_with_one_that_has_ended_waits_for_it() {
        let mut services =
            services("service a\n restart on-failure\nservice b\n with a\nservice c\n after b");
        services.started(0, pid(1), 0);
        services.ended(0, 0, 0);
        assert_eq!(services.next_to_start(0), None);
        assert_eq!(services.next_due_ns(), None, "nothing is due");
        services.start(0, 0);
        services.started(0, pid(2), 0);
        services.ready(pid(2));
        assert_eq!(services.next_to_start(0), Some(1));
    }

    #[test]
    fn who_was_given_up_keeps_nobody_waiting() {
        let mut services = services("service a\nservice b\n after a");
        for _ in 0..MOST_QUICK_DEATHS {
            services.start_failed(0, 0);
            assert_eq!(services.next_to_start(0), None);
        }
        assert_eq!(services.start_failed(0, 0), Verdict::GivenUp);
        assert_eq!(services.next_to_start(0), Some(1));
        // Once it is to be started after all, it counts again.
        assert!(services.start(0, 0));
        assert_eq!(services.next_to_start(0), Some(0));
    }

    #[test]
    fn another_configuration_changes_what_differs() {
        let parse = |text| crate::configuration::parse(text).unwrap();
        let mut services = services("service a\nservice b\n restart never\nservice c");
        for place in 0..2 {
            services.started(place, pid(1 + place as u16), 0);
            services.ready(pid(1 + place as u16));
        }
        let same = "service a\nservice b\n restart never\nservice c";
        assert_eq!(services.configure(parse(same), 5), []);
        let other = "service a\nservice b\n restart never\n memory 4 KiB\nservice d\n after b";
        assert_eq!(services.configure(parse(other), 5), [1, 3, 2], "b is another, d is new, c is gone");
        assert_eq!((services.next_to_start(5), services.find("d")), (None, Some(3)));
        assert_eq!(services.ended(1, 137, 6), Verdict::Again(0), "whatever its policy says");
        assert_eq!(services.next_to_start(6), Some(1));
        services.started(1, pid(9), 6);
        services.ready(pid(9));
        assert_eq!(services.next_to_start(6), Some(3));
        services.started(3, pid(10), 6);
        // Back to how it was.
        assert_eq!(services.configure(parse(same), 7), [1, 2, 3]);
        assert_eq!(services.next_to_start(7), Some(2));
        assert_eq!(services.ended(3, 137, 8), Verdict::Stays);
        assert_eq!(services.ended(1, 137, 8), Verdict::Again(0));
        assert_eq!(services.configure(parse(same), 9), []);
    }

    #[test]
    fn who_never_becomes_ready_is_late() {
        let mut services = services("service a\nservice b\n watchdog off");
        services.started(0, pid(1), 0);
        services.started(1, pid(2), 0);
        assert_eq!(services.late(START_PATIENCE_NS).count(), 0);
        assert!(services.late(START_PATIENCE_NS + 1).eq([0]));
        services.ready(pid(1));
        assert_eq!(services.late(u64::MAX).count(), 0);
    }
}
