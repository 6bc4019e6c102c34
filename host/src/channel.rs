//! The tool's end of the host channel: what it says to the guest, and when it may send input. The framing itself is
//! [`protocols::host_channel`].

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use protocols::host_channel::{Frame, InputCredit, MAX_DATA, MAX_ENCODED};

/// Sends frames to a node, once it is connected. A thread of its own writes them, so that saying something never waits
/// for the guest. Clones are the same speaker.
#[derive(Clone, Debug, Default)]
pub struct Speaker(Arc<Mutex<Option<Sender<Vec<u8>>>>>);

impl Speaker {
    /// Speaks on `line` from now on, to a node that has just started.
    pub fn connect(&self, mut line: UnixStream) {
        let (sender, frames) = channel::<Vec<u8>>();
        thread::spawn(move || {
            for frame in frames {
                if line.write_all(&frame).is_err() {
                    // The node has ended, which its events say.
                    return;
                }
            }
        });
        *self.line() = Some(sender);
    }

    fn line(&self) -> MutexGuard<'_, Option<Sender<Vec<u8>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says `frame`.
    ///
    /// # Panics
    /// If its data is longer than [`MAX_DATA`].
    pub fn say(&self, frame: Frame) {
        let mut line = [0; MAX_ENCODED];
        let encoded = frame.encode(&mut line).expect("the tool cuts data to size");
        if let Some(sender) = &*self.line() {
            // Where the thread has ended, so has the node.
            let _ = sender.send(encoded.to_vec());
        }
    }
}

/// Lets input flow to the guest as the guest grants credit. It reads no byte before one is wanted.
#[derive(Clone, Debug)]
pub struct Tap(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    granted: Condvar,
}

#[derive(Debug, Default)]
struct State {
    credit: InputCredit,
    ended: bool,
}

impl Tap {
    /// A tap that lets `input` flow to `speaker`.
    pub fn new(input: impl Read + Send + 'static, speaker: Speaker) -> Tap {
        let tap = Tap(Arc::default());
        let own = tap.clone();
        thread::spawn(move || own.pump(input, &speaker));
        tap
    }

    /// The guest wants that much more.
    pub fn grant(&self, bytes: u32) {
        self.lock().credit.grant(bytes);
        self.0.granted.notify_all();
    }

    /// The guest's server has started (again), and has granted nothing yet. Whether the input had ended, which a new
    /// server has to be told.
    pub fn reset(&self) -> bool {
        let mut state = self.lock();
        state.credit.reset();
        state.ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for credit, and returns with it.
    fn wait(&self) -> MutexGuard<'_, State> {
        let enough = |state: &mut State| state.credit.available() == 0;
        self.0.granted.wait_while(self.lock(), enough).unwrap_or_else(PoisonError::into_inner)
    }

    fn pump(&self, mut input: impl Read, speaker: &Speaker) {
        let mut data = [0; MAX_DATA];
        loop {
            let wanted = self.wait().credit.available();
            match input.read(&mut data[..wanted]) {
                Ok(length @ 1..) => self.send(&data[..length], speaker),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Input that cannot be read has ended, as for any program.
                Ok(0) | Err(_) => break,
            }
        }
        let mut state = self.lock();
        state.ended = true;
        speaker.say(Frame::InputEnd);
    }

    /// Sends all of `data`, though the credit that it was read for may be gone by now.
    fn send(&self, mut data: &[u8], speaker: &Speaker) {
        while !data.is_empty() {
            let mut state = self.wait();
            let (now, later) = data.split_at(data.len().min(state.credit.available()));
            state.credit.spend(now.len());
            speaker.say(Frame::Input(now));
            data = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocols::host_channel::Decoder;

    /// Reads from the guest's end until that much input, or its end, has come.
    fn hear(line: &mut UnixStream, decoder: &mut Decoder, count: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        let mut byte = [0];
        while heard.len() < count {
            line.read_exact(&mut byte).unwrap();
            match decoder.push(byte[0]) {
                None => {}
                Some(Ok(Frame::Input(data))) => heard.extend(data),
                Some(Ok(Frame::InputEnd)) => break,
                other => panic!("{other:?}"),
            }
        }
        heard
    }

    #[test]
    fn input_flows_only_on_credit_even_where_the_credit_is_withdrawn() {
        let (host, mut guest) = UnixStream::pair().unwrap();
        let speaker = Speaker::default();
        speaker.connect(host);
        let (mut from, input) = UnixStream::pair().unwrap();
        let mut decoder = Decoder::new();
        let tap = Tap::new(input, speaker);
        tap.grant(2);
        // The tap may be waiting for two bytes by now; it must not send them without new credit.
        assert!(!tap.reset());
        from.write_all(b"abcdef").unwrap();
        guest.set_nonblocking(true).unwrap();
        thread::sleep(std::time::Duration::from_millis(20));
        assert!(guest.read(&mut [0]).is_err());
        guest.set_nonblocking(false).unwrap();
        tap.grant(1);
        assert_eq!(hear(&mut guest, &mut decoder, 1), b"a");
        tap.grant(9);
        assert_eq!(hear(&mut guest, &mut decoder, 5), b"bcdef");
        drop(from);
        assert_eq!(hear(&mut guest, &mut decoder, 1), b"");
        assert!(tap.reset());
    }
}
