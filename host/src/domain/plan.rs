//! What may be done to a domain's nodes while they run, and who wants it when.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use anyhow::Result;

use crate::damage::Damage;
use crate::gdb::Debugged;
use ethernet::partition::node_place;

/// Something to be done. Nodes are meant by their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Pull a node's network cable.
    Pull(usize),
    /// Plug it in again.
    Plug(usize),
    /// Cut a node's power.
    PowerOff(usize),
    /// Give it power again.
    PowerOn(usize),
    /// Cut it and give it again.
    PowerCycle(usize),
    /// Damage the volume on a node's first disk.
    Damage(usize, Damage),
    /// Debug, in GDB's place, a program that waits for it on a node.
    Debug(usize, Debugged),
    /// Type at a node's console.
    Type(usize, String),
    /// Press keys on a node's keyboard.
    Press(usize, String),
    /// Let a node's session have the text on its screen.
    Look(usize),
    /// End the domain, all being well.
    Finish,
}

/// What is to happen to a domain, apart from what its nodes do.
pub trait Plan {
    /// When it wants to be asked again, at the latest.
    fn wake(&self) -> Option<Instant>;
    /// The next thing to be done now, if there is one.
    fn next(&mut self, now: Instant) -> Option<Action>;
}

/// A plan in which nothing happens.
#[derive(Clone, Copy, Debug)]
pub struct NoPlan;

impl Plan for NoPlan {
    fn wake(&self) -> Option<Instant> {
        None
    }

    fn next(&mut self, _now: Instant) -> Option<Action> {
        None
    }
}

/// What can be asked for by name, each followed by a node's number.
const NAMES: [&str; 5] = ["pull", "plug", "power-off", "power-on", "power-cycle"];

/// As these, and what is damaged follows, or debugged.
const DAMAGE: &str = "damage";
const DEBUG: &str = "debug";

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Action, String> {
        let (name, number) = text.trim().split_once(' ').unwrap_or((text, ""));
        let (node, what) = number.trim().split_once(' ').unwrap_or((number, ""));
        match name {
            DAMAGE => return Ok(Action::Damage(node_place(node)?, what.parse()?)),
            DEBUG => return Ok(Action::Debug(node_place(node)?, what.parse()?)),
            _ => {}
        }
        let action = match name {
            "pull" => Action::Pull,
            "plug" => Action::Plug,
            "power-off" => Action::PowerOff,
            "power-on" => Action::PowerOn,
            "power-cycle" => Action::PowerCycle,
            _ => {
                let known = [&NAMES[..], &[DAMAGE, DEBUG]].concat().join(", ");
                return Err(format!("`{name}` is nothing that can be done to a node: there are {known}"));
            }
        };
        node_place(number.trim()).map(action)
    }
}

impl Action {
    /// The node that it is about.
    pub fn node(&self) -> Option<usize> {
        match *self {
            Action::Pull(node)
            | Action::Plug(node)
            | Action::PowerOff(node)
            | Action::PowerOn(node)
            | Action::PowerCycle(node)
            | Action::Damage(node, _)
            | Action::Debug(node, _)
            | Action::Type(node, _)
            | Action::Press(node, _)
            | Action::Look(node) => Some(node),
            Action::Finish => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Action::Pull(_) => write!(formatter, "the cable is pulled"),
            Action::Plug(_) => write!(formatter, "the cable is plugged"),
            Action::PowerOff(_) => write!(formatter, "the power is cut"),
            Action::PowerOn(_) => write!(formatter, "the power is on"),
            Action::PowerCycle(_) => write!(formatter, "the power is cut and on again"),
            Action::Damage(_, damage) => damage.fmt(formatter),
            Action::Debug(_, debugged) => debugged.fmt(formatter),
            Action::Type(_, text) => write!(formatter, "typed: {text:?}"),
            Action::Press(_, text) => write!(formatter, "pressed: {text:?}"),
            Action::Look(_) => write!(formatter, "the screen is looked at"),
            Action::Finish => write!(formatter, "finished"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read_by_name() {
        assert_eq!("pull 2".parse(), Ok(Action::Pull(1)));
        assert_eq!(" power-cycle  1 ".parse(), Ok(Action::PowerCycle(0)));
        assert_eq!("damage 2 superblock".parse(), Ok(Action::Damage(1, Damage::Superblock)));
        let debugged = "crash a::b".parse().unwrap();
        assert_eq!("debug 1 crash a::b".parse(), Ok(Action::Debug(0, debugged)));
        assert!(NAMES.iter().all(|name| format!("{name} 3").parse::<Action>().unwrap().node() == Some(2)));
        for (text, complaint) in [
            ("pull", "`` is no node"),
            ("pull 0", "`0` is no node"),
            ("push 2", "there are pull, plug, power-off"),
        ] {
            assert!(text.parse::<Action>().unwrap_err().contains(complaint), "{text}");
        }
    }
}
