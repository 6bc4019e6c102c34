//! The message control block: eight 32-bit words (RFC 1045, 3.3), of which the protocol reads the code's flags and,
//! where these say so, the co-resident entity, the delivery mask and the segment's size.

use crate::EntityId;

/// Deliver only if the receiver is waiting (CMD).
pub const CONDITIONAL: u32 = 1 << 31;
/// Request: no response is awaited. Response: the request may be carried out again (DGM).
pub const DATAGRAM: u32 = 1 << 30;
/// Word 6 says which blocks of the segment are sent, and partial delivery will do (MDM).
pub const DELIVERY_MASK: u32 = 1 << 29;
/// A segment is appended, its size in word 7 (SDA).
pub const SEGMENT: u32 = 1 << 28;
/// Words 1 and 2 name an entity that the server must live with (CRE).
pub const CO_RESIDENT: u32 = 1 << 26;
/// More than one response is wanted (MRD).
pub const MULTIPLE_RESPONSES: u32 = 1 << 25;
/// The code is defined by a public standard (PIC).
pub const PUBLIC: u32 = 1 << 24;
/// The bits of word 0 that are the code itself.
pub const CODE_MASK: u32 = 0x00ff_ffff;

/// The message control block, in the host's byte order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Message {
    /// Code with its flags; co-resident entity or user data; user data; delivery mask or user data; segment size or
    /// user data.
    pub words: [u32; 8],
}

impl Message {
    /// Whether all of `flags` are set in the code.
    pub const fn has(&self, flags: u32) -> bool {
        self.words[0] & flags == flags
    }

    /// The code without its flags.
    pub const fn code(&self) -> u32 {
        self.words[0] & CODE_MASK
    }

    /// Bytes of the segment; 0 without one.
    pub const fn segment_bytes(&self) -> u32 {
        if self.has(SEGMENT) { self.words[7] } else { 0 }
    }

    /// The entity in words `at` and `at + 1`.
    pub const fn entity(&self, at: usize) -> EntityId {
        EntityId::from_bits((self.words[at] as u64) << 32 | self.words[at + 1] as u64)
    }

    /// Puts `entity` into words `at` and `at + 1`.
    pub const fn set_entity(&mut self, at: usize, entity: EntityId) {
        self.words[at] = (entity.to_bits() >> 32) as u32;
        self.words[at + 1] = entity.to_bits() as u32;
    }

    /// The entity that the server must live with, if the message names one.
    pub fn co_resident(&self) -> Option<EntityId> {
        self.has(CO_RESIDENT).then(|| self.entity(1))
    }
}
