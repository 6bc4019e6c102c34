//! The session of a person: this terminal becomes the node's console, key by key, until the leave key.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Stdin, Stdout, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use protocols::host_channel::{Decoder, Frame, VERSION};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::Signals;

use crate::channel::Speaker;
use crate::node::{End, Event, Node, Session};

/// Ctrl-], which ends the session; every other byte goes to the node.
pub const LEAVE: u8 = 0x1d;

/// Keys go to the node as they are pressed, for as long as this lives.
struct RawKeys {
    input: Stdin,
    before: Termios,
}

impl RawKeys {
    /// `None` where standard input is no terminal.
    fn new() -> Result<Option<RawKeys>> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&input).context("cannot read the terminal's settings")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&input, OptionalActions::Now, &raw).context("cannot change the terminal's settings")?;
        Ok(Some(RawKeys { input, before }))
    }
}

impl Drop for RawKeys {
    fn drop(&mut self) {
        // If this fails the terminal is gone.
        let _ = tcsetattr(&self.input, OptionalActions::Now, &self.before);
    }
}

/// A session at a terminal.
pub struct Terminal {
    decoder: Decoder,
    window: Window,
    output: Stdout,
    _keys: Option<RawKeys>,
}

impl Terminal {
    /// Connects this terminal with the node's console.
    pub fn new(node: &Node) -> Result<Terminal> {
        let keys = RawKeys::new()?;
        // Not through `io::stdin()`, whose buffer would hold keys back from the next reader.
        let input =
            File::from(io::stdin().as_fd().try_clone_to_owned().context("cannot read standard input")?);
        let console = node.console()?;
        let sender = node.sender();
        let terminal = keys.is_some();
        thread::spawn(move || relay_keys(input, console, terminal, &sender));
        let window = Window { speaker: Speaker::new(node.channel()?), known: Arc::default() };
        watch_size(window.clone())?;
        Ok(Terminal { decoder: Decoder::new(), window, output: io::stdout(), _keys: keys })
    }
}

impl Session for Terminal {
    fn console(&mut self, bytes: &[u8]) -> Result<Option<End>> {
        let written = self.output.write_all(bytes).and_then(|()| self.output.flush());
        // A terminal that has gone away has left.
        Ok(written.is_err().then_some(End::OutputClosed))
    }

    fn channel(&mut self, bytes: &[u8]) -> Result<Option<End>> {
        for &byte in bytes {
            if let Some(Ok(Frame::Hello { version: VERSION })) = self.decoder.push(byte) {
                self.window.greet();
            }
        }
        Ok(None)
    }

    fn patience(&self) -> Option<Duration> {
        None
    }
}

/// Tells the guest how large the terminal is.
#[derive(Clone)]
struct Window {
    speaker: Speaker,
    /// The guest's server is there to hear it.
    known: Arc<AtomicBool>,
}

impl Window {
    fn greet(&self) {
        self.speaker.say(Frame::Hello { version: VERSION });
        self.known.store(true, Ordering::SeqCst);
        self.tell();
    }

    fn tell(&self) {
        if let (true, Ok(size)) = (self.known.load(Ordering::SeqCst), tcgetwinsize(io::stdout())) {
            self.speaker.say(Frame::WindowSize { columns: size.ws_col, rows: size.ws_row });
        }
    }
}

/// Tells the guest of each new size.
fn watch_size(window: Window) -> Result<()> {
    let mut signals = Signals::new([SIGWINCH]).context("cannot watch the terminal's size")?;
    thread::spawn(move || signals.forever().for_each(|_| window.tell()));
    Ok(())
}

/// Sends what comes from `input` to the console, until the leave key if it is a terminal.
fn relay_keys(mut input: impl Read, mut console: UnixStream, terminal: bool, sender: &SyncSender<Event>) {
    let mut keys = [0; 256];
    loop {
        let Ok(length @ 1..) = input.read(&mut keys) else {
            return;
        };
        let keys = &keys[..length];
        let leave = keys.iter().position(|key| terminal && *key == LEAVE);
        if console.write_all(&keys[..leave.unwrap_or(length)]).is_err() {
            return;
        }
        if leave.is_some() {
            // Where nobody watches any more, the session has ended already.
            let _ = sender.send(Event::Stop(End::Left));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn relayed(keys: &[u8], terminal: bool) -> (Vec<u8>, bool) {
        let (console, mut node) = UnixStream::pair().unwrap();
        let (sender, events) = sync_channel(1);
        relay_keys(keys, console, terminal, &sender);
        let mut received = Vec::new();
        node.read_to_end(&mut received).unwrap();
        (received, matches!(events.try_recv(), Ok(Event::Stop(End::Left))))
    }

    #[test]
    fn every_key_but_the_leave_key_goes_to_the_node() {
        assert_eq!(relayed(b"ls\r\x03\x04", true), (b"ls\r\x03\x04".to_vec(), false));
        assert_eq!(relayed(b"ab\x1dcd", true), (b"ab".to_vec(), true));
    }

    #[test]
    fn piped_bytes_have_no_leave_key() {
        assert_eq!(relayed(b"ab\x1dcd", false), (b"ab\x1dcd".to_vec(), false));
    }
}
