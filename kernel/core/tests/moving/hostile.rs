//! States that nobody has told, or that were changed on the way.

use abi::kernel::process::CreateProcess;
use abi::kernel::record::RegisterRecord;
use abi::kernel::team_state::{MOST_PROCESSES, MovedProcessRecord, TeamStateRecord, activity};
use abi::kernel::{GROUP, PROCESS, TIME, group, server, time};
use abi::protocol::Request as _;
use abi::{Error, LogicalHost, Message, Pid};
use proptest::collection::vec;
use proptest::prelude::*;
use simulator::node::{receive, send};

use crate::world::{GUEST, PRIORITY, World};

/// What a guest told of which each process does something else.
fn told() -> (World, Vec<u8>) {
    let mut world = World::new(2);
    let [root, second, third, fourth] = world.processes[..] else { panic!("four processes") };
    let far = Pid::process(LogicalHost::from_bits(0x999), 3, 20);
    let node = &mut world.here().node;
    let delay = time::Delay { until_ns: 1 << 40 }.to_message();
    node.call(fourth, send(server(TIME), delay));
    let create = CreateProcess { instruction: 1, stack: 2, priority: PRIORITY.into() };
    node.request(root, PROCESS, &create).unwrap();
    node.request(second, TIME, &time::SetAlarm { at_ns: 1 << 41, tag: 7 }).unwrap();
    let group = Pid::unrestricted_group(far.host(), 0x300);
    node.request(second, GROUP, &group::Join { group, process: Pid::NONE }).unwrap();
    node.call(second, receive());
    node.call(third, send(far, Message::default()));
    let network = world.here().network;
    world.here().node.run(root);
    let index = world.here().node.index(root);
    world.here().node.kernel.processes[index].resume = kernel_core::machine::Resume::Full;
    world.send_from_elsewhere(far, second, Message::default());
    assert_eq!(world.carry().len(), 1);
    world.here().node.run(network);
    world.here().freeze(root).unwrap();
    let state = world.here().read(root).unwrap();
    (world, state)
}

/// Takes a state at the second place, whatever it is, and ends what has become of it.
fn take(world: &mut World, state: &[u8]) -> Result<Pid, Error> {
    let place = &mut world.places[1];
    let used = place.node.kernel.processes.used();
    let target = place.newborn();
    let taken = place.write(target, state);
    let team = taken.unwrap_or(target);
    let index = place.node.index(team);
    if taken.is_ok() {
        assert!(place.thaw(team).is_ok());
        place.node.pass(20_000_000);
        place.end(team);
    } else {
        let team = place.node.kernel.processes[index].team;
        assert!(place.node.kernel.team(team).ending, "what is refused ends");
        assert_eq!(place.take_end(), target);
    }
    assert!(place.node.kernel.processes.guest(GUEST).is_none(), "a guest is left");
    assert_eq!(place.node.kernel.processes.used(), used, "slots are left");
    taken
}

#[test]
fn what_was_told_is_taken_once() {
    let (mut world, state) = told();
    assert_eq!(take(&mut world, &state), Ok(world.root()));
    assert_eq!(take(&mut world, &state), Ok(world.root()), "it has ended, and may come again");
    // Where it is already it is not taken.
    let here = world.here();
    let target = here.newborn();
    assert_eq!(here.write(target, &state), Err(Error::Busy));
    for length in [0, 8, 63, 64, 200, state.len() - 1] {
        assert_eq!(
            take(&mut world, &state[..length]),
            Err(if length == 0 { Error::NoReadAccess } else { Error::TooLong })
        );
    }
}

type Change = fn(&mut MovedProcessRecord);

/// The state with a change to the record of one of its processes.
fn changed(state: &[u8], place: usize, change: impl Fn(&mut MovedProcessRecord)) -> Vec<u8> {
    let mut state = state.to_vec();
    let head = TeamStateRecord::from_bytes(state.first_chunk().unwrap());
    let mut at = TeamStateRecord::BYTES
        + head.aliens as usize * abi::kernel::team_state::StandingRecord::BYTES
        + head.memberships as usize * abi::kernel::record::MembershipRecord::BYTES;
    for number in 0.. {
        let mut record = MovedProcessRecord::from_bytes(state[at..].first_chunk().unwrap());
        if number == place {
            change(&mut record);
            state[at..at + MovedProcessRecord::BYTES].copy_from_slice(&record.to_bytes());
            return state;
        }
        at += MovedProcessRecord::BYTES;
        if record.activity == activity::INTERRUPTED {
            at += RegisterRecord::BYTES + head.vector_bytes as usize;
        }
    }
    unreachable!("a process for each place")
}

#[test]
fn each_field_is_checked() {
    let (mut world, state) = told();
    let [root, second, third, ..] = world.processes[..] else { panic!("four processes") };
    let pids: [u64; 3] = [root, second, third].map(Pid::to_bits);
    let refused: [(usize, Change); 12] = [
        (1, |record| record.pid = Pid::guest(GUEST, Pid::FIRST_GUEST_NUMBER).to_bits()),
        (1, |record| record.pid = Pid::guest(GUEST, Pid::FIRST_GUEST_NUMBER + 100).to_bits()),
        (1, |record| record.pid = Pid::guest(LogicalHost::from_bits(5), 1 << 15).to_bits()),
        (1, |record| record.pid = Pid::process(GUEST, 1, 20).to_bits()),
        (1, |record| record.activity = 0),
        (1, |record| record.activity |= 1 << 40),
        (1, |record| record.activity |= activity::NEWBORN_BIT),
        (1, |record| record.priority = 30),
        (1, |record| record.priority = u64::from(PRIORITY) - 1),
        (2, |record| record.extra_1 = u64::MAX),
        (2, |record| record.extra_2 = 7),
        (2, |record| record.register_pid = Pid::guest(GUEST, 1 << 15).to_bits()),
    ];
    for (number, (place, change)) in refused.into_iter().enumerate() {
        assert_eq!(take(&mut world, &changed(&state, place, change)), Err(Error::BadArgument), "{number}");
    }
    for partner in [0, pids[2], 1] {
        let awaits = |record: &mut MovedProcessRecord| {
            (record.activity, record.partner) = (activity::AWAITS_PARTNER, partner);
        };
        assert_eq!(take(&mut world, &changed(&state, 2, awaits)), Err(Error::BadArgument), "{partner:#x}");
    }
    let head = |change: fn(&mut TeamStateRecord)| {
        let mut record = TeamStateRecord::from_bytes(state.first_chunk().unwrap());
        change(&mut record);
        let mut changed = state.clone();
        changed[..TeamStateRecord::BYTES].copy_from_slice(&record.to_bytes());
        changed
    };
    for (change, error) in [
        (head(|head| head.version += 1), Error::NotMovable),
        (head(|head| head.vector_bytes = 832), Error::NotMovable),
        (head(|head| head.host = 0), Error::BadArgument),
        (head(|head| head.host = 1 << 28), Error::BadArgument),
        (head(|head| head.processes = MOST_PROCESSES as u64 + 1), Error::BadArgument),
        (head(|head| head.processes = 0), Error::BadArgument),
        (head(|head| head.next_number = u64::MAX), Error::BadArgument),
        (head(|head| head.memberships = u64::MAX), Error::BadArgument),
        (head(|head| head.aliens = u64::MAX), Error::BadArgument),
        (head(|head| head.clock_ns = u64::MAX), Error::BadArgument),
    ] {
        assert_eq!(take(&mut world, &change), Err(error));
    }
    // Nobody awaits what is elsewhere where no one brings the answer.
    let network = world.places[1].network;
    let node = &mut world.places[1].node;
    let (root, quota) = (node.root, crate::world::create(100, abi::Rights::NONE));
    let team = node.request(network, PROCESS, &quota).unwrap().team;
    let index = node.index(team);
    let slot = node.kernel.processes[index].team;
    node.kernel.team_mut(slot).processes.limit = 3;
    assert_eq!(world.places[1].write(team, &state), Err(Error::NoQuota));
    assert_eq!(world.places[1].take_end(), team);
    assert_ne!(root, team);
}

proptest! {
    #[test]
    fn a_changed_state_breaks_nothing(changes in vec((any::<u16>(), any::<u8>(), any::<u64>()), 1..4)) {
        let (mut world, mut state) = told();
        for (at, kind, value) in changes {
            let at = usize::from(at) % (state.len() / 8) * 8;
            let old = u64::from_le_bytes(*state[at..].first_chunk().unwrap());
            let new = match kind % 4 {
                0 => value,
                1 => old ^ 1 << (value % 64),
                2 => old.wrapping_add(value % 16),
                _ => value % 8,
            };
            state[at..at + 8].copy_from_slice(&new.to_le_bytes());
        }
        let _ = take(&mut world, &state);
    }
}
