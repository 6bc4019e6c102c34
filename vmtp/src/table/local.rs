//! The few logical hosts that are local, and a quick no for nearly all that are not.

use alloc::vec::Vec;

use crate::LogicalHost;

/// See the module. In the order of arrival.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LocalHosts {
    list: Vec<LogicalHost>,
    /// A bit for each, by the low bits of its number, which is random.
    filter: u64,
}

const fn filter_bit(host: LogicalHost) -> u64 {
    1 << (host.to_bits() % u64::BITS)
}

impl LocalHosts {
    /// None, and room for `count`.
    pub fn new(count: usize) -> LocalHosts {
        LocalHosts { list: Vec::with_capacity(count), filter: 0 }
    }

    /// Whether `host` is one of them.
    #[inline]
    pub fn contains(&self, host: LogicalHost) -> bool {
        self.filter & filter_bit(host) != 0 && self.list.contains(&host)
    }

    /// The first of them.
    pub fn first(&self) -> Option<LogicalHost> {
        self.list.first().copied()
    }

    /// Adds `host`, which is none of them.
    pub fn add(&mut self, host: LogicalHost) {
        self.list.push(host);
        self.filter |= filter_bit(host);
    }

    /// Takes `host` out.
    pub fn remove(&mut self, host: LogicalHost) {
        self.list.retain(|local| *local != host);
        self.filter = self.list.iter().fold(0, |filter, local| filter | filter_bit(*local));
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn like_a_tree_set(steps in prop::collection::vec((0..200u32, any::<bool>()), 0..60)) {
            let (mut hosts, mut model) = (LocalHosts::new(200), BTreeSet::new());
            for (number, add) in steps {
                let host = LogicalHost::from_bits(number);
                if !add {
                    hosts.remove(host);
                    model.remove(&host);
                } else if model.insert(host) {
                    hosts.add(host);
                }
                for number in 0..200 {
                    let host = LogicalHost::from_bits(number);
                    prop_assert_eq!(hosts.contains(host), model.contains(&host));
                }
            }
        }
    }
}
