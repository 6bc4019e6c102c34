//! A running QEMU: its lines, its log, its end.
//!
//! One thread per line reads what comes and passes it on as an event; [`Node::watch`] hands the events to a
//! [`Session`] until something ends the node. The queue of events is short, so whoever writes faster than the session
//! reads is held back by its socket. QEMU dies with the `Node`, and, where `setpriv` is there to arrange it, with the
//! tool, however that ends.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tempfile::TempDir;

use crate::archive::Archive;
use crate::log::{Log, Source};
use crate::machine::{Line, Machine};
use crate::package::in_path;

/// Events that may wait.
const EVENTS: usize = 16;
/// How long QEMU may take to connect all its lines.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long a kernel may take to finish the report on its own failure.
const PANIC_PATIENCE: Duration = Duration::from_secs(3);
/// How often a starting QEMU is looked at.
const START_POLL: Duration = Duration::from_millis(2);

/// Why a node is no longer watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The commands of `--exec` have ended, with this status.
    Exit(u32),
    /// The node was powered off from within.
    PowerOff,
    /// The node was reset from within, and was not to start again.
    Restart,
    /// The kernel failed.
    Panic,
    /// The time that was given to it ran out.
    Timeout,
    /// It was given ample time to get to its first command, and did not.
    NoBoot,
    /// The user left.
    Left,
    /// The tool got this signal.
    Signal(i32),
    /// Nobody reads the commands' output any more.
    OutputClosed,
    /// Something else failed.
    Failed(String),
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            End::Exit(status) => write!(formatter, "the commands ended with status {status}"),
            End::PowerOff => write!(formatter, "the node was powered off"),
            End::Restart => write!(formatter, "the node restarted"),
            End::Panic => write!(formatter, "the kernel failed"),
            End::Timeout => write!(formatter, "the time ran out"),
            End::NoBoot => write!(formatter, "the system did not come up"),
            End::Left => write!(formatter, "left"),
            End::Signal(number) => write!(formatter, "signal {number}"),
            End::OutputClosed => write!(formatter, "nobody reads the output"),
            End::Failed(why) => write!(formatter, "{why}"),
        }
    }
}

/// What a node's lines bring.
#[derive(Debug)]
pub enum Event {
    /// Bytes from the console.
    Console(Vec<u8>),
    /// Bytes from the host channel.
    Channel(Vec<u8>),
    /// The kernel's log has the beginning of a panic.
    Panic,
    /// QEMU says that the machine ends; whether by a reset.
    Shutdown {
        /// Not by being powered off.
        reset: bool,
    },
    /// A line is closed, as all are when QEMU ends.
    Closed,
    /// Somebody on the host wants to end this.
    Stop(End),
}

/// What is done with what the node says. Each method may end the watch.
pub trait Session {
    /// Takes bytes from the console.
    fn console(&mut self, bytes: &[u8]) -> Result<Option<End>>;
    /// Takes bytes from the host channel.
    fn channel(&mut self, bytes: &[u8]) -> Result<Option<End>>;
    /// How long after the start the system may still not have come up; `None` once it has, or where it may take
    /// forever.
    fn patience(&self) -> Option<Duration>;
}

/// A running QEMU.
#[derive(Debug)]
pub struct Node {
    child: Child,
    console: UnixStream,
    channel: UnixStream,
    sender: SyncSender<Event>,
    events: Receiver<Event>,
    log: Arc<Log>,
    started: Instant,
    /// Holds the sockets and the archive, and takes them away in the end.
    _folder: TempDir,
}

impl Node {
    /// Starts QEMU.
    pub fn boot(machine: &Machine, archive: &Archive, log: Arc<Log>) -> Result<Node> {
        let folder =
            tempfile::Builder::new().prefix("v-").tempdir().context("cannot make a temporary folder")?;
        let archive_path = folder.path().join("archive");
        let file = File::create(&archive_path).context("cannot write the boot archive")?;
        archive.write(std::io::BufWriter::new(file)).context("cannot write the boot archive")?;
        let mut listeners = Vec::new();
        for line in Line::ALL {
            let path = folder.path().join(line.name());
            let listener = UnixListener::bind(&path);
            listeners.push(listener.with_context(|| format!("cannot listen at {}", path.display()))?);
        }

        let mut child = bound_to_the_tool(machine)
            .args(machine.arguments(folder.path(), &archive_path))
            // What is typed at this terminal, such as Ctrl-C, is not for QEMU.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", machine.qemu.display()))?;
        let lines = match connect(&mut child, &listeners) {
            Ok(lines) => lines,
            Err(error) => {
                // It may have ended already, which is what the error says.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let [log_line, console, channel, monitor] = lines;
        let (sender, events) = sync_channel(EVENTS);
        let complaints = child.stderr.take().context("QEMU's standard error is piped")?;
        let own = Arc::clone(&log);
        read(complaints, &sender, move |bytes| {
            own.take(Source::Qemu, bytes);
            None
        });
        let own = Arc::clone(&log);
        read(log_line, &sender, move |bytes| own.take(Source::Kernel, bytes).then_some(Event::Panic));
        read(console.try_clone()?, &sender, |bytes| Some(Event::Console(bytes.to_vec())));
        read(channel.try_clone()?, &sender, |bytes| Some(Event::Channel(bytes.to_vec())));
        (&monitor)
            .write_all(b"{\"execute\":\"qmp_capabilities\"}\n")
            .context("QEMU's monitor does not listen")?;
        let mut begun = Vec::new();
        read(monitor, &sender, move |bytes| shutdown(&mut begun, bytes));
        Ok(Node { child, console, channel, sender, events, log, started: Instant::now(), _folder: folder })
    }

    /// The console, to write to.
    pub fn console(&self) -> Result<UnixStream> {
        self.console.try_clone().context("cannot share the console")
    }

    /// The host channel, to write to.
    pub fn channel(&self) -> Result<UnixStream> {
        self.channel.try_clone().context("cannot share the host channel")
    }

    /// Has the watch end when the tool is told to end. What this returns undoes that when it is dropped.
    pub fn heed_signals(&self) -> Result<impl Drop + use<>> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot watch for signals")?;
        let handle = signals.handle();
        let sender = self.sender.clone();
        thread::spawn(move || {
            for signal in &mut signals {
                if sender.send(Event::Stop(End::Signal(signal))).is_err() {
                    return;
                }
            }
        });
        Ok(Heeding(handle))
    }

    /// For whoever wants to tell the watch something.
    pub fn sender(&self) -> SyncSender<Event> {
        self.sender.clone()
    }

    /// Lets the session have what the node says until one of them ends, or `timeout` after the start.
    pub fn watch(&mut self, session: &mut dyn Session, timeout: Option<Duration>) -> Result<End> {
        // The log, the console, the channel, the monitor, and QEMU's standard error.
        let mut open = Line::ALL.len() + 1;
        let mut reset = false;
        let mut panic_deadline = None;
        while open > 0 {
            let deadlines = [
                timeout.map(|patience| (self.started + patience, End::Timeout)),
                session.patience().map(|patience| (self.started + patience, End::NoBoot)),
                panic_deadline.map(|deadline| (deadline, End::Panic)),
            ];
            let end = match self
                .next_event(deadlines.into_iter().flatten().min_by_key(|(deadline, _)| *deadline))
            {
                Err(end) | Ok(Event::Stop(end)) => Some(end),
                Ok(Event::Console(bytes)) => session.console(&bytes)?,
                Ok(Event::Channel(bytes)) => session.channel(&bytes)?,
                Ok(Event::Panic) => {
                    panic_deadline = Some(Instant::now() + PANIC_PATIENCE);
                    None
                }
                Ok(Event::Shutdown { reset: by_reset }) => {
                    reset = by_reset;
                    None
                }
                Ok(Event::Closed) => {
                    open -= 1;
                    None
                }
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
        let status = self.child.wait().context("cannot learn how QEMU ended")?;
        Ok(if self.log.panicked() { End::Panic } else { meaning(status, reset) })
    }

    /// The next event, or what it means that the deadline passed before one came.
    fn next_event(&self, deadline: Option<(Instant, End)>) -> Result<Event, End> {
        let gone = || End::Failed("the node's events ended".to_owned());
        let Some((deadline, end)) = deadline else {
            return self.events.recv().map_err(|_| gone());
        };
        match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) => Ok(event),
            Err(RecvTimeoutError::Timeout) => Err(end),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends [`Node::heed_signals`].
struct Heeding(Handle);

impl Drop for Heeding {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// QEMU's command; where `setpriv` (of util-linux) is there, one that ends when the tool's thread does.
fn bound_to_the_tool(machine: &Machine) -> Command {
    match in_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(&machine.qemu);
            command
        }
        None => Command::new(&machine.qemu),
    }
}

/// Waits until QEMU has connected its lines.
fn connect(child: &mut Child, listeners: &[UnixListener]) -> Result<[UnixStream; Line::ALL.len()]> {
    let deadline = Instant::now() + START_PATIENCE;
    let mut lines = Vec::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let line = loop {
            match listener.accept() {
                Ok((line, _)) => break line,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("cannot hear QEMU"),
            }
            if child.try_wait()?.is_some() {
                let mut complaint = String::new();
                child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut complaint));
                bail!("QEMU did not start: {}", complaint.trim_end());
            }
            if Instant::now() > deadline {
                bail!("QEMU did not start within {} seconds", START_PATIENCE.as_secs());
            }
            thread::sleep(START_POLL);
        };
        line.set_nonblocking(false)?;
        lines.push(line);
    }
    lines.try_into().ok().context("QEMU has as many lines as were asked for")
}

/// Starts a thread that makes events of what comes from `line`, and one of its end.
fn read(
    mut line: impl Read + Send + 'static,
    events: &SyncSender<Event>,
    mut event: impl FnMut(&[u8]) -> Option<Event> + Send + 'static,
) {
    let events = events.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let sent = match line.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => event(&buffer[..length]).map_or(Ok(()), |event| events.send(event)),
                Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
                Err(_) => break,
            };
            if sent.is_err() {
                // Nobody watches any more.
                return;
            }
        }
        let _ = events.send(Event::Closed);
    });
}

/// Looks for QEMU's notice of the machine's end among the lines of JSON that its monitor sends.
fn shutdown(begun: &mut Vec<u8>, bytes: &[u8]) -> Option<Event> {
    let mut event = None;
    for byte in bytes {
        if *byte != b'\n' {
            begun.push(*byte);
            continue;
        }
        let said: serde_json::Value = serde_json::from_slice(&std::mem::take(begun)).unwrap_or_default();
        if said["event"] == "SHUTDOWN" {
            event = Some(Event::Shutdown { reset: said["data"]["reason"] == "guest-reset" });
        }
    }
    event
}

/// What QEMU's end says of the machine's.
fn meaning(status: ExitStatus, reset: bool) -> End {
    match (status.code(), status.signal()) {
        (Some(0), _) if reset => End::Restart,
        (Some(0), _) => End::PowerOff,
        // The debug-exit device; QEMU's own failure is status 1, as a zero written there would be.
        (Some(code), _) if code > 1 && code % 2 == 1 => {
            End::Failed(format!("the system ended the machine by its debug exit, with {}", code / 2))
        }
        (Some(code), _) => End::Failed(format!("QEMU ended with status {code}")),
        (None, signal) => End::Failed(format!("QEMU was ended by signal {}", signal.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitor_tells_a_reset_from_power_off() {
        let mut begun = Vec::new();
        assert!(shutdown(&mut begun, b"{\"QMP\": {}}\r\n{\"return\": {}}\r\n{\"event\": \"SHUT").is_none());
        let event =
            shutdown(&mut begun, b"DOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n");
        assert!(matches!(event, Some(Event::Shutdown { reset: true })));
        let event = shutdown(
            &mut begun,
            b"{\"event\":\"SHUTDOWN\",\"data\":{\"reason\":\"guest-shutdown\"}}\nrubbish\n",
        );
        assert!(matches!(event, Some(Event::Shutdown { reset: false })));
    }

    #[test]
    fn every_end_of_qemu_has_a_meaning() {
        assert_eq!(meaning(ExitStatus::from_raw(0), false), End::PowerOff);
        assert_eq!(meaning(ExitStatus::from_raw(0), true), End::Restart);
        for (raw, words) in [(3 << 8, "debug exit, with 1"), (1 << 8, "status 1"), (9, "signal 9")] {
            let End::Failed(why) = meaning(ExitStatus::from_raw(raw), false) else { panic!("{words}") };
            assert!(why.contains(words), "{why}");
        }
    }
}
