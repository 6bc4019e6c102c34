//! A logical host's state, which comes from another machine's engine or from whoever says to be one; and a guest's, of which
//! that is a part, which comes from another machine's partner.
//!
//! Whatever is taken in, the engine goes on with it: time passes, it never speaks without end, and each send that came
//! ends once. What it took it can give out again, and that is taken in elsewhere. So does the partner; its processes are
//! gone, and its servers answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use abi::remote::{Alien, Arrival, Received};
use abi::{Error, Grant, Message, Pid, UserId};
use network_partner::{AlienPlace, Kernel, Link, MovingKernel, Partner};
use vmtp::encapsulation::Address;
use vmtp::{Action, Buffer, Configuration, Destination, Engine, EntityId, LogicalHost};

const SECOND_NS: u64 = 1_000_000_000;
/// The machine's own, with which the state may say that something is under way.
const OWN: LogicalHost = LogicalHost::from_bits(100);
const BUFFERS: usize = 4;
/// Actions without a packet from elsewhere, of a state that has at most so many sends and requests.
const ACTIONS: usize = 20_000;

/// The state as it comes, and with its first numbers made right.
pub fn check(bytes: &[u8]) {
    import(bytes);
    import_guest(bytes);
    import_guest(&as_guest(bytes));
    let mut repaired = bytes.to_vec();
    for (place, byte) in repaired.iter_mut().zip([0, 2, 0, 3, 0, 0, 0]) {
        *place = byte;
    }
    import(&repaired);
    import_guest(&as_guest(&repaired));
}

/// The state of a guest that has nothing but this of the engine's.
fn as_guest(engine: &[u8]) -> Vec<u8> {
    let host = engine.get(4..8).unwrap_or(&[0; 4]);
    let length = (engine.len() as u32).to_be_bytes();
    [&[0, 1, 0, 0], host, &[0; 4], &length, &[0; 12], engine].concat()
}

fn engine() -> Engine {
    let configuration = Configuration {
        clients: 4,
        servers: 6,
        hosts: 4,
        buffers: BUFFERS,
        buffer_bytes: 4096,
        group_responses: 2,
        local_hosts: 2,
        groups: 2,
        host_idle_ns: SECOND_NS,
        ..Configuration::default()
    };
    let mut engine = Engine::new(&configuration, 0, 1);
    assert!(engine.add_new_local_host(OWN));
    engine
}

fn own(buffer: Buffer) -> Option<Buffer> {
    (buffer.0 < 1 << 30).then(|| Buffer(buffer.0 + 1000))
}

fn import(bytes: &[u8]) {
    let mut engine = engine();
    let mut now_ns = SECOND_NS;
    let Ok(imported) = engine.import(now_ns, bytes, own) else {
        assert!(engine.next_action().is_none() && engine.is_quiet(), "what was refused left something");
        return;
    };
    again(engine.clone(), now_ns, bytes);
    let mut sends: BTreeSet<_> =
        imported.sends.iter().copied().map(|id| (id.client, id.transaction)).collect();
    assert_eq!(sends.len(), imported.sends.len(), "two sends of one client");
    let mut requests = imported.requests.into_iter();
    while now_ns < 1000 * SECOND_NS {
        settle(&mut engine, &mut sends);
        if let Some(id) = requests.next() {
            // Its client may be given up meanwhile.
            let _ = engine.finish(now_ns, id);
        }
        let Some(deadline_ns) = engine.next_deadline() else { break };
        now_ns = deadline_ns.max(now_ns + 1);
        engine.advance(now_ns);
    }
    assert!(sends.is_empty(), "sends without an outcome: {sends:?}");
}

/// What was taken in goes out, and in elsewhere.
fn again(mut engine: Engine, now_ns: u64, bytes: &[u8]) {
    let number = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let state = engine.export(now_ns, LogicalHost::from_bits(number)).expect("it is local");
    let imported = self::engine().import(now_ns, &state, Some);
    assert!(imported.is_ok(), "an engine does not understand another: {imported:?}");
}

fn settle(engine: &mut Engine, sends: &mut BTreeSet<(EntityId, u32)>) {
    let (mut own, mut first): (VecDeque<Vec<u8>>, _) = (VecDeque::new(), None);
    for _ in 0..ACTIONS {
        match first.take().or_else(|| engine.next_action()) {
            None => {
                let Some(packet) = own.pop_front() else { return };
                first = engine.receive_packet(0, Address::Own, &packet).action;
            }
            Some(Action::Transmit(transmit)) => {
                let segment = vec![0; (transmit.segment_offset + transmit.group_bytes) as usize];
                let mut packet = [0; 1500];
                assert_eq!(transmit.write(&segment, &mut packet), Some(transmit.packet_bytes()));
                if transmit.destination == Destination::Host(Address::Own) {
                    own.push_back(packet[..transmit.packet_bytes()].to_vec());
                }
            }
            Some(Action::Deliver(request)) => {
                request.segment.inspect(|segment| engine.release_buffer(segment.buffer));
                // Its client may be given up meanwhile.
                let _ = engine.finish(0, request.id);
            }
            Some(Action::Complete { id, .. }) => {
                assert!(sends.remove(&(id.client, id.transaction)), "a second outcome");
            }
            Some(Action::Release(buffer)) => assert!(buffer.0 as usize >= BUFFERS, "one of the engine's own"),
            Some(_) => {}
        }
    }
    panic!("the engine never comes to rest");
}

/// A kernel whose processes are gone.
#[derive(Default)]
struct Gone {
    aliens: BTreeMap<u64, Vec<u8>>,
}

impl Kernel for Gone {
    fn reply(&mut self, _: Pid, _: &Message, _: &[u8], _: Pid) -> Result<(), Error> {
        Err(Error::NotAwaitingReply)
    }

    fn fail(&mut self, _: Pid, _: Error) -> Result<(), Error> {
        Err(Error::NotAwaitingReply)
    }

    fn forward(&mut self, _: Pid, _: Pid, _: &Message, _: Pid) -> Result<(), Error> {
        Err(Error::NotAwaitingReply)
    }

    fn move_to(&mut self, _: Pid, _: u64, _: &[u8]) -> (u64, Result<(), Error>) {
        (0, Err(Error::NotAwaitingReply))
    }

    fn move_from(&mut self, _: Pid, _: u64, _: &mut [u8]) -> (u64, Result<(), Error>) {
        (0, Err(Error::NotAwaitingReply))
    }

    fn send_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error> {
        assert!(self.aliens.insert(alien.cookie, buffer).is_none(), "one at a time");
        Ok(())
    }

    fn members(&mut self, _: Pid) -> Vec<Pid> {
        Vec::new()
    }

    fn take_back(&mut self, cookie: u64) -> Vec<u8> {
        self.aliens.remove(&cookie).expect("an alien that was sent")
    }
}

impl MovingKernel for Gone {
    fn look_at_alien(&mut self, cookie: u64, _: Pid) -> Result<AlienPlace, Error> {
        assert!(self.aliens.contains_key(&cookie));
        Ok(AlienPlace::Received(Pid::NONE))
    }

    fn restore_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error> {
        self.send_alien(alien, buffer)
    }

    fn read_team(&mut self, _: Pid, _: usize) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    fn write_team(&mut self, _: Pid, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

/// A link on which everything is lost.
struct Nowhere;

impl Link for Nowhere {
    fn transmit(&mut self, _: &Destination, bytes: usize, fill: impl FnOnce(&mut [u8]) -> bool) {
        fill(&mut vec![0; bytes]);
    }
}

fn import_guest(bytes: &[u8]) {
    let Some(Ok(number)) = bytes.get(4..8).map(<[u8; 4]>::try_from) else { return };
    let host = abi::LogicalHost::from_bits(u32::from_be_bytes(number));
    let default = network_partner::Configuration::default();
    let engine = Configuration { clients: 4, servers: 6, hosts: 4, buffers: BUFFERS, ..default.engine };
    let configuration =
        network_partner::Configuration { engine, spare_hosts: 0, serves: 4, serves_per_host: 4, ..default };
    let own = abi::LogicalHost::from_bits(OWN.to_bits());
    let mut now_ns = SECOND_NS;
    let mut partner = Partner::new(&configuration, own, 1, now_ns, 1);
    let mut kernel = Gone::default();
    partner.advance(now_ns, &mut kernel, &mut Nowhere);
    let guest = (host, Pid::process(host, 1, 0));
    if partner.import_host(now_ns, guest, bytes, &mut kernel, &mut Nowhere).is_err() {
        assert!(
            partner.is_quiet() && kernel.aliens.is_empty(),
            "what was refused left something: {partner:?}"
        );
        return;
    }
    let again = partner.export_host(now_ns, guest, 1 << 24, &mut kernel, &mut Nowhere);
    if let Ok(state) = again {
        let imported = partner.import_host(now_ns, guest, &state, &mut kernel, &mut Nowhere);
        assert_eq!(imported, Ok(()), "a partner does not understand itself");
    }
    while now_ns < 1000 * SECOND_NS {
        let aliens: Vec<u64> = kernel.aliens.keys().copied().collect();
        for cookie in aliens {
            let received = Received {
                sender: Pid::NONE,
                message: Message::default(),
                grant: Grant::NONE,
                user: UserId::default(),
                forwarder: Pid::NONE,
                arrival: Arrival::Answered { cookie, replier: Pid::NONE, outcome: Ok(()) },
            };
            partner.take_message(now_ns, &received, &mut kernel, &mut Nowhere);
        }
        // Announcements go on for ever.
        let Some(deadline_ns) = partner.next_deadline().filter(|_| !partner.is_quiet()) else { break };
        now_ns = deadline_ns.max(now_ns + 1);
        partner.advance(now_ns, &mut kernel, &mut Nowhere);
    }
    assert!(partner.is_quiet() && kernel.aliens.is_empty(), "something is left: {partner:?}");
}
