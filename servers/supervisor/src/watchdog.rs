//! Finds services that hang, by the kernel's own counts.
//!
//! The supervisor never Sends to a server, so it doesn't ask anyone whether they live. It looks now and then at how
//! many messages each process of a service has received and how many wait for it. One that has messages waiting and
//! has not received any for the time that its configuration allows, hangs. But only the root process of a service has to
//! receive, and whoever has before: what others of the team do, such as wait for a disk, is no matter of whoever sends to
//! them, or else anybody could have a service ended. Whoever waits for another service's
//! process is excused: either that one hangs, and its end ends the wait, or it is at work. So is whoever waits for
//! another node, which the network server gives up when it falls silent.

use alloc::vec::Vec;

use abi::kernel::record::{ProcessRecord, ProcessState};
use abi::{LogicalHost, Pid};

/// A service as the watchdog sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watched {
    /// Its root process.
    pub team: Pid,
    /// How long it may leave messages waiting; none for ever.
    pub patience_ns: Option<u64>,
}

/// A process with messages waiting.
#[derive(Clone, Copy, Debug)]
struct Laggard {
    process: Pid,
    received: u64,
    since_ns: u64,
}

/// What the last look saw.
#[derive(Debug, Default)]
pub struct Watchdog {
    laggards: Vec<Laggard>,
}

impl Watchdog {
    /// Looks at every process of the node; the teams among `services` that hang.
    pub fn look(&mut self, now_ns: u64, services: &[Watched], processes: &[ProcessRecord]) -> Vec<Pid> {
        let mut laggards = Vec::new();
        let mut hung = Vec::new();
        for process in processes {
            let team = Pid::from_bits(process.team);
            let Some(service) = services.iter().find(|service| service.team == team) else {
                continue;
            };
            if process.queued == 0 || !has_to_receive(process) || is_held(process) {
                continue;
            }
            let mut laggard = self.seen(process).unwrap_or(Laggard {
                process: process.process(),
                received: process.received,
                since_ns: now_ns,
            });
            // Its patience begins when that is over: it has to come to receive first.
            if waits_for_service(process, services, processes) || waits_elsewhere(process) {
                laggard.since_ns = now_ns;
            }
            laggards.push(laggard);
            let patience_ns = service.patience_ns.unwrap_or(u64::MAX);
            if now_ns - laggard.since_ns >= patience_ns && !hung.contains(&team) {
                hung.push(team);
            }
        }
        self.laggards = laggards;
        hung
    }

    /// What was noted of the process, if it has received nothing since.
    fn seen(&self, process: &ProcessRecord) -> Option<Laggard> {
        self.laggards
            .iter()
            .find(|laggard| laggard.process == process.process() && laggard.received == process.received)
            .copied()
    }
}

fn has_to_receive(process: &ProcessRecord) -> bool {
    process.pid == process.team || process.received > 0
}

/// Suspended by somebody, or in the hands of the exception server: it can't receive, and that's no fault of its own.
fn is_held(process: &ProcessRecord) -> bool {
    process.state & ProcessState::SUSPENDED_BIT != 0
        || ProcessState::from_number(process.state) == Some(ProcessState::Exception)
}

fn waits_for_service(process: &ProcessRecord, services: &[Watched], processes: &[ProcessRecord]) -> bool {
    processes.iter().find(|other| other.pid == process.waits_on && process.waits_on != 0).is_some_and(
        |other| {
            other.team != process.team && services.iter().any(|service| service.team.to_bits() == other.team)
        },
    )
}

fn waits_elsewhere(process: &ProcessRecord) -> bool {
    // Who waits for nobody, or for the time, waits for this node.
    ![LogicalHost::OWN, process.process().host()].contains(&Pid::from_bits(process.waits_on).host())
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec;

    fn pid(number: u16) -> Pid {
        Pid::process(LogicalHost::from_bits(1), 1, number)
    }

    fn process(number: u16, team: u16, received: u64, queued: u64) -> ProcessRecord {
        ProcessRecord {
            pid: pid(number).to_bits(),
            team: pid(team).to_bits(),
            state: ProcessState::Ready as u64,
            received,
            queued,
            ..ProcessRecord::default()
        }
    }

    fn watched(number: u16) -> Watched {
        Watched { team: pid(number), patience_ns: Some(10) }
    }

    #[test]
    fn who_leaves_messages_waiting_too_long_hangs() {
        let mut watchdog = Watchdog::default();
        let services = [watched(1), watched(2)];
        let mut look = |now_ns, processes: &[ProcessRecord]| watchdog.look(now_ns, &services, processes);
        let still = [process(1, 1, 5, 1), process(2, 2, 5, 0), process(3, 3, 0, 9)];
        assert_eq!(look(100, &still), []);
        assert_eq!(look(109, &still), []);
        assert_eq!(look(110, &still), [pid(1)]);
        // It received one: the time begins anew.
        let moved = [process(1, 1, 6, 1)];
        assert_eq!(look(111, &moved), []);
        assert_eq!(look(120, &moved), []);
        assert_eq!(look(121, &moved), [pid(1)]);
        // Its queue was empty in between.
        assert_eq!(look(122, &[process(1, 1, 6, 0)]), []);
        assert_eq!(look(130, &moved), []);
    }

    #[test]
    fn who_has_just_waited_for_another_node_has_its_time_yet() {
        let mut watchdog = Watchdog::default();
        let services = [watched(1)];
        let free = process(1, 1, 5, 1);
        let elsewhere = Pid::process(LogicalHost::from_bits(2), 1, 3).to_bits();
        let waits = ProcessRecord { waits_on: elsewhere, ..free };
        let mut look = |now_ns, process| watchdog.look(now_ns, &services, &[process]);
        assert_eq!(look(0, free), []);
        assert_eq!(look(12, waits), []);
        // The other node counts as dead; it has not come to receive yet.
        assert_eq!(look(13, free), []);
        assert_eq!(look(21, free), []);
        assert_eq!(look(22, free), [pid(1)]);
    }

    #[test]
    fn a_further_process_of_a_service_counts_and_is_told_once() {
        let mut watchdog = Watchdog::default();
        let processes = [process(1, 1, 5, 1), process(7, 1, 1, 1)];
        watchdog.look(0, &[watched(1)], &processes);
        assert_eq!(watchdog.look(10, &[watched(1)], &processes), [pid(1)]);
        let further = [process(1, 1, 5, 0), process(7, 1, 1, 1)];
        watchdog.look(20, &[watched(1)], &further);
        assert_eq!(watchdog.look(30, &[watched(1)], &further), [pid(1)]);
    }

    #[test]
    fn what_is_sent_to_a_process_that_never_receives_is_no_hang() {
        let mut watchdog = Watchdog::default();
        let worker = [process(1, 1, 5, 0), process(7, 1, 0, 3)];
        watchdog.look(0, &[watched(1)], &worker);
        assert_eq!(watchdog.look(50, &[watched(1)], &worker), []);
        // The service itself has to, from the beginning.
        let root = [process(1, 1, 0, 3)];
        watchdog.look(60, &[watched(1)], &root);
        assert_eq!(watchdog.look(70, &[watched(1)], &root), [pid(1)]);
    }

    #[test]
    fn who_is_held_or_waits_for_another_service_is_excused() {
        let mut watchdog = Watchdog::default();
        let services = [watched(1), watched(2)];
        let mut suspended = process(1, 1, 5, 1);
        suspended.state |= ProcessState::SUSPENDED_BIT;
        let mut faulting = process(1, 1, 5, 1);
        faulting.state = ProcessState::Exception as u64;
        for held in [suspended, faulting] {
            watchdog.look(0, &services, &[held]);
            assert_eq!(watchdog.look(50, &services, &[held]), []);
        }
        let waiting_on = |number: u16| {
            let mut waiting = process(1, 1, 5, 1);
            waiting.waits_on = pid(number).to_bits();
            vec![waiting, process(2, 2, 1, 0), process(3, 3, 1, 0)]
        };
        let mut elsewhere = process(1, 1, 5, 1);
        elsewhere.waits_on = Pid::process(LogicalHost::from_bits(2), 1, 9).to_bits();
        watchdog.look(0, &services, &[elsewhere]);
        assert_eq!(watchdog.look(50, &services, &[elsewhere]), []);
        watchdog.look(0, &services, &waiting_on(2));
        assert_eq!(watchdog.look(50, &services, &waiting_on(2)), []);
        // A program that isn't a service excuses nothing, and neither does a nap.
        let mut napping = process(1, 1, 5, 1);
        napping.waits_on = abi::kernel::server(abi::kernel::TIME).to_bits();
        assert_eq!(watchdog.look(60, &services, &[napping]), [pid(1)]);
        assert_eq!(watchdog.look(60, &services, &waiting_on(3)), [pid(1)]);
        assert_eq!(watchdog.look(60, &services, &waiting_on(1)), [pid(1)]);
    }

    #[test]
    fn patience_may_be_endless() {
        let mut watchdog = Watchdog::default();
        let services = [Watched { team: pid(1), patience_ns: None }];
        watchdog.look(0, &services, &[process(1, 1, 5, 1)]);
        assert_eq!(watchdog.look(u64::MAX - 1, &services, &[process(1, 1, 5, 1)]), []);
    }
}
