//! A running QEMU: its lines, its log, its end.
//!
//! One thread per line reads what comes and reports it to whoever watches ([`crate::domain`]). A watcher who is slow to
//! take a report holds back whoever writes. QEMU dies with the `Node`, and, where `setpriv` is there to arrange it,
//! with the tool, however that ends.

use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::archive::Archive;
use crate::image::Content;
use crate::log::{Log, Source};
use crate::machine::{CARD, Line, Machine, Start};
use crate::package::in_path;
use crate::screen;
use crate::session::{End, Lines};

/// How long QEMU may take to connect all its lines.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long a key is held down.
const KEY_MILLISECONDS: u32 = 50;
/// How often a starting QEMU is looked at.
const START_POLL: Duration = Duration::from_millis(2);

/// How many times [`Report::Closed`] comes: for the log, the console, the channel, the monitor, and QEMU's standard
/// error.
pub const CLOSINGS: usize = Line::ALL.len() + 1;

/// What a node's lines bring.
#[derive(Debug)]
pub enum Report {
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
}

/// A running QEMU.
#[derive(Debug)]
pub struct Node {
    child: Child,
    console: UnixStream,
    channel: UnixStream,
    monitor: UnixStream,
    /// A picture of the screen was asked for before.
    looked: Cell<bool>,
    /// Holds the sockets and the archive, and takes them away in the end.
    folder: TempDir,
}

impl Node {
    /// Starts QEMU. What its lines bring goes to `report`, which says whether anybody still takes it.
    pub fn boot(
        machine: &Machine,
        archive: &Archive,
        log: &Log,
        report: impl Fn(Report) -> bool + Clone + Send + 'static,
    ) -> Result<Node> {
        let folder =
            tempfile::Builder::new().prefix("v-").tempdir().context("cannot make a temporary folder")?;
        let archive_path = folder.path().join("archive");
        if let Start::Medium(..) = machine.start {
            let Machine { kernel, command_line, .. } = machine;
            Content { kernel, archive, command_line }.write_medium(&archive_path)?;
        } else {
            let file = File::create(&archive_path).context("cannot write the boot archive")?;
            archive.write(std::io::BufWriter::new(file)).context("cannot write the boot archive")?;
        }
        let mut listeners = Vec::new();
        for line in Line::ALL {
            let path = folder.path().join(line.name());
            let listener = UnixListener::bind(&path);
            listeners.push(listener.with_context(|| format!("cannot listen at {}", path.display()))?);
        }

        let mut child = bound_to_the_tool(machine)
            .args(machine.arguments(folder.path(), &archive_path)?)
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
        let complaints = child.stderr.take().context("QEMU's standard error is piped")?;
        let own = log.clone();
        read(complaints, report.clone(), move |bytes| {
            own.take(Source::Qemu, bytes);
            None
        });
        let own = log.clone();
        read(log_line, report.clone(), move |bytes| own.take(Source::Kernel, bytes).then_some(Report::Panic));
        read(console.try_clone()?, report.clone(), |bytes| Some(Report::Console(bytes.to_vec())));
        read(channel.try_clone()?, report.clone(), |bytes| Some(Report::Channel(bytes.to_vec())));
        let mut begun = Vec::new();
        read(monitor.try_clone()?, report, move |bytes| shutdown(&mut begun, bytes));
        let node = Node { child, console, channel, monitor, looked: Cell::new(false), folder };
        node.command("qmp_capabilities", &serde_json::json!({}))?;
        Ok(node)
    }

    /// Its lines, to write to.
    pub fn lines(&self) -> Result<Lines> {
        let console = self.console.try_clone().context("cannot share the console")?;
        let channel = self.channel.try_clone().context("cannot share the host channel")?;
        Ok(Lines { console, channel })
    }

    /// Lets the network card notice that its cable has been plugged or pulled.
    pub fn plug(&self, plugged: bool) -> Result<()> {
        self.command("set_link", &serde_json::json!({ "name": CARD, "up": plugged }))
    }

    /// Presses keys, those of each list together.
    pub fn press(&self, keys: &[Vec<String>]) -> Result<()> {
        for key in keys {
            let key: Vec<_> =
                key.iter().map(|name| serde_json::json!({ "type": "qcode", "data": name })).collect();
            self.command("send-key", &serde_json::json!({ "keys": key, "hold-time": KEY_MILLISECONDS }))?;
        }
        Ok(())
    }

    /// The text on the screen as it was when this was asked last, if that picture has been made; and asks for another.
    pub fn look(&self) -> Result<Option<String>> {
        let path = self.folder.path().join("screen");
        // It may not be there yet, or not whole.
        let text = std::fs::read(&path).ok().and_then(|picture| screen::read(&picture).ok());
        if text.is_some() {
            std::fs::remove_file(&path).context("cannot remove the picture of a screen")?;
        }
        if text.is_some() || !self.looked.replace(true) {
            self.command("screendump", &serde_json::json!({ "filename": path }))?;
        }
        Ok(text)
    }

    fn command(&self, name: &str, arguments: &serde_json::Value) -> Result<()> {
        let command = serde_json::json!({ "execute": name, "arguments": arguments });
        (&self.monitor).write_all(format!("{command}\n").as_bytes()).context("QEMU's monitor does not listen")
    }

    /// What QEMU's end says, once it has closed its lines; `reset` is what its monitor said last.
    pub fn wait(&mut self, reset: bool) -> Result<End> {
        let status = self.child.wait().context("cannot learn how QEMU ended")?;
        Ok(meaning(status, reset))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
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

/// Starts a thread that makes reports of what comes from `line`, and one of its end.
fn read(
    mut line: impl Read + Send + 'static,
    report: impl Fn(Report) -> bool + Send + 'static,
    mut made: impl FnMut(&[u8]) -> Option<Report> + Send + 'static,
) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let heard = match line.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => made(&buffer[..length]).is_none_or(&report),
                Err(error) if error.kind() == ErrorKind::Interrupted => true,
                Err(_) => break,
            };
            if !heard {
                // Nobody watches any more.
                return;
            }
        }
        report(Report::Closed);
    });
}

/// Looks for QEMU's notice of the machine's end among the lines of JSON that its monitor sends.
fn shutdown(begun: &mut Vec<u8>, bytes: &[u8]) -> Option<Report> {
    let mut report = None;
    for byte in bytes {
        if *byte != b'\n' {
            begun.push(*byte);
            continue;
        }
        let said: serde_json::Value = serde_json::from_slice(&std::mem::take(begun)).unwrap_or_default();
        if said["event"] == "SHUTDOWN" {
            report = Some(Report::Shutdown { reset: said["data"]["reason"] == "guest-reset" });
        }
    }
    report
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
        let report =
            shutdown(&mut begun, b"DOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n");
        assert!(matches!(report, Some(Report::Shutdown { reset: true })));
        let report = shutdown(
            &mut begun,
            b"{\"event\":\"SHUTDOWN\",\"data\":{\"reason\":\"guest-shutdown\"}}\nrubbish\n",
        );
        assert!(matches!(report, Some(Report::Shutdown { reset: false })));
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
