//! Frames that are sent back: what the wire and the cards take, whatever protocol is above them. [`Frames`] are sent back
//! by a program on the other node, [`Loopback`]'s by the network server there, so that on this node alone a program is in it.

use abi::{Error, Pid};
use protocols::network::{HEAD_BYTES, loopback, network};
use v::call;
use v::message::Segment;
use v::name;

/// For experiments, by the standard.
const TYPE: u32 = 0x88b5;
const BROADCAST: [u8; 6] = [0xff; 6];
/// The shortest frame: it holds what a 32-byte message takes.
const FRAME_BYTES: usize = 60;
/// What says which way a frame goes.
const KIND: usize = HEAD_BYTES;
const ASKS: u8 = 1;
const ANSWERS: u8 = 2;
/// A frame whose answer takes longer is lost.
const PATIENCE_NS: u64 = 1_000_000_000;

/// This node's network server, where the type is registered.
pub struct Frames {
    server: Pid,
    frame: [u8; FRAME_BYTES],
}

impl Frames {
    /// Registers the type.
    pub fn register() -> Result<Frames, Error> {
        let mut server = Pid::NONE;
        name::with_place("[network]", true, |found| {
            server = found.server;
            call(server, &network::Register { ethertype: TYPE }, Segment::None).map(|_| ())
        })?;
        let mut frame = [0; FRAME_BYTES];
        frame[..6].copy_from_slice(&BROADCAST);
        frame[12..HEAD_BYTES].copy_from_slice(&(TYPE as u16).to_be_bytes());
        frame[KIND] = ASKS;
        Ok(Frames { server, frame })
    }

    fn receive(&mut self, until_ns: u64) -> Result<(), Error> {
        let request = network::ReceiveFrame { ethertype: TYPE, until_ns };
        call(self.server, &request, Segment::Write(&mut self.frame)).map(|_| ())
    }

    fn send(&self) -> Result<(), Error> {
        call(self.server, &network::SendFrame { card: 0 }, Segment::Read(&self.frame)).map(|_| ())
    }

    /// Whoever sent the frame is who it goes to next.
    fn turn_round(&mut self, kind: u8) {
        self.frame.copy_within(6..12, 0);
        self.frame[KIND] = kind;
    }

    /// Sends a frame and awaits its answer.
    pub fn ask(&mut self) -> Result<(), Error> {
        self.send()?;
        let until_ns = v::time::now_ns() + PATIENCE_NS;
        while self.frame[KIND] != ANSWERS {
            self.receive(until_ns)?;
        }
        self.turn_round(ASKS);
        Ok(())
    }

    /// Sends every frame back.
    pub fn answer(&mut self) -> Result<(), Error> {
        loop {
            self.receive(u64::MAX)?;
            if self.frame[KIND] == ASKS {
                self.turn_round(ANSWERS);
                self.send()?;
            }
        }
    }
}

/// Frames that the other node's network server sends back.
pub struct Loopback {
    server: Pid,
    asked: [u8; FRAME_BYTES],
    answer: [u8; FRAME_BYTES],
    /// What the last frame is known by.
    receipt: u16,
}

/// Where a frame's parts are: what is skipped, two functions.
const SKIPPED: usize = HEAD_BYTES;
const FORWARD: usize = SKIPPED + 2;
const REPLY: usize = FORWARD + 8;
const RECEIPT: usize = REPLY + 2;

impl Loopback {
    /// Frames to a node's first card and back to this one's.
    pub fn to(node: &str) -> Result<Loopback, Error> {
        let ethertype = loopback::ETHERTYPE.into();
        let mut server = Pid::NONE;
        name::with_place("[network]", true, |found| {
            server = found.server;
            call(server, &network::Register { ethertype }, Segment::None).map(|_| ())
        })?;
        let there = name::resolve(&alloc::format!("[{node}]network"))?.server;
        let mut asked = [0; FRAME_BYTES];
        asked[..6].copy_from_slice(&station(there)?);
        asked[12..HEAD_BYTES].copy_from_slice(&loopback::ETHERTYPE.to_be_bytes());
        asked[FORWARD..FORWARD + 2].copy_from_slice(&loopback::FORWARD.to_le_bytes());
        asked[FORWARD + 2..REPLY].copy_from_slice(&station(server)?);
        asked[REPLY..RECEIPT].copy_from_slice(&loopback::REPLY.to_le_bytes());
        Ok(Loopback { server, asked, answer: [0; FRAME_BYTES], receipt: 0 })
    }

    /// Sends a frame and awaits it.
    pub fn ask(&mut self) -> Result<(), Error> {
        self.receipt = self.receipt.wrapping_add(1);
        self.asked[RECEIPT..RECEIPT + 2].copy_from_slice(&self.receipt.to_le_bytes());
        call(self.server, &network::SendFrame { card: 0 }, Segment::Read(&self.asked))?;
        let until_ns = v::time::now_ns() + PATIENCE_NS;
        let request = network::ReceiveFrame { ethertype: loopback::ETHERTYPE.into(), until_ns };
        loop {
            call(self.server, &request, Segment::Write(&mut self.answer))?;
            if self.answer[FORWARD..] == self.asked[FORWARD..] {
                return Ok(());
            }
        }
    }
}

/// The address of a network server's first card.
fn station(server: Pid) -> Result<[u8; 6], Error> {
    let queried = call(server, &network::QueryCard { card: 0 }, Segment::None)?;
    let [_, _, station @ ..] = queried.station.to_be_bytes();
    Ok(station)
}
