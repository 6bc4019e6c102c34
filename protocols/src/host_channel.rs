//! The framing on the host channel, the byte stream between the tool `cargo v` and the server `hostlink`.
//!
//! `cargo v run --exec` sends the commands' standard input down this line and takes their output, errors and exit
//! status from it, beside the console and the log. Both ends use this file. It does no I/O and allocates nothing.
//!
//! # On the line
//! A frame is `0x00`, then the COBS encoding of *kind (1 byte), payload, CRC-32 of both (4 bytes, little-endian)*,
//! then `0x00`. A zero byte occurs nowhere else, so a receiver that meets garbage, or joins late, is in step again at
//! the next frame: what stands between two zeros and does not check out is [damage](Damage), reported once and
//! dropped. Nothing between two zeros is no frame at all. A damaged frame is not sent again; a port of a virtio console
//! device loses no bytes, and each end treats damage after the greeting as an error worth a line in its log.
//!
//! # Who says what, when
//! 1. The guest's server says [`Hello`](Frame::Hello) when it has started. The tool answers `Hello`. An end that does not
//!    speak the other's version says so in its log and says nothing more. The guest does not wait for the answer: a
//!    tool that measures says nothing at all, since anything from outside would make a deterministic run differ.
//! 2. The guest sends [`Output`](Frame::Output) and [`ErrorOutput`](Frame::ErrorOutput) as programs write. The line
//!    itself holds them back when the tool is slow.
//! 3. The guest sends [`Credit`](Frame::Credit) when a program *wants* input, and the tool sends at most that many
//!    bytes of [`Input`](Frame::Input): see [`InputGate`] and [`InputCredit`]. So the guest's memory is bounded, and
//!    the tool takes no byte of its own standard input that no program asked for. After its last byte the tool sends
//!    [`InputEnd`](Frame::InputEnd), which needs no credit.
//! 4. The tool sends [`WindowSize`](Frame::WindowSize) when it knows the size of the terminal that shows the console,
//!    and again whenever that changes.
//! 5. The guest sends [`Exit`](Frame::Exit) after all output of the commands. It is the last frame of a run.
//!
//! A second `Hello` from the guest says that its server has been restarted: credit starts again from nothing, and
//! input that had been sent to the old one and not yet read is lost. The tool answers as at first, and sends
//! `InputEnd` again where it had.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// The version of this protocol. Tool and guest come from one checkout, so there is one.
pub const VERSION: u32 = 1;

/// The longest data of one frame, in bytes. Longer data is cut into several frames.
pub const MAX_DATA: usize = 1024;

/// Kind before the payload and checksum after it.
const OVERHEAD: usize = 1 + CHECKSUM_BYTES;
const CHECKSUM_BYTES: usize = 4;
const DELIMITER: u8 = 0;

/// Room for any frame as it goes on the line, both delimiters included.
pub const MAX_ENCODED: usize = 1 + corncobs::max_encoded_len(MAX_DATA + OVERHEAD);

static CHECKSUM: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

const HELLO: u8 = 1;
const INPUT: u8 = 2;
const INPUT_END: u8 = 3;
const WINDOW_SIZE: u8 = 4;
const OUTPUT: u8 = 5;
const ERROR_OUTPUT: u8 = 6;
const CREDIT: u8 = 7;
const EXIT: u8 = 8;

/// One thing said on the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Both ways: this end is there and speaks this version.
    Hello {
        /// See [`VERSION`].
        version: u32,
    },
    /// To the guest: bytes of the commands' standard input, at most [`MAX_DATA`].
    Input(&'a [u8]),
    /// To the guest: there is no more input.
    InputEnd,
    /// To the guest: the size of the terminal that shows the console.
    WindowSize {
        /// Characters in a line.
        columns: u16,
        /// Lines.
        rows: u16,
    },
    /// To the tool: bytes that commands wrote to standard output, at most [`MAX_DATA`].
    Output(&'a [u8]),
    /// To the tool: bytes that commands wrote to standard error, at most [`MAX_DATA`].
    ErrorOutput(&'a [u8]),
    /// To the tool: that many more bytes of input are wanted.
    Credit {
        /// How many, beyond what was granted before.
        bytes: u32,
    },
    /// To the tool: the last command has ended.
    Exit {
        /// Its exit status.
        status: u32,
    },
}

/// The data of a frame is longer than [`MAX_DATA`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Bytes on the line that were no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// More bytes than any frame has, without a delimiter.
    Overlong,
    /// Not the encoding of anything, or the checksum is wrong.
    Garbled,
    /// A whole frame, of a kind or with a payload length that this version doesn't know.
    Unknown,
}

impl<'a> Frame<'a> {
    /// Writes the frame to `line` as it goes on the line, and returns the part of `line` that it fills.
    pub fn encode<'l>(&self, line: &'l mut [u8; MAX_ENCODED]) -> Result<&'l [u8], TooLong> {
        let mut plain = [0; MAX_DATA + OVERHEAD];
        let mut length = 0;
        let mut put = |bytes: &[u8]| {
            plain[length..length + bytes.len()].copy_from_slice(bytes);
            length += bytes.len();
        };
        put(&[self.kind()]);
        match *self {
            Frame::Input(data) | Frame::Output(data) | Frame::ErrorOutput(data) if data.len() > MAX_DATA => {
                return Err(TooLong);
            }
            Frame::Input(data) | Frame::Output(data) | Frame::ErrorOutput(data) => put(data),
            Frame::Hello { version: word } | Frame::Credit { bytes: word } | Frame::Exit { status: word } => {
                put(&word.to_le_bytes());
            }
            Frame::WindowSize { columns, rows } => {
                put(&columns.to_le_bytes());
                put(&rows.to_le_bytes());
            }
            Frame::InputEnd => {}
        }
        let checksum = CHECKSUM.checksum(&plain[..length]).to_le_bytes();
        plain[length..length + CHECKSUM_BYTES].copy_from_slice(&checksum);
        length += CHECKSUM_BYTES;

        line[0] = DELIMITER;
        let encoded = corncobs::encode_buf(&plain[..length], &mut line[1..]);
        Ok(&line[..=encoded])
    }

    /// Reads what stood between two delimiters, decoded.
    fn from_plain(plain: &'a [u8]) -> Result<Frame<'a>, Damage> {
        let (content, checksum) = plain.split_last_chunk().ok_or(Damage::Garbled)?;
        if CHECKSUM.checksum(content).to_le_bytes() != *checksum {
            return Err(Damage::Garbled);
        }
        let (&kind, payload) = content.split_first().ok_or(Damage::Garbled)?;
        match kind {
            INPUT | OUTPUT | ERROR_OUTPUT if payload.len() > MAX_DATA => Err(Damage::Unknown),
            INPUT => Ok(Frame::Input(payload)),
            OUTPUT => Ok(Frame::Output(payload)),
            ERROR_OUTPUT => Ok(Frame::ErrorOutput(payload)),
            HELLO => Ok(Frame::Hello { version: word(payload)? }),
            CREDIT => Ok(Frame::Credit { bytes: word(payload)? }),
            EXIT => Ok(Frame::Exit { status: word(payload)? }),
            WINDOW_SIZE => {
                let size = word(payload)?;
                Ok(Frame::WindowSize { columns: size as u16, rows: (size >> 16) as u16 })
            }
            INPUT_END if payload.is_empty() => Ok(Frame::InputEnd),
            _ => Err(Damage::Unknown),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Frame::Hello { .. } => HELLO,
            Frame::Input(_) => INPUT,
            Frame::InputEnd => INPUT_END,
            Frame::WindowSize { .. } => WINDOW_SIZE,
            Frame::Output(_) => OUTPUT,
            Frame::ErrorOutput(_) => ERROR_OUTPUT,
            Frame::Credit { .. } => CREDIT,
            Frame::Exit { .. } => EXIT,
        }
    }
}

fn word(payload: &[u8]) -> Result<u32, Damage> {
    payload.try_into().map(u32::from_le_bytes).map_err(|_| Damage::Unknown)
}

/// Finds the frames in what comes off the line.
#[derive(Debug)]
pub struct Decoder {
    /// What came since the last delimiter.
    collected: [u8; MAX_ENCODED],
    length: usize,
    /// More came than `collected` holds; all is dropped up to the next delimiter.
    overlong: bool,
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub const fn new() -> Decoder {
        Decoder { collected: [0; MAX_ENCODED], length: 0, overlong: false }
    }

    /// Takes the next byte. `None` where it completes nothing.
    pub fn push(&mut self, byte: u8) -> Option<Result<Frame<'_>, Damage>> {
        if byte != DELIMITER {
            match self.collected.get_mut(self.length) {
                Some(slot) => {
                    *slot = byte;
                    self.length += 1;
                }
                None => self.overlong = true,
            }
            return None;
        }
        let length = core::mem::take(&mut self.length);
        if core::mem::take(&mut self.overlong) {
            return Some(Err(Damage::Overlong));
        }
        if length == 0 {
            return None;
        }
        let collected = &mut self.collected[..length];
        Some(match corncobs::decode_in_place(collected) {
            Ok(plain) => Frame::from_plain(&self.collected[..plain]),
            Err(_) => Err(Damage::Garbled),
        })
    }
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

/// The guest's side of flow control: how much input may be on its way or waiting, never more than a capacity.
///
/// Call [`wanted`](InputGate::wanted) when a program's read finds the buffer empty, [`arrived`](InputGate::arrived)
/// for each frame of input *before* storing it, [`taken`](InputGate::taken) when a program has been given bytes.
#[derive(Debug)]
pub struct InputGate {
    capacity: u32,
    /// Granted to the tool and not yet arrived.
    granted: u32,
    /// Arrived and not yet given to a program.
    buffered: u32,
}

/// The tool sent more input than it had credit for; the surplus is not to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun;

impl InputGate {
    /// A gate for a buffer of `capacity` bytes.
    pub const fn new(capacity: u32) -> InputGate {
        InputGate { capacity, granted: 0, buffered: 0 }
    }

    /// A program waits for input and there is none: the credit to send to the tool now, if any. A small rest of an
    /// earlier grant is topped up only once it is below half of the capacity, so that credit does not go by crumbs.
    pub fn wanted(&mut self) -> Option<u32> {
        let room = self.capacity - self.granted - self.buffered;
        if room == 0 || room < self.capacity / 2 {
            return None;
        }
        self.granted += room;
        Some(room)
    }

    /// `bytes` of input have come from the tool.
    pub fn arrived(&mut self, bytes: usize) -> Result<(), Overrun> {
        let bytes = u32::try_from(bytes).map_err(|_| Overrun)?;
        self.granted = self.granted.checked_sub(bytes).ok_or(Overrun)?;
        self.buffered += bytes;
        Ok(())
    }

    /// `bytes` of the buffer went to a program.
    ///
    /// # Panics
    /// If there weren't as many.
    pub fn taken(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).ok().filter(|bytes| *bytes <= self.buffered);
        self.buffered -= bytes.expect("no more is taken than is buffered");
    }
}

/// The tool's side of flow control: how much input it may send.
#[derive(Debug, Default)]
pub struct InputCredit(u64);

impl InputCredit {
    /// No credit.
    pub const fn new() -> InputCredit {
        InputCredit(0)
    }

    /// A [`Frame::Credit`] came.
    pub fn grant(&mut self, bytes: u32) {
        self.0 = self.0.saturating_add(u64::from(bytes));
    }

    /// The guest's server said hello (again): nothing is granted any more.
    pub fn reset(&mut self) {
        self.0 = 0;
    }

    /// The longest data that the next [`Frame::Input`] may have.
    pub fn available(&self) -> usize {
        self.0.min(MAX_DATA as u64) as usize
    }

    /// `bytes` of what is [available](InputCredit::available) have been sent.
    ///
    /// # Panics
    /// If they weren't available.
    pub fn spend(&mut self, bytes: usize) {
        assert!(bytes <= self.available(), "no more is sent than was granted");
        self.0 -= bytes as u64;
    }
}
