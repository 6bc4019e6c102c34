//! The numbers of local logical hosts: claimed by probing, defended, lost to whoever has the better claim.
//!
//! A claim is a random number. Its owner multicasts `ProbeEntityBlock` some times before it uses the logical host, and
//! announces itself now and then afterwards. Whoever owns the logical host answers a prober, who has lost. Between two
//! of the same standing (both probe; both own, after a partition healed or bad luck) the larger claim wins, and the
//! loser learns it from the winner's next probe or announcement, which a conflicting packet hastens. Each probe due has
//! its full time to be answered, however many are hastened: so while fewer packets are lost or late than there are
//! probes, two never have one number, and else not for longer than announcements take to get through. An engine that
//! lost its state announces, too.

use crate::action::{Action, Destination};
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::manager::{code, procedure};
use crate::outcome::Failure;
use crate::packet::header::{Control, Function, Header, MULTICAST};
use crate::packet::message::{self, Message};
use crate::table::NEVER;
use crate::{EntityId, LogicalHost};

/// In word 5 of a probe: the sender owns the logical host and says so.
const ANNOUNCEMENT: u32 = 1;

/// How many random numbers are tried for one that is nobody's.
const CHOICES: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
enum Standing {
    /// Probing for the number.
    #[default]
    Probing,
    /// The number is ours; the user is to be told.
    Won,
    /// The number is ours.
    Owned,
    /// The number is another's; the user is to be told.
    Lost,
}

/// A local logical host's number.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Claim {
    number: LogicalHost,
    strength: u64,
    standing: Standing,
    probes: u8,
    /// A probe or announcement is to be sent.
    speak: bool,
    /// It was probed for: it is announced now and then.
    announces: bool,
}

impl Engine {
    /// Begins to claim `host`, a random number. It ends with [`Action::Claimed`] or [`Action::ClaimLost`]; until then
    /// its entities cannot send. False if there are too many local hosts or it cannot be claimed.
    pub fn claim(&mut self, now_ns: u64, host: LogicalHost) -> bool {
        self.advance(now_ns);
        if host.to_bits() < LogicalHost::FIRST_CLAIMABLE || self.find_claim(host).is_some() {
            return false;
        }
        let strength = self.random();
        let record = Claim { number: host, strength, announces: true, ..Claim::default() };
        let Some(index) = self.claims.take(record) else { return false };
        self.probe(index);
        true
    }

    /// Begins to claim a random number that is nobody's, as far as is known; see [`Engine::claim`]. None if there are too
    /// many local hosts.
    pub fn claim_any(&mut self, now_ns: u64) -> Option<LogicalHost> {
        // One number in a million is known, at most: a few choices are enough.
        (0..CHOICES).find_map(|_| {
            let host = LogicalHost::from_bits(self.random() as u32);
            let is_known = self.host_map.get(u64::from(host.to_bits())).is_some();
            let fits = host.to_bits() <= LogicalHost::LAST_CLAIMABLE && !is_known && self.claim(now_ns, host);
            fits.then_some(host)
        })
    }

    /// Makes `host` local: its entities may send, and requests to them are delivered. For a number that this host has
    /// had already, when its engine lost its state: what came before is taken to be unknown. False if there are too
    /// many, or if the number is being claimed: then the claim's end decides.
    pub fn add_local_host(&mut self, host: LogicalHost) -> bool {
        self.add_forgotten_host(host, self.now_ns)
    }

    /// Of what was sent to `host` before `until_ns`, anything may be unknown.
    fn add_forgotten_host(&mut self, host: LogicalHost, until_ns: u64) -> bool {
        if !self.add_new_local_host(host) {
            return false;
        }
        let lifetime_ns = self.configuration.maximum_packet_lifetime_ns;
        self.trusted_from_ns = self.trusted_from_ns.max(until_ns + lifetime_ns);
        // Zero would say that nothing is forgotten; an engine's clock may begin there.
        self.forgotten_ns = self.forgotten_ns.max(until_ns).max(1);
        true
    }

    /// As [`Engine::add_local_host`], for a number that this host was claiming, or had claimed, when its engine lost its
    /// state: so what is unknown came before this engine. It is announced, for the claim may not have been won; whoever has
    /// it too, and who does not, is then found out, and may end in [`Action::ClaimLost`].
    pub fn resume_claim(&mut self, host: LogicalHost) -> bool {
        if self.is_local(host) {
            return true;
        }
        if !self.add_forgotten_host(host, self.began_ns) {
            return false;
        }
        if let Some(index) = self.find_claim(host) {
            self.claims[index].announces = true;
            self.announce(index);
        }
        true
    }

    /// As [`Engine::add_local_host`], for a number that nobody had before: there is nothing to be unknown.
    pub fn add_new_local_host(&mut self, host: LogicalHost) -> bool {
        if self.is_local(host) {
            return true;
        }
        if self.find_claim(host).is_some() {
            return false;
        }
        let strength = self.random();
        let standing = Standing::Owned;
        if self.claims.take(Claim { number: host, strength, standing, ..Claim::default() }).is_none() {
            return false;
        }
        self.begin_local(host);
        true
    }

    /// Ends that, after the logical host has migrated or the claim to it is lost. What its clients have under way
    /// fails as taken back. Requests to it are answered with "not here" from now on.
    pub fn remove_local_host(&mut self, now_ns: u64, host: LogicalHost) {
        self.advance(now_ns);
        if self.is_local(host) {
            self.end_local(host);
        }
        if let Some(index) = self.find_claim(host) {
            let node = self.claim_node(index);
            self.timers.set(node, NEVER);
            self.ready.remove(node);
            self.claims.release(index);
        }
        for index in 0..self.clients.len() {
            if self.clients[index].header.client.host() == host && self.clients.get(index).is_some() {
                self.fail_client(index, Failure::Cancelled);
            }
        }
    }

    /// The strength of the claim to `host`, and whether it is announced, if there is one, won or not.
    pub(crate) fn claim_of(&self, host: LogicalHost) -> Option<(u64, bool)> {
        self.find_claim(host).map(|index| (self.claims[index].strength, self.claims[index].announces))
    }

    /// Makes `host`, which nobody claims here, local by a claim that another engine won. False if there are too many.
    pub(crate) fn adopt_claim(&mut self, host: LogicalHost, strength: u64, announces: bool) -> bool {
        let standing = Standing::Owned;
        let claim = Claim { number: host, strength, standing, announces, ..Claim::default() };
        let Some(index) = self.claims.take(claim) else { return false };
        self.begin_local(host);
        if announces {
            self.announce(index);
        }
        true
    }

    fn find_claim(&self, host: LogicalHost) -> Option<usize> {
        (0..self.claims.len()).find(|index| self.claims.get(*index).is_some_and(|claim| claim.number == host))
    }

    pub(crate) fn claim_action(&mut self, index: usize) -> Option<Action> {
        let node = self.claim_node(index);
        let claim = &mut self.claims[index];
        let number = claim.number;
        if claim.speak {
            claim.speak = false;
            self.speak(index);
            return None;
        }
        match claim.standing {
            Standing::Won => {
                claim.standing = Standing::Owned;
                self.announce(index);
                self.begin_local(number);
                Some(Action::Claimed(number))
            }
            Standing::Lost => {
                self.remove_local_host(self.now_ns, number);
                Some(Action::ClaimLost(number))
            }
            Standing::Probing | Standing::Owned => {
                self.ready.remove(node);
                None
            }
        }
    }

    /// One more probe, and the time that an answer to it has.
    fn probe(&mut self, index: usize) {
        self.claims[index].probes += 1;
        self.timers.set(self.claim_node(index), self.now_ns + self.configuration.claim_interval_ns);
        self.hasten(index);
    }

    /// An announcement, and when the next is due.
    fn announce(&mut self, index: usize) {
        self.timers.set(self.claim_node(index), self.now_ns.saturating_add(self.configuration.announce_ns));
        self.hasten(index);
    }

    /// A probe or announcement that is not one of those due: it takes the place of none.
    fn hasten(&mut self, index: usize) {
        self.claims[index].speak = true;
        self.ready.insert(self.claim_node(index));
    }

    /// Sends a probe or an announcement.
    fn speak(&mut self, index: usize) {
        let claim = &self.claims[index];
        let owns = claim.standing == Standing::Owned;
        let mut message = Message::default();
        message.words[0] = procedure::PROBE_ENTITY_BLOCK;
        message.set_entity(1, EntityId::manager_of(claim.number));
        message.set_entity(3, EntityId::from_bits(claim.strength));
        message.words[5] = if owns { ANNOUNCEMENT } else { 0 };
        let header = Header {
            client: EntityId::DEFAULT_CLIENT,
            control: Control::new(Function::Request),
            server: EntityId::MANAGER_GROUP,
            message,
            ..Header::default()
        };
        self.counters.probes_sent += 1;
        self.transmit_control(Destination::Group(EntityId::MANAGER_GROUP), header);
    }

    pub(crate) fn claim_timeout(&mut self, index: usize) {
        let claim = &mut self.claims[index];
        match claim.standing {
            Standing::Probing if claim.probes < self.configuration.claim_probes => self.probe(index),
            Standing::Probing => {
                claim.standing = Standing::Won;
                self.ready.insert(self.claim_node(index));
            }
            Standing::Owned => self.announce(index),
            Standing::Won | Standing::Lost => {}
        }
    }

    /// Someone probes for a logical host, or announces that it owns it.
    pub(crate) fn claim_probed(&mut self, from: Address, header: &Header) {
        let message = &header.message;
        let entity = message.entity(1);
        let Some(index) = self.find_claim(entity.host()) else { return };
        let claim = &self.claims[index];
        let other = message.entity(3).to_bits();
        if other == claim.strength {
            // Our own packet, come back.
            return;
        }
        let other_owns = message.words[5] == ANNOUNCEMENT;
        match claim.standing {
            Standing::Owned | Standing::Won if !other_owns => {
                let mut answer = Message::default();
                answer.words[0] = code::OK | message::DATAGRAM;
                answer.set_entity(1, entity);
                answer.set_entity(3, EntityId::from_bits(claim.strength));
                self.counters.probes_answered += 1;
                let header = Header {
                    client: header.client,
                    control: Control::new(Function::Response),
                    transaction: header.transaction,
                    server: EntityId::manager_of(entity.host()),
                    message: answer,
                    ..Header::default()
                };
                self.transmit_control(Destination::Host(from), header);
            }
            Standing::Probing if other_owns => self.lose_claim(index),
            Standing::Lost => {}
            _ => self.compare_claims(index, other),
        }
    }

    /// The owner of a logical host that was probed for has answered.
    pub(crate) fn claim_answered(&mut self, header: &Header) {
        let message = &header.message;
        let Some(index) = self.find_claim(message.entity(1).host()) else { return };
        let other = message.entity(3).to_bits();
        match self.claims[index].standing {
            Standing::Probing => self.lose_claim(index),
            // Late, and from one of the same standing.
            Standing::Won | Standing::Owned if other != self.claims[index].strength => {
                self.compare_claims(index, other);
            }
            _ => {}
        }
    }

    fn compare_claims(&mut self, index: usize, other: u64) {
        if other > self.claims[index].strength {
            self.lose_claim(index);
        } else {
            self.hasten(index);
        }
    }

    fn lose_claim(&mut self, index: usize) {
        let node = self.claim_node(index);
        self.claims[index].standing = Standing::Lost;
        self.claims[index].speak = false;
        self.timers.set(node, NEVER);
        self.ready.insert(node);
    }

    /// A packet has come from `sender` at `from`, who should not be elsewhere if its logical host is local.
    pub(crate) fn watch_for_conflict(&mut self, from: &Address, header: &Header, sender: EntityId) {
        // A multicast may be our own, come back.
        if header.flags & MULTICAST != 0 || from.is_own() || !self.is_local(sender.host()) {
            return;
        }
        if let Some(index) = self.find_claim(sender.host()) {
            self.counters.conflicts += 1;
            self.hasten(index);
        }
    }
}
