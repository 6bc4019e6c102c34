//! How much memory each node has, as `--memory` says it: `256` for all, `2:64` for one of them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::Deserialize;

use crate::network::partition::node_place;

/// Where nothing else is said.
const USUAL_MIB: u32 = 256;
/// What a node may have.
const POSSIBLE_MIB: RangeInclusive<u32> = 4..=1_048_576;

/// Memory of nodes, in MiB.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Memory {
    all_mib: u32,
    /// By the nodes' places.
    single_mib: BTreeMap<usize, u32>,
}

impl Memory {
    /// The same for every node.
    pub fn for_all(mib: u32) -> Memory {
        Memory { all_mib: mib, single_mib: BTreeMap::new() }
    }

    /// How many MiB the node at that place has.
    pub fn of(&self, node: usize) -> u32 {
        self.single_mib.get(&node).copied().unwrap_or(self.all_mib)
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::for_all(USUAL_MIB)
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Memory, String> {
        let mut memory = Memory::default();
        for part in text.split(',') {
            if let Some((node, size)) = part.split_once(':') {
                if memory.single_mib.insert(node_place(node)?, mib(size)?).is_some() {
                    return Err(format!("node {node} is there twice"));
                }
            } else {
                memory.all_mib = mib(part)?;
            }
        }
        Ok(memory)
    }
}

fn mib(text: &str) -> Result<u32, String> {
    let (least, most) = (POSSIBLE_MIB.start(), POSSIBLE_MIB.end());
    match text.parse() {
        Ok(mib) if POSSIBLE_MIB.contains(&mib) => Ok(mib),
        _ => Err(format!("`{text}` is no number of MiB from {least} to {most}")),
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}", self.all_mib)?;
        self.single_mib.iter().try_for_each(|(node, mib)| write!(formatter, ",{}:{mib}", node + 1))
    }
}

/// In a file it is a number or a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Text(String),
}

impl TryFrom<Written> for Memory {
    type Error = String;

    fn try_from(written: Written) -> Result<Memory, String> {
        match written {
            Written::Number(number) => number.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_nodes_may_have_another_size() {
        for (text, first, second, written) in [
            ("64", 64, 64, "64"),
            ("1:128,2:64", 128, 64, "256,1:128,2:64"),
            ("2:64,512", 512, 64, "512,2:64"),
        ] {
            let memory: Memory = text.parse().unwrap();
            assert_eq!((memory.of(0), memory.of(1)), (first, second), "{text}");
            assert_eq!(memory.to_string(), written);
            assert_eq!(written.parse(), Ok(memory));
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, complaint) in [
            ("", "no number of MiB from 4 to 1048576"),
            ("3", "`3` is no number of MiB"),
            ("0:64", "`0` is no node"),
            ("1:64,1:65", "twice"),
            ("1:", "`` is no number"),
            ("64MiB", "`64MiB`"),
        ] {
            assert!(text.parse::<Memory>().unwrap_err().contains(complaint), "{text}");
        }
    }
}
