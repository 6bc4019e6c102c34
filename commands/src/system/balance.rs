//! `balance`: moves guests from busy nodes to idle ones, for as long as it runs.
//!
//! Any program may do the same: this one only reads what program managers tell of their loads and asks them to move guests,
//! as `migrateprog` does. What it decides is [`Balance`], which has no clock and no network.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use abi::{LogicalHost, Pid};
use v::process::{self, Place};

use super::hosts::network_failure;
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "balance",
        synopsis: "[--every SECONDS] [--difference PERCENT] [--once]",
        summary: "Moves guests from busy nodes to idle ones, for as long as it runs.",
        details: "Every so many seconds (2) it looks at the load of each node: how busy its processor was, once for the\n\
                  node and once for each guest. Where the busiest node's load is more than so many percent (100) above the most idle one's\n\
                  three times in a row, one guest moves; a guest that has moved rests for five looks. Start it with & to have it\n\
                  in the background. Each move is a line of output.",
        choices: &[
            Choice {
                letter: '\0',
                long: "every",
                value: Some("SECONDS"),
                help: "How often to look, from 1 to 3600.",
            },
            Choice {
                letter: '\0',
                long: "difference",
                value: Some("PERCENT"),
                help: "What difference of loads is too much, from 10 to 10000.",
            },
            Choice {
                letter: '\0',
                long: "once",
                value: None,
                help: "Look until one guest has moved or none has to.",
            },
        ],
        operands: (0, 0),
    },
    body: balance,
};

/// How often in a row a difference must be seen.
const PATIENCE: u32 = 3;
/// For how many looks a guest that has moved stays.
const REST: u32 = 5;

/// What is seen of a node.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which.
    pub host: LogicalHost,
    /// Its load, in percent.
    pub load_percent: u32,
    /// Its guests.
    pub guests: Vec<Pid>,
}

/// What is to be done: a guest is to go to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// Which guest.
    pub guest: Pid,
    /// Where to.
    pub to: LogicalHost,
}

/// Decides, look after look.
#[derive(Debug)]
pub struct Balance {
    difference_percent: u32,
    /// The busiest node in the last looks, and in how many of them it was too busy.
    suspect: Option<(LogicalHost, u32)>,
    /// Guests that have moved, and for how many looks they still stay.
    resting: Vec<(Pid, u32)>,
}

impl Balance {
    /// One that moves a guest where loads differ by more than so much.
    pub const fn new(difference_percent: u32) -> Balance {
        Balance { difference_percent, suspect: None, resting: Vec::new() }
    }

    /// Looks at the nodes: which guest is to move now, if one is.
    pub fn look(&mut self, nodes: &[Seen]) -> Option<Wish> {
        self.resting.retain_mut(|(_, looks)| {
            *looks -= 1;
            *looks > 0
        });
        let busiest = nodes.iter().max_by_key(|node| node.load_percent)?;
        let idlest = nodes.iter().min_by_key(|node| node.load_percent)?;
        if busiest.load_percent <= idlest.load_percent.saturating_add(self.difference_percent) {
            self.suspect = None;
            return None;
        }
        let times = self.suspect.filter(|(host, _)| *host == busiest.host).map_or(0, |(_, times)| times) + 1;
        self.suspect = Some((busiest.host, times));
        if times < PATIENCE {
            return None;
        }
        let is_resting = |guest: &&Pid| self.resting.iter().any(|(resting, _)| resting == *guest);
        let guest = *busiest.guests.iter().find(|guest| !is_resting(guest))?;
        self.suspect = None;
        self.resting.push((guest, REST));
        Some(Wish { guest, to: idlest.host })
    }

    /// Whether it would look on.
    pub const fn is_suspicious(&self) -> bool {
        self.suspect.is_some()
    }
}

fn balance(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let every = number(arguments, "every", 1..=3600, 2)?;
    let mut balance = Balance::new(number(arguments, "difference", 10..=10_000, 100)?);
    loop {
        let (nodes, names) = look()?;
        if let Some(wish) = balance.look(&nodes) {
            let name = names.iter().find(|(host, _)| *host == wish.to).map_or("?", |(_, name)| name);
            match process::migrate(wish.guest, &Place::Node(name.into())) {
                Ok(_) => context.output.write_all(format!("{} -> {name}\n", wish.guest).as_bytes())?,
                Err(error) => context.complain(&format!("{}", wish.guest), error),
            }
            if arguments.has("once") {
                return Ok(());
            }
        }
        if arguments.has("once") && !balance.is_suspicious() {
            return Ok(());
        }
        v::time::sleep(Duration::from_secs(every.into()))?;
    }
}

type Names = Vec<(LogicalHost, String)>;

/// Asks all nodes. One that does not answer is not seen.
fn look() -> Result<(Vec<Seen>, Names), crate::context::Failure> {
    let (mut nodes, mut names) = (Vec::new(), Vec::new());
    for record in v::node::all().map_err(|error| network_failure("[network]", error))? {
        let Ok(programs) = process::programs_of(record.logical_host) else { continue };
        let guests = programs.running.iter().filter(|program| program.is_guest);
        nodes.push(Seen {
            host: record.logical_host,
            load_percent: programs.load_percent,
            guests: guests.map(|program| program.program).collect(),
        });
        names.push((record.logical_host, record.name().unwrap_or("?").into()));
    }
    Ok((nodes, names))
}

fn number(
    arguments: &Arguments,
    option: &str,
    range: core::ops::RangeInclusive<u32>,
    default: u32,
) -> Result<u32, Misuse> {
    let Some(text) = arguments.value(option) else { return Ok(default) };
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        Misuse(format!("--{option} is a number from {} to {}, not '{text}'", range.start(), range.end()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn host(number: u32) -> LogicalHost {
        LogicalHost::from_bits(number)
    }

    fn guest(number: u32) -> Pid {
        Pid::guest(host(100 + number), Pid::FIRST_GUEST_NUMBER)
    }

    fn nodes(loads: [u32; 3]) -> Vec<Seen> {
        let guests = [vec![guest(1), guest(2)], vec![], vec![guest(3)]];
        let seen = |(at, guests)| Seen { host: host(at as u32 + 1), load_percent: loads[at], guests };
        guests.into_iter().enumerate().map(seen).collect()
    }

    #[test]
    fn a_busy_node_gives_a_guest_to_an_idle_one_when_it_stays_busy() {
        let mut balance = Balance::new(100);
        assert_eq!(balance.look(&nodes([300, 0, 100])), None);
        assert_eq!(balance.look(&nodes([300, 0, 100])), None);
        assert_eq!(balance.look(&nodes([300, 0, 100])), Some(Wish { guest: guest(1), to: host(2) }));
        assert!(!balance.is_suspicious());
    }

    #[test]
    fn a_short_burst_moves_nothing() {
        let mut balance = Balance::new(100);
        for _ in 0..10 {
            assert_eq!(balance.look(&nodes([300, 0, 100])), None);
            assert_eq!(balance.look(&nodes([300, 0, 100])), None);
            assert_eq!(balance.look(&nodes([100, 0, 100])), None);
        }
    }

    #[test]
    fn what_has_moved_rests_and_nothing_moves_back_and_forth() {
        let mut balance = Balance::new(100);
        let mut moves = Vec::new();
        let mut loads = nodes([300, 0, 0]);
        for _ in 0..40 {
            if let Some(wish) = balance.look(&loads) {
                moves.push(wish.guest);
                for node in &mut loads {
                    node.guests.retain(|guest| *guest != wish.guest);
                }
                let to = loads.iter_mut().find(|node| node.host == wish.to).unwrap();
                to.guests.push(wish.guest);
                for node in &mut loads {
                    node.load_percent = 100 * (node.guests.len() as u32);
                }
            }
        }
        assert_eq!(moves, [guest(1)], "then no two nodes differ by more than one guest");
    }

    #[test]
    fn a_busy_node_without_guests_can_give_none() {
        let mut balance = Balance::new(100);
        for _ in 0..10 {
            assert_eq!(balance.look(&nodes([0, 400, 0])), None);
        }
        assert!(balance.is_suspicious());
        assert_eq!(Balance::new(100).look(&[]), None);
    }
}
