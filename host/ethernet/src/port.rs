//! A port of the switch: a socket that a node's QEMU connects to (`-netdev stream`), which carries frames, each after
//! its length in four bytes, in network order.
//!
//! Nothing here waits. What the node sends is always taken, as by a wire; what it doesn't take is kept up to a bound,
//! beyond which frames are dropped. A node that starts again connects again, which replaces its old connection.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Bytes that wait for a node to take them.
const MOST_WAITING_BYTES: usize = 4 << 20;
/// Bytes read at once: several of the longest frames.
const READ_BYTES: usize = 64 << 10;
/// The length before each frame.
const LENGTH_BYTES: usize = 4;
/// A length beyond this is none that QEMU would say.
const MOST_LENGTH: usize = 1 << 20;

/// A port.
#[derive(Debug)]
pub struct Port {
    listener: UnixListener,
    line: Option<Line>,
}

#[derive(Debug)]
struct Line {
    socket: UnixStream,
    /// Where it is read into.
    buffer: Box<[u8]>,
    /// What has come of a frame that isn't whole yet.
    begun: Vec<u8>,
    /// What the node has not taken yet.
    waiting: Vec<u8>,
}

impl Port {
    /// A port at `path`.
    pub fn new(path: &Path) -> io::Result<Port> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Port { listener, line: None })
    }

    /// Where nodes connect.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// The node's connection, and whether something waits to be taken by it.
    pub fn line(&self) -> Option<(&UnixStream, bool)> {
        self.line.as_ref().map(|line| (&line.socket, !line.waiting.is_empty()))
    }

    /// Accepts the node's connection if it has made one.
    pub fn accept(&mut self) {
        if let Ok((socket, _)) = self.listener.accept()
            && socket.set_nonblocking(true).is_ok()
        {
            let buffer = vec![0; READ_BYTES].into();
            self.line = Some(Line { socket, buffer, begun: Vec::new(), waiting: Vec::new() });
        }
    }

    /// Hands what the node has sent to `take`, frame by frame.
    pub fn receive(&mut self, mut take: impl FnMut(&[u8])) {
        let Some(line) = &mut self.line else { return };
        let open = match line.socket.read(&mut line.buffer) {
            Ok(0) => false,
            Ok(length) => {
                line.begun.extend(&line.buffer[..length]);
                line.whole_frames(&mut take)
            }
            Err(error) => may_go_on(&error),
        };
        if !open {
            self.line = None;
        }
    }

    /// Puts a frame where the node will take it. Whether there was a node, and room.
    pub fn send(&mut self, frame: &[u8]) -> bool {
        let Some(line) = &mut self.line else { return false };
        let room = line.waiting.len() + frame.len() <= MOST_WAITING_BYTES;
        if room {
            line.waiting.extend((frame.len() as u32).to_be_bytes());
            line.waiting.extend(frame);
        }
        room
    }

    /// Lets the node take what waits for it.
    pub fn flush(&mut self) {
        let Some(line) = &mut self.line else { return };
        let mut taken = 0;
        while taken < line.waiting.len() {
            match line.socket.write(&line.waiting[taken..]) {
                Ok(length) => taken += length,
                Err(error) if may_go_on(&error) => break,
                // The node has ended.
                Err(_) => return self.line = None,
            }
        }
        line.waiting.drain(..taken);
    }
}

impl Line {
    /// Whether what comes can still be understood.
    fn whole_frames(&mut self, take: &mut impl FnMut(&[u8])) -> bool {
        let mut rest = &self.begun[..];
        while let Some((length, after)) = rest.split_first_chunk::<LENGTH_BYTES>() {
            let length = u32::from_be_bytes(*length) as usize;
            if length > MOST_LENGTH {
                return false;
            }
            let Some((frame, after)) = after.split_at_checked(length) else { break };
            take(frame);
            rest = after;
        }
        let left = rest.len();
        self.begun.drain(..self.begun.len() - left);
        true
    }
}

fn may_go_on(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected() -> (tempfile::TempDir, Port, UnixStream) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port");
        let mut port = Port::new(&path).unwrap();
        let node = UnixStream::connect(path).unwrap();
        port.accept();
        (folder, port, node)
    }

    fn received(port: &mut Port) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        port.receive(|frame| frames.push(frame.to_vec()));
        frames
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let (_folder, mut port, mut node) = connected();
        assert!(received(&mut port).is_empty());
        node.write_all(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(received(&mut port), [vec![7, 8], vec![]]);
        node.write_all(&[0, 3, 1, 2]).unwrap();
        assert!(received(&mut port).is_empty());
        node.write_all(&[3]).unwrap();
        assert_eq!(received(&mut port), [[1, 2, 3]]);
    }

    #[test]
    fn frames_go_out_with_their_lengths() {
        let (_folder, mut port, mut node) = connected();
        assert!(port.send(&[1, 2]) && port.send(&[3]));
        port.flush();
        let mut bytes = [0; 11];
        node.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 3]);
    }

    #[test]
    fn a_node_that_takes_nothing_costs_bounded_memory() {
        let (_folder, mut port, mut node) = connected();
        let frame = [9; 9000];
        let mut sent = 0;
        while port.send(&frame) {
            port.flush();
            sent += 1;
            assert!(sent < 10_000);
        }
        let mut taken = vec![0; 9004 * sent];
        node.set_nonblocking(true).unwrap();
        let mut length = 0;
        while length < taken.len() {
            port.flush();
            length += node.read(&mut taken[length..]).unwrap();
        }
        assert!(taken.chunks(9004).all(|chunk| chunk[..4] == 9000_u32.to_be_bytes() && chunk[4..] == frame));
    }

    #[test]
    fn a_node_that_ends_or_talks_nonsense_is_disconnected_and_may_come_again() {
        let (folder, mut port, node) = connected();
        drop(node);
        assert!(received(&mut port).is_empty() && port.line().is_none() && !port.send(&[1]));
        let mut node = UnixStream::connect(folder.path().join("port")).unwrap();
        port.accept();
        node.write_all(&[255; 8]).unwrap();
        assert!(received(&mut port).is_empty() && port.line().is_none());
    }
}
