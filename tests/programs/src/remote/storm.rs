//! Hostile frames of VMTP's type: bytes at random, and packets that are right but for what they say.
//!
//! Whoever can send frames can also forge what the domain believes, such as another node's claim to this one's logical
//! host (`docs/book/domain.md`): that is left out here, by the codes of such requests.

use v::prelude::*;
use v::protocols::network::{HEAD_BYTES, network};
use v::{Pid, Segment, name, node, process, time};
use vmtp::EntityId;
use vmtp::encapsulation::ethernet;
use vmtp::packet::header::{Control, Header, LENGTH_WORDS_MAX};
use vmtp::packet::message::{CODE_MASK, Message};
use vmtp::packet::{CHECKSUM_BYTES, assemble};

use test_programs::Random;

/// Longest packet.
const MOST_BYTES: usize = 1500;
/// In which a card that has as much as it can take will have sent some.
const MOMENT: time::Duration = time::Duration::from_millis(1);
/// Codes of requests to another node's kernel and network server lie below: with these, what is forged is believed.
const FIRST_CODE: u32 = 0x10_0000;

/// An address such as `52:54:00:56:00:01`.
pub fn station(text: &str) -> Result<[u8; 6], String> {
    let mut station = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut station {
        let part = parts.next().and_then(|part| u8::from_str_radix(part, 16).ok());
        *byte = part.ok_or_else(|| format!("{text}: no station"))?;
    }
    Ok(station)
}

/// Whom the packets name.
struct Named {
    entities: Vec<EntityId>,
    random: Random,
    domain: u16,
}

impl Named {
    fn entity(&mut self) -> EntityId {
        if self.random.below(4) == 0 {
            return EntityId::from_bits(self.random.number());
        }
        let at = self.random.below(self.entities.len());
        let entity = self.entities[at];
        // Now and then someone next to it.
        let near = if self.random.below(3) == 0 { self.random.number() & 0xff } else { 0 };
        EntityId::from_bits(entity.to_bits() ^ near)
    }

    fn word(&mut self) -> u32 {
        let word = self.random.number() as u32;
        match self.random.below(4) {
            0 => 0,
            1 => word & 0xff,
            2 => u32::MAX << (word & 31),
            _ => word,
        }
    }

    /// Writes a packet into `out`; its length.
    fn packet(&mut self, out: &mut [u8]) -> usize {
        if self.random.below(4) == 0 {
            let bytes = self.random.below(out.len());
            out[..bytes].fill_with(|| self.random.number() as u8);
            return bytes;
        }
        let mut words = [0; 8].map(|_: u32| self.word());
        words[0] = words[0] & !CODE_MASK | (words[0] & CODE_MASK).max(FIRST_CODE);
        let most_words = LENGTH_WORDS_MAX.min(((MOST_BYTES - 128) / 4) as u16);
        let length_words = self.random.below(usize::from(most_words)) as u16 & !1;
        let header = Header {
            client: self.entity(),
            domain: self.domain,
            flags: self.random.number() as u8 & 7,
            length_words: if self.random.below(2) == 0 { 0 } else { length_words },
            control: Control(self.word()),
            transaction: self.word(),
            delivery: self.word(),
            server: self.entity(),
            message: Message { words },
        };
        let noise = self.random.number() as u8;
        let group_bytes = u32::from(header.length_words) * 4;
        // Its mask may name more blocks than it has: then it is cut, which is as hostile as anything.
        let written = assemble(&header, group_bytes, out, |_, place| place.fill(noise));
        let bytes = written.unwrap_or(vmtp::packet::HEADER_BYTES + CHECKSUM_BYTES);
        if self.random.below(8) == 0 { self.random.below(bytes) } else { bytes }
    }
}

/// Sends `count` frames to each of the stations. Named are processes of the server's node, and all nodes.
pub fn storm(server: Pid, seed: u64, count: u32, stations: &[[u8; 6]]) -> Result<(), String> {
    let mut entities = vec![EntityId::from_bits(server.to_bits())];
    let records = process::all_of(server.host()).map_err(|error| format!("its processes: {error}"))?;
    entities.extend(records.iter().map(|record| EntityId::from_bits(record.pid)));
    for host in node::all().map_err(|error| format!("the nodes: {error}"))? {
        entities.extend(
            (0..8).map(|index| EntityId::from_bits(Pid::kernel_server(host.logical_host, index).to_bits())),
        );
    }
    let domain = node::domain().ok_or("the node has no domain")?;
    let mut named = Named { entities, random: Random(seed), domain };
    let mut frame = vec![0; HEAD_BYTES + MOST_BYTES];
    let mut sent = 0;
    for _ in 0..count {
        for station in stations {
            let bytes = named.packet(&mut frame[HEAD_BYTES..]);
            let to = ethernet::write_header(&mut frame, [0; 6], *station);
            to.ok_or("a frame has a head")?;
            let send = |network: &name::Place| {
                call(
                    network.server,
                    &network::SendFrame { card: 0 },
                    Segment::Read(&frame[..HEAD_BYTES + bytes]),
                )
            };
            match name::with_place("[network]", true, send) {
                Ok(_) => sent += 1,
                Err(Error::Busy) => {
                    let _ = time::sleep(MOMENT);
                }
                Err(error) => return Err(format!("[network]: {error}")),
            }
        }
    }
    println!("{sent} hostile frames");
    Ok(())
}
