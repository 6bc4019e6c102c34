//! Network cards: what the network server asks of one, and the drivers of those that it knows.
//!
//! | module | what it drives |
//! |---|---|
//! | [`virtio`] | virtio network cards, version 1.0 |
//! | [`e1000`] | Intel's 8254x and 82574 |
//!
//! The drivers are a library: the network server drives its cards itself, so that a frame costs no switch of processes
//! beyond its own. They never wait. A received frame is looked at where the card has put it, and a frame to send is
//! written where the card takes it from.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod e1000;
pub mod virtio;

use alloc::boxed::Box;
use core::fmt;

use hardware::device::Device;
use v::{Error, Pid};

/// Bytes of an Ethernet frame's head: destination, source, type.
pub const HEAD_BYTES: usize = 14;
/// Fewest bytes of a frame on the wire, without its checksum; shorter ones are filled up with zeros.
pub const SHORTEST_FRAME_BYTES: usize = 60;
/// Longest content of a frame on an ordinary link, and the longest that is used on any.
pub const ORDINARY_CONTENT: usize = 1500;
/// See [`ORDINARY_CONTENT`].
pub const LONGEST_CONTENT: usize = 9000;
/// A received frame may have a tag before its type.
const TAG_BYTES: usize = 4;

/// The address of a station.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Station(pub [u8; 6]);

impl Station {
    /// Everyone.
    pub const BROADCAST: Station = Station([0xff; 6]);
}

impl fmt::Display for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A frame that the card has received: it lies in a buffer of the card until it is given back.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    buffer: u16,
    bytes: u16,
}

/// What a card has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames sent, or at least given to the card.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// What the card said that made no sense: numbers of buffers that it did not have, lengths that cannot be.
    pub nonsense: u64,
    /// Interrupts that were attended to.
    pub interrupts: u64,
    /// How often the card was told of new buffers.
    pub notices: u64,
}

/// A network card.
pub trait Card {
    /// Its own address.
    fn station(&self) -> Station;

    /// Longest content of a frame, in bytes, without head.
    fn largest_content(&self) -> usize;

    /// Whether it is connected.
    fn is_connected(&self) -> bool;

    /// Who sends its interrupts.
    fn interrupt(&self) -> Pid;

    /// The next received frame. What is not given back is missing to those that come.
    fn receive(&mut self) -> Option<Received>;

    /// A received frame's bytes.
    fn frame(&self, received: &Received) -> &[u8];

    /// A received frame has been dealt with.
    fn give_back(&mut self, received: Received);

    /// Asks for an interrupt when more is received, all that is there having been received. True if more has come
    /// meanwhile, for which no interrupt may come. Counts as the end of an interrupt's work.
    fn rearm(&mut self) -> bool;

    /// Where the next frame to send is written, [`HEAD_BYTES`] plus [`largest_content`](Card::largest_content) bytes;
    /// none if the card has all that it can take: an interrupt comes when it has sent some.
    fn next_frame(&mut self) -> Option<&mut [u8]>;

    /// Sends the first `bytes` bytes of what was written to [`next_frame`](Card::next_frame). The card may learn of it
    /// only at the next [`flush`](Card::flush).
    ///
    /// # Panics
    /// If there was no next frame, or it is not so long.
    fn send(&mut self, bytes: usize);

    /// Lets the card know of all that is to be sent, and of all buffers that were given back.
    fn flush(&mut self);

    /// What it has done.
    fn counters(&self) -> Counters;

    /// Sends a frame of several parts, one behind the other. False if there is no room for it now;
    /// [`TooLong`](Error::TooLong) if there never is.
    fn send_parts(&mut self, parts: &[&[u8]]) -> Result<bool, Error> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > HEAD_BYTES + self.largest_content() {
            return Err(Error::TooLong);
        }
        let Some(place) = self.next_frame() else {
            return Ok(false);
        };
        let mut rest = &mut place[..bytes.max(SHORTEST_FRAME_BYTES)];
        for part in parts {
            let (here, behind) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        }
        rest.fill(0);
        self.send(bytes.max(SHORTEST_FRAME_BYTES));
        Ok(true)
    }
}

/// Starts the driver of a device, on a link whose frames have at most so much content; a card that knows its link's itself
/// is believed instead. [`NotSupported`](Error::NotSupported) if there is no driver here.
pub fn start(device: &Device, link_content: usize) -> Result<Box<dyn Card>, Error> {
    match device.header().identity() {
        identity if identity.vendor == ::virtio::VENDOR => {
            Ok(Box::new(virtio::VirtioCard::start(device, link_content)?))
        }
        identity if e1000::is_for(identity) => Ok(Box::new(e1000::E1000Card::start(device, link_content)?)),
        _ => Err(Error::NotSupported),
    }
}
