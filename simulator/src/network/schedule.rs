//! What befalls a network, all of it drawn from a seed.

use super::host::Machine;
use super::programs::Manner;
use super::random::Random;

const MILLISECOND_NS: u64 = 1_000_000;
/// What is copied at a time by those who do nothing else.
const COPY_BYTES: u64 = 1 << 20;

/// Something that befalls the network or a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Two machines do not hear each other any more.
    Part(usize, usize),
    /// They do again.
    Join(usize, usize),
    /// A machine stops, and forgets everything.
    Crash(usize),
    /// A machine that has stopped boots.
    Boot(usize),
    /// A machine's network server ends, and is started anew.
    RestartNetwork(usize),
    /// Some program of a machine ends.
    Kill(usize, usize),
    /// The network is sound from now on, and every machine runs.
    Heal,
}

/// How far a move is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The guest was taken out, and is on its way.
    TakenOut,
    /// It was taken in, and does not run yet.
    TakenIn,
    /// It runs, and what was left of it has ended.
    Runs,
}

/// What befalls one of the two machines of a move, or the network between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misfortune {
    /// Where the guest comes from crashes.
    SourceCrashes,
    /// Where it goes does.
    TargetCrashes,
    /// The two do not hear each other for a while.
    Part,
    /// The network server of one is started anew.
    SourceRestarts,
    TargetRestarts,
}

/// A move that is interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interruption {
    /// Where.
    pub phase: Phase,
    /// By what.
    pub by: Misfortune,
    /// The how manieth that comes so far.
    pub move_number: u32,
}

const PHASES: [Phase; 3] = [Phase::TakenOut, Phase::TakenIn, Phase::Runs];
const MISFORTUNES: [Misfortune; 5] = [
    Misfortune::SourceCrashes,
    Misfortune::TargetCrashes,
    Misfortune::Part,
    Misfortune::SourceRestarts,
    Misfortune::TargetRestarts,
];

impl Interruption {
    /// How many there are: in each phase each misfortune, in the first moves.
    pub const COUNT: u64 = (PHASES.len() * MISFORTUNES.len()) as u64 * Interruption::MOVES;
    const MOVES: u64 = 4;

    fn number(number: u64) -> Interruption {
        let (number, move_number) = (number / Interruption::MOVES, number % Interruption::MOVES);
        let (phase, by) = (number as usize % PHASES.len(), number as usize / PHASES.len());
        let (phase, by) = (PHASES[phase], MISFORTUNES[by % MISFORTUNES.len()]);
        Interruption { phase, by, move_number: move_number as u32 + 1 }
    }
}

/// A network and what befalls it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the network")]
#[derive(Clone, Debug)]
pub struct Schedule {
    /// What all that is random follows from.
    pub seed: u64,
    /// Machines.
    pub hosts: usize,
    /// What each of them has.
    pub machine: Machine,
    /// Servers on each.
    pub servers: u32,
    /// Clients on each.
    pub clients: u32,
    /// Programs with logical hosts of their own, on each: clients and servers in turn.
    pub guests: u32,
    /// Whether they move all the time.
    pub moves: bool,
    /// Which of their moves is interrupted.
    pub interruption: Option<Interruption>,
    /// Further clients on the first, which ask without a pause.
    pub flood: u32,
    /// Members of one group, on each.
    pub members: u32,
    /// Whether the first of them makes the group, for its user alone.
    pub restricted: bool,
    /// Who asks it, on each.
    pub askers: u32,
    /// What the clients do.
    pub manner: Manner,
    /// Packets lost, in a thousand.
    pub loss: u64,
    /// Packets that arrive twice.
    pub repeats: u64,
    /// Packets of which a bit is changed.
    pub corruption: u64,
    /// Time that a machine's link needs for a byte.
    pub byte_ns: u64,
    /// Time that a packet is on its way then, at least.
    pub delay_ns: u64,
    /// Time that it may be later; more than the delay, and packets overtake each other.
    pub spread_ns: u64,
    /// Whether anything may fail.
    pub rough: bool,
    /// Whether all machines claim one logical host at first.
    pub contested: bool,
    /// When, and what.
    pub events: Vec<(u64, Event)>,
    /// When all is well again.
    pub heal_ns: u64,
}

impl Schedule {
    /// The schedule of a seed: everything may happen.
    pub fn rough(seed: u64) -> Schedule {
        let mut random = Random::new(seed ^ 0x5eed);
        let hosts = 2 + random.below(3) as usize;
        let mut schedule = Schedule {
            servers: 1 + random.below(2) as u32,
            clients: 1 + random.below(3) as u32,
            guests: 0,
            moves: false,
            interruption: None,
            flood: 0,
            members: 0,
            restricted: seed % 3 == 2,
            askers: 0,
            manner: Manner {
                start_ns: random.pick(&[0, 1_500]) * MILLISECOND_NS,
                requests: 2 + random.below(6) as u32,
                pause_ns: random.pick(&[0, 10, 500]) * MILLISECOND_NS,
                segment_bytes: random.pick(&[2_000, 20_000, 90_000]),
                rough: true,
                only_copies: false,
            },
            machine: Machine { program_pages: 24, mtu_bytes: 1500 },
            byte_ns: 0,
            loss: random.pick(&[0, 0, 20, 100, 300]),
            repeats: random.pick(&[0, 0, 20, 200]),
            corruption: random.pick(&[0, 0, 10, 100]),
            delay_ns: random.pick(&[20_000, 1_000_000, 15_000_000]),
            spread_ns: random.pick(&[0, 100_000, 5_000_000, 50_000_000]),
            rough: true,
            contested: false,
            events: Vec::new(),
            heal_ns: 40_000 * MILLISECOND_NS,
            hosts,
            seed,
        };
        schedule.events = events(&mut random, hosts);
        schedule.members = random.below(3) as u32;
        schedule.askers = random.below(2) as u32;
        schedule
    }

    /// A network that only loses packets, so many in a thousand: everything must end well.
    pub fn lossy(seed: u64, loss: u64) -> Schedule {
        Schedule {
            loss,
            repeats: 20,
            corruption: 20,
            members: 0,
            askers: 0,
            rough: false,
            events: Vec::new(),
            manner: Manner {
                start_ns: 1_500 * MILLISECOND_NS,
                requests: 6,
                pause_ns: 0,
                segment_bytes: 70_000,
                rough: false,
                only_copies: false,
            },
            delay_ns: 100_000,
            spread_ns: 300_000,
            ..Schedule::rough(seed)
        }
    }

    /// Two machines with a link of 250 MB/s, of which one copies a MiB after the other, to and from the other's, while so
    /// many packets in a thousand are lost.
    pub fn copies(seed: u64, loss: u64) -> Schedule {
        let lossy = Schedule::lossy(seed, loss);
        Schedule {
            hosts: 2,
            servers: 1,
            clients: 0,
            flood: 1,
            repeats: 0,
            corruption: 0,
            manner: Manner { segment_bytes: COPY_BYTES, only_copies: true, ..lossy.manner },
            machine: Machine { program_pages: (COPY_BYTES / 4096) as u32 + 2, mtu_bytes: 9000 },
            byte_ns: 4,
            spread_ns: 0,
            ..lossy
        }
    }

    /// As [`Schedule::rough`], with guests on each machine.
    pub fn guests(seed: u64) -> Schedule {
        Schedule { guests: 1 + (seed % 3) as u32, ..Schedule::rough(seed) }
    }

    /// As [`Schedule::guests`], while guests move.
    pub fn moving(seed: u64) -> Schedule {
        Schedule { moves: true, ..Schedule::guests(seed) }
    }

    /// Guests that move on a network that only loses packets: everything must end well.
    pub fn lossy_moving(seed: u64) -> Schedule {
        Schedule { moves: true, ..Schedule::lossy_guests(seed) }
    }

    /// Guests that move, one move of which is interrupted: each in one way, of [`Interruption::COUNT`].
    pub fn interrupted(seed: u64) -> Schedule {
        let schedule = Schedule::lossy_moving(seed / Interruption::COUNT + seed % 17);
        Schedule {
            loss: [0, 20, 100][seed as usize % 3],
            rough: true,
            interruption: Some(Interruption::number(seed % Interruption::COUNT)),
            manner: Manner { requests: 24, pause_ns: 10 * MILLISECOND_NS, ..schedule.manner },
            hosts: 3,
            ..schedule
        }
    }

    /// Guests on a network that only loses packets: everything must end well.
    pub fn lossy_guests(seed: u64) -> Schedule {
        Schedule { guests: 3, ..Schedule::lossy(seed, 100) }
    }

    /// A network on which packets come twice and overtake each other, but all come: every member of a group answers.
    pub fn together(seed: u64) -> Schedule {
        let schedule = Schedule { clients: 0, corruption: 0, ..Schedule::lossy(seed, 0) };
        Schedule { hosts: 3, members: 2, askers: 1, ..schedule }
    }

    /// Anything may happen to machines that all claim one logical host: in the end, each has one of its own.
    pub fn contested(seed: u64) -> Schedule {
        Schedule { contested: true, ..Schedule::rough(seed) }
    }

    /// A network that loses nothing, on which one machine asks as much as it can: all must end well for the others.
    pub fn flooded(seed: u64) -> Schedule {
        Schedule { hosts: 3, clients: 2, flood: 60, ..Schedule::lossy(seed, 0) }
    }
}

/// Some misfortunes, most of them early, when much is under way.
fn events(random: &mut Random, hosts: usize) -> Vec<(u64, Event)> {
    let mut events = Vec::new();
    for _ in 0..random.below(5) {
        let span = random.pick(&[50, 500, 3_000, 20_000]);
        let at_ns = random.below(span) * MILLISECOND_NS + random.below(MILLISECOND_NS);
        let length = random.pick(&[20, 1_000, 15_000]);
        let later_ns = at_ns + random.below(length) * MILLISECOND_NS + 1;
        let host = random.below(hosts as u64) as usize;
        let other = (host + 1 + random.below(hosts as u64 - 1) as usize) % hosts;
        match random.below(6) {
            0 | 1 => {
                events.push((at_ns, Event::Part(host, other)));
                events.push((later_ns, Event::Join(host, other)));
            }
            2 => {
                events.push((at_ns, Event::Crash(host)));
                events.push((later_ns, Event::Boot(host)));
            }
            3 | 4 => events.push((at_ns, Event::RestartNetwork(host))),
            _ => events.push((at_ns, Event::Kill(host, random.below(8) as usize))),
        }
    }
    events
}
