//! What a terminal keeps of each node: its screen, its lines, whether it is on.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use protocols::host_channel::{Decoder, Frame, VERSION};
use vt100::Parser;

use super::Screens;
use crate::channel::Speaker;
use crate::domain::name;
use crate::session::{End, Lines, Session};

/// Pieces of input that may wait for a node to take them.
const KEYS: usize = 64;

/// A node's screen and lines.
#[derive(Debug)]
pub struct Pane {
    screen: Screen,
    keys: SyncSender<Vec<u8>>,
    console: Console,
    speaker: Speaker,
    /// The guest's server is there to hear of the window's size.
    greeted: bool,
    plugged: bool,
    size: (u16, u16),
}

/// What a terminal would show.
struct Screen(Parser);

impl std::fmt::Debug for Screen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_tuple("Screen").field(&self.0.screen().size()).finish()
    }
}

impl Pane {
    /// The pane of a node that has not been started, on a terminal of that many columns and rows.
    pub fn new(size: (u16, u16)) -> Pane {
        let (keys, typed) = sync_channel(KEYS);
        let console = Console::default();
        let own = console.clone();
        thread::spawn(move || own.relay(&typed));
        let screen = Screen(Parser::new(size.1, size.0, 0));
        Pane { screen, keys, console, speaker: Speaker::default(), greeted: false, plugged: true, size }
    }

    /// Where input for the node goes. Before the node's first start it waits.
    pub fn keys(&self) -> SyncSender<Vec<u8>> {
        self.keys.clone()
    }

    /// The node writes to its screen.
    pub fn take(&mut self, bytes: &[u8]) {
        self.screen.0.process(bytes);
    }

    /// What makes a terminal show the screen, and for a moment, in its corner, `name`.
    pub fn redrawn(&self, name: &str) -> Vec<u8> {
        let column = usize::from(self.size.0).saturating_sub(name.len() + 1);
        let corner = format!("\x1b7\x1b[1;{column}H\x1b[7m {name} \x1b[m\x1b8");
        // The name is the window's title too.
        let title = format!("\x1b]0;{name}\x07");
        [&self.screen.0.screen().state_formatted(), corner.as_bytes(), title.as_bytes()].concat()
    }

    /// The terminal has another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.size = (columns, rows);
        self.screen.0.screen_mut().set_size(rows, columns);
        self.tell_size();
    }

    /// The cable is pulled if it was plugged, and the other way round. Whether it is plugged now.
    pub fn toggle_cable(&mut self) -> bool {
        self.plugged = !self.plugged;
        self.plugged
    }

    /// Whether the node has power.
    pub fn is_on(&self) -> bool {
        self.console.lock().line.is_some()
    }

    fn begin(&mut self, lines: Lines) {
        self.greeted = false;
        self.speaker.connect(lines.channel);
        self.console.connect(Some(lines.console));
    }

    fn greet(&mut self) {
        self.speaker.say(Frame::Hello { version: VERSION });
        self.greeted = true;
        self.tell_size();
    }

    fn tell_size(&self) {
        let (columns, rows) = self.size;
        if self.greeted {
            self.speaker.say(Frame::WindowSize { columns, rows });
        } else if self.is_on() {
            // As a terminal answers the question for it. Where so much waits to be typed, the next size will do.
            let _ = self.keys.try_send(format!("\x1b[{rows};{columns}R").into_bytes());
        }
    }
}

/// The way to a node's console. Clones are the same way.
#[derive(Clone, Debug, Default)]
struct Console(Arc<(Mutex<Way>, Condvar)>);

#[derive(Debug, Default)]
struct Way {
    /// The node has been started once.
    begun: bool,
    line: Option<UnixStream>,
}

impl Console {
    fn lock(&self) -> MutexGuard<'_, Way> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self, line: Option<UnixStream>) {
        *self.lock() = Way { begun: true, line };
        self.0.1.notify_all();
    }

    /// Sends what is typed to the node, once it has been started; what is typed while it is off is lost.
    fn relay(&self, typed: &Receiver<Vec<u8>>) {
        for keys in typed {
            let wait = self.0.1.wait_while(self.lock(), |way| !way.begun);
            let way = wait.unwrap_or_else(PoisonError::into_inner);
            let line = way.line.as_ref().and_then(|line| line.try_clone().ok());
            drop(way);
            // Where the node has just ended, this is lost too.
            let _ = line.map(|mut line| line.write_all(&keys));
        }
    }
}

/// The session of one node at the terminal.
pub struct PaneSession {
    screens: Screens,
    node: usize,
    decoder: Decoder,
}

impl PaneSession {
    /// The session of the node at that place.
    pub fn new(screens: Screens, node: usize) -> PaneSession {
        PaneSession { screens, node, decoder: Decoder::new() }
    }
}

impl Session for PaneSession {
    fn begin(&mut self, lines: Lines) -> Result<()> {
        self.decoder = Decoder::new();
        self.screens.lock().panes[self.node].begin(lines);
        Ok(())
    }

    fn console(&mut self, bytes: &[u8]) -> Result<Option<End>> {
        // A terminal that has gone away has left.
        Ok((!self.screens.lock().take(self.node, bytes)).then_some(End::OutputClosed))
    }

    fn channel(&mut self, bytes: &[u8]) -> Result<Option<End>> {
        for &byte in bytes {
            if let Some(Ok(Frame::Hello { version: VERSION })) = self.decoder.push(byte) {
                self.screens.lock().panes[self.node].greet();
            }
        }
        Ok(None)
    }

    fn patience(&self) -> Option<Duration> {
        None
    }

    fn ended(&mut self, end: End) -> End {
        let mut shared = self.screens.lock();
        shared.panes[self.node].console.connect(None);
        if shared.panes.len() > 1 && end != End::OutputClosed {
            let text = format!("{}: {end}; Ctrl-] o switches it on", name(self.node));
            shared.say(self.node, &text);
            let shown = shared.shown;
            if shown != self.node {
                shared.say(shown, &text);
            }
        }
        end
    }

    fn survives_failure(&self) -> bool {
        // Without a terminal there is nobody to go on for.
        self.screens.lock().panes.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_screen_is_drawn_again_as_it_was() {
        let mut pane = Pane::new((20, 4));
        pane.take(b"one\r\ntwo\r\n\x1b[1mbold\x1b[m\r\nlast\r\n$ ");
        let mut other = Parser::new(4, 20, 0);
        other.process(b"what was there before\x1b[3;3H");
        other.process(&pane.redrawn("node2"));
        // Of four rows the first has scrolled away, and the name is in the corner.
        assert_eq!(other.screen().contents(), "two           node2 \nbold\nlast\n$ ");
        assert_eq!(other.screen().cursor_position(), (3, 2));
    }

    #[test]
    fn what_is_typed_waits_for_the_first_start_and_is_lost_while_the_node_is_off() {
        let mut pane = Pane::new((80, 24));
        let connect = |pane: &mut Pane| {
            let (console, node) = UnixStream::pair().unwrap();
            let (channel, _) = UnixStream::pair().unwrap();
            pane.begin(Lines { console, channel });
            node
        };
        let heard = |node: &mut UnixStream, length: usize| {
            let mut bytes = vec![0; length];
            node.read_exact(&mut bytes).unwrap();
            bytes
        };
        pane.keys().send(b"early".to_vec()).unwrap();
        let mut node = connect(&mut pane);
        assert!(pane.is_on());
        assert_eq!(heard(&mut node, 5), b"early");
        pane.console.connect(None);
        assert!(!pane.is_on());
        // More than may wait, so all but those are gone when the node starts again.
        (0..2 * KEYS).for_each(|_| pane.keys().send(b"lost".to_vec()).unwrap());
        let mut node = connect(&mut pane);
        pane.keys().send(b"end".to_vec()).unwrap();
        let mut rest = Vec::new();
        while !rest.ends_with(b"end") {
            rest.extend(heard(&mut node, 1));
        }
        assert!(rest.len() <= KEYS * 4 + 8);
    }
}
