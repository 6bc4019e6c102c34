//! The guest's end of the host channel: the standard streams of the commands that `cargo v run --exec` runs.
//!
//! Three processes make the team. The first is an ordinary I/O server whose instances are those streams: what is
//! written to `output` and `errors` goes down the line as frames, and `input` gives what came up it. The second reads
//! the line and sends what it reads to the first. The third starts the shell, waits for its end, and tells the first.
//! So the line is always read, and a slow tool holds back only those who write.
//!
//! This file is the first process's logic; `main` has the other two. See `protocols::host_channel` for the framing.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
mod tests;

use abi::protocol::Reply as _;
use abi::{Error, Pid};
use alloc::vec::Vec;
use io_server::listing::{Flat, flat_root};
use io_server::service::OpenInstance;
use io_server::{
    Client, Completion, Incoming, Instances, Listing, Opening, Outcome, Reading, Request, Ring, Service,
    System, Waiter, Waiters, Writing, waiting,
};
use protocols::host_channel::{Decoder, Frame, InputGate, MAX_DATA, MAX_ENCODED, VERSION};
use protocols::io::{attribute, io, mode};
use protocols::names::{Descriptor, kind};

abi::protocol! {
    /// What the team's other processes tell the first.
    pub mod inner = 0x72, enum Inner {
        /// The read segment, at most [`PIECE_BYTES`](crate::PIECE_BYTES), came up the line.
        Arrived = 1 {} => ArrivedNoted {};
        /// The line was lost, with what was on its way, and is there again.
        LineLost = 3 {} => LossNoted {};
        /// The commands have ended.
        CommandsEnded = 2 { status: u32 } => EndNoted {};
    }
}

/// What came up the line is told in pieces that come along with their message whole.
pub const PIECE_BYTES: usize = 1024;
/// Bytes of input that wait here at most.
pub const INPUT_BYTES: u32 = 16 * 1024;
/// Bytes that one write takes at most.
const WRITE_BYTES: usize = 16 * MAX_DATA;

/// A stream's names, in the order of [`Stream`].
pub const NAMES: [&str; 3] = ["input", "output", "errors"];

/// One of the commands' standard streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Standard input.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

/// The way down the line.
pub trait Line {
    /// Sends bytes, waiting as long as it takes.
    fn send(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// Waits until all that was sent has left.
    fn synchronize(&mut self) -> Result<(), Error>;
}

/// The server.
pub struct HostLink<L: Line> {
    line: L,
    /// The team's other processes, which alone may speak [`inner`].
    helpers: Vec<Pid>,
    decoder: Decoder,
    gate: InputGate,
    input: Ring,
    input_has_ended: bool,
    readers: Waiters,
}

impl<L: Line> HostLink<L> {
    /// A server that has said hello on its line.
    pub fn new(line: L, helpers: Vec<Pid>) -> Result<HostLink<L>, Error> {
        let mut link = HostLink {
            line,
            helpers,
            decoder: Decoder::new(),
            gate: InputGate::new(INPUT_BYTES),
            input: Ring::new(INPUT_BYTES as usize),
            input_has_ended: false,
            readers: Waiters::new(),
        };
        link.say(&Frame::Hello { version: VERSION })?;
        Ok(link)
    }

    /// Sends one frame.
    pub fn say(&mut self, frame: &Frame<'_>) -> Result<(), Error> {
        let mut room = [0; MAX_ENCODED];
        let encoded = frame.encode(&mut room).map_err(|_| Error::TooLong)?;
        self.line.send(encoded)
    }

    /// Takes what came up the line, and lets those who wait for input have it.
    fn arrived(&mut self, bytes: &[u8], system: &mut dyn System) -> Result<(), Error> {
        for byte in bytes {
            match self.decoder.push(*byte) {
                Some(Ok(Frame::Input(data))) => {
                    // More than was granted is dropped: a tool that keeps to the protocol does not send it.
                    if self.gate.arrived(data.len()).is_ok() {
                        self.input.push(data)?;
                    }
                }
                Some(Ok(Frame::InputEnd)) => self.input_has_ended = true,
                // What else a tool says is not for the streams; what is damaged is gone.
                Some(_) | None => {}
            }
        }
        let before = self.input.len();
        self.readers.read_from(&mut self.input, system);
        self.gate.taken(before - self.input.len());
        if self.input_has_ended && self.input.is_empty() {
            self.readers.answer_all(&io::ReadDone { count: 0 }.to_message(), system);
        }
        Ok(())
    }

    /// The line is there again: the tool is told as if this server were new, and given credit for the room there is.
    fn begin_anew(&mut self) -> Result<(), Error> {
        self.decoder = Decoder::new();
        self.gate = InputGate::new(INPUT_BYTES);
        self.say(&Frame::Hello { version: VERSION })?;
        let granted = self.gate.wanted().unwrap_or(0);
        let kept = self.input.len();
        self.gate.arrived(kept).map_err(|_| Error::TooLong)?;
        self.say(&Frame::Credit { bytes: granted - kept as u32 })
    }

    fn ask_for_input(&mut self) -> Result<(), Error> {
        match self.gate.wanted() {
            Some(bytes) => self.say(&Frame::Credit { bytes }),
            None => Ok(()),
        }
    }
}

impl<L: Line> Service for HostLink<L> {
    type Open = Stream;

    fn open(
        &mut self,
        _client: &Client,
        context: u32,
        path: &str,
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<Stream>, Error> {
        let (stream, access) = match Flat::resolve(context, path, NAMES.into_iter())? {
            Flat::Root if mode & mode::DIRECTORY != 0 => return Ok(Opening::Directory(Listing::new())),
            Flat::Root => return Err(Error::IsADirectory),
            Flat::Object(0) => (Stream::Input, attribute::READABLE),
            Flat::Object(1) => (Stream::Output, attribute::WRITABLE),
            Flat::Object(_) => (Stream::Errors, attribute::WRITABLE),
        };
        Ok(Opening::Object {
            open: stream,
            attributes: attribute::STREAM | access,
            block_bytes: WRITE_BYTES as u32,
            size: 0,
        })
    }

    fn read<'a>(
        &'a mut self,
        client: &Client,
        _open: &'a mut Stream,
        _position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        if !self.input.is_empty() {
            let before = self.input.len();
            // It replies itself; a client that has gone needs no other answer.
            let _ = waiting::reply_read(client.pid, &mut self.input, room, system);
            self.gate.taken(before - self.input.len());
            return Ok(Reading::Later);
        }
        if self.input_has_ended {
            return Ok(Reading::Moved(0));
        }
        self.ask_for_input()?;
        self.readers.push(Waiter { client: client.pid, instance: 0, bytes: room });
        Ok(Reading::Later)
    }

    fn write(
        &mut self,
        _client: &Client,
        stream: &mut Stream,
        _position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        let count = data.bytes().min(WRITE_BYTES);
        let mut frames = Vec::with_capacity(count + count / MAX_DATA * 16 + MAX_ENCODED);
        let mut piece = [0; MAX_DATA];
        for offset in (0..count).step_by(MAX_DATA) {
            let piece = &mut piece[..MAX_DATA.min(count - offset)];
            data.copy_to(offset, piece, system)?;
            let frame = match stream {
                Stream::Errors => Frame::ErrorOutput(piece),
                Stream::Input | Stream::Output => Frame::Output(piece),
            };
            let mut room = [0; MAX_ENCODED];
            frames.extend_from_slice(frame.encode(&mut room).map_err(|_| Error::TooLong)?);
        }
        self.line.send(&frames)?;
        Ok(Writing::Done(count as u32))
    }

    fn synchronize(
        &mut self,
        _client: &Client,
        _stream: &mut Stream,
        _system: &mut dyn System,
    ) -> Result<Completion, Error> {
        self.line.synchronize().map(|()| Completion::Now)
    }

    fn describe<'a>(&'a self, context: u32, path: &'a str) -> Result<Descriptor<'a>, Error> {
        match Flat::resolve(context, path, NAMES.into_iter())? {
            Flat::Root => Ok(flat_root(NAMES.len())),
            Flat::Object(number) => Ok(describe_stream(number)),
        }
    }

    fn describe_open<'a>(&'a self, open: &'a Stream) -> Result<Descriptor<'a>, Error> {
        Ok(describe_stream(*open as usize))
    }

    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        _instances: &mut Instances<OpenInstance<Stream>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        if !self.helpers.contains(&request.client.pid) {
            return Outcome::refuse(Error::BadRequest);
        }
        match inner::Inner::from_message(request.message) {
            Some(inner::Inner::Arrived(_)) => {
                let noted = request.whole().and_then(|bytes| self.arrived(bytes, system));
                Outcome::from(noted.map(|()| inner::ArrivedNoted {}))
            }
            Some(inner::Inner::LineLost(_)) => Outcome::from(self.begin_anew().map(|()| inner::LossNoted {})),
            Some(inner::Inner::CommandsEnded(ended)) => {
                let told = self.say(&Frame::Exit { status: ended.status });
                Outcome::from(told.map(|()| inner::EndNoted {}))
            }
            None => Outcome::refuse(Error::BadRequest),
        }
    }
}

fn describe_stream(number: usize) -> Descriptor<'static> {
    let access = if number == 0 { attribute::READABLE } else { attribute::WRITABLE };
    Descriptor {
        kind: kind::STREAM,
        attributes: access | attribute::STREAM,
        owner: abi::UserId::SYSTEM.0,
        size: 0,
        modified_ns: 0,
        created_ns: 0,
        object: number as u64 + 1,
        name: NAMES[number],
    }
}
