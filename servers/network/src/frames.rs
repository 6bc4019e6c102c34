//! The cards, and what clients ask of them.
//!
//! Frames of VMTP, on the first card, are the domain's ([`Domain`]); all others are the registry's.

use alloc::boxed::Box;
use alloc::vec::Vec;

use abi::protocol::{Reply, refusal};
use abi::{Error, Pid};
use hardware::device::Device;
use network_card::{Card, HEAD_BYTES, Received, SHORTEST_FRAME_BYTES, Station};
use protocols::network::CounterRecord;
use protocols::network::network::{
    CardQueried, CountersQueried, FrameReceived, FrameSent, Network, Registered, Unregistered,
};
use v::message;
use v::server::{Client, Outcome};
use v::time;
use vmtp::encapsulation::ethernet::{self, ETHER_TYPE};

use crate::domain::Domain;
use crate::loopback;
use crate::registry::{Clients, Fate, Registry};

/// Frames that are dealt with before others have their turn.
const FRAMES_AT_ONCE: usize = 128;

/// The bytes of a frame's head where its source is.
const SOURCE: core::ops::Range<usize> = 6..12;

/// A card, and what became of the frames that it has received.
struct Port {
    card: Box<dyn Card>,
    /// Who sends its interrupts.
    interrupt: Pid,
    device: u32,
    unclaimed: u64,
    dropped: u64,
}

/// The card by which the other nodes of the domain are reached.
pub const DOMAIN_CARD: u32 = 0;

/// The cards and the registry.
pub struct Frames {
    ports: Vec<Port>,
    registry: Registry,
    /// A card may have frames of which no interrupt will tell.
    is_behind: bool,
    /// The record that was asked for last.
    record: [u8; CounterRecord::BYTES],
}

impl Default for Frames {
    fn default() -> Frames {
        Frames::new()
    }
}

/// Clients that wait for a reply of this process.
struct Waiting;

impl Clients for Waiting {
    /// A client that has gone meanwhile needs no answer.
    fn deliver(&mut self, client: Pid, card: u32, frame: &[u8]) {
        let reply = FrameReceived { count: frame.len() as u32, card }.to_message();
        if let Err(error @ (Error::NoWriteAccess | Error::TooLong | Error::BadAddressOfOther)) =
            message::reply(client, &reply, frame)
        {
            self.refuse(client, error);
        }
    }

    fn refuse(&mut self, client: Pid, error: Error) {
        let _ = message::reply(client, &refusal(error), &[]);
    }

    fn has_ended(&mut self, process: Pid) -> bool {
        v::process::has_ended(process).unwrap_or(true)
    }
}

impl Port {
    /// Takes a frame that is not the domain's, from card `number`.
    #[inline(never)]
    fn take(&mut self, number: u32, received: Received, registry: &mut Registry) {
        let frame = self.card.frame(&received);
        if let Some(head) = loopback::onward(frame, self.card.station()) {
            let rest = frame[loopback::ONWARD_BYTES..].to_vec();
            self.card.give_back(received);
            // Without room for it, it is lost, as on the way.
            if let Ok(true) = self.card.send_parts(&[&head, &rest]) {
                self.card.flush();
            }
            return;
        }
        match registry.arrived(number, frame, &mut Waiting) {
            Fate::Taken => {}
            Fate::Unclaimed => self.unclaimed += 1,
            Fate::Dropped => self.dropped += 1,
        }
        self.card.give_back(received);
    }
}

impl Frames {
    /// Without cards.
    pub const fn new() -> Frames {
        Frames {
            ports: Vec::new(),
            registry: Registry::new(),
            is_behind: false,
            record: [0; CounterRecord::BYTES],
        }
    }

    /// Adds a card.
    pub fn add(&mut self, device: &Device, card: Box<dyn Card>) {
        let device = device.address().to_bits().into();
        let interrupt = card.interrupt();
        self.ports.push(Port { card, interrupt, device, unclaimed: 0, dropped: 0 });
    }

    /// How many cards it has.
    pub fn count(&self) -> usize {
        self.ports.len()
    }

    /// The card by which the other nodes of the domain are reached.
    pub fn domain_card(&mut self) -> Option<&mut (dyn Card + 'static)> {
        Some(self.ports.get_mut(DOMAIN_CARD as usize)?.card.as_mut())
    }

    /// The card whose interrupts this process sends: only the kernel can send from such a pid.
    pub fn interrupted_by(&self, sender: Pid) -> Option<usize> {
        self.ports.iter().position(|port| port.interrupt == sender)
    }

    /// Takes the frames that a card has, and asks for an interrupt for the next; of very many only some, the others when
    /// the alarm comes.
    pub fn attend(&mut self, number: usize, domain: &mut Domain) {
        let port = &mut self.ports[number];
        for _ in 0..FRAMES_AT_ONCE {
            let Some(received) = port.card.receive() else {
                if port.card.rearm() {
                    continue;
                }
                return;
            };
            let frame = port.card.frame(&received);
            match ethernet::take_apart(frame) {
                Some((from, packet)) if number == DOMAIN_CARD as usize => {
                    let now_ns = time::now_ns();
                    // A switch that does not know where a station is shows its frames to everyone.
                    let mut brought = if domain.has_address(frame) {
                        domain.take_packet(now_ns, from, packet)
                    } else {
                        vmtp::Received::default()
                    };
                    port.card.give_back(received);
                    domain.act(now_ns, brought.action.as_mut(), port.card.as_mut());
                }
                _ => port.take(number as u32, received, &mut self.registry),
            }
        }
        self.is_behind = true;
    }

    fn port(&mut self, card: u32) -> Result<&mut Port, Error> {
        self.ports.get_mut(card as usize).ok_or(Error::NotFound)
    }

    fn send_frame(&mut self, client: &Client<'_>, card: u32) -> Result<FrameSent, Error> {
        let card = &mut self.port(card)?.card;
        let bytes = client.readable_bytes()?;
        if bytes < HEAD_BYTES as u64 {
            return Err(Error::BadArgument);
        }
        if bytes > (HEAD_BYTES + card.largest_content()) as u64 {
            return Err(Error::TooLong);
        }
        let bytes = bytes as usize;
        let station = card.station();
        let place = card.next_frame().ok_or(Error::Busy)?;
        let (head, rest) = place[..bytes].split_at_mut(client.head.len().min(bytes));
        head.copy_from_slice(&client.head[..head.len()]);
        if !rest.is_empty() {
            client.read(head.len() as u64, rest)?;
        }
        place[SOURCE].copy_from_slice(&station.0);
        let bytes_sent = bytes.max(SHORTEST_FRAME_BYTES);
        place[bytes..bytes_sent].fill(0);
        card.send(bytes_sent);
        card.flush();
        Ok(FrameSent {})
    }

    fn query(&mut self, card: u32) -> Result<CardQueried, Error> {
        let port = self.port(card)?;
        Ok(CardQueried {
            station: station_bits(port.card.station()),
            largest_content: port.card.largest_content() as u32,
            is_connected: port.card.is_connected().into(),
            device: port.device,
        })
    }

    fn counters(&mut self, card: u32) -> Result<CounterRecord, Error> {
        let port = self.port(card)?;
        let counters = port.card.counters();
        Ok(CounterRecord {
            received_frames: counters.received,
            received_bytes: counters.received_bytes,
            sent_frames: counters.sent,
            sent_bytes: counters.sent_bytes,
            unclaimed_frames: port.unclaimed,
            dropped_frames: port.dropped,
            nonsense: counters.nonsense,
            interrupts: counters.interrupts,
            notices: counters.notices,
        })
    }

    fn receive_frame(&mut self, client: &Client<'_>, ethertype: u32, until_ns: u64) -> Result<(), Error> {
        let room = client.writable_bytes()?;
        self.registry.receive(client.pid, ethertype, room, until_ns, time::now_ns(), &mut Waiting)
    }
}

/// A station's address as a number.
fn station_bits(Station(bytes): Station) -> u64 {
    bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

impl Frames {
    /// Does what a client asks, but what is the domain's.
    pub fn request(&mut self, client: &Client<'_>, request: Network) -> Outcome<'_> {
        match request {
            Network::QueryCard(query) => Outcome::from(self.query(query.card)),
            Network::QueryCounters(query) => match self.counters(query.card) {
                Ok(counters) => {
                    self.record = counters.to_bytes();
                    Outcome::data(CountersQueried {}, &self.record)
                }
                Err(error) => Outcome::refuse(error),
            },
            _ if !client.user.may_operate() => Outcome::refuse(Error::NoPermission),
            // The server takes these itself.
            Network::Register(register) if register.ethertype == u32::from(ETHER_TYPE) => {
                Outcome::refuse(Error::Busy)
            }
            Network::Register(register) => {
                let registered = self.registry.register(client.pid, register.ethertype, &mut Waiting);
                Outcome::from(registered.map(|()| Registered {}))
            }
            Network::Unregister(unregister) => {
                let done = self.registry.unregister(client.pid, unregister.ethertype);
                Outcome::from(done.map(|()| Unregistered {}))
            }
            Network::SendFrame(send) => Outcome::from(self.send_frame(client, send.card)),
            Network::ReceiveFrame(receive) => {
                match self.receive_frame(client, receive.ethertype, receive.until_ns) {
                    Ok(()) => Outcome::Later,
                    Err(error) => Outcome::refuse(error),
                }
            }
            Network::ListHosts(_)
            | Network::FindHost(_)
            | Network::QueryDomainCounter(_)
            | Network::ClaimHost(_)
            | Network::ReleaseHost(_)
            | Network::ExportHost(_)
            | Network::ImportHost(_) => Outcome::refuse(Error::BadRequest),
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, domain: &mut Domain) {
        self.registry.expire(time::now_ns(), &mut Waiting);
        if core::mem::take(&mut self.is_behind) {
            (0..self.ports.len()).for_each(|number| self.attend(number, domain));
        }
    }

    /// When [`Frames::tick`] wants to be called; `u64::MAX` if never.
    #[inline]
    pub fn next_deadline_ns(&self) -> u64 {
        if self.is_behind { 0 } else { self.registry.soonest_deadline_ns() }
    }
}
