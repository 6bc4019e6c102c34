//! Packets between two logical hosts of this node: they come back instead of going out.
//!
//! They are written like any other, and given to the engine as having come from [`Address::Own`], which nothing else
//! does. So whatever passes between two logical hosts is the engine's to know and to move, wherever they are.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use vmtp::Destination;
use vmtp::encapsulation::Address;

use crate::Link;

/// Packets that wait at most. As each is dealt with before the engine is asked for another one, that is some for a packet
/// group; more are lost, as on the way.
const MOST_PACKETS: usize = 64;
/// Buffers that are kept for the next time.
const MOST_SPARE: usize = 4;
/// Packets that are dealt with before others have their turn.
pub const PACKETS_AT_ONCE: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub struct Loopback {
    packets: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

/// Whether a packet comes back.
#[inline]
pub fn is_own(destination: &Destination) -> bool {
    matches!(destination, Destination::Host(Address::Own))
}

impl Loopback {
    /// Whether none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The packet that waits longest.
    #[inline]
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        self.packets.pop_front()
    }

    /// Takes a packet's memory back.
    pub fn recycle(&mut self, packet: Vec<u8>) {
        if self.spare.len() < MOST_SPARE {
            self.spare.push(packet);
        }
    }
}

impl Link for Loopback {
    fn transmit(&mut self, _: &Destination, bytes: usize, fill: impl FnOnce(&mut [u8]) -> bool) {
        if self.packets.len() == MOST_PACKETS {
            return;
        }
        let mut packet = self.spare.pop().unwrap_or_default();
        packet.resize(bytes, 0);
        if fill(&mut packet) {
            self.packets.push_back(packet);
        }
    }
}
