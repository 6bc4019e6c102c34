//! How nodes are connected: what card each has, and which domain it is in, as `--card` and `--domain` say it.

use std::fmt;
use std::str::FromStr;

use crate::per_node::PerNode;

/// Domains have 13 bits in VMTP's packets.
const LAST_DOMAIN: u16 = 0x1fff;
/// The domain where nothing else is said.
const USUAL_DOMAIN: u16 = 3;

/// A kind of network card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CardKind {
    /// Virtio's.
    #[default]
    Virtio,
    /// Intel's 82540EM, which old PCs have.
    E1000,
    /// Intel's 82574L.
    E1000e,
}

impl CardKind {
    const ALL: [CardKind; 3] = [CardKind::Virtio, CardKind::E1000, CardKind::E1000e];

    const fn name(self) -> &'static str {
        match self {
            CardKind::Virtio => "virtio",
            CardKind::E1000 => "e1000",
            CardKind::E1000e => "e1000e",
        }
    }
}

impl FromStr for CardKind {
    type Err = String;

    fn from_str(text: &str) -> Result<CardKind, String> {
        let kind = CardKind::ALL.into_iter().find(|kind| kind.name() == text);
        kind.ok_or_else(|| format!("`{text}` is no card; there are virtio, e1000 and e1000e"))
    }
}

impl fmt::Display for CardKind {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The number of a domain. Nodes of different domains don't hear each other, also on one wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainNumber(pub u16);

impl Default for DomainNumber {
    fn default() -> DomainNumber {
        DomainNumber(USUAL_DOMAIN)
    }
}

impl FromStr for DomainNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<DomainNumber, String> {
        let number = text.parse().ok().filter(|number| *number <= LAST_DOMAIN);
        number.map(DomainNumber).ok_or_else(|| format!("`{text}` is no domain from 0 to {LAST_DOMAIN}"))
    }
}

impl fmt::Display for DomainNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How the nodes are connected.
#[derive(Clone, Debug, Default)]
pub struct Wiring {
    /// Their cards.
    pub card: PerNode<CardKind>,
    /// Their domains.
    pub domain: PerNode<DomainNumber>,
}

impl Wiring {
    /// The highest number of a node that is named.
    pub fn nodes_named(&self) -> usize {
        self.card.nodes_named().max(self.domain.nodes_named())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_may_differ() {
        let cards: PerNode<CardKind> = "2:e1000".parse().unwrap();
        assert_eq!((cards.of(0), cards.of(1)), (&CardKind::Virtio, &CardKind::E1000));
        let domains: PerNode<DomainNumber> = "3:8191".parse().unwrap();
        assert_eq!((domains.of(0).0, domains.of(2).0), (USUAL_DOMAIN, 8191));
        assert_eq!(Wiring { card: cards, domain: domains }.nodes_named(), 3);
    }

    #[test]
    fn mistakes_are_named() {
        let complaint = "e1001".parse::<CardKind>().unwrap_err();
        assert!(complaint.contains("virtio, e1000 and e1000e"), "{complaint}");
        for text in ["8192", "-1", "", "x"] {
            assert!(text.parse::<DomainNumber>().unwrap_err().contains("8191"), "{text}");
        }
    }
}
