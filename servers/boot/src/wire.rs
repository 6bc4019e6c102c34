//! Frames: UDP over IPv4 over Ethernet, and ARP's.

use alloc::vec;
use alloc::vec::Vec;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

const ETHERNET_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
const UDP_BYTES: usize = 8;
/// Most data of a datagram that fits into every Ethernet's frames.
pub const MOST_DATA_BYTES: usize = 1500 - IPV4_BYTES - UDP_BYTES;
const HOPS: u8 = 64;

/// One end of an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// The card.
    pub station: EthernetAddress,
    /// Its address.
    pub address: Ipv4Address,
    /// The port.
    pub port: u16,
}

/// A datagram that came.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: End,
    /// To whom.
    pub to: End,
    /// What is in it.
    pub data: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// The datagram in a frame; none if it is another kind of frame, damaged, or a piece of a larger datagram.
    pub fn parse(frame: &'a [u8]) -> Option<Datagram<'a>> {
        let checksums = ChecksumCapabilities::default();
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        let head = Ipv4Repr::parse(&packet, &checksums).ok()?;
        if packet.more_frags() || packet.frag_offset() != 0 || head.next_header != IpProtocol::Udp {
            return None;
        }
        let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
        let ports =
            UdpRepr::parse(&datagram, &head.src_addr.into(), &head.dst_addr.into(), &checksums).ok()?;
        Some(Datagram {
            from: End { station: frame.src_addr(), address: head.src_addr, port: ports.src_port },
            to: End { station: frame.dst_addr(), address: head.dst_addr, port: ports.dst_port },
            data: datagram.payload(),
        })
    }
}

/// The frame of a datagram, whose data are at most [`MOST_DATA_BYTES`].
pub fn datagram(from: End, to: End, data: &[u8]) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let mut frame = vec![0; ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES + data.len()];
    let ethernet =
        EthernetRepr { src_addr: from.station, dst_addr: to.station, ethertype: EthernetProtocol::Ipv4 };
    ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    let head = Ipv4Repr {
        src_addr: from.address,
        dst_addr: to.address,
        next_header: IpProtocol::Udp,
        payload_len: UDP_BYTES + data.len(),
        hop_limit: HOPS,
    };
    let (packet, rest) = frame[ETHERNET_BYTES..].split_at_mut(IPV4_BYTES);
    // The header's checksum is over the header alone.
    head.emit(&mut Ipv4Packet::new_unchecked(packet), &checksums);
    UdpRepr { src_port: from.port, dst_port: to.port }.emit(
        &mut UdpPacket::new_unchecked(rest),
        &from.address.into(),
        &to.address.into(),
        data.len(),
        |place| place.copy_from_slice(data),
        &checksums,
    );
    frame
}

/// What a station that has `address` answers to ARP's question who has it; none if the frame is something else.
pub fn arp_answer(frame: &[u8], station: EthernetAddress, address: Ipv4Address) -> Option<Vec<u8>> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let asked = ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).ok()?).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: asker,
        source_protocol_addr: askers_address,
        target_protocol_addr,
        ..
    } = asked
    else {
        return None;
    };
    if target_protocol_addr != address || !asker.is_unicast() {
        return None;
    }
    let answer = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: station,
        source_protocol_addr: address,
        target_hardware_addr: asker,
        target_protocol_addr: askers_address,
    };
    let mut frame = vec![0; ETHERNET_BYTES + answer.buffer_len()];
    let head = EthernetRepr { src_addr: station, dst_addr: asker, ethertype: EthernetProtocol::Arp };
    head.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    answer.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET_BYTES..]));
    Some(frame)
}
