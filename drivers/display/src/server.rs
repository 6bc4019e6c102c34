//! The consoles as instances of the I/O protocol. As serial ports they are devices: only the system and the operator open them.

use alloc::vec::Vec;

use abi::protocol::Reply as _;
use abi::{Error, UserId};
use io_server::listing::{Flat, flat_root, slice_at};
use io_server::service::OpenInstance;
use io_server::{
    Client, Completion, Incoming, Instances, Listing, Opening, Outcome, Reading, Request, Ring, Service,
    System, Waiter, Waiters, Writing,
};
use protocols::io::{attribute, mode};
use protocols::keyboard::keyboard;
use protocols::names::{Descriptor, kind};

use crate::console::Console;
use crate::keyboard::{Keyboard, Typed};
use crate::screen::{Screen, Surface};

/// The consoles' names, of which Alt and a function key shows one; and that of the file with the keyboard's layout.
pub const NAMES: [&str; 4] = ["1", "2", "3", "keyboard"];
/// How many consoles there are, and which of the names comes behind them.
const CONSOLES: usize = 3;
/// Bytes typed and not read.
const TYPED_BYTES: usize = 4096;
/// Most bytes of one write that are taken.
const WRITE_BYTES: usize = 4096;
/// An open console, or the open file with the layout, which stands where the next console would.
#[derive(Clone, Copy, Debug)]
pub struct OpenConsole {
    console: usize,
    /// Tells this instance from others to those who wait.
    instance: u64,
}

struct Line {
    console: Console,
    typed: Ring,
    readers: Waiters,
}

impl Line {
    fn push(&mut self, bytes: &[u8], system: &mut dyn System) {
        // What nobody reads is lost, as on a serial line.
        let _ = self.typed.push(bytes);
        self.readers.read_from(&mut self.typed, system);
    }
}

/// The server.
pub struct DisplayServer<S> {
    screen: Screen<S>,
    keyboard: Keyboard,
    lines: Vec<Line>,
    /// Which of them is on the screen.
    active: usize,
    next_instance: u64,
    /// What is read of the file with the layout.
    layout_line: Vec<u8>,
}

impl<S: Surface> DisplayServer<S> {
    /// Consoles of so many characters, the first of them on the screen.
    pub fn new(surface: S, columns: usize, rows: usize, keyboard: Keyboard) -> DisplayServer<S> {
        let line = |_| Line {
            console: Console::new(columns, rows),
            typed: Ring::new(TYPED_BYTES),
            readers: Waiters::new(),
        };
        let mut server = DisplayServer {
            screen: Screen::new(surface, columns, rows),
            keyboard,
            lines: NAMES[..CONSOLES].iter().map(line).collect(),
            active: 0,
            next_instance: 0,
            layout_line: Vec::new(),
        };
        server.draw();
        server
    }

    fn draw(&mut self) {
        self.screen.draw(&self.lines[self.active].console);
    }

    /// Takes a key that has gone down or up.
    fn press(&mut self, key: u32, is_down: bool, system: &mut dyn System) {
        match self.keyboard.take(key, is_down) {
            Some(Typed::Bytes(bytes)) => self.lines[self.active].push(&bytes, system),
            Some(Typed::Console(place)) if place < self.lines.len() => {
                self.active = place;
                self.draw();
            }
            Some(Typed::Console(_)) | None => {}
        }
    }

    fn resolve(context: u32, path: &[u8]) -> Result<Flat, Error> {
        Flat::resolve(context, path, NAMES.into_iter())
    }

    /// Changes the keyboard's layout to that of a name.
    fn set_layout(&mut self, name: &[u8]) -> Result<(), Error> {
        let name = str::from_utf8(name).map_err(|_| Error::BadArgument)?;
        self.keyboard = Keyboard::new(name.trim()).ok_or(Error::BadArgument)?;
        Ok(())
    }

    fn descriptor(&self, at: usize) -> Descriptor<'static> {
        let typed = self.lines.get(at).map(|line| line.typed.len());
        let (kind, stream) =
            if typed.is_some() { (kind::DEVICE, attribute::STREAM) } else { (kind::FILE, 0) };
        Descriptor {
            kind,
            attributes: attribute::READABLE | attribute::WRITABLE | stream,
            owner: UserId::SYSTEM.0,
            size: typed.unwrap_or(self.keyboard.layout().len() + 1) as u64,
            modified_ns: 0,
            created_ns: 0,
            object: 1 + at as u64,
            name: NAMES[at],
        }
    }
}

impl<S: Surface> Service for DisplayServer<S> {
    type Open = OpenConsole;

    fn open(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<OpenConsole>, Error> {
        let console = match (Self::resolve(context, path)?, mode & mode::DIRECTORY != 0) {
            (Flat::Root, true) => {
                let mut listing = Listing::new();
                (0..NAMES.len()).for_each(|at| listing.push(&self.descriptor(at)));
                return Ok(Opening::Directory(listing));
            }
            (Flat::Root, false) => return Err(Error::IsADirectory),
            (Flat::Object(_), true) => return Err(Error::NotADirectory),
            (Flat::Object(console), false) => console,
        };
        if !client.user.may_operate() {
            return Err(Error::NoPermission);
        }
        let descriptor = self.descriptor(console);
        let attributes = descriptor.attributes & attribute::STREAM | attribute::of_mode(mode);
        let size = if console < CONSOLES { 0 } else { descriptor.size };
        self.next_instance += 1;
        let open = OpenConsole { console, instance: self.next_instance };
        Ok(Opening::Object { open, attributes, block_bytes: WRITE_BYTES as u32, size })
    }

    fn close(&mut self, open: OpenConsole, system: &mut dyn System) {
        if let Some(line) = self.lines.get_mut(open.console) {
            line.readers.close(open.instance, system);
        }
    }

    fn read<'a>(
        &'a mut self,
        client: &Client,
        open: &'a mut OpenConsole,
        position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        let Some(line) = self.lines.get_mut(open.console) else {
            self.layout_line.clear();
            self.layout_line.extend(self.keyboard.layout().bytes().chain([b'\n']));
            return Ok(Reading::Data(slice_at(&self.layout_line, position, room)));
        };
        line.readers.push(Waiter { client: client.pid, instance: open.instance, bytes: room });
        line.readers.read_from(&mut line.typed, system);
        Ok(Reading::Later)
    }

    fn write(
        &mut self,
        _client: &Client,
        open: &mut OpenConsole,
        _position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        let mut text = [0; WRITE_BYTES];
        let text = &mut text[..data.bytes().min(WRITE_BYTES)];
        data.copy_to(0, text, system)?;
        let Some(line) = self.lines.get_mut(open.console) else {
            self.set_layout(text)?;
            return Ok(Writing::Done(text.len() as u32));
        };
        line.console.write(text);
        let answers = line.console.take_answers();
        line.push(&answers, system);
        if open.console == self.active {
            self.draw();
        }
        Ok(Writing::Done(text.len() as u32))
    }

    fn synchronize(
        &mut self,
        _client: &Client,
        _open: &mut OpenConsole,
        _system: &mut dyn System,
    ) -> Result<Completion, Error> {
        Ok(Completion::Now)
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        Ok(match Self::resolve(context, path)? {
            Flat::Root => flat_root(NAMES.len()),
            Flat::Object(at) => self.descriptor(at),
        })
    }

    fn describe_open<'a>(&'a mut self, open: &'a OpenConsole) -> Result<Descriptor<'a>, Error> {
        Ok(self.descriptor(open.console))
    }

    /// What drivers of keyboards tell.
    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        _instances: &mut Instances<OpenInstance<OpenConsole>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        let Some(told) = keyboard::Keyboard::from_message(request.message) else {
            return Outcome::refuse(Error::BadRequest);
        };
        if !request.client.user.may_operate() {
            return Outcome::refuse(Error::NoPermission);
        }
        Outcome::Reply(match told {
            keyboard::Keyboard::PressKey(pressed) => {
                self.press(pressed.key, pressed.is_down != 0, system);
                keyboard::KeyPressed { lights: self.keyboard.lights() }.to_message()
            }
            keyboard::Keyboard::ReleaseKeys(_) => {
                self.keyboard.release();
                keyboard::KeysReleased { lights: self.keyboard.lights() }.to_message()
            }
        })
    }
}
