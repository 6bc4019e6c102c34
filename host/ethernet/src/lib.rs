//! The virtual Ethernet between the nodes of a domain: a switch that runs in the tool, in a thread of its own, and
//! needs nothing of the host's network. It is a crate of its own to be compiled for speed while the tool is compiled fast.
//!
//! [`switch`] decides who gets a frame and when, after [`impairment`] and [`partition`]; [`deliveries`] keeps what is
//! under way; [`port`] is a node's socket; [`pcap`] writes what passes. Only this file and [`port`] do I/O: the rest
//! is a function of frames and times, and tested as such.

#![forbid(unsafe_code)]

pub mod deliveries;
pub mod impairment;
pub mod partition;
pub mod pcap;
pub mod port;
pub mod switch;
pub mod units;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tempfile::TempDir;

use impairment::{Fate, Impairments};
use pcap::Capture;
use port::Port;
use switch::{Counts, Outcome, Switch};

/// The network of a domain. It ends when this is dropped.
#[derive(Debug)]
pub struct Network {
    /// Holds the ports' sockets, and takes them away in the end.
    folder: TempDir,
    /// An order is two bytes: a node's place, and whether its cable is to be plugged. They come back when it is.
    orders: Option<UnixStream>,
    thread: Option<JoinHandle<Counts>>,
}

impl Network {
    /// Starts a network with a port for each of `nodes` nodes, which writes what passes to the file `capture`.
    pub fn start(nodes: usize, impairments: Impairments, capture: Option<&Path>) -> Result<Network> {
        let folder = tempfile::Builder::new()
            .prefix("v-network-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let port = |node| {
            let path = port_path(folder.path(), node);
            Port::new(&path).with_context(|| format!("cannot listen at {}", path.display()))
        };
        let ports = (0..nodes).map(port).collect::<Result<Vec<Port>>>()?;
        let capture = capture.map(|path| {
            let file = File::create(path).map(BufWriter::new);
            let capture = file.and_then(|file| Capture::new(file, nodes, SystemTime::now()));
            capture.with_context(|| format!("cannot write {}", path.display()))
        });
        let (orders, taken) = UnixStream::pair().context("cannot make a socket")?;
        let wire = Wire {
            switch: Switch::new(nodes, impairments),
            ports,
            capture: capture.transpose()?,
            orders: taken,
            started: Instant::now(),
        };
        let thread = Some(thread::spawn(move || wire.run()));
        Ok(Network { folder, orders: Some(orders), thread })
    }

    /// Where a node's QEMU connects.
    pub fn socket(&self, node: usize) -> PathBuf {
        port_path(self.folder.path(), node)
    }

    /// Plugs or pulls a node's cable. Frames that the node sends after this has returned find it so.
    pub fn plug(&self, node: usize, plugged: bool) -> Result<()> {
        let mut orders = self.orders.as_ref().context("the network has ended")?;
        let mut order = [node as u8, u8::from(plugged)];
        let obeyed = orders.write_all(&order).and_then(|()| orders.read_exact(&mut order));
        obeyed.context("the network does not listen")
    }

    /// Ends the network, and tells what became of the frames.
    pub fn end(mut self) -> Counts {
        self.stop().unwrap_or_default()
    }

    fn stop(&mut self) -> Option<Counts> {
        // The thread ends when there can be no more orders.
        self.orders = None;
        self.thread.take()?.join().ok()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop();
    }
}

fn port_path(folder: &Path, node: usize) -> PathBuf {
    folder.join(format!("node{}", node + 1))
}

/// What the network's thread works on.
struct Wire {
    switch: Switch,
    ports: Vec<Port>,
    capture: Option<Capture<BufWriter<File>>>,
    orders: UnixStream,
    started: Instant,
}

/// What there is to do.
struct Ready {
    orders: bool,
    /// For each port: whether to accept, and whether to receive.
    ports: Vec<(bool, bool)>,
}

impl Wire {
    fn run(mut self) -> Counts {
        while let Ok(ready) = self.wait() {
            if ready.orders && !self.obey() {
                break;
            }
            for (port, (accept, receive)) in ready.ports.into_iter().enumerate() {
                if receive {
                    self.receive(port);
                }
                if accept {
                    self.ports[port].accept();
                }
            }
            self.deliver();
        }
        self.switch.counts()
    }

    /// Waits until there is something to do.
    fn wait(&self) -> io::Result<Ready> {
        let timeout = self.switch.next_due().map(|due| due.saturating_sub(self.started.elapsed()));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut waited_for = vec![PollFd::new(&self.orders, PollFlags::IN)];
        let mut lines = Vec::new();
        for port in &self.ports {
            waited_for.push(PollFd::new(port.listener(), PollFlags::IN));
            if let Some((line, waiting)) = port.line() {
                let out = if waiting { PollFlags::OUT } else { PollFlags::empty() };
                waited_for.push(PollFd::new(line, PollFlags::IN | out));
            }
            lines.push(port.line().is_some());
        }
        match poll(&mut waited_for, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut found = waited_for
            .iter()
            .map(|one| one.revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR));
        let mut next = || found.next().unwrap_or(false);
        let orders = next();
        let ports = lines.into_iter().map(|line| (next(), line && next())).collect();
        Ok(Ready { orders, ports })
    }

    /// Does as ordered. Whether there can be more orders.
    fn obey(&mut self) -> bool {
        let mut order = [0; 2];
        if self.orders.read_exact(&mut order).is_err() {
            return false;
        }
        if usize::from(order[0]) < self.ports.len() {
            self.switch.plug(order[0].into(), order[1] != 0);
        }
        self.orders.write_all(&order).is_ok()
    }

    fn receive(&mut self, port: usize) {
        let now = self.started.elapsed();
        let (switch, capture) = (&mut self.switch, &mut self.capture);
        self.ports[port].receive(|frame| {
            let outcomes = switch.take(port, frame, now);
            // A capture that cannot be written ends there; the network goes on.
            capture.take_if(|capture| capture.put(port, now, frame, &comment(&outcomes)).is_err());
        });
        self.capture.take_if(|capture| capture.flush().is_err());
    }

    /// Hands over what has arrived.
    fn deliver(&mut self) {
        while let Some((receiver, frame)) = self.switch.deliver(self.started.elapsed()) {
            if !self.ports[receiver].send(&frame) {
                self.switch.dropped();
            }
        }
        self.ports.iter_mut().for_each(Port::flush);
    }
}

/// What became of a frame, where there is something to say.
fn comment(outcomes: &[(usize, Outcome)]) -> String {
    let at_once = Outcome::Fate(Fate::Arrives { delay: Duration::ZERO, held: false, again: None });
    let mut comment = String::new();
    for (receiver, outcome) in outcomes.iter().filter(|(_, outcome)| *outcome != at_once) {
        let separator = if comment.is_empty() { "" } else { "; " };
        // Writing to a string cannot fail.
        let _ = write!(comment, "{separator}to node{}: {outcome}", receiver + 1);
    }
    comment
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node's end of the network.
    struct Card(UnixStream);

    impl Card {
        fn new(network: &Network, node: usize) -> Card {
            let card = UnixStream::connect(network.socket(node)).unwrap();
            card.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            Card(card)
        }

        fn send(&mut self, data: &[u8]) {
            let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1, 0x88, 0xb5], data].concat();
            self.0.write_all(&[&(frame.len() as u32).to_be_bytes(), &frame[..]].concat()).unwrap();
        }

        fn receive(&mut self) -> Vec<u8> {
            let mut length = [0; 4];
            self.0.read_exact(&mut length).unwrap();
            let mut frame = vec![0; u32::from_be_bytes(length) as usize];
            self.0.read_exact(&mut frame).unwrap();
            frame[14..].to_vec()
        }
    }

    #[test]
    fn frames_cross_the_network() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("capture");
        let network = Network::start(3, Impairments::default(), Some(&file)).unwrap();
        let mut cards = [0, 1, 2].map(|node| Card::new(&network, node));
        // A node is there once it has been heard.
        cards[1].send(b"here");
        cards[2].send(b"here too");
        let mut heard = [cards[0].receive(), cards[0].receive()];
        heard.sort();
        assert_eq!(heard, [b"here".to_vec(), b"here too".to_vec()]);
        let jumbo = vec![5; 9000];
        cards[0].send(&jumbo);
        assert!(std::iter::from_fn(|| Some(cards[1].receive())).take(2).any(|data| data == jumbo));
        let counts = network.end();
        assert_eq!(counts.sent, 3);
        assert!(std::fs::read(file).unwrap().windows(9000).any(|bytes| bytes == jumbo));
    }

    #[test]
    fn a_delayed_frame_takes_its_time() {
        let delay = Duration::from_millis(50);
        let network = Network::start(2, Impairments { delay, ..Impairments::default() }, None).unwrap();
        let mut cards = [0, 1].map(|node| Card::new(&network, node));
        let begin = Instant::now();
        cards[0].send(b"slow");
        assert_eq!(cards[1].receive(), b"slow");
        assert!(begin.elapsed() >= delay);
    }

    #[test]
    fn a_pulled_cable_is_silent_until_it_is_plugged() {
        let network = Network::start(3, Impairments::default(), None).unwrap();
        let mut cards = [0, 1, 2].map(|node| Card::new(&network, node));
        network.plug(1, false).unwrap();
        cards[0].send(b"unheard");
        assert_eq!(cards[2].receive(), b"unheard");
        network.plug(1, true).unwrap();
        cards[0].send(b"heard");
        assert_eq!(cards[1].receive(), b"heard");
        assert_eq!(network.end().unplugged, 1);
    }

    #[test]
    fn comments_say_what_is_special() {
        let arrives = |delay| Outcome::Fate(Fate::Arrives { delay, held: false, again: None });
        assert_eq!(comment(&[(0, arrives(Duration::ZERO))]), "");
        let outcomes = [
            (0, arrives(Duration::ZERO)),
            (1, Outcome::Fate(Fate::Lost)),
            (2, arrives(Duration::from_millis(5))),
        ];
        assert_eq!(comment(&outcomes), "to node2: lost; to node3: after 5.000 ms");
    }
}
