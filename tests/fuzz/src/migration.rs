//! A logical host's state, which comes from another machine's engine or from whoever says to be one.
//!
//! Whatever is taken in, the engine goes on with it: time passes, it never speaks without end, and each send that came
//! ends once. What it took it can give out again, and that is taken in elsewhere.

use std::collections::BTreeSet;

use vmtp::{Action, Buffer, Configuration, Engine, EntityId, LogicalHost};

const SECOND_NS: u64 = 1_000_000_000;
const BUFFERS: usize = 4;
/// Actions without a packet from elsewhere, of a state that has at most so many sends and requests.
const ACTIONS: usize = 20_000;

/// The state as it comes, and with its first numbers made right.
pub fn check(bytes: &[u8]) {
    import(bytes);
    let mut repaired = bytes.to_vec();
    for (place, byte) in repaired.iter_mut().zip([0, 2, 0, 3, 0, 0, 0]) {
        *place = byte;
    }
    import(&repaired);
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
    Engine::new(&configuration, 0, 1)
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
    for _ in 0..ACTIONS {
        match engine.next_action() {
            None => return,
            Some(Action::Transmit(transmit)) => {
                let segment = vec![0; (transmit.segment_offset + transmit.group_bytes) as usize];
                let mut packet = [0; 1500];
                assert_eq!(transmit.write(&segment, &mut packet), Some(transmit.packet_bytes()));
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
