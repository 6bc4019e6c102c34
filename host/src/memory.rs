//! How much memory each node has, as `--memory` says it.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::per_node::PerNode;

/// Where nothing else is said.
const USUAL_MIB: u32 = 256;
/// What a node may have.
const POSSIBLE_MIB: RangeInclusive<u32> = 4..=1_048_576;

/// Memory of nodes.
pub type Memory = PerNode<Mib>;

/// A size in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mib(pub u32);

impl Default for Mib {
    fn default() -> Mib {
        Mib(USUAL_MIB)
    }
}

impl From<u32> for Mib {
    fn from(mib: u32) -> Mib {
        Mib(mib)
    }
}

impl FromStr for Mib {
    type Err = String;

    fn from_str(text: &str) -> Result<Mib, String> {
        let (least, most) = (POSSIBLE_MIB.start(), POSSIBLE_MIB.end());
        match text.parse() {
            Ok(mib) if POSSIBLE_MIB.contains(&mib) => Ok(Mib(mib)),
            _ => Err(format!("`{text}` is no number of MiB from {least} to {most}")),
        }
    }
}

impl fmt::Display for Mib {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
