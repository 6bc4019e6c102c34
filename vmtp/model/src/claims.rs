//! Hosts that claim the same number: how far each has come, and what must hold of them.

use crate::scenario::{Budget, CLAIMED, Scenario};
use crate::world::{Fate, Host, World};

/// How far a host has come with its claim since it booted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Claim {
    /// It has not begun.
    Ahead,
    /// It waits to be told.
    Begun,
    /// The number is its own.
    Won,
    /// The number is another's.
    Lost,
}

/// What time passes for, in the model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Awaits {
    /// A send or a claim has no outcome yet; or nobody claims, so deadlines come to an end.
    Outcomes,
    /// All have, and a host has still to claim: later would be as now.
    Beginnings,
    /// All have, and owners go on announcing for ever.
    Nothing,
}

impl Host {
    /// Whether the number that is claimed is this host's, as far as it knows.
    fn is_owner(&self) -> bool {
        self.boots.is_some() && self.engine.is_local(CLAIMED)
    }
}

impl World {
    /// Host `at` begins to claim its number.
    pub(crate) fn claim(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        host.claim = Some(Claim::Begun);
        if !host.engine.claim(self.now_ns, CLAIMED) {
            self.broken = Some("a claim was not begun");
        }
    }

    /// Host `at` claims its number while nobody hears it.
    pub(crate) fn claim_unheard(&mut self, at: usize) {
        self.claim(at);
        loop {
            while let Some(action) = self.hosts[at].engine.next_action() {
                self.act(at, action);
            }
            let host = &mut self.hosts[at];
            if host.claim != Some(Claim::Begun) {
                break;
            }
            self.now_ns = host.engine.next_deadline().expect("the next probe is due");
            host.engine.advance(self.now_ns);
        }
        self.flying.clear();
    }

    /// The engine of host `at` is new. Its driver knows only that it is not the host's first, and goes on.
    pub(crate) fn take_up_claim(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        if matches!(host.claim, Some(Claim::Begun | Claim::Won)) {
            host.claim = Some(Claim::Won);
            if !host.engine.resume_claim(CLAIMED) {
                self.broken = Some("a number was not taken up");
            }
        }
    }

    pub(crate) fn claim_ended(&mut self, at: usize, how: Claim) {
        let host = &mut self.hosts[at];
        let may_end = match how {
            Claim::Lost => matches!(host.claim, Some(Claim::Begun | Claim::Won)),
            _ => host.claim == Some(Claim::Begun),
        };
        host.claim = Some(how);
        if !may_end {
            self.broken = Some("a claim ended that had not begun, or twice");
        }
    }

    /// A host that lives is to know whether it has its number.
    pub(crate) fn has_claims_ahead(&self) -> bool {
        let mut alive = self.hosts.iter().filter(|host| host.boots.is_some());
        alive.any(|host| matches!(host.claim, Some(Claim::Ahead | Claim::Begun)))
    }

    /// What time passes for.
    pub(crate) fn awaits(&self) -> Awaits {
        let is_any =
            |claim: Claim| self.hosts.iter().any(|host| host.boots.is_some() && host.claim == Some(claim));
        let claims = self.hosts.iter().any(|host| host.claim.is_some());
        if !claims || is_any(Claim::Begun) || self.fates.iter().any(Fate::is_open) {
            Awaits::Outcomes
        } else if is_any(Claim::Ahead) {
            Awaits::Beginnings
        } else {
            Awaits::Nothing
        }
    }

    fn owners(&self) -> usize {
        self.hosts.iter().filter(|host| host.is_owner()).count()
    }

    /// Which promise is broken by who owns the number, if one is.
    pub(crate) fn broken_by_owners(&self, scenario: &Scenario) -> Option<&'static str> {
        if scenario.always_one_owner && self.owners() > 1 {
            return Some("one owner: two hosts have one number");
        }
        let is_told =
            |host: &Host| host.claim.is_none() || host.is_owner() == (host.claim == Some(Claim::Won));
        if !self.hosts.iter().filter(|host| host.boots.is_some()).all(is_told) {
            return Some("one owner: a host does not know whether the number is its own");
        }
        None
    }

    /// Which promise is broken by claims having ended like this, if one is.
    pub(crate) fn broken_by_claims_at_end(&self, scenario: &Scenario) -> Option<&'static str> {
        if self.has_claims_ahead() {
            return Some("one owner: a claim has no outcome");
        }
        // Two may have lost the number to each other's former lives; both are told.
        let Budget { restarts, crashes, reboots, .. } = scenario.budget;
        let is_one_life = restarts + crashes + reboots == 0;
        match self.owners() {
            0 if !scenario.claimants.is_empty() && is_one_life => Some("one owner: nobody has the number"),
            0 | 1 => None,
            _ => Some("one owner: two hosts keep one number"),
        }
    }
}
