//! What each node has of something, as options say it: `256` for all, `2:64` for one of them, `256,2:64` for both.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use ethernet::partition::node_place;

/// A value for every node, and other values for single ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written", bound(deserialize = "T: Default + FromStr<Err = String>"))]
pub struct PerNode<T> {
    all: T,
    /// By the nodes' places.
    single: BTreeMap<usize, T>,
}

impl<T> PerNode<T> {
    /// The same for every node.
    pub fn for_all(value: impl Into<T>) -> PerNode<T> {
        PerNode { all: value.into(), single: BTreeMap::new() }
    }

    /// What the node at that place has.
    pub fn of(&self, node: usize) -> &T {
        self.single.get(&node).unwrap_or(&self.all)
    }

    /// The highest number of a node that is named.
    pub fn nodes_named(&self) -> usize {
        self.single.last_key_value().map_or(0, |(node, _)| node + 1)
    }
}

impl<T: Default + FromStr<Err = String>> FromStr for PerNode<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<PerNode<T>, String> {
        let mut values = PerNode::<T>::default();
        for part in text.split(',') {
            if let Some((node, value)) = part.split_once(':') {
                if values.single.insert(node_place(node)?, value.parse()?).is_some() {
                    return Err(format!("node {node} is there twice"));
                }
            } else {
                values.all = part.parse()?;
            }
        }
        Ok(values)
    }
}

impl<T: fmt::Display> fmt::Display for PerNode<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}", self.all)?;
        self.single.iter().try_for_each(|(node, value)| write!(formatter, ",{}:{value}", node + 1))
    }
}

/// In a file it is a number or a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Text(String),
}

impl<T: Default + FromStr<Err = String>> TryFrom<Written> for PerNode<T> {
    type Error = String;

    fn try_from(written: Written) -> Result<PerNode<T>, String> {
        match written {
            Written::Number(number) => number.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::Memory;

    #[test]
    fn single_nodes_may_have_another_value() {
        for (text, first, second, written) in [
            ("64", 64, 64, "64"),
            ("1:128,2:64", 128, 64, "256,1:128,2:64"),
            ("2:64,512", 512, 64, "512,2:64"),
        ] {
            let memory: Memory = text.parse().unwrap();
            assert_eq!((memory.of(0).0, memory.of(1).0), (first, second), "{text}");
            assert_eq!(memory.to_string(), written);
            assert_eq!(written.parse(), Ok(memory));
        }
    }

    #[test]
    fn the_last_node_that_is_named_is_known() {
        for (text, last) in [("64", 0), ("3:64,1:64", 3)] {
            assert_eq!(text.parse::<Memory>().unwrap().nodes_named(), last, "{text}");
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
