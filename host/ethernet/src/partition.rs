//! Partitions: for some time, groups of nodes that don't hear each other.
//!
//! ```text
//! PARTITION = [ GROUP '|' GROUP { '|' GROUP } ] [ 'after' TIME ] [ 'for' TIME ]
//! GROUP     = NODES { ',' NODES }
//! NODES     = NUMBER [ '-' NUMBER ]
//! TIME      = DECIMAL ( 's' | 'ms' )
//! ```
//! `1 | 2-3 after 10s for 5s` separates node 1 from nodes 2 and 3, ten seconds after the network's start, for five
//! seconds. Without `after` it begins at the start, without `for` it lasts. Nodes that are in no group hear everyone;
//! without any group, node 1 is separated from all others. `after=10s,for=5s` is read as well.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::units::span;

/// The highest number that a node may have.
pub const MOST_NODES: usize = 64;

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Partition {
    /// The group of each node, by the node's place; `None` for those that it doesn't concern.
    groups: Vec<Option<usize>>,
    /// The group of all that `groups` has no place for.
    others: Option<usize>,
    begin: Duration,
    /// `None` if it lasts.
    end: Option<Duration>,
}

impl Partition {
    /// Whether it is between these two nodes at that time after the network's start.
    pub fn separates(&self, one: usize, other: usize, now: Duration) -> bool {
        let group = |node: usize| self.groups.get(node).copied().unwrap_or(self.others);
        let time = self.begin <= now && self.end.is_none_or(|end| now < end);
        time && matches!((group(one), group(other)), (Some(one), Some(other)) if one != other)
    }

    /// How many nodes there must be for all that it names to be there.
    pub fn nodes(&self) -> usize {
        self.groups.len() + usize::from(self.others.is_some())
    }
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Partition, String> {
        parse(text).map_err(|why| format!("{why}; a partition is, for example, `1 | 2-3 after 10s for 5s`"))
    }
}

impl TryFrom<String> for Partition {
    type Error = String;

    fn try_from(text: String) -> Result<Partition, String> {
        text.parse()
    }
}

fn parse(text: &str) -> Result<Partition, String> {
    let mut words = text.split_ascii_whitespace().peekable();
    let mut groups = String::new();
    while let Some(word) = words.next_if(|word| !word.starts_with(|begin: char| begin.is_ascii_alphabetic()))
    {
        groups += word;
    }
    let (mut begin, mut length) = (None, None);
    let times = words.collect::<Vec<_>>().join(" ");
    let mut words = times.split([' ', '=', ',']).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let place = match word {
            "after" => &mut begin,
            "for" => &mut length,
            _ => return Err(format!("`{word}` is neither `after` nor `for`")),
        };
        let time = span(words.next().ok_or_else(|| format!("a time is missing after `{word}`"))?)?;
        if place.replace(time).is_some() {
            return Err(format!("`{word}` is there twice"));
        }
    }
    let (groups, others) = match groups.as_str() {
        "" if !times.is_empty() => (vec![Some(0)], Some(1)),
        groups => (parse_groups(groups)?, None),
    };
    let begin = begin.unwrap_or_default();
    Ok(Partition { groups, others, begin, end: length.map(|length| begin + length) })
}

fn parse_groups(text: &str) -> Result<Vec<Option<usize>>, String> {
    let mut groups: Vec<Option<usize>> = Vec::new();
    let parts: Vec<&str> = text.split('|').collect();
    if parts.len() < 2 {
        return Err("at least two groups of nodes are needed, with `|` between".to_owned());
    }
    for (number, part) in parts.into_iter().enumerate() {
        for nodes in part.split(',') {
            let (first, last) = nodes.split_once('-').unwrap_or((nodes, nodes));
            for node in node_place(first)?..=node_place(last)? {
                if groups.len() <= node {
                    groups.resize(node + 1, None);
                }
                if groups[node].replace(number).is_some() {
                    return Err(format!("node {} is named twice", node + 1));
                }
            }
        }
        if !groups.contains(&Some(number)) {
            return Err(format!("`{part}` names no node"));
        }
    }
    Ok(groups)
}

/// The place, from 0, of the node with that number, from 1.
pub fn node_place(number: &str) -> Result<usize, String> {
    match number.parse() {
        Ok(number @ 1..=MOST_NODES) => Ok(number - 1),
        _ => Err(format!("`{number}` is no node: they are numbered from 1 to at most {MOST_NODES}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_there_between_its_groups_at_its_time() {
        let partition: Partition = "1|2-3 after 10s for 5s".parse().unwrap();
        assert_eq!(partition.nodes(), 3);
        for (one, other, seconds, separated) in [
            (0, 1, 9, false),
            (0, 1, 10, true),
            (2, 0, 14, true),
            (0, 2, 15, false),
            (1, 2, 12, false),
            (0, 3, 12, false),
        ] {
            assert_eq!(
                partition.separates(one, other, seconds * SECOND),
                separated,
                "{one} {other} {seconds}"
            );
        }
    }

    #[test]
    fn time_and_spaces_may_be_left_out() {
        let partition: Partition = " 1, 4 | 2 | 3 ".parse().unwrap();
        for (one, other, separated) in [(0, 3, false), (0, 1, true), (1, 2, true), (3, 2, true)] {
            assert_eq!(partition.separates(one, other, 1000 * SECOND), separated);
        }
        let late: Partition = "1|2 for 1s after 1s".parse().unwrap();
        assert_eq!(late, "1|2 after 1s for 1000ms".parse().unwrap());
        assert_eq!(late, "1|2 for=1s, after=1s".parse().unwrap());
    }

    #[test]
    fn without_groups_node_1_is_alone() {
        let partition: Partition = "after=2s,for=3s".parse().unwrap();
        assert_eq!(partition.nodes(), 2);
        for (one, other, separated) in [(0, 1, true), (9, 0, true), (1, 9, false), (0, 0, false)] {
            assert_eq!(partition.separates(one, other, 2 * SECOND), separated);
            assert!(!partition.separates(one, other, 5 * SECOND));
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, complaint) in [
            ("", "two groups"),
            ("1,2", "two groups"),
            ("1|", "is no node"),
            ("1|3-2", "`3-2` names no node"),
            ("1|0", "`0` is no node"),
            ("1|65", "`65` is no node"),
            ("1|1-2", "node 1 is named twice"),
            ("1|2 after", "a time is missing"),
            ("after=", "a time is missing"),
            ("after=5", "`5` is no time"),
            ("1|2 after 5", "`5` is no time"),
            ("1|2 after 5s after 6s", "twice"),
            ("1|2 until 5s", "neither `after` nor `for`"),
            ("1|2 after 5s 3", "neither"),
            ("1|2,", "is no node"),
        ] {
            let error = text.parse::<Partition>().unwrap_err();
            assert!(error.contains(complaint) && error.contains("for example"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_or_refused(text in "[0-9a-z|, .=-]{0,30}") {
            if let Ok(partition) = text.parse::<Partition>() {
                prop_assert!(partition.nodes() <= MOST_NODES);
            }
        }

        #[test]
        fn separation_is_mutual_and_never_from_oneself(one in 0..5_usize, other in 0..5_usize, seconds in 0..9_u32) {
            let partition: Partition = "1,5|2-3 after 2s for 3s".parse().unwrap();
            let now = seconds * SECOND;
            prop_assert_eq!(partition.separates(one, other, now), partition.separates(other, one, now));
            prop_assert!(!partition.separates(one, one, now));
        }
    }
}
