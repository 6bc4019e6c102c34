//! The other nodes of the domain: the kernel's partner for them, with a card and the system calls.
//!
//! The partner (`network-partner`) does what there is to do; here are its kernel, which is the process's calls, and its
//! link, which is frames on the first card. The simulator has another kernel and another link for the same partner.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use abi::call::FOREVER;
use abi::kernel::record::ProcessRecord;
use abi::kernel::{self, group};
use abi::protocol::{Reply as _, refusal};
use abi::remote::{Alien, Arrival, Received};
use abi::wire::PREFIX_BYTES;
use abi::{Error, LogicalHost, Message, Pid};
use network_card::{Card, SHORTEST_FRAME_BYTES, Station};
use network_partner::groups;
use network_partner::{AlienPlace, Configuration, Host, Kernel, Link, MovingKernel, Name, Partner, Standing};
use protocols::moving::MOST_STATE_BYTES;
use protocols::network::HOST_NAME_BYTES;
use protocols::network::network::HostClaimed;
use protocols::supervisor::supervisor;
use v::server::Client;
use v::{message, remote, time};
use vmtp::encapsulation::{Address, ethernet};
use vmtp::packet::header::DOMAIN_MAX;
use vmtp::{Action, Destination};

use crate::seekers::{ROUND_NS, Seekers};

const _: () = assert!(HOST_NAME_BYTES == network_partner::hosts::NAME_BYTES, "clients see what nodes tell");

/// Frames that are written before the card is told: of many it sends the first ones while others are written.
const FRAMES_AT_ONCE: usize = 8;
/// How soon it is asked again who is there, if it could not be asked.
const ASK_AGAIN_NS: u64 = 20_000_000;
/// Clients that may wait for a logical host at a time.
const MOST_CLAIMANTS: usize = 64;

/// See the module.
pub struct Domain {
    partner: Partner,
    calls: Calls,
    station: Station,
    /// What has been said of the node's logical host.
    standing: Standing,
    own: Host,
    seekers: Seekers,
    /// When to ask again who is there, if it could not be asked.
    ask_ns: u64,
    /// Clients that wait for a logical host.
    claimants: VecDeque<Pid>,
    /// Of how many guests it has been said that their logical host is lost.
    guests_lost: usize,
}

/// The process's own calls.
struct Calls(remote::NetworkServer);

impl Kernel for Calls {
    fn reply(&mut self, client: Pid, message: &Message, data: &[u8], replier: Pid) -> Result<(), Error> {
        self.0.reply(client, message, data, replier)
    }

    fn fail(&mut self, client: Pid, error: Error) -> Result<(), Error> {
        self.0.fail(client, error)
    }

    fn forward(&mut self, client: Pid, to: Pid, message: &Message, forwarder: Pid) -> Result<(), Error> {
        self.0.forward(client, to, message, forwarder)
    }

    fn move_to(&mut self, client: Pid, offset: u64, data: &[u8]) -> (u64, Result<(), Error>) {
        self.0.move_to(client, offset, data)
    }

    fn move_from(&mut self, client: Pid, offset: u64, buffer: &mut [u8]) -> (u64, Result<(), Error>) {
        self.0.move_from(client, offset, buffer)
    }

    fn send_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error> {
        self.0.send_alien(alien, buffer, PREFIX_BYTES)
    }

    fn members(&mut self, group: Pid) -> Vec<Pid> {
        groups::members(|position| {
            let query = group::QueryGroup { group, position };
            let queried = v::call(kernel::server(kernel::GROUP), &query, v::Segment::None).ok()?;
            Some((queried.member, queried.count))
        })
    }

    fn take_back(&mut self, cookie: u64) -> Vec<u8> {
        self.0.take_back(cookie)
    }

    fn end_aliens(&mut self) {
        self.0.end_aliens();
    }
}

impl MovingKernel for Calls {
    fn look_at_alien(&mut self, cookie: u64, client: Pid) -> Result<AlienPlace, Error> {
        AlienPlace::of(&self.0.look_at_alien(cookie)?, client)
    }

    fn restore_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error> {
        self.0.restore_alien(alien, buffer, PREFIX_BYTES)
    }

    fn read_team(&mut self, team: Pid, most_bytes: usize) -> Result<Vec<u8>, Error> {
        self.0.read_team(team, most_bytes)
    }

    fn write_team(&mut self, team: Pid, state: &[u8]) -> Result<(), Error> {
        self.0.write_team(team, state)
    }
}

/// Frames on a card.
struct Wire<'a> {
    card: &'a mut dyn Card,
    station: Station,
    /// Frames that the card has not been told of.
    unseen: usize,
}

impl Link for Wire<'_> {
    fn transmit(&mut self, destination: &Destination, bytes: usize, fill: impl FnOnce(&mut [u8]) -> bool) {
        let to = match destination {
            Destination::Host(Address::Ethernet(station)) => *station,
            Destination::Group(group) => ethernet::group_station(*group),
            // Nobody has been heard from there; what is for this node itself, the partner keeps.
            Destination::Host(Address::Own | Address::Udp4(..) | Address::Udp6(..)) => return,
        };
        let Some(place) = self.card.next_frame() else { return };
        let Some(frame) = place.get_mut(..(ethernet::HEADER_BYTES + bytes).max(SHORTEST_FRAME_BYTES)) else {
            return;
        };
        let length = frame.len();
        let Some(()) = ethernet::write_header(frame, self.station.0, to) else { return };
        let (packet, padding) = frame[ethernet::HEADER_BYTES..].split_at_mut(bytes);
        if !fill(packet) {
            return;
        }
        padding.fill(0);
        self.card.send(length);
        self.unseen += 1;
        if self.unseen == FRAMES_AT_ONCE {
            self.unseen = 0;
            self.card.flush();
        }
    }
}

impl Domain {
    /// Makes the process the kernel's partner, on a card.
    pub fn start(card: &mut dyn Card, own: LogicalHost) -> Result<Domain, Error> {
        let calls = remote::NetworkServer::new()?;
        let default = Configuration::default();
        let number = v::node::domain().unwrap_or(default.engine.domain);
        if number > DOMAIN_MAX {
            v::log::error!(
                "there is no domain {number}: the boot command line has `domain=` with too large a number"
            );
            return Err(Error::BadArgument);
        }
        let engine = vmtp::Configuration {
            mtu_bytes: card.largest_content() as u32,
            domain: number,
            // Every frame carries a checksum of its own, of 32 bits, over all of it.
            header_checksum_only: true,
            ..default.engine
        };
        let now_ns = time::now_ns();
        // Where the processor has no random numbers, no two lives have the same time.
        let seed = hardware::random::number().unwrap_or(now_ns) ^ u64::from(own.to_bits());
        let own = Host { logical_host: own, name: Name::new(v::node::name()) };
        let configuration = Configuration { engine, name: own.name, ..default };
        let partner = Partner::new(&configuration, own.logical_host, calls.former(), now_ns, seed);
        let former = calls.former();
        let mut domain = Domain {
            standing: partner.standing(),
            partner,
            calls: Calls(calls),
            station: card.station(),
            own,
            seekers: Seekers::new(),
            ask_ns: 0,
            claimants: VecDeque::new(),
            guests_lost: 0,
        };
        if former > 0 {
            domain.resume_guests();
        }
        domain.advance(card);
        Ok(domain)
    }

    /// The guests that a former network server's life knew are still there: what is sent to them is to find them.
    fn resume_guests(&mut self) {
        let mut hosts: Vec<LogicalHost> = match v::process::all() {
            Ok(processes) => processes
                .iter()
                .map(ProcessRecord::process)
                // What is left of one that has moved is not it.
                .filter(|process| {
                    process.is_guest() && v::process::query(*process) != Err(Error::ProcessElsewhere)
                })
                .map(Pid::host)
                .collect(),
            Err(error) => {
                v::log::error!("cannot learn which guests there are: {error}");
                Vec::new()
            }
        };
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            if let Err(error) = self.partner.resume_host(host) {
                v::log::error!("the guest with logical host {:x} is out of reach: {error}", host.to_bits());
            }
        }
    }

    /// The next message, whatever it is about.
    pub fn receive(&mut self) -> Result<Received, Error> {
        self.calls.0.receive(self.partner.inbox(), FOREVER)
    }

    /// Replies to the server's own client, and receives the next message.
    pub fn reply_receive(&mut self, client: Pid, reply: &Message) -> Result<Received, Error> {
        self.calls.0.reply_receive(client, reply, self.partner.inbox(), FOREVER)
    }

    /// The head of the segment of the message received last, of so many bytes.
    pub fn head(&mut self, bytes: usize) -> &[u8] {
        let inbox = self.partner.inbox();
        &inbox[..bytes.min(inbox.len())]
    }

    /// A message has been received. False if it is for the network server itself.
    #[inline]
    pub fn take_message(&mut self, received: &Received, card: &mut dyn Card) -> bool {
        received.arrival != Arrival::Own
            && self.with_wire(card, |partner, calls, wire| {
                partner.take_message(time::now_ns(), received, calls, wire)
            })
    }

    /// Whether a frame is for this node, as far as its address tells.
    #[inline]
    pub fn has_address(&self, frame: &[u8]) -> bool {
        frame[0] & 1 != 0 || frame[..6] == self.station.0
    }

    /// A packet has come from a station, in a frame by the domain's card. What it brings about, [`Domain::act`] does.
    #[inline]
    pub fn take_packet(&mut self, now_ns: u64, from: ethernet::Station, packet: &[u8]) -> vmtp::Received {
        self.partner.take_packet(now_ns, Address::Ethernet(from), packet, &mut self.calls)
    }

    /// Does what the last frame has brought about.
    #[inline]
    pub fn act(&mut self, now_ns: u64, first: Option<&mut Action>, card: &mut dyn Card) {
        self.with_wire(card, |partner, calls, wire| partner.act(now_ns, first, calls, wire));
        self.look_at_standing();
        if !self.claimants.is_empty() {
            self.serve_claimants(now_ns);
        }
        while let Some(host) = self.partner.next_host() {
            self.seekers.heard(host);
        }
    }

    /// Does what is due.
    pub fn advance(&mut self, card: &mut dyn Card) {
        let now_ns = time::now_ns();
        self.seekers.expire(now_ns);
        self.with_wire(card, |partner, calls, wire| partner.advance(now_ns, calls, wire));
        self.look_at_standing();
        if !self.claimants.is_empty() {
            self.serve_claimants(now_ns);
        }
        self.tell_of_lost_guests();
        if !self.seekers.is_empty() && !self.partner.asks_hosts() && self.ask_ns <= now_ns {
            self.ask_ns = now_ns + ASK_AGAIN_NS;
            // If it cannot be asked now, it can soon.
            let _ = self.partner.ask_hosts(now_ns, now_ns + ROUND_NS);
            self.act(now_ns, None, card);
        }
    }

    /// When [`Domain::advance`] wants to be called; `u64::MAX` if never.
    #[inline]
    pub fn next_deadline_ns(&self) -> u64 {
        let partner_ns = self.partner.next_deadline().unwrap_or(u64::MAX);
        if self.seekers.is_empty() {
            return partner_ns;
        }
        let ask_ns = if self.partner.asks_hosts() { u64::MAX } else { self.ask_ns };
        partner_ns.min(ask_ns).min(self.seekers.next_deadline_ns().unwrap_or(u64::MAX))
    }

    /// A client wants to know all nodes, and is answered later.
    pub fn list_hosts(&mut self, client: &Client<'_>) -> Result<(), Error> {
        client.writable_bytes()?;
        self.seekers.list(client.pid, self.own, time::now_ns())
    }

    /// The node with a name; none if the client is answered later.
    pub fn find_host(
        &mut self,
        client: Pid,
        name: &str,
        patience_ms: u32,
    ) -> Result<Option<LogicalHost>, Error> {
        if name.is_empty() || name.len() > HOST_NAME_BYTES {
            return Err(Error::HostNotFound);
        }
        let name = Name::new(name);
        if name == self.own.name {
            return Ok(Some(self.own.logical_host));
        }
        self.seekers.find(client, name.0, patience_ms, time::now_ns())?;
        Ok(None)
    }

    /// A client wants a logical host for a guest, or one again that it has from a `former`; none if it is answered later.
    pub fn claim_host(
        &mut self,
        client: Pid,
        former: LogicalHost,
        card: &mut dyn Card,
    ) -> Result<Option<LogicalHost>, Error> {
        if self.partner.has_guest(former) {
            return Ok(Some(former));
        }
        let now_ns = time::now_ns();
        let host = self.partner.take_host(now_ns, self.claimants.len() + 1)?;
        if host.is_none() {
            if self.claimants.len() == MOST_CLAIMANTS {
                return Err(Error::NoResources);
            }
            self.claimants.push_back(client);
        }
        self.with_wire(card, |partner, calls, wire| partner.act(now_ns, None, calls, wire));
        Ok(host)
    }

    /// Gives those who wait for a logical host what has been claimed.
    #[cold]
    fn serve_claimants(&mut self, now_ns: u64) {
        while let Some(client) = self.claimants.front() {
            let reply = match self.partner.take_host(now_ns, self.claimants.len()) {
                Ok(None) => return,
                Ok(Some(host)) => {
                    let reply = HostClaimed { logical_host: host.to_bits() }.to_message();
                    if message::reply(*client, &reply, &[]).is_err() {
                        // It has gone meanwhile.
                        self.partner.return_host(host);
                    }
                    None
                }
                Err(error) => Some(refusal(error)),
            };
            if let Some(reply) = reply {
                let _ = message::reply(*client, &reply, &[]);
            }
            self.claimants.pop_front();
        }
    }

    /// Nobody has a guest's logical host any more.
    pub fn release_host(&mut self, host: LogicalHost, card: &mut dyn Card) -> Result<(), Error> {
        let now_ns = time::now_ns();
        self.partner.release_host(now_ns, host)?;
        self.with_wire(card, |partner, calls, wire| partner.act(now_ns, None, calls, wire));
        Ok(())
    }

    /// Takes out all that there is of a guest, and gives it to a client that grants room for it.
    pub fn export_host(
        &mut self,
        client: &Client<'_>,
        (host, team): (LogicalHost, Pid),
        card: &mut dyn Card,
    ) -> Result<u32, Error> {
        let room = client.writable_bytes()?.min(MOST_STATE_BYTES as u64) as usize;
        let now_ns = time::now_ns();
        let state = self.with_wire(card, |partner, calls, wire| {
            partner.export_host(now_ns, (host, team), room, calls, wire)
        })?;
        if let Err(error) = client.write(0, &state) {
            // The guest goes on here, once it is thawed.
            let back = self.with_wire(card, |partner, calls, wire| {
                partner.import_host(now_ns, (host, team), &state, calls, wire)
            });
            if let Err(error) = back {
                v::log::error!("the guest with logical host {:x} is lost: {error}", host.to_bits());
            }
            return Err(error);
        }
        Ok(state.len() as u32)
    }

    /// Goes on with a guest whose state a client has.
    pub fn import_host(
        &mut self,
        client: &Client<'_>,
        (host, team): (LogicalHost, Pid),
        card: &mut dyn Card,
    ) -> Result<(), Error> {
        let state = client.read_segment(MOST_STATE_BYTES)?;
        let now_ns = time::now_ns();
        self.with_wire(card, |partner, calls, wire| {
            partner.import_host(now_ns, (host, team), &state, calls, wire)
        })
    }

    fn tell_of_lost_guests(&mut self) {
        for host in self.partner.lost_guests().iter().skip(self.guests_lost) {
            v::log::error!(
                "another node has logical host {:x}: its guest here is out of reach",
                host.to_bits()
            );
        }
        self.guests_lost = self.partner.lost_guests().len();
    }

    /// A number that VMTP has counted, or, behind those, of what is under way; and its name.
    pub fn counter(&self, position: u32) -> Option<(&'static str, u64)> {
        self.partner.counters().list().chain(self.partner.under_way()).nth(position as usize)
    }

    #[inline]
    fn with_wire<T>(
        &mut self,
        card: &mut dyn Card,
        body: impl FnOnce(&mut Partner, &mut Calls, &mut Wire<'_>) -> T,
    ) -> T {
        let mut wire = Wire { card, station: self.station, unseen: 0 };
        let result = body(&mut self.partner, &mut self.calls, &mut wire);
        if wire.unseen > 0 {
            wire.card.flush();
        }
        result
    }

    #[inline]
    fn look_at_standing(&mut self) {
        if self.partner.standing() != self.standing {
            self.standing_has_changed();
        }
    }

    #[cold]
    fn standing_has_changed(&mut self) {
        self.standing = self.partner.standing();
        if self.standing == Standing::Lost {
            v::log::error!("another node has this one's logical host: booting again with another");
            // It does not return. Refused, the node goes on alone: what is sent elsewhere fails at once.
            if let Err(error) = v::call(v::entry::creator(), &supervisor::Reboot {}, v::Segment::None) {
                v::log::error!("cannot boot again: {error}");
            }
        }
    }
}
