//! Frames that are sent back, by drivers alone but for the network server's word to a program that one has come: what
//! the wire and the cards take, whatever protocol is above them.

use abi::{Error, Pid};
use protocols::network::{HEAD_BYTES, network};
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
