//! What carries a packet: Ethernet frames of type 0x805B in a local domain, UDP beyond it.
//!
//! But for [`Address::Own`], the engine knows an [`Address`] only as something to compare, keep and hand back. `ethernet` and `udp` put a
//! packet's bytes into a frame and take them out.

pub mod ethernet;
pub mod udp;

/// Where packets of a host are sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Address {
    /// This node itself, of which several logical hosts are local: what is sent there is handed back to the engine as it
    /// is, as having come from there. Nothing that comes by a network does.
    Own,
    /// A station on the local Ethernet.
    Ethernet([u8; 6]),
    /// A UDP port of an IPv4 address.
    Udp4([u8; 4], u16),
    /// A UDP port of an IPv6 address.
    Udp6([u8; 16], u16),
}

impl Address {
    /// Whether this is [`Address::Own`].
    #[inline(always)]
    pub const fn is_own(&self) -> bool {
        matches!(self, Address::Own)
    }

    /// Whether this is `other`, which is nearly always a station.
    #[inline(always)]
    pub(crate) fn is(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Ethernet(own), Address::Ethernet(other)) => own == other,
            _ => self.is_beyond(other),
        }
    }

    #[cold]
    fn is_beyond(&self, other: &Address) -> bool {
        self == other
    }
}
