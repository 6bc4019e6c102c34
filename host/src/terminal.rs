//! The session of a person: this terminal becomes a node's console, key by key. [`keys`] says which keys are commands
//! to the tool instead; one of them shows another node's console.
//!
//! Each node has a [`Pane`](pane), which keeps the node's screen while another is shown. The thread that reads keys
//! never waits for a node, so that the commands always work.

pub mod keys;
mod pane;

use std::fs::File;
use std::io::{self, IsTerminal, Read, Stdin, Stdout, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::Signals;

use crate::domain::plan::Action;
use crate::domain::{Domain, Event, name};
use crate::session::{End, Session};
use keys::{Command, HELP, Keyboard, Typed};
use pane::{Pane, PaneSession};

/// What a terminal does on a bad key.
const BELL: &[u8] = b"\x07";

/// Keys go to the node as they are pressed, for as long as this lives.
#[derive(Debug)]
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

/// This terminal, connected with the consoles of a domain until it is dropped.
#[derive(Debug)]
pub struct Terminal {
    screens: Screens,
    _keys: Option<RawKeys>,
}

/// The nodes' screens, of which one is shown. Clones are the same screens.
#[derive(Clone, Debug)]
struct Screens(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    panes: Vec<Pane>,
    /// The place of the node whose screen is shown.
    shown: usize,
    output: Stdout,
}

impl Terminal {
    /// Connects this terminal with the consoles of `domain`, the first of which it shows.
    pub fn new(domain: &Domain) -> Result<Terminal> {
        let keys = RawKeys::new()?;
        // Not through `io::stdin()`, whose buffer would hold keys back from the next reader.
        let input =
            File::from(io::stdin().as_fd().try_clone_to_owned().context("cannot read standard input")?);
        let panes = (0..domain.nodes()).map(|_| Pane::new(window_size())).collect();
        let screens = Screens(Arc::new(Mutex::new(Shared { panes, shown: 0, output: io::stdout() })));
        let (own, terminal, sender) = (screens.clone(), keys.is_some(), domain.sender());
        thread::spawn(move || if terminal { own.relay_keys(input, &sender) } else { own.relay_bytes(input) });
        let own = screens.clone();
        let mut signals = Signals::new([SIGWINCH]).context("cannot watch the terminal's size")?;
        thread::spawn(move || signals.forever().for_each(|_| own.resize()));
        Ok(Terminal { screens, _keys: keys })
    }

    /// A session for each node.
    pub fn sessions(&self) -> Vec<Box<dyn Session>> {
        let nodes = 0..self.screens.lock().panes.len();
        nodes.map(|node| Box::new(PaneSession::new(self.screens.clone(), node)) as Box<dyn Session>).collect()
    }
}

/// Columns and rows.
fn window_size() -> (u16, u16) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
        // No terminal, or one that doesn't say.
        _ => (80, 24),
    }
}

impl Screens {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resize(&self) {
        let (columns, rows) = window_size();
        self.lock().panes.iter_mut().for_each(|pane| pane.resize(columns, rows));
    }

    /// Sends what comes from `input` to the first node, however long that takes.
    fn relay_bytes(&self, mut input: impl Read) {
        let console = self.lock().panes[0].keys();
        let mut bytes = [0; 256];
        while let Ok(length @ 1..) = input.read(&mut bytes) {
            if console.send(bytes[..length].to_vec()).is_err() {
                return;
            }
        }
    }

    /// Does as is typed.
    fn relay_keys(&self, mut input: impl Read, sender: &SyncSender<Event>) {
        let mut keyboard = Keyboard::default();
        let mut bytes = [0; 256];
        while let Ok(length @ 1..) = input.read(&mut bytes) {
            keyboard.typed(&bytes[..length], |typed| {
                let event = match typed {
                    Typed::Keys(keys) => self.lock().press(keys),
                    Typed::Command(command) => self.lock().obey(command),
                };
                // Not while the screens are locked, since this may wait.
                if let Some(event) = event {
                    // Where nobody watches any more, the session has ended already.
                    let _ = sender.send(event);
                }
            });
        }
    }
}

impl Shared {
    fn press(&mut self, keys: &[u8]) -> Option<Event> {
        if self.panes[self.shown].keys().try_send(keys.to_vec()).is_err() {
            self.bell();
        }
        None
    }

    fn obey(&mut self, command: Command) -> Option<Event> {
        let (shown, nodes) = (self.shown, self.panes.len());
        match command {
            Command::Leave => return Some(Event::Stop(End::Left)),
            Command::Show(node) => self.show(node),
            Command::Next => self.show((shown + 1) % nodes),
            Command::Previous => self.show((shown + nodes - 1) % nodes),
            Command::Cable => {
                let plugged = self.panes[shown].toggle_cable();
                return Some(Event::Act(if plugged { Action::Plug(shown) } else { Action::Pull(shown) }));
            }
            Command::Power => {
                let on = self.panes[shown].is_on();
                return Some(Event::Act(if on { Action::PowerOff(shown) } else { Action::PowerOn(shown) }));
            }
            Command::Help => self.say(shown, &format!("{}; {HELP}", name(shown))),
        }
        None
    }

    /// Shows another node's screen.
    fn show(&mut self, node: usize) {
        if node >= self.panes.len() {
            return self.bell();
        }
        self.shown = node;
        let screen = self.panes[node].redrawn(&name(node));
        self.write(&screen);
    }

    /// Shows what a node writes, or keeps it until the node is shown. Whether there still is a terminal.
    fn take(&mut self, node: usize, bytes: &[u8]) -> bool {
        self.panes[node].take(bytes);
        node != self.shown || self.write(bytes)
    }

    /// A word from the tool among what a node writes.
    fn say(&mut self, node: usize, text: &str) {
        self.take(node, format!("\r\n[{text}]\r\n").as_bytes());
    }

    fn bell(&mut self) {
        self.write(BELL);
    }

    fn write(&mut self, bytes: &[u8]) -> bool {
        self.output.write_all(bytes).and_then(|()| self.output.flush()).is_ok()
    }
}
