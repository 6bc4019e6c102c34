//! The boot server: the card's frames for [`BootServer`], and this node's files.
//!
//! A process of its own answers ARP's questions, since each waits for frames of one type.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use boot_server::transfers::Files;
use boot_server::{BootServer, dhcp, wire};
use protocols::network::{MAX_FRAME_BYTES, network};
use smoltcp::wire::EthernetAddress;
use v::file::File;
use v::prelude::*;
use v::time::{self, Duration};
use v::{Pid, Segment, call, log, name, process, server};

v_start::program!(main);

const NETWORK: &str = "[network]";
/// The folder of the files that may be asked for.
const SERVED: &str = "[boot]netboot";
/// The card.
const CARD: u32 = 0;
const IPV4: u32 = 0x0800;
const ARP: u32 = 0x0806;
const STACK_BYTES: usize = 64 * 1024;
/// How long it waits for frames where nothing is late.
const WAIT_NS: u64 = 5_000_000_000;
/// In which a card that has as much as it can take will have sent some, and a server that has died may be back.
const MOMENT: Duration = Duration::from_millis(2);
const PAUSE: Duration = Duration::from_millis(100);
/// A frame that the card does not take is lost after so many moments, as on the way.
const TRIES: u32 = 50;

/// The network server, for frames of one type.
struct Link {
    server: Pid,
    ethertype: u32,
    buffer: Vec<u8>,
}

impl Link {
    fn open(ethertype: u32) -> Result<Link, Error> {
        let mut link = Link { server: Pid::NONE, ethertype, buffer: vec![0; MAX_FRAME_BYTES] };
        link.register()?;
        Ok(link)
    }

    fn register(&mut self) -> Result<(), Error> {
        name::with_place(NETWORK, true, |found| {
            self.server = found.server;
            call(self.server, &network::Register { ethertype: self.ethertype }, Segment::None)
        })?;
        Ok(())
    }

    fn station(&self) -> Result<EthernetAddress, Error> {
        let card = call(self.server, &network::QueryCard { card: CARD }, Segment::None)?;
        let [_, _, station @ ..] = card.station.to_be_bytes();
        Ok(EthernetAddress(station))
    }

    /// The next frame that comes by the card; none if none comes until then.
    fn receive(&mut self, until_ns: u64) -> Option<&[u8]> {
        let request = network::ReceiveFrame { ethertype: self.ethertype, until_ns };
        match call(self.server, &request, Segment::Write(&mut self.buffer)) {
            Ok(received) if received.card == CARD => self.buffer.get(..received.count as usize),
            Ok(_) | Err(Error::DeadlinePassed) => None,
            Err(_) => {
                // The network server has started again, or will have; the clients ask again meanwhile.
                let _ = time::sleep(PAUSE);
                if let Err(error) = self.register() {
                    log::warning!("{NETWORK}: {error}");
                }
                None
            }
        }
    }

    fn send(&self, frame: &[u8]) {
        for _ in 0..TRIES {
            match call(self.server, &network::SendFrame { card: CARD }, Segment::Read(frame)) {
                Err(Error::Busy) => {
                    let _ = time::sleep(MOMENT);
                }
                // What is lost is sent again, as on the way.
                _ => return,
            }
        }
    }
}

/// The node's files.
struct Served;

impl Files for Served {
    type File = File;

    fn open(&mut self, name: &str) -> Option<(File, u64)> {
        let file = File::open(&format!("{SERVED}/{name}")).ok()?;
        let bytes = file.size().ok()?;
        log::notice!("{name} is asked for, {bytes} bytes");
        Some((file, bytes))
    }

    fn read(&mut self, file: &mut File, position: u64, buffer: &mut [u8]) -> Option<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read_at(position + filled as u64, &mut buffer[filled..]).ok()? {
                0 => break,
                bytes => filled += bytes,
            }
        }
        Some(filled)
    }
}

fn answer_arp(station: EthernetAddress) {
    let mut link = loop {
        match Link::open(ARP) {
            Ok(link) => break link,
            Err(error) => log::warning!("{NETWORK}: {error}"),
        }
        let _ = time::sleep(PAUSE);
    };
    loop {
        let answer = link
            .receive(time::now_ns() + WAIT_NS)
            .and_then(|frame| wire::arp_answer(frame, station, dhcp::SERVER));
        if let Some(frame) = answer {
            link.send(&frame);
        }
    }
}

fn main() -> Result<Infallible, Error> {
    let mut link = Link::open(IPV4)?;
    let station = link.station()?;
    process::spawn_thread(STACK_BYTES, move || answer_arp(station))?;
    let mut boot: BootServer<File> = BootServer::new(station);
    server::ready();
    loop {
        let now_ns = time::now_ns();
        for frame in boot.late(now_ns) {
            link.send(&frame);
        }
        let until_ns = boot.next_deadline_ns().unwrap_or(u64::MAX).min(now_ns + WAIT_NS);
        let answer =
            link.receive(until_ns).and_then(|frame| boot.take_frame(time::now_ns(), frame, &mut Served));
        if let Some(frame) = answer {
            link.send(&frame);
        }
    }
}
