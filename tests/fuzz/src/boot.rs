//! The boot server: frames off the network, and what is in them.

use boot_server::transfers::Files;
use boot_server::wire::{Datagram, End, MOST_DATA_BYTES, arp_answer, datagram};
use boot_server::{BootServer, dhcp, tftp};
use smoltcp::wire::{EthernetAddress, Ipv4Address};

const STATION: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
/// Bytes of the one file that there is.
const FILE_BYTES: usize = 3000;
/// Files that may be on their way.
const MOST_TRANSFERS: usize = 32;

struct OneFile;

impl Files for OneFile {
    type File = ();

    fn open(&mut self, name: &str) -> Option<((), u64)> {
        let leads_out = name.contains('[') || name.split('/').any(|part| matches!(part, "" | "." | ".."));
        assert!(!leads_out, "{name} leads out");
        name.len().is_multiple_of(2).then_some(((), FILE_BYTES as u64))
    }

    fn read(&mut self, (): &mut (), position: u64, buffer: &mut [u8]) -> Option<usize> {
        assert!(position <= FILE_BYTES as u64, "a block behind the file's end");
        Some(buffer.len().min(FILE_BYTES - position as usize))
    }
}

/// The bytes as a frame as it comes, and as datagrams to each of the server's ports.
pub fn check(bytes: &[u8]) {
    let mut boot = BootServer::new(STATION);
    take(&mut boot, bytes);
    assert!(arp_answer(bytes, STATION, dhcp::SERVER).is_none_or(|answer| answer.len() == 42));
    let data = &bytes[..bytes.len().min(MOST_DATA_BYTES)];
    for port in [dhcp::SERVER_PORT, tftp::PORT] {
        say(&mut boot, port, data);
    }
    // Many packets of a client, as the bytes say.
    for packet in data.split(|byte| *byte == 0xff) {
        say(&mut boot, tftp::PORT, packet);
        for port in [49152, 49153] {
            say(&mut boot, port, packet);
        }
    }
    let mut rounds = 0;
    while let Some(now_ns) = boot.next_deadline_ns() {
        boot.late(now_ns).iter().for_each(|frame| is_from_the_server(frame));
        rounds += 1;
        assert!(rounds < 1000, "a client that is gone is never forgotten");
    }
}

fn say(boot: &mut BootServer<()>, port: u16, data: &[u8]) {
    let client = End {
        station: EthernetAddress([2, 0, 0, 0, 0, 2]),
        address: Ipv4Address::new(10, 86, 0, 2),
        port: 2000 + u16::from(data.first().copied().unwrap_or(0)),
    };
    take(boot, &datagram(client, End { station: STATION, address: dhcp::SERVER, port }, data));
}

fn take(boot: &mut BootServer<()>, frame: &[u8]) {
    if let Some(answer) = boot.take_frame(0, frame, &mut OneFile) {
        is_from_the_server(&answer);
    }
    assert!(boot.transfers() <= MOST_TRANSFERS);
}

fn is_from_the_server(frame: &[u8]) {
    let answer = Datagram::parse(frame).expect("what is answered is a datagram");
    assert_eq!((answer.from.station, answer.from.address), (STATION, dhcp::SERVER));
    assert!(answer.data.len() <= MOST_DATA_BYTES);
}
