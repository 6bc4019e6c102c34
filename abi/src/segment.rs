//! The piece of memory that a Send grants to whoever receives the message, until the reply.

/// Most bytes of a segment that come with a Receive, and most that go with a Reply. More takes a MoveTo or MoveFrom.
pub const HEAD_BYTES: u64 = 64 * 1024;

/// What the receiver may do with the sender's segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Access(pub u8);

impl Access {
    /// Nothing: no segment came along.
    pub const NONE: Access = Access(0);
    /// Read it: `MoveFrom`, and its head comes with the message.
    pub const READ: Access = Access(1);
    /// Write it: `MoveTo`, and a reply may carry data into it.
    pub const WRITE: Access = Access(2);
    /// Both.
    pub const READ_WRITE: Access = Access(3);

    /// Whether every access of `other` is in this one.
    #[inline]
    pub const fn contains(self, other: Access) -> bool {
        self.0 & other.0 == other.0
    }
}

const ACCESS_SHIFT: u32 = 62;
const BYTES_MASK: u64 = (1 << 48) - 1;

/// Length and access of a granted segment, as one register: bytes in the low 48 bits, access in the top two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Grant(u64);

impl Grant {
    /// No segment.
    pub const NONE: Grant = Grant(0);

    /// A grant of `bytes` (at most 2^48 - 1) with `access`.
    #[inline]
    pub const fn new(bytes: u64, access: Access) -> Grant {
        Grant(bytes & BYTES_MASK | (access.0 as u64) << ACCESS_SHIFT)
    }

    /// The register.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// From a register; every bit that means nothing is dropped.
    #[inline]
    pub const fn from_bits(bits: u64) -> Grant {
        Grant(bits & (BYTES_MASK | 3 << ACCESS_SHIFT))
    }

    /// Length in bytes.
    #[inline]
    pub const fn bytes(self) -> u64 {
        self.0 & BYTES_MASK
    }

    /// What is granted.
    #[inline]
    pub const fn access(self) -> Access {
        Access((self.0 >> ACCESS_SHIFT) as u8)
    }
}
