//! What is on the wire: a header of 64 bytes, segment data, a checksum of 4 bytes (RFC 1045, chapter 3).
//!
//! | file | what |
//! |---|---|
//! | `header` | the VMTP control block |
//! | `message` | the message control block in it, and its code |
//! | `mask` | which blocks of a segment a packet holds |
//! | `checksum` | two ones-complement sums |
//! | `assemble` | a packet from its description and its segment, and back |

mod assemble;
pub mod checksum;
pub mod header;
pub mod mask;
pub mod message;

pub use assemble::{Packet, PacketError, assemble};
pub(crate) use assemble::{assemble_bare, parse_plain};
pub use header::{Control, Function, Header};
pub use message::Message;

/// Bytes of the header, control block and message together.
pub const HEADER_BYTES: usize = 64;
/// Bytes of the checksum at the end.
pub const CHECKSUM_BYTES: usize = 4;
/// Bytes of a block, the unit of delivery.
pub const BLOCK_BYTES: usize = 512;
/// Blocks of a packet group.
pub const GROUP_BLOCKS: usize = 32;
/// Bytes of a packet group's share of the segment.
pub const GROUP_BYTES: usize = BLOCK_BYTES * GROUP_BLOCKS;
/// Packet groups of a message, at most.
pub const MESSAGE_GROUPS: usize = 256;
/// Bytes of a segment, at most.
pub const SEGMENT_BYTES: usize = GROUP_BYTES * MESSAGE_GROUPS;
/// Bytes of the smallest packet that carries a block: every network must take it.
pub const SMALLEST_MTU_BYTES: usize = HEADER_BYTES + BLOCK_BYTES + CHECKSUM_BYTES;
