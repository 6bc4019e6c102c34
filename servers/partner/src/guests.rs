//! The logical hosts of guests: programs that can move, each with a logical host of its own beside the node's.
//!
//! To claim a number takes as long as others have to object, so some are claimed in advance: a guest gets one that is
//! ready. The engine defends all of them; a number that a guest had is never given to another one.
//!
//! The partner's next life knows none of them. Whoever starts it tells it which there are ([`Partner::resume_host`]), and
//! what a guest sends tells it, too.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use abi::{Error, LogicalHost};

use crate::{Partner, Standing};

/// How many that have moved are remembered: for as long as what they left behind may be there.
const MOST_MOVED: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub struct Guests {
    /// Being claimed.
    claiming: Vec<LogicalHost>,
    /// Claimed, and nobody's yet.
    ready: VecDeque<LogicalHost>,
    /// Guests have these.
    given: Vec<LogicalHost>,
    /// Guests had these, but they are another machine's.
    lost: Vec<LogicalHost>,
    /// These went to another machine with their guests, the latest last.
    moved: VecDeque<LogicalHost>,
    /// How many are wanted that are not ready.
    wanted: usize,
}

impl Guests {
    fn count(&self) -> usize {
        self.claiming.len() + self.ready.len() + self.given.len()
    }

    /// Whether a guest here has `host`.
    pub fn has(&self, host: LogicalHost) -> bool {
        self.given.contains(&host)
    }

    /// A guest here has `host` from now on.
    pub fn add(&mut self, host: LogicalHost) {
        self.lost.retain(|other| *other != host);
        self.moved.retain(|other| *other != host);
        if !self.has(host) {
            self.given.push(host);
        }
    }

    /// `host` goes to another machine: who sends in its name here is left over.
    pub fn note_moved(&mut self, host: LogicalHost) {
        if self.moved.len() == MOST_MOVED {
            self.moved.pop_front();
        }
        self.moved.push_back(host);
    }

    /// Whether a guest had `host`.
    pub fn remove(&mut self, host: LogicalHost) -> bool {
        let before = self.given.len();
        self.given.retain(|other| *other != host);
        self.given.len() < before
    }
}

impl Partner {
    /// A logical host for a guest, `wanted` of which are waited for; none while they are being claimed: to be asked again
    /// when something has happened. [`Partner::act`] is to be called next.
    ///
    /// # Errors
    ///
    /// [`NoNetwork`](Error::NoNetwork) if the node's own is another's; [`NoResources`](Error::NoResources) if there are as
    /// many as can be.
    pub fn take_host(&mut self, now_ns: u64, wanted: usize) -> Result<Option<LogicalHost>, Error> {
        if self.standing == Standing::Lost {
            return Err(Error::NoNetwork);
        }
        let host = self.guests.ready.pop_front();
        self.guests.given.extend(host);
        self.guests.wanted = wanted.saturating_sub(usize::from(host.is_some()));
        self.claim_in_advance(now_ns);
        if host.is_none() && self.standing == Standing::Owned && self.guests.claiming.is_empty() {
            return Err(Error::NoResources);
        }
        Ok(host)
    }

    /// Whether a guest here has `host`, or had it and nobody has given it back.
    pub fn has_guest(&self, host: LogicalHost) -> bool {
        self.guests.has(host)
    }

    /// Gives back what nobody got of [`Partner::take_host`].
    pub fn return_host(&mut self, host: LogicalHost) {
        if self.guests.remove(host) {
            self.guests.ready.push_front(host);
        }
    }

    /// The guest that had `host` has ended: nobody has it any more. [`Partner::act`] is to be called next.
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound) if no guest here had it.
    pub fn release_host(&mut self, now_ns: u64, host: LogicalHost) -> Result<(), Error> {
        if !self.guests.remove(host) {
            return Err(Error::NotFound);
        }
        self.engine.remove_local_host(now_ns, vmtp_host(host));
        Ok(())
    }

    /// A guest here has `host` from before this partner began. [`Partner::act`] is to be called next.
    ///
    /// # Errors
    ///
    /// [`NoResources`](Error::NoResources) if there are too many.
    pub fn resume_host(&mut self, host: LogicalHost) -> Result<(), Error> {
        if !self.engine.resume_claim(vmtp_host(host)) {
            return Err(Error::NoResources);
        }
        self.guests.add(host);
        Ok(())
    }

    /// A process of `host`, which is not the node's own, sends.
    #[cold]
    pub(crate) fn meet_guest(&mut self, host: LogicalHost) -> Result<(), Error> {
        if self.guests.has(host) {
            Ok(())
        } else if self.guests.lost.contains(&host) || self.guests.moved.contains(&host) {
            Err(Error::NoNetwork)
        } else {
            self.resume_host(host)
        }
    }

    /// Claims as many as there should be.
    pub(crate) fn claim_in_advance(&mut self, now_ns: u64) {
        if self.standing != Standing::Owned {
            return;
        }
        let most = self.configuration.engine.local_hosts - 1;
        let wanted = self.configuration.spare_hosts + self.guests.wanted;
        while self.guests.claiming.len() + self.guests.ready.len() < wanted && self.guests.count() < most {
            let Some(host) = self.engine.claim_any(now_ns) else { return };
            self.guests.claiming.push(LogicalHost::from_bits(host.to_bits()));
        }
    }

    /// A claim to a guest's logical host is won.
    pub(crate) fn guest_claimed(&mut self, host: LogicalHost) {
        self.guests.claiming.retain(|other| *other != host);
        self.guests.ready.push_back(host);
    }

    /// It is lost: what the guest has under way ends, and what it sends fails.
    pub(crate) fn guest_lost(&mut self, now_ns: u64, host: LogicalHost) {
        self.guests.claiming.retain(|other| *other != host);
        self.guests.ready.retain(|other| *other != host);
        if self.guests.remove(host) {
            self.guests.lost.push(host);
        }
        self.claim_in_advance(now_ns);
    }

    /// Guests whose logical host is another machine's.
    pub fn lost_guests(&self) -> &[LogicalHost] {
        &self.guests.lost
    }
}

/// A logical host as VMTP has it.
pub const fn vmtp_host(host: LogicalHost) -> vmtp::LogicalHost {
    vmtp::LogicalHost::from_bits(host.to_bits())
}
