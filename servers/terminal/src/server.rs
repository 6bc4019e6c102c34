//! The I/O and terminal protocols in terms of a terminal. `[terminal]` is the console; as a directory it has the one
//! name `console`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::{Error, Pid, UserId};
use io_server::listing::{Flat, flat_root};
use io_server::service::{Content, OpenInstance};
use io_server::{
    Client, Completion, Incoming, Instances, Listing, Opening, Outcome, Reading, Request, Service, System,
    Waiter, Writing,
};
use protocols::io::{attribute, mode};
use protocols::names::{Descriptor, kind};
use protocols::terminal::terminal;

use crate::channel::{CHANNEL_BYTES, channel};
use crate::terminal::Terminal;

const CONSOLE: &str = "console";
/// Longest prompt.
const MAX_PROMPT_BYTES: usize = 1024;
/// Most bytes of completions, and of lines to be remembered.
const MAX_LINES_BYTES: usize = 256 * 1024;
const BLOCK_BYTES: u32 = 4096;

/// The server.
#[derive(Debug)]
pub struct TerminalServer {
    terminal: Terminal,
    /// The processes of this team that wait for the serial line.
    helpers: Vec<Pid>,
    next_instance: u64,
}

impl TerminalServer {
    /// A server whose screen and keyboard are those of the helpers.
    pub fn new(helpers: Vec<Pid>) -> TerminalServer {
        TerminalServer { terminal: Terminal::new(), helpers, next_instance: 0 }
    }

    fn console() -> Descriptor<'static> {
        Descriptor {
            kind: kind::STREAM,
            attributes: attribute::READABLE
                | attribute::WRITABLE
                | attribute::STREAM
                | attribute::INTERACTIVE,
            owner: UserId::SYSTEM.0,
            size: 0,
            modified_ns: 0,
            created_ns: 0,
            object: 1,
            name: CONSOLE,
        }
    }

    fn terminal_request<'a>(
        &'a mut self,
        operation: terminal::Terminal,
        request: &Request<'_>,
        instances: &mut Instances<OpenInstance<u64>>,
        system: &mut dyn System,
    ) -> Result<Outcome<'a>, Error> {
        use terminal::Terminal;
        let client = request.client;
        let mut check = |instance: u32| instances.get(instance, client).map(drop);
        match operation {
            Terminal::SetMode(set) => {
                check(set.instance)?;
                let previous = self.terminal.set_mode(set.mode, system);
                Ok(Outcome::from(Ok(terminal::ModeSet { previous })))
            }
            Terminal::QueryWindow(query) => {
                check(query.instance)?;
                let (columns, rows) = self.terminal.window();
                Ok(Outcome::from(Ok(terminal::Window { columns, rows })))
            }
            Terminal::SetWindow(set) => {
                check(set.instance)?;
                self.terminal.set_window(set.columns, set.rows, system)?;
                Ok(Outcome::from(Ok(terminal::WindowSet {})))
            }
            Terminal::AddForeground(add) => {
                check(add.instance)?;
                let (program, user) = io_server::server::owner(add.program, client, system)?;
                self.terminal.add_foreground(program, user, system)?;
                Ok(Outcome::from(Ok(terminal::ForegroundAdded {})))
            }
            Terminal::ClearForeground(clear) => {
                check(clear.instance)?;
                let interrupted = u32::from(self.terminal.clear_foreground(system));
                Ok(Outcome::from(Ok(terminal::ForegroundCleared { interrupted })))
            }
            Terminal::AwaitStop(stop) => {
                let open = instances.get(stop.instance, client)?;
                let Content::Object(instance) = &open.content else { return Err(Error::BadInstance) };
                let stopper = Waiter { client: client.pid, instance: *instance, bytes: 0 };
                self.terminal.await_stop(stopper, system);
                Ok(Outcome::Later)
            }
            Terminal::PutReadersAside(put) => {
                check(put.instance)?;
                self.terminal.put_readers_aside(put.readers);
                Ok(Outcome::from(Ok(terminal::ReadersPutAside {})))
            }
            Terminal::ResumeReaders(resume) => {
                check(resume.instance)?;
                self.terminal.resume_readers(resume.readers, system);
                Ok(Outcome::from(Ok(terminal::ReadersResumed {})))
            }
            Terminal::SetPrompt(set) => {
                check(set.instance)?;
                self.terminal.set_prompt(text(request, MAX_PROMPT_BYTES, system)?, set.completes != 0);
                let has_no_history = u32::from(!self.terminal.has_history());
                Ok(Outcome::from(Ok(terminal::PromptSet { has_no_history })))
            }
            Terminal::AddHistory(add) => {
                check(add.instance)?;
                let lines = text(request, MAX_LINES_BYTES, system)?;
                self.terminal.remember(lines.lines().filter(|line| !line.contains(char::is_control)));
                Ok(Outcome::from(Ok(terminal::HistoryAdded {})))
            }
            Terminal::SetCompletions(set) => {
                check(set.instance)?;
                let lines = text(request, MAX_LINES_BYTES, system)?;
                let words = lines.lines().filter(|word| !word.contains(char::is_control));
                self.terminal.complete(words.map(str::to_owned).collect(), system);
                Ok(Outcome::from(Ok(terminal::CompletionsSet {})))
            }
            Terminal::QueryLine(query) => {
                check(query.instance)?;
                let (line, word) = self.terminal.asked().ok_or(Error::NotFound)?;
                if client.writable_bytes()? < line.len() as u64 {
                    return Err(Error::TooLong);
                }
                let found = terminal::Line { count: line.len() as u32, word: word as u32 };
                Ok(Outcome::data(found, line.as_bytes()))
            }
        }
    }

    /// What the helpers say; nobody else is listened to.
    fn channel_request<'a>(
        &mut self,
        operation: channel::Channel,
        request: &Request<'_>,
        system: &mut dyn System,
    ) -> Result<Outcome<'a>, Error> {
        if !self.helpers.contains(&request.client.pid) {
            return Err(Error::NoPermission);
        }
        match operation {
            channel::Channel::Typed(_) => {
                let bytes = request.whole()?;
                if bytes.len() > CHANNEL_BYTES {
                    return Err(Error::TooLong);
                }
                Ok(if self.terminal.type_bytes(bytes, request.client.pid, system) {
                    Outcome::from(Ok(channel::TypedTaken {}))
                } else {
                    Outcome::Later
                })
            }
            channel::Channel::Reconnected(_) => {
                self.terminal.redraw(system);
                Ok(Outcome::from(Ok(channel::ReconnectionNoted {})))
            }
            channel::Channel::TakeOutput(_) => {
                let room = usize::try_from(request.client.writable_bytes()?).unwrap_or(usize::MAX);
                self.terminal.take_output(request.client.pid, room, system);
                Ok(Outcome::Later)
            }
        }
    }
}

/// A request's segment as text.
fn text(request: &Request<'_>, limit: usize, system: &mut dyn System) -> Result<String, Error> {
    let data = request.incoming()?;
    if request.client.grant.bytes() > limit as u64 {
        return Err(Error::TooLong);
    }
    let mut bytes = vec![0; data.bytes()];
    data.copy_to(0, &mut bytes, system)?;
    String::from_utf8(bytes).map_err(|_| Error::BadArgument)
}

impl Service for TerminalServer {
    /// The number by which those who wait know the instance.
    type Open = u64;

    fn open(
        &mut self,
        _client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<u64>, Error> {
        let place = Flat::resolve(context, path, [CONSOLE].into_iter())?;
        if mode & mode::DIRECTORY != 0 {
            if place != Flat::Root {
                return Err(Error::NotADirectory);
            }
            let mut listing = Listing::new();
            listing.push(&TerminalServer::console());
            return Ok(Opening::Directory(listing));
        }
        let attributes = attribute::STREAM | attribute::INTERACTIVE | attribute::of_mode(mode);
        self.next_instance += 1;
        Ok(Opening::Object { open: self.next_instance, attributes, block_bytes: BLOCK_BYTES, size: 0 })
    }

    fn close(&mut self, instance: u64, system: &mut dyn System) {
        self.terminal.close(instance, system);
    }

    fn read<'a>(
        &'a mut self,
        client: &Client,
        instance: &'a mut u64,
        _position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        let reader = Waiter { client: client.pid, instance: *instance, bytes: room };
        self.terminal.read(reader, system);
        Ok(Reading::Later)
    }

    fn write(
        &mut self,
        client: &Client,
        instance: &mut u64,
        _position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        let writer = Waiter { client: client.pid, instance: *instance, bytes: data.bytes() };
        let taken = self.terminal.write(writer, data, system)?;
        Ok(taken.map_or(Writing::Later, |count| Writing::Done(count as u32)))
    }

    fn synchronize(
        &mut self,
        client: &Client,
        instance: &mut u64,
        system: &mut dyn System,
    ) -> Result<Completion, Error> {
        self.terminal.synchronize(Waiter { client: client.pid, instance: *instance, bytes: 0 }, system);
        Ok(Completion::Later)
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        Ok(match Flat::resolve(context, path, [CONSOLE].into_iter())? {
            Flat::Root => flat_root(1),
            Flat::Object(_) => TerminalServer::console(),
        })
    }

    fn describe_open<'a>(&'a mut self, _instance: &'a u64) -> Result<Descriptor<'a>, Error> {
        Ok(TerminalServer::console())
    }

    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        instances: &mut Instances<OpenInstance<u64>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        let answer = if let Some(operation) = terminal::Terminal::from_message(request.message) {
            self.terminal_request(operation, request, instances, system)
        } else if let Some(operation) = channel::Channel::from_message(request.message) {
            self.channel_request(operation, request, system)
        } else {
            Err(Error::BadRequest)
        };
        answer.unwrap_or_else(Outcome::refuse)
    }
}
