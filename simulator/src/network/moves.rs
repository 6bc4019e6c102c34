//! Guests that move all the time while everything else happens: what program managers do, without their messages.

use abi::Pid;

use super::host::Moving;
use super::{Coming, World};

const MILLISECOND_NS: u64 = 1_000_000;
/// Time between two moves at most, and that a guest is on its way or waits to go on.
const PAUSE_NS: u64 = 60 * MILLISECOND_NS;
const WAY_NS: u64 = 20 * MILLISECOND_NS;

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
        }
        self.run_host(from);
    }

    /// A guest arrives. If it cannot, it goes back to where it came from; if that is no more, it is gone.
    pub(super) fn arrive(&mut self, mut moving: Moving, from: usize, to: usize) {
        let pid = moving.pid;
        let Some(host) = &mut self.hosts[to] else {
            return self.come_back(moving, from, to);
        };
        let taken = host.take_in(&mut moving, &mut self.shared);
        self.shared.note(|| format!("{pid} arrives at h{to}: {taken:?}"));
        self.run_host(to);
        if taken.is_ok() {
            self.later(WAY_NS, Coming::GoOn { pid, from, to });
        } else {
            self.come_back(moving, from, to);
        }
    }

    fn come_back(&mut self, moving: Moving, from: usize, to: usize) {
        let is_there = self.hosts[from].as_ref().is_some_and(|host| host.has(moving.pid));
        if is_there {
            self.later(WAY_NS, Coming::Arrive { moving, from, to: from });
        } else if self.hosts[to].is_some() && from != to {
            // Room is a matter of time.
            self.later(WAY_NS, Coming::Arrive { moving, from, to });
        } else {
            self.shared.note(|| format!("{} is gone", moving.pid));
            self.on_their_way.remove(&moving.pid);
            self.shared.oracle.client_ended(moving.pid);
        }
    }

    /// A guest that has arrived goes on, and what is left where it came from ends.
    pub(super) fn go_on(&mut self, pid: Pid, from: usize, to: usize) {
        self.on_their_way.remove(&pid);
        if from != to
            && let Some(host) = self.hosts[from].as_mut().filter(|host| host.has(pid))
        {
            host.end(pid);
            self.run_host(from);
        }
        // Its machine may have crashed, and it with it; or somebody has killed it.
        if let Some(host) = self.hosts[to].as_mut().filter(|host| host.has(pid)) {
            self.moved += usize::from(from != to);
            self.shared.note(|| format!("{pid} goes on at h{to}"));
            host.thaw(pid, &mut self.shared);
            self.run_host(to);
        }
    }
}
