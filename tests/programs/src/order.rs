//! The order of servers: who may Send to whom, as ARCHITECTURE.md says it.
//!
//! The page holds the order as a block of its own: a line for each level, from the highest to the lowest, then the
//! exceptions as `except SENDER RECEIVER REQUEST`. A Send must go to a lower line. This file reads the block and
//! judges a Send by it; it is the only other place that knows what such a block looks like.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};

/// The name in the order of every program that is no service.
pub const COMMANDS: &str = "commands";
/// The name in the order of the kernel's servers.
pub const KERNEL: &str = "kernel";

const BEGIN: &str = "```order\n";
const END: &str = "```";
const EXCEPT: &str = "except";

/// Who may Send to whom.
#[derive(Debug)]
pub struct Order {
    /// Line by name; a Send must go to a line with a higher number.
    lines: BTreeMap<String, usize>,
    /// Sender, receiver and request of what is let through all the same.
    exceptions: BTreeSet<[String; 3]>,
}

impl Order {
    /// Reads the order out of a page.
    pub fn read(page: &str) -> Result<Order, String> {
        let (_, block) = page.split_once(BEGIN).ok_or("the page holds no order of servers")?;
        let (block, _) = block.split_once(END).ok_or("the order of servers does not end")?;
        let mut order = Order { lines: BTreeMap::new(), exceptions: BTreeSet::new() };
        for (number, line) in block.lines().enumerate() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next(), words.next(), words.next()) {
                (Some(EXCEPT), Some(sender), Some(receiver), Some(request), None) => {
                    order.exceptions.insert([sender, receiver, request].map(ToString::to_string));
                }
                (Some(EXCEPT), ..) => return Err(format!("'{line}': needs sender, receiver and request")),
                _ => {
                    for name in line.split_whitespace() {
                        if order.lines.insert(name.to_string(), number).is_some() {
                            return Err(format!("{name} stands twice in the order of servers"));
                        }
                    }
                }
            }
        }
        for name in [COMMANDS, KERNEL] {
            order.line(name)?;
        }
        for [sender, receiver, _] in &order.exceptions {
            order.line(sender)?;
            order.line(receiver)?;
        }
        Ok(order)
    }

    fn line(&self, name: &str) -> Result<usize, String> {
        self.lines.get(name).copied().ok_or_else(|| format!("{name} is not in the order of servers"))
    }

    /// Checks a Send of `request` between two teams.
    pub fn check(&self, sender: &str, receiver: &str, request: &str) -> Result<(), String> {
        let goes_down = self.line(sender)? < self.line(receiver)?;
        let excepted = || self.exceptions.contains(&[sender, receiver, request].map(ToString::to_string));
        if goes_down || sender == COMMANDS && receiver == COMMANDS || excepted() {
            Ok(())
        } else {
            Err(format!("{sender} sends {request} to {receiver}, against the order of servers"))
        }
    }

    /// The names in the order, without those of the kernel and of programs.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str).filter(|name| ![COMMANDS, KERNEL].contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "# A page\n```order\ncommands\nfile null\ndriver\nkernel\nexcept driver file Register\n```\nmore";

    #[test]
    fn sends_go_down_only() {
        let order = Order::read(PAGE).unwrap();
        for (sender, receiver, request) in [
            ("commands", "file", "Read"),
            ("commands", "kernel", "Map"),
            ("commands", "commands", "Own"),
            ("null", "driver", "Write"),
            ("driver", "kernel", "Map"),
            ("driver", "file", "Register"),
        ] {
            assert_eq!(order.check(sender, receiver, request), Ok(()));
        }
        for (sender, receiver, request) in [
            ("driver", "file", "Read"),
            ("driver", "null", "Register"),
            ("file", "null", "Read"),
            ("file", "file", "Read"),
            ("file", "commands", "Read"),
            ("kernel", "driver", "Read"),
            ("stranger", "kernel", "Read"),
            ("file", "stranger", "Read"),
        ] {
            assert!(order.check(sender, receiver, request).is_err(), "{sender} {receiver} {request}");
        }
    }

    #[test]
    fn a_page_without_a_sound_order_is_refused() {
        for (page, complaint) in [
            ("# A page", "no order"),
            ("```order\ncommands\nkernel", "does not end"),
            ("```order\ncommands a\na kernel\n```", "a stands twice"),
            ("```order\ncommands\n```", "kernel is not in"),
            ("```order\ncommands\nkernel\nexcept a\n```", "needs sender"),
            ("```order\ncommands\nkernel\nexcept a kernel Read\n```", "a is not in"),
        ] {
            let error = Order::read(page).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn the_page_of_this_repository_has_an_order() {
        let order = Order::read(include_str!("../../../ARCHITECTURE.md")).unwrap();
        let configuration = include_str!("../../../configuration/services");
        for service in configuration.lines().filter_map(|line| line.strip_prefix("service ")) {
            assert_eq!(order.line(service).map(|_| ()), Ok(()));
        }
    }
}
