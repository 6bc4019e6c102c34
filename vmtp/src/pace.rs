//! Rate control (RFC 1045, 2.5.6): the gap between packets to a host, widened where of a message's groups more than one
//! in eight lose something, narrowed by success.
//!
//! A gap is told in 1/32 of the time that the largest packet takes. No timer is that fine: packets go out in bursts
//! that keep to the gap on average over a millisecond. Without loss the gap is 0, and nothing of this costs anything.

use crate::engine::Engine;

/// How long a host's unused time counts, and the shortest wait.
const BURST_NS: u64 = 1_000_000;
/// The least gap after a loss.
const FIRST_GAP: u8 = 8;

impl Engine {
    /// Whether a packet with data must wait before it may go to host `index`, and until when. If not, it counts.
    pub(crate) fn pace(&mut self, index: usize, wanted_gap: u8) -> Option<u64> {
        let host = &mut self.hosts[index];
        let gap = host.gap.max(wanted_gap);
        if gap == 0 {
            return None;
        }
        let packet_ns = self.configuration.packet_time_ns;
        if host.pace_ns > self.now_ns {
            return Some(self.now_ns + BURST_NS);
        }
        let from_ns = host.pace_ns.max(self.now_ns.saturating_sub(BURST_NS));
        host.pace_ns = from_ns + packet_ns + u64::from(gap) * packet_ns / 32;
        None
    }

    /// Of what was sent to host `index` much was lost.
    pub(crate) fn widen_gap(&mut self, index: usize) {
        let gap = &mut self.hosts[index].gap;
        *gap = gap.saturating_mul(2).max(FIRST_GAP);
    }

    /// A message got to host `index` whole.
    pub(crate) fn narrow_gap(&mut self, index: usize) {
        let gap = &mut self.hosts[index].gap;
        *gap = gap.saturating_sub(1 + *gap / 8);
    }

    /// Of a response from host `index` much was lost: it will be asked for a wider gap.
    pub(crate) fn widen_wanted_gap(&mut self, index: usize) {
        let gap = &mut self.hosts[index].wanted_gap;
        *gap = gap.saturating_mul(2).max(FIRST_GAP);
    }

    /// A response from host `index` came whole.
    pub(crate) fn narrow_wanted_gap(&mut self, index: usize) {
        let gap = &mut self.hosts[index].wanted_gap;
        *gap = gap.saturating_sub(1 + *gap / 8);
    }
}
