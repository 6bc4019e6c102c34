//! TFTP's packets (RFC 1350), with the options for larger blocks and the file's size (RFC 2347, 2348, 2349).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::wire::MOST_DATA_BYTES;

/// The port that requests come to.
pub const PORT: u16 = 69;
/// Bytes of a block where the client doesn't ask for others.
const USUAL_BLOCK_BYTES: u16 = 512;
/// Fewest bytes of a block that may be asked for.
const FEWEST_BLOCK_BYTES: u16 = 8;
/// What comes before a block's data.
const HEAD_BYTES: usize = 4;
const MOST_BLOCK_BYTES: u16 = (MOST_DATA_BYTES - HEAD_BYTES) as u16;

const READ: u16 = 1;
const DATA: u16 = 3;
const ACKNOWLEDGEMENT: u16 = 4;
const ERROR: u16 = 5;
const OPTIONS: u16 = 6;

const BLOCK_BYTES: &str = "blksize";
const SIZE: &str = "tsize";

/// There is no such file.
pub const NOT_FOUND: u16 = 1;
/// Something else.
pub const OTHER: u16 = 0;

/// What a client says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// It wants a file.
    Read {
        /// The file's name.
        name: &'a str,
        /// How it wants it.
        wishes: Wishes,
    },
    /// It has this block, by the lowest bits of its number.
    Acknowledgement(u16),
    /// It gives up.
    Error,
}

/// How a client wants a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wishes {
    block_bytes: Option<u16>,
    size: bool,
}

impl Wishes {
    /// How many bytes a block has.
    pub fn block_bytes(self) -> usize {
        self.block_bytes.unwrap_or(USUAL_BLOCK_BYTES).into()
    }

    /// The packet that says which wishes come true; none if there are none.
    pub fn answer(self, file_bytes: u64) -> Option<Vec<u8>> {
        let mut packet = OPTIONS.to_be_bytes().to_vec();
        let block_bytes = self.block_bytes.map(|bytes| (BLOCK_BYTES, bytes.to_string()));
        let size = self.size.then(|| (SIZE, file_bytes.to_string()));
        for (name, value) in block_bytes.into_iter().chain(size) {
            packet.extend(format!("{name}\0{value}\0").bytes());
        }
        (packet.len() > 2).then_some(packet)
    }
}

impl<'a> Request<'a> {
    /// Reads a packet; none if it is nothing that a client of files to read says.
    pub fn parse(packet: &'a [u8]) -> Option<Request<'a>> {
        let (kind, rest) = packet.split_first_chunk()?;
        match u16::from_be_bytes(*kind) {
            READ => {
                let mut words = core::str::from_utf8(rest.strip_suffix(&[0])?).ok()?.split('\0');
                let name = words.next()?;
                if !words.next()?.eq_ignore_ascii_case("octet") {
                    return None;
                }
                let mut wishes = Wishes::default();
                while let (Some(option), Some(value)) = (words.next(), words.next()) {
                    if option.eq_ignore_ascii_case(BLOCK_BYTES) {
                        let bytes: u16 = value.parse().ok()?;
                        wishes.block_bytes =
                            (bytes >= FEWEST_BLOCK_BYTES).then(|| bytes.min(MOST_BLOCK_BYTES));
                    } else if option.eq_ignore_ascii_case(SIZE) {
                        wishes.size = true;
                    }
                }
                Some(Request::Read { name, wishes })
            }
            ACKNOWLEDGEMENT => Some(Request::Acknowledgement(u16::from_be_bytes(*rest.first_chunk()?))),
            ERROR => Some(Request::Error),
            _ => None,
        }
    }
}

/// The packet with a block, by the lowest bits of its number.
pub fn data(block: u16, data: &[u8]) -> Vec<u8> {
    [&DATA.to_be_bytes()[..], &block.to_be_bytes(), data].concat()
}

/// The packet that tells an error.
pub fn error(code: u16, text: &str) -> Vec<u8> {
    [&ERROR.to_be_bytes()[..], &code.to_be_bytes(), text.as_bytes(), &[0]].concat()
}
