//! Guests that move all the time while everything else happens: what program managers do, without their messages. The one
//! of the machine that a guest leaves has its state until it is installed elsewhere.

use abi::{Error, Pid};

use super::host::Moving;
use super::schedule::{Event, Misfortune, Phase};
use super::{Coming, World};

const MILLISECOND_NS: u64 = 1_000_000;
/// Time between two moves at most, and that a guest is on its way or waits to go on.
const PAUSE_NS: u64 = 60 * MILLISECOND_NS;
const WAY_NS: u64 = 20 * MILLISECOND_NS;
/// How long two machines that have lost each other in the midst of a move do not hear each other.
const PARTED_NS: u64 = 14_000 * MILLISECOND_NS;

impl World {
    /// How often guests have moved.
    pub fn moved(&self) -> usize {
        self.moved
    }

    fn later(&mut self, most_ns: u64, coming: Coming) {
        let at_ns = self.shared.now_ns + 1 + self.shared.random.below(most_ns);
        self.add(at_ns, coming);
    }

    /// Some guest is taken out, to move to some machine, as long as things happen.
    pub(super) fn begin_move(&mut self) {
        if !self.bad {
            return;
        }
        self.later(PAUSE_NS, Coming::Move);
        let guests: Vec<_> = self
            .hosts
            .iter()
            .enumerate()
            .flat_map(|(at, host)| {
                host.iter().flat_map(move |host| host.programs().map(move |it| (at, it.0)))
            })
            .filter(|(_, pid)| pid.is_guest() && !self.on_their_way.contains(pid))
            .collect();
        if guests.is_empty() {
            return;
        }
        let (from, pid) = self.shared.random.pick(&guests);
        let to = self.shared.random.below(self.hosts.len() as u64) as usize;
        let host = self.hosts[from].as_mut().expect("the guest's machine");
        let taken = host.take_out(pid, &mut self.shared);
        self.shared.note(|| format!("{pid} is to move from h{from} to h{to}: {:?}", taken.as_ref().err()));
        if let Ok(moving) = taken {
            self.on_their_way.insert(pid);
            self.later(WAY_NS, Coming::Arrive { moving, from, to });
            self.has_come_to(Phase::TakenOut, from, to);
        }
        self.run_host(from);
    }

    /// A guest arrives. If it cannot, it goes back to where it came from. If that is no more, nobody has its state.
    pub(super) fn arrive(&mut self, moving: Moving, from: usize, to: usize) {
        let pid = moving.pid;
        if !self.has(from, pid) {
            return self.is_gone(pid);
        }
        if from != to && self.apart.contains(&(from.min(to), from.max(to))) && self.is_not_heard_of(pid, from)
        {
            return;
        }
        let taken = match &mut self.hosts[to] {
            Some(host) => host.take_in(&moving, &mut self.shared),
            None => Err(Error::HostUnreachable),
        };
        self.shared.note(|| format!("{pid} arrives at h{to}: {taken:?}"));
        self.run_host(to);
        if taken.is_ok() {
            self.later(WAY_NS, Coming::GoOn { pid, from, to });
            self.has_come_to(Phase::TakenIn, from, to);
        } else {
            // Room is a matter of time.
            self.later(WAY_NS, Coming::Arrive { moving, from, to: from });
        }
    }

    /// The two machines have lost each other while the guest is to be installed. Either it is, and the answer is lost; or it is
    /// not, and as nobody knows that where it comes from, it does not go on there.
    fn is_not_heard_of(&mut self, pid: Pid, from: usize) -> bool {
        let is_lost = self.shared.random.below(2) == 0;
        if is_lost {
            self.is_gone(pid);
            self.end_what_is_left(pid, from);
        }
        is_lost
    }

    /// A guest is nowhere any more.
    fn is_gone(&mut self, pid: Pid) {
        self.shared.note(|| format!("{pid} is gone"));
        self.on_their_way.remove(&pid);
        self.shared.oracle.client_ended(pid);
    }

    fn has(&self, at: usize, pid: Pid) -> bool {
        self.hosts[at].as_ref().is_some_and(|host| host.has(pid))
    }

    /// A guest that has arrived goes on, and what is left where it came from ends. If the machine where it is has crashed, it
    /// may have gone on there: it does nowhere else.
    pub(super) fn go_on(&mut self, pid: Pid, from: usize, to: usize) {
        self.on_their_way.remove(&pid);
        if from != to {
            self.end_what_is_left(pid, from);
        }
        // Its machine may have crashed, and it with it; or somebody has killed it.
        if let Some(host) = self.hosts[to].as_mut().filter(|host| host.has(pid)) {
            self.moved += usize::from(from != to);
            self.shared.note(|| format!("{pid} goes on at h{to}"));
            host.thaw(pid, &mut self.shared);
            self.run_host(to);
            self.has_come_to(Phase::Runs, from, to);
        }
    }

    fn end_what_is_left(&mut self, pid: Pid, at: usize) {
        if let Some(host) = self.hosts[at].as_mut().filter(|host| host.has(pid)) {
            host.end(pid);
            self.run_host(at);
        }
    }

    /// What the schedule has in store for moves that have come so far happens.
    fn has_come_to(&mut self, phase: Phase, from: usize, to: usize) {
        let Some(interruption) = self.schedule.interruption.filter(|it| it.phase == phase) else { return };
        if from == to {
            return;
        }
        self.phases += 1;
        if self.phases != interruption.move_number {
            return;
        }
        let event = match interruption.by {
            Misfortune::SourceCrashes => Event::Crash(from),
            Misfortune::TargetCrashes => Event::Crash(to),
            Misfortune::Part => {
                self.add(self.shared.now_ns + PARTED_NS, Coming::Event(Event::Join(from, to)));
                Event::Part(from, to)
            }
            Misfortune::SourceRestarts => Event::RestartNetwork(from),
            Misfortune::TargetRestarts => Event::RestartNetwork(to),
        };
        self.befall(event);
    }

    /// Whether the schedule's interruption has happened, if there is one.
    pub(super) fn was_interrupted(&self) -> bool {
        self.schedule.interruption.is_none_or(|interruption| self.phases >= interruption.move_number)
    }
}
