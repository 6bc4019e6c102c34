//! Writes what passes on the network to a file that Wireshark reads: pcapng, the format of
//! <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html>.
//!
//! Every node is an interface of the capture. A frame is written once, when its node sends it; a comment says what
//! becomes of it for each receiver where that isn't simply that it arrives at once. All numbers are little-endian, all
//! blocks end at a multiple of four bytes.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// Blocks: the section's header, an interface, a frame.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

/// Says in which order bytes are written.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const VERSION: (u16, u16) = (1, 0);
const LENGTH_UNKNOWN: u64 = u64::MAX;
const LINK_TYPE_ETHERNET: u16 = 1;

/// Options: the list's end, a comment, an interface's name, its clock's resolution.
const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_RESOLUTION: u16 = 9;
/// Times are in nanoseconds: ten to this power to a second.
const RESOLUTION_DIGITS: u8 = 9;

/// A capture in the making.
#[derive(Debug)]
pub struct Capture<W> {
    to: W,
    /// The network's start.
    start: Duration,
}

impl<W: Write> Capture<W> {
    /// A capture of that many nodes' frames, whose times count from `start`.
    pub fn new(mut to: W, nodes: usize, start: SystemTime) -> io::Result<Capture<W>> {
        let mut section = Vec::new();
        section.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        section.extend(VERSION.0.to_le_bytes());
        section.extend(VERSION.1.to_le_bytes());
        section.extend(LENGTH_UNKNOWN.to_le_bytes());
        to.write_all(&block(SECTION_HEADER, &section))?;
        for node in 0..nodes {
            let mut interface = Vec::new();
            interface.extend(LINK_TYPE_ETHERNET.to_le_bytes());
            // Reserved, and no limit on what is captured of a frame.
            interface.extend([0; 6]);
            option(&mut interface, INTERFACE_NAME, format!("node{}", node + 1).as_bytes());
            option(&mut interface, INTERFACE_RESOLUTION, &[RESOLUTION_DIGITS]);
            option(&mut interface, END_OF_OPTIONS, &[]);
            to.write_all(&block(INTERFACE_DESCRIPTION, &interface))?;
        }
        // A clock before 1970 counts as 1970.
        Ok(Capture { to, start: start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() })
    }

    /// Writes a frame that `node` sent at `time` after the start, with a comment if there is something to say.
    pub fn put(&mut self, node: usize, time: Duration, frame: &[u8], comment: &str) -> io::Result<()> {
        let nanoseconds = (self.start + time).as_nanos() as u64;
        let mut packet = Vec::with_capacity(frame.len() + comment.len() + 40);
        packet.extend((node as u32).to_le_bytes());
        packet.extend(((nanoseconds >> 32) as u32).to_le_bytes());
        packet.extend((nanoseconds as u32).to_le_bytes());
        // As much of it as there was.
        packet.extend((frame.len() as u32).to_le_bytes());
        packet.extend((frame.len() as u32).to_le_bytes());
        packet.extend(frame);
        pad(&mut packet);
        if !comment.is_empty() {
            option(&mut packet, COMMENT, comment.as_bytes());
            option(&mut packet, END_OF_OPTIONS, &[]);
        }
        self.to.write_all(&block(ENHANCED_PACKET, &packet))
    }

    /// Makes sure that readers see all that was written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A block: its type, its length, what is in it, and its length again.
fn block(kind: u32, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes(), &length, content, &length].concat()
}

fn option(block: &mut Vec<u8>, code: u16, value: &[u8]) {
    block.extend(code.to_le_bytes());
    block.extend((value.len() as u16).to_le_bytes());
    block.extend(value);
    pad(block);
}

fn pad(block: &mut Vec<u8>) {
    block.resize(block.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(*bytes[at..].first_chunk().unwrap())
    }

    /// Type and content of each block.
    fn blocks(mut bytes: &[u8]) -> Vec<(u32, &[u8])> {
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            let length = word(bytes, 4) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(word(bytes, length - 4) as usize, length);
            blocks.push((word(bytes, 0), &bytes[8..length - 4]));
            bytes = &bytes[length..];
        }
        blocks
    }

    #[test]
    fn a_capture_begins_as_the_format_says() {
        let mut bytes = Vec::new();
        Capture::new(&mut bytes, 1, SystemTime::UNIX_EPOCH).unwrap();
        let expected: &[u8] = &[
            0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255,
            255, 255, 255, 28, 0, 0, 0, // the section
            1, 0, 0, 0, 44, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, // an interface for Ethernet
            2, 0, 5, 0, b'n', b'o', b'd', b'e', b'1', 0, 0, 0, // its name
            9, 0, 1, 0, 9, 0, 0, 0, // nanoseconds
            0, 0, 0, 0, 44, 0, 0, 0,
        ];
        assert_eq!(bytes, expected);
    }

    proptest! {
        #[test]
        fn frames_are_found_again(frame in prop::collection::vec(any::<u8>(), 0..100), comment in ".{0,20}", time: u32) {
            let mut bytes = Vec::new();
            let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            let mut capture = Capture::new(&mut bytes, 2, start).unwrap();
            capture.put(1, Duration::from_nanos(time.into()), &frame, &comment).unwrap();
            let blocks = blocks(&bytes);
            prop_assert_eq!(blocks.len(), 4);
            let (kind, packet) = blocks[3];
            prop_assert_eq!((kind, word(packet, 0)), (ENHANCED_PACKET, 1));
            let nanoseconds = u64::from(word(packet, 4)) << 32 | u64::from(word(packet, 8));
            prop_assert_eq!(nanoseconds, 1_700_000_000_000_000_000 + u64::from(time));
            prop_assert_eq!(word(packet, 12) as usize, frame.len());
            prop_assert_eq!(&packet[20..20 + frame.len()], &frame[..]);
            let options = &packet[20 + frame.len().next_multiple_of(4)..];
            prop_assert_eq!(options.is_empty(), comment.is_empty());
            if !comment.is_empty() {
                prop_assert_eq!(word(options, 0), 1 | (comment.len() as u32) << 16);
                prop_assert_eq!(&options[4..4 + comment.len()], comment.as_bytes());
            }
        }
    }
}
