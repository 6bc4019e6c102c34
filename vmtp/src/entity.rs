//! Entity identifiers (RFC 1045, 3.1 and IV): 64 bits that name a client, a server or a group of servers.
//!
//! The engine looks at two things only: whether an identifier names a group, and which *logical host* it belongs to.
//! Logical hosts are what has an address on the network, lives, dies and migrates. The rest is opaque.

use core::fmt;

const GROUP_BIT: u64 = 1 << 62;
/// Of an individual: it sends its words in little-endian order (RFC 1045, LEE).
const LITTLE_ENDIAN_BIT: u64 = 1 << 61;
const HOST_SHIFT: u32 = 32;

/// A client, a server, or a group of servers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct EntityId(u64);

/// What has an address on the network: 28 bits, chosen at random by the host that claims it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
#[repr(transparent)]
pub struct LogicalHost(u32);

impl LogicalHost {
    /// Bits of a number.
    pub const BITS: u32 = 28;
    /// The numbers below belong to well-known entities and are never claimed.
    pub const FIRST_CLAIMABLE: u32 = 2;
    /// The number above says "all of them" to some and is never claimed.
    pub const LAST_CLAIMABLE: u32 = (1 << LogicalHost::BITS) - 2;

    /// A logical host from its number; bits beyond the 28th are dropped.
    pub const fn from_bits(bits: u32) -> LogicalHost {
        LogicalHost(bits & ((1 << LogicalHost::BITS) - 1))
    }

    /// The 28-bit number.
    pub const fn to_bits(self) -> u32 {
        self.0
    }
}

impl EntityId {
    /// Nobody: never allocated in any domain.
    pub const NONE: EntityId = EntityId(0);
    /// The managers of all hosts (RG-1-224.0.1.0).
    pub const MANAGER_GROUP: EntityId = EntityId(0x4000_0001_e000_0100);
    /// The client of a host that has no identifier yet (LE-1-224.0.1.0).
    pub const DEFAULT_CLIENT: EntityId = EntityId(0x2000_0001_e000_0100);

    /// Any 64 bits.
    pub const fn from_bits(bits: u64) -> EntityId {
        EntityId(bits)
    }

    /// The 64 bits.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The manager of `host`: the individual in whose name the engine there asks and answers. Its low 32 bits are
    /// reserved for it on every host.
    pub const fn manager_of(host: LogicalHost) -> EntityId {
        EntityId(LITTLE_ENDIAN_BIT | (host.0 as u64) << HOST_SHIFT | 0xffff)
    }

    /// Whether this is the manager of some host.
    pub const fn is_manager(self) -> bool {
        self.0 == EntityId::manager_of(self.host()).0
    }

    /// Whether this is [`EntityId::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether this names a group.
    pub const fn is_group(self) -> bool {
        self.0 & GROUP_BIT != 0
    }

    /// The logical host that this belongs to; of a group, its creator's.
    pub const fn host(self) -> LogicalHost {
        LogicalHost::from_bits((self.0 >> HOST_SHIFT) as u32)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = if self.is_group() { "g" } else { "" };
        write!(f, "{letter}{:x}.{:x}", self.host().0, self.0 as u32)
    }
}
