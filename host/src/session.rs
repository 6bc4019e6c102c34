//! What is done with what a node says, and how its watch ends.

use std::fmt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Result;

use crate::log::{Log, Source};

/// How long a system may take from its start until its host-channel server says hello. An emulated one takes about a
/// second.
pub const BOOT_PATIENCE: Duration = Duration::from_mins(1);

/// Why a node is no longer watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The commands of `--exec` have ended, with this status.
    Exit(u32),
    /// The node was powered off, from within or by order.
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

impl End {
    /// Whether nothing went wrong.
    pub fn is_well(&self) -> bool {
        matches!(self, End::Exit(0) | End::PowerOff | End::Left)
    }
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

/// The lines of a node, to write to.
#[derive(Debug)]
pub struct Lines {
    /// The console.
    pub console: UnixStream,
    /// The host channel.
    pub channel: UnixStream,
}

/// What is done with what one node says. `console` and `channel` may end the node's watch.
pub trait Session {
    /// The node starts, for the first time or again.
    fn begin(&mut self, lines: Lines) -> Result<()>;
    /// Takes bytes from the console.
    fn console(&mut self, bytes: &[u8]) -> Result<Option<End>>;
    /// Takes bytes from the host channel.
    fn channel(&mut self, bytes: &[u8]) -> Result<Option<End>>;
    /// Takes the text on the screen.
    fn screen(&mut self, _text: &str) {}
    /// How long after the start the system may still not have come up; `None` once it has, or where it may take
    /// forever.
    fn patience(&self) -> Option<Duration>;

    /// The node has ended; what that means.
    fn ended(&mut self, end: End) -> End {
        end
    }

    /// Whether the domain lasts until this node's watch has ended.
    fn is_awaited(&self) -> bool {
        true
    }

    /// Whether the rest of the domain goes on when this node has failed.
    fn survives_failure(&self) -> bool {
        false
    }
}

/// The session of a node whose console nobody uses: it goes to the log.
#[derive(Debug)]
pub struct Unattended {
    log: Log,
    awaited: bool,
    heard: bool,
}

impl Unattended {
    /// A session that the domain waits for, or doesn't.
    pub fn new(log: Log, awaited: bool) -> Unattended {
        Unattended { log, awaited, heard: false }
    }
}

impl Session for Unattended {
    fn begin(&mut self, _lines: Lines) -> Result<()> {
        self.heard = false;
        Ok(())
    }

    fn console(&mut self, bytes: &[u8]) -> Result<Option<End>> {
        self.heard = true;
        self.log.take(Source::Console, bytes);
        Ok(None)
    }

    fn channel(&mut self, _bytes: &[u8]) -> Result<Option<End>> {
        self.heard = true;
        Ok(None)
    }

    fn patience(&self) -> Option<Duration> {
        // A node that is waited for may be one that waits for a debugger.
        (!self.heard && !self.awaited).then_some(BOOT_PATIENCE)
    }

    fn is_awaited(&self) -> bool {
        self.awaited
    }
}
