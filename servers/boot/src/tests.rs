//! A machine that starts, as the server sees it, over a network that loses packets; and what else may come.
extern crate std;

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress,
    EthernetFrame, EthernetProtocol, EthernetRepr, Ipv4Address,
};

use crate::transfers::{Files, PATIENCE_NS, TRIES};
use crate::wire::{Datagram, End, arp_answer, datagram};
use crate::{BootServer, dhcp, tftp};

const STATION: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
const CARD: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 7]);

/// Files by their names; a file is its bytes.
struct Kept(BTreeMap<&'static str, Vec<u8>>);

impl Files for Kept {
    type File = Vec<u8>;

    fn open(&mut self, name: &str) -> Option<(Vec<u8>, u64)> {
        self.0.get(name).map(|bytes| (bytes.clone(), bytes.len() as u64))
    }

    fn read(&mut self, file: &mut Vec<u8>, position: u64, buffer: &mut [u8]) -> Option<usize> {
        let rest = file.get(position as usize..)?;
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        Some(bytes)
    }
}

fn kept() -> Kept {
    let pattern = |bytes: usize| (0..bytes).map(|place| (place * 7 + place / 251) as u8).collect();
    Kept([("kernel", pattern(100_000)), ("whole", pattern(1024)), ("empty", vec![])].into())
}

fn client() -> End {
    End { station: CARD, address: Ipv4Address::new(10, 86, 0, 7), port: 2000 }
}

fn server(port: u16) -> End {
    End { station: STATION, address: dhcp::SERVER, port }
}

fn discover(
    kind: DhcpMessageType,
    architecture: u16,
    class: &[u8],
    requested: Option<Ipv4Address>,
) -> Vec<u8> {
    let options =
        [DhcpOption { kind: 60, data: class }, DhcpOption { kind: 93, data: &architecture.to_be_bytes() }];
    let asked = DhcpRepr {
        message_type: kind,
        transaction_id: 9,
        secs: 0,
        client_hardware_address: CARD,
        client_ip: Ipv4Address::UNSPECIFIED,
        your_ip: Ipv4Address::UNSPECIFIED,
        server_ip: Ipv4Address::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: true,
        requested_ip: requested,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &options,
    };
    let mut bytes = vec![0; 400];
    asked.emit(&mut DhcpPacket::new_unchecked(&mut *bytes)).unwrap();
    let from = End { station: CARD, address: Ipv4Address::UNSPECIFIED, port: dhcp::CLIENT_PORT };
    let to =
        End { station: EthernetAddress::BROADCAST, address: Ipv4Address::BROADCAST, port: dhcp::SERVER_PORT };
    datagram(from, to, &bytes)
}

#[test]
fn a_machine_gets_an_address_and_the_name_of_its_loader() {
    let mut boot = BootServer::new(STATION);
    let class = b"PXEClient:Arch:00000:UNDI:002001";
    for (architecture, file) in [(0, "bios.pxe"), (7, "uefi.efi"), (9, "uefi.efi")] {
        let frame = discover(DhcpMessageType::Discover, architecture, class, None);
        let answer = boot.take_frame(0, &frame, &mut kept()).unwrap();
        let answer = Datagram::parse(&answer).unwrap();
        assert_eq!((answer.to.station, answer.to.port), (CARD, dhcp::CLIENT_PORT));
        let packet = DhcpPacket::new_checked(answer.data).unwrap();
        let offered = DhcpRepr::parse(&packet).unwrap();
        assert_eq!(offered.message_type, DhcpMessageType::Offer);
        assert_eq!((offered.your_ip, offered.server_ip), (client().address, dhcp::SERVER));
        assert_eq!(packet.options().find(|option| option.kind == 67).unwrap().data, file.as_bytes());
    }
    for (requested, kind) in
        [(client().address, DhcpMessageType::Ack), (Ipv4Address::new(10, 86, 0, 9), DhcpMessageType::Nak)]
    {
        let frame = discover(DhcpMessageType::Request, 0, class, Some(requested));
        let answer = boot.take_frame(0, &frame, &mut kept()).unwrap();
        let packet = DhcpPacket::new_checked(Datagram::parse(&answer).unwrap().data).unwrap();
        assert_eq!(DhcpRepr::parse(&packet).unwrap().message_type, kind);
    }
    // Whoever runs already, or is of another kind, is not answered.
    for (architecture, class) in [(0, &b"MSFT 5.0"[..]), (11, class)] {
        let frame = discover(DhcpMessageType::Discover, architecture, class, None);
        assert!(boot.take_frame(0, &frame, &mut kept()).is_none());
    }
}

/// Gets a file as a machine does, over a network that loses what `lost` says of each packet in turn. What it is told if
/// there is no file.
fn fetch(name: &str, options: &str, mut lost: impl FnMut() -> bool) -> Result<Vec<u8>, Vec<u8>> {
    let mut boot = BootServer::new(STATION);
    let mut files = kept();
    let mut now_ns = 0;
    let request = [&[0, 1][..], name.as_bytes(), b"\0octet\0", options.as_bytes()].concat();
    let mut last = datagram(client(), server(tftp::PORT), &request);
    let mut to_server = vec![last.clone()];
    let (mut file, mut block, mut block_bytes) = (Vec::new(), 0_u16, 512);
    for _ in 0..1_000_000 {
        let mut to_client = Vec::new();
        for frame in to_server.drain(..) {
            if !lost() {
                to_client.extend(boot.take_frame(now_ns, &frame, &mut files));
            }
        }
        if to_client.is_empty() {
            // Nothing came: this side or the other one sends again.
            now_ns = boot.next_deadline_ns().unwrap_or(now_ns + PATIENCE_NS);
            to_client = boot.late(now_ns);
            if boot.transfers() == 0 {
                to_server.push(last.clone());
            }
        }
        for frame in to_client {
            let answer = Datagram::parse(&frame).unwrap();
            if lost() {
                continue;
            }
            let (kind, number) = (answer.data[1], u16::from_be_bytes([answer.data[2], answer.data[3]]));
            let acknowledged = match kind {
                3 if number == block + 1 => {
                    block += 1;
                    file.extend(&answer.data[4..]);
                    if answer.data.len() < 4 + block_bytes {
                        return Ok(file);
                    }
                    number
                }
                3 => number,
                5 => return Err(answer.data[4..answer.data.len() - 1].to_vec()),
                6 => {
                    let text = std::string::String::from_utf8_lossy(&answer.data[2..]).into_owned();
                    let words: Vec<&str> = text.split('\0').collect();
                    assert_eq!(words[0], "blksize");
                    block_bytes = words[1].parse().unwrap();
                    0
                }
                _ => panic!("packet {kind}"),
            };
            let packet = [&[0, 4][..], &acknowledged.to_be_bytes()].concat();
            last = datagram(client(), server(answer.from.port), &packet);
            to_server.push(last.clone());
        }
    }
    panic!("the file does not come");
}

#[test]
fn files_come_whole() {
    let files = kept();
    for name in ["kernel", "whole", "empty"] {
        assert_eq!(fetch(name, "", || false).as_ref(), Ok(&files.0[name]));
        assert_eq!(fetch(name, "blksize\x001024\0tsize\x000\0", || false).as_ref(), Ok(&files.0[name]));
        assert_eq!(fetch(name, "blksize\x0065464\0", || false).as_ref(), Ok(&files.0[name]));
    }
    assert_eq!(fetch("none", "", || false), Err(b"no such file".to_vec()));
}

#[test]
fn what_is_lost_is_sent_again() {
    for every in [2, 3, 5, 7] {
        for offset in 0..every {
            let mut count = offset;
            let lost = || {
                count += 1;
                // Not a strict turn, which could lose the same packet for ever.
                (count + count / every / 3) % every == 0
            };
            assert!(
                fetch("kernel", "blksize\x001024\0", lost) == Ok(kept().0["kernel"].clone()),
                "{every} {offset}"
            );
        }
    }
}

#[test]
fn a_client_that_is_gone_is_forgotten() {
    let mut boot = BootServer::new(STATION);
    let read = |port, name: &str| {
        let request = [&[0, 1][..], name.as_bytes(), b"\0octet\0"].concat();
        datagram(End { port, ..client() }, server(tftp::PORT), &request)
    };
    for port in 1..=200 {
        boot.take_frame(0, &read(port, "/kernel"), &mut kept());
    }
    assert_eq!(boot.transfers(), 32);
    let mut sent = 0;
    while let Some(now_ns) = boot.next_deadline_ns() {
        sent += boot.late(now_ns).len();
    }
    assert_eq!(sent, 32 * (TRIES as usize - 1));
    assert!(boot.take_frame(0, &read(1, "kernel"), &mut kept()).is_some());
}

#[test]
fn no_name_leads_out_of_the_folder() {
    for name in ["../kernel", "a/../kernel", "..", "", "/", "[boot]kernel", "a//b", "kernel\n", "\u{e9}"] {
        assert_eq!(fetch(name, "", || false), Err(b"no such file".to_vec()), "{name}");
    }
    assert!(fetch("//kernel", "", || false).is_ok());
}

#[test]
fn arp_is_answered_for_the_own_address_alone() {
    let ask = |address| {
        let asked = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: CARD,
            source_protocol_addr: client().address,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: address,
        };
        let mut frame = vec![0; 60];
        let head = EthernetRepr {
            src_addr: CARD,
            dst_addr: EthernetAddress::BROADCAST,
            ethertype: EthernetProtocol::Arp,
        };
        head.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        asked.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
        arp_answer(&frame, STATION, dhcp::SERVER)
    };
    let answer = ask(dhcp::SERVER).unwrap();
    assert_eq!((&answer[..6], &answer[22..28]), (CARD.as_bytes(), STATION.as_bytes()));
    assert!(ask(client().address).is_none());
}

#[test]
fn many_cards_share_few_numbers() {
    let mut boot: BootServer<Vec<u8>> = BootServer::new(STATION);
    let mut frame = discover(DhcpMessageType::Discover, 0, b"PXEClient", None);
    let mut last = Vec::new();
    for card in 0..2000_u16 {
        // The card's address stands in the head and in what is asked; the checksum is done without.
        frame[6..12].copy_from_slice(&[2, 0, 0, 1, (card >> 8) as u8, card as u8]);
        frame[42 + 28..42 + 34].copy_from_slice(&[2, 0, 0, 1, (card >> 8) as u8, card as u8]);
        frame[40..42].fill(0);
        let answer = boot.take_frame(0, &frame, &mut kept()).unwrap();
        let packet = Datagram::parse(&answer).unwrap().data.to_vec();
        let number = packet[19];
        assert!((2..=254).contains(&number));
        last.push(number);
    }
    let mut of_the_last: Vec<u8> = last[2000 - 253..].to_vec();
    of_the_last.sort_unstable();
    of_the_last.dedup();
    assert_eq!(of_the_last.len(), 253);
}
