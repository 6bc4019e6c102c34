//! Addresses for machines that start over the network, and the name of what they are to load.
//!
//! Only who asks as a PXE client is answered, so a machine that runs already never gets its address here. A machine's
//! address ends in its node's number. It prefers the last byte of its card's address, so it stays the same as a rule
//! when this server starts again, which remembers nothing.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress, Ipv4Address};

/// The ports of servers and clients.
pub const SERVER_PORT: u16 = 67;
/// See above.
pub const CLIENT_PORT: u16 = 68;
/// The server's own address: its node is number 1.
pub const SERVER: Ipv4Address = address(1);
const MASK: Ipv4Address = Ipv4Address::new(255, 255, 255, 0);
/// Numbers that machines get.
const NUMBERS: core::ops::RangeInclusive<u8> = 2..=254;
/// How long an address is lent: for longer than it takes to start, after which nobody needs it.
const LEASE_S: u32 = 3600;
/// Bytes of an answer: as many as every client takes, with the head.
const ANSWER_BYTES: usize = 548;

const VENDOR_CLASS: u8 = 60;
const BOOT_FILE: u8 = 67;
const ARCHITECTURE: u8 = 93;
/// What a vendor class begins with where a machine wants to be started.
const PXE: &[u8] = b"PXEClient";
/// What is loaded by architecture: BIOS's PCs, and UEFI's by either number. The tool knows these names, too:
/// `host/src/image/network.rs`.
const BOOT_FILES: [(u16, &str); 3] = [(0, "bios.pxe"), (7, "uefi.efi"), (9, "uefi.efi")];

/// The address of the machine with a number.
const fn address(number: u8) -> Ipv4Address {
    Ipv4Address::new(10, 86, 0, number)
}

/// Who has which number, those last that were heard last.
#[derive(Debug, Default)]
pub struct Leases(VecDeque<(EthernetAddress, u8)>);

impl Leases {
    /// The answer to a client's packet; none if it gets none.
    pub fn answer(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let packet = DhcpPacket::new_checked(data).ok()?;
        let asked = DhcpRepr::parse(&packet).ok()?;
        let option = |kind| packet.options().find(|option| option.kind == kind).map(|option| option.data);
        let architecture = u16::from_be_bytes(*option(ARCHITECTURE)?.first_chunk()?);
        let (_, file) = BOOT_FILES.into_iter().find(|(known, _)| *known == architecture)?;
        let elsewhere = asked.server_identifier.is_some_and(|server| server != SERVER);
        if !option(VENDOR_CLASS)?.starts_with(PXE)
            || !asked.client_hardware_address.is_unicast()
            || !asked.relay_agent_ip.is_unspecified()
            || elsewhere
        {
            return None;
        }
        let own = address(self.number(asked.client_hardware_address));
        let message_type = match asked.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request if asked.requested_ip.unwrap_or(asked.client_ip) == own => {
                DhcpMessageType::Ack
            }
            DhcpMessageType::Request => DhcpMessageType::Nak,
            _ => return None,
        };
        let granted = message_type != DhcpMessageType::Nak;
        let boot_file = [DhcpOption { kind: BOOT_FILE, data: file.as_bytes() }];
        let answer = DhcpRepr {
            message_type,
            your_ip: if granted { own } else { Ipv4Address::UNSPECIFIED },
            server_ip: if granted { SERVER } else { Ipv4Address::UNSPECIFIED },
            subnet_mask: granted.then_some(MASK),
            lease_duration: granted.then_some(LEASE_S),
            server_identifier: Some(SERVER),
            client_ip: Ipv4Address::UNSPECIFIED,
            requested_ip: None,
            client_identifier: None,
            router: None,
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: if granted { &boot_file } else { &[] },
            ..asked
        };
        let mut bytes = vec![0; ANSWER_BYTES];
        answer.emit(&mut DhcpPacket::new_unchecked(&mut *bytes)).ok()?;
        Some(bytes)
    }

    /// The number of the machine with a card. Where all are taken, who was not heard for longest loses its own.
    fn number(&mut self, card: EthernetAddress) -> u8 {
        let known = self.0.iter().position(|(other, _)| *other == card);
        let known = known.and_then(|place| self.0.remove(place)).map(|(_, number)| number);
        let is_free = |number: &u8| self.0.iter().all(|(_, other)| other != number);
        let preferred = Some(card.0[5]).filter(|number| NUMBERS.contains(number) && is_free(number));
        let number = known.or(preferred).or_else(|| NUMBERS.into_iter().find(is_free));
        let number = number.or_else(|| self.0.pop_front().map(|(_, number)| number));
        let number = number.unwrap_or(*NUMBERS.end());
        self.0.push_back((card, number));
        number
    }
}
