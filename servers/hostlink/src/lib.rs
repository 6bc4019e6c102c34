//! The guest's end of the host channel: the standard streams of the commands that `cargo v run --exec` runs.
//!
//! Two processes make the team. The first is an ordinary I/O server whose instances are those streams: what is written
//! to `output` and `errors` goes down the line as frames, and `input` gives what came up it. It drives the line's device
//! itself and never waits for it, so the line is always read, and a slow tool holds back only those who write. The second
//! starts the shell, waits for its end, and tells the first.
//!
//! This file is the first process's logic; `main` has the second, and the device. See `protocols::host_channel` for the
//! framing.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;

use abi::notice::notice;
use abi::protocol::{Reply as _, Request as _, refusal};
use abi::{Error, Pid};
use hardware::interrupt::InterruptLine;
use io_server::listing::{Flat, flat_root};
use io_server::service::OpenInstance;
use io_server::{
    Client, Completion, Incoming, Instances, Listing, Opening, Outcome, Reading, Request, Ring, Service,
    System, Waiter, Waiters, Writing, waiting,
};
use protocols::host_channel::{Decoder, Frame, InputGate, MAX_DATA, MAX_ENCODED, VERSION};
use protocols::io::{attribute, io, mode};
use protocols::names::{Descriptor, kind};
use v::log;

abi::protocol! {
    /// What the team's other process tells the first.
    pub mod inner = 0x72, enum Inner {
        /// The commands have ended. The reply comes when the tool has been told, and all they wrote has left.
        CommandsEnded = 2 { status: u32 } => EndNoted {};
    }
}

/// Bytes of input that wait here at most.
pub const INPUT_BYTES: u32 = 64 * 1024;
/// Bytes that one write takes at most.
const WRITE_BYTES: usize = 16 * MAX_DATA;
/// So many frames can be sent after all that writers may send: a greeting, an exit, and some credit.
const RESERVED_FRAMES: usize = 4;

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

impl Stream {
    const ALL: [Stream; 3] = [Stream::Input, Stream::Output, Stream::Errors];
}

/// The line to the tool. None of this waits.
pub trait Line {
    /// Who says that there is something to [attend](Line::attend) to.
    fn interrupt(&self) -> Pid;

    /// Gives `take` all that came. True if the tool has opened its end since the last call.
    fn attend(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<bool, Error>;

    /// How many frames can be sent. If it is `fewer` or less, an interrupt comes when it may be more.
    fn room(&mut self, fewer: usize) -> usize;

    /// Sends a frame as it goes on the line; all of it, or nothing.
    fn send(&mut self, encoded: &[u8]) -> Result<(), Error>;

    /// Whether all that was sent has left. If not, an interrupt comes when it may have.
    fn is_idle(&mut self) -> bool;
}

/// The server.
pub struct HostLink<L: Line> {
    line: L,
    /// The team's other process, which alone may speak [`inner`].
    runner: Pid,
    decoder: Decoder,
    gate: InputGate,
    input: Ring,
    input_has_ended: bool,
    readers: Waiters,
    /// Their instances are the numbers of streams.
    writers: Waiters,
    /// Those who wait until all has left the line.
    synchronizers: Waiters,
    /// The commands' end, not yet told.
    end: Option<u32>,
    /// Whoever waits until it has been.
    end_waiters: Waiters,
}

impl<L: Line> HostLink<L> {
    /// A server that says hello when the tool opens the line.
    pub fn new(line: L, runner: Pid) -> HostLink<L> {
        HostLink {
            line,
            runner,
            decoder: Decoder::new(),
            gate: InputGate::new(INPUT_BYTES),
            input: Ring::new(INPUT_BYTES as usize),
            input_has_ended: false,
            readers: Waiters::new(),
            writers: Waiters::new(),
            synchronizers: Waiters::new(),
            end: None,
            end_waiters: Waiters::new(),
        }
    }

    /// Sends one frame.
    fn say(&mut self, frame: &Frame<'_>) -> Result<(), Error> {
        let mut room = [0; MAX_ENCODED];
        let encoded = frame.encode(&mut room).map_err(|_| Error::TooLong)?;
        self.line.send(encoded)
    }

    /// Takes what came up the line, and lets those go on who waited for that or for room.
    fn attend(&mut self, system: &mut dyn System) -> Result<(), Error> {
        let HostLink { line, decoder, gate, input, input_has_ended, .. } = self;
        let mut stored = Ok(());
        let was_opened = line.attend(&mut |bytes| {
            for byte in bytes {
                match decoder.push(*byte) {
                    // More than was granted is dropped: a tool that keeps to the protocol does not send it.
                    Some(Ok(Frame::Input(data))) if gate.arrived(data.len()).is_ok() => {
                        stored = stored.and(input.push(data).map(drop));
                    }
                    Some(Ok(Frame::InputEnd)) => *input_has_ended = true,
                    // What else a tool says is not for the streams; what is damaged is gone.
                    Some(_) | None => {}
                }
            }
        })?;
        stored?;
        if was_opened {
            self.begin()?;
        }
        let before = self.input.len();
        self.readers.read_from(&mut self.input, system);
        self.gate.taken(before - self.input.len());
        if !self.readers.is_empty() {
            if self.input_has_ended {
                self.readers.answer_all(&io::ReadDone { count: 0 }.to_message(), system);
            } else {
                self.ask_for_input()?;
            }
        }
        self.move_on(system)
    }

    /// The tool is there: it is greeted as by a new server. What it had been granted before counts no more.
    fn begin(&mut self) -> Result<(), Error> {
        self.decoder = Decoder::new();
        self.gate = InputGate::new(INPUT_BYTES);
        self.say(&Frame::Hello { version: VERSION })?;
        if self.input.is_empty() {
            return Ok(());
        }
        let granted = self.gate.wanted().unwrap_or(0);
        let kept = self.input.len();
        self.gate.arrived(kept).map_err(|_| Error::TooLong)?;
        self.say(&Frame::Credit { bytes: granted - kept as u32 })
    }

    /// Lets writers go on, and then those who wait until all has left.
    fn move_on(&mut self, system: &mut dyn System) -> Result<(), Error> {
        while !self.writers.is_empty() && self.line.room(RESERVED_FRAMES) > RESERVED_FRAMES {
            let Some(writer) = self.writers.pop() else { break };
            let stream = Stream::ALL[writer.instance as usize];
            let taken = self.send_data(stream, writer.bytes, |offset, piece| {
                system.move_from(writer.client, offset as u64, piece)
            });
            let reply = match taken {
                Ok(count) => io::Written { count: count as u32 }.to_message(),
                Err(error) => refusal(error),
            };
            // Who has gone needs no answer.
            let _ = system.reply(writer.client, &reply, &[]);
        }
        if self.writers.is_empty()
            && self.line.room(0) > 0
            && let Some(status) = self.end.take()
        {
            self.say(&Frame::Exit { status })?;
        }
        let waited_for = !self.synchronizers.is_empty() || !self.end_waiters.is_empty();
        if waited_for && self.writers.is_empty() && self.end.is_none() && self.line.is_idle() {
            self.synchronizers.answer_all(&io::Synchronized {}.to_message(), system);
            self.end_waiters.answer_all(&inner::EndNoted {}.to_message(), system);
        }
        Ok(())
    }

    /// Sends what there is room for of `bytes` bytes, at least one, which `copy` gives; how many.
    fn send_data(
        &mut self,
        stream: Stream,
        bytes: usize,
        mut copy: impl FnMut(usize, &mut [u8]) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let frames = self.line.room(RESERVED_FRAMES).saturating_sub(RESERVED_FRAMES);
        let count = bytes.min(WRITE_BYTES).min(frames * MAX_DATA);
        let mut piece = [0; MAX_DATA];
        for offset in (0..count).step_by(MAX_DATA) {
            let piece = &mut piece[..MAX_DATA.min(count - offset)];
            copy(offset, piece)?;
            self.say(&match stream {
                Stream::Errors => Frame::ErrorOutput(piece),
                Stream::Input | Stream::Output => Frame::Output(piece),
            })?;
        }
        Ok(count)
    }

    /// Asks the tool for input; where the line has no room for that, the interrupt that tells of room asks again.
    fn ask_for_input(&mut self) -> Result<(), Error> {
        if self.line.room(0) == 0 {
            return Ok(());
        }
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
        path: &[u8],
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
        client: &Client,
        stream: &mut Stream,
        _position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        if !self.writers.is_empty() || self.line.room(RESERVED_FRAMES) <= RESERVED_FRAMES {
            let instance = *stream as u64;
            self.writers.push(Waiter { client: client.pid, instance, bytes: data.bytes() });
            return Ok(Writing::Later);
        }
        let count =
            self.send_data(*stream, data.bytes(), |offset, piece| data.copy_to(offset, piece, system))?;
        Ok(Writing::Done(count as u32))
    }

    fn synchronize(
        &mut self,
        client: &Client,
        stream: &mut Stream,
        _system: &mut dyn System,
    ) -> Result<Completion, Error> {
        if self.writers.is_empty() && self.line.is_idle() {
            return Ok(Completion::Now);
        }
        self.synchronizers.push(Waiter { client: client.pid, instance: *stream as u64, bytes: 0 });
        Ok(Completion::Later)
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        match Flat::resolve(context, path, NAMES.into_iter())? {
            Flat::Root => Ok(flat_root(NAMES.len())),
            Flat::Object(number) => Ok(describe_stream(number)),
        }
    }

    fn describe_open<'a>(&'a mut self, open: &'a Stream) -> Result<Descriptor<'a>, Error> {
        Ok(describe_stream(*open as usize))
    }

    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        _instances: &mut Instances<OpenInstance<Stream>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        let sender = request.client.pid;
        if sender == self.line.interrupt() && request.message.code() == notice::Interrupt::CODE {
            if let Err(error) = self.attend(system) {
                log::error!("the line to the tool: {error}");
            }
            return InterruptLine::attended(request.message);
        }
        match inner::Inner::from_message(request.message) {
            Some(inner::Inner::CommandsEnded(ended)) if sender == self.runner => {
                self.end = Some(ended.status);
                self.end_waiters.push(Waiter { client: sender, instance: 0, bytes: 0 });
                self.move_on(system).map_or_else(Outcome::refuse, |()| Outcome::Later)
            }
            _ => Outcome::refuse(Error::BadRequest),
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
