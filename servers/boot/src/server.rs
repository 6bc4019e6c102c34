//! The whole of it: what frames ask for, and what frames answer.

use alloc::vec::Vec;

use smoltcp::wire::{EthernetAddress, Ipv4Address};

use crate::dhcp::{self, Leases};
use crate::tftp;
use crate::transfers::{Files, Sent, Transfers};
use crate::wire::{Datagram, End, MOST_DATA_BYTES, datagram};

/// The server on one card.
#[derive(Debug)]
pub struct BootServer<F> {
    station: EthernetAddress,
    leases: Leases,
    transfers: Transfers<F>,
}

impl<F> BootServer<F> {
    /// A server with the card of this address.
    pub fn new(station: EthernetAddress) -> BootServer<F> {
        BootServer { station, leases: Leases::default(), transfers: Transfers::default() }
    }

    /// Takes a frame, and returns the one that answers it.
    pub fn take_frame(
        &mut self,
        now_ns: u64,
        frame: &[u8],
        files: &mut impl Files<File = F>,
    ) -> Option<Vec<u8>> {
        let Datagram { from, to, data } = Datagram::parse(frame)?;
        if !from.station.is_unicast() || to.station != self.station && !to.station.is_broadcast() {
            return None;
        }
        if to.port == dhcp::SERVER_PORT {
            let answer = self.leases.answer(data)?;
            let client = End { address: Ipv4Address::BROADCAST, port: dhcp::CLIENT_PORT, ..from };
            return Some(self.frame((dhcp::SERVER_PORT, client, answer)));
        }
        let is_ours = to.address == dhcp::SERVER && to.station == self.station;
        if !is_ours || from.address.is_broadcast() || from.address.is_multicast() || from.port == 0 {
            return None;
        }
        let sent = self.transfers.take(now_ns, from, to.port, data, files)?;
        Some(self.frame(sent))
    }

    /// Frames that are to be sent again now.
    pub fn late(&mut self, now_ns: u64) -> Vec<Vec<u8>> {
        self.transfers.late(now_ns).into_iter().map(|sent| self.frame(sent)).collect()
    }

    /// When [`BootServer::late`] wants to be called; none if never.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.transfers.next_deadline_ns()
    }

    /// How many files are on their way.
    pub fn transfers(&self) -> usize {
        self.transfers.count()
    }

    fn frame(&self, (port, to, data): Sent) -> Vec<u8> {
        debug_assert!(data.len() <= MOST_DATA_BYTES && port >= dhcp::SERVER_PORT.min(tftp::PORT));
        datagram(End { station: self.station, address: dhcp::SERVER, port }, to, &data)
    }
}
