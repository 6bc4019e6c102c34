//! One node of a domain, whether it runs or not.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::disk::Attached;
use crate::gdb::Debugged;
use crate::log::Log;
use crate::node::{CLOSINGS, Node, Report};
use crate::run::Prepared;
use crate::screen;
use crate::session::{BOOT_PATIENCE, End, Session};

/// How long a kernel may take to finish the report on its own failure.
const PANIC_PATIENCE: Duration = Duration::from_secs(3);

/// A node of a domain.
#[derive(Debug)]
pub struct Member {
    prepared: Prepared,
    log: Log,
    node: Option<Node>,
    /// How many times it has been started; tells reports of the node that runs from those of its predecessors.
    pub boots: u32,
    started: Option<Instant>,
    /// It has said something.
    heard: bool,
    plugged: bool,
    /// Lines that are not closed.
    open: usize,
    /// The last shutdown that QEMU told of was by a reset.
    reset: bool,
    panic_deadline: Option<Instant>,
    /// How its watch ended.
    pub end: Option<End>,
}

impl Member {
    /// A node that has not been started.
    pub fn new(prepared: Prepared, log: Log) -> Member {
        Member {
            prepared,
            log,
            node: None,
            boots: 0,
            started: None,
            heard: false,
            plugged: true,
            open: 0,
            reset: false,
            panic_deadline: None,
            end: None,
        }
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Starts it. What its lines bring goes to `report`, until one that refuses.
    pub fn boot(
        &mut self,
        session: &mut dyn Session,
        report: impl Fn(Report) -> bool + Clone + Send + 'static,
    ) -> Result<()> {
        let node = Node::boot(&self.prepared.machine, &self.prepared.archive, &self.log, report)?;
        session.begin(node.lines()?)?;
        if !self.plugged {
            node.plug(false)?;
        }
        self.node = Some(node);
        self.started = Some(Instant::now());
        self.heard = false;
        self.open = CLOSINGS;
        self.reset = false;
        self.panic_deadline = None;
        self.end = None;
        Ok(())
    }

    /// Cuts its power.
    pub fn power_off(&mut self) {
        self.node = None;
        self.log.restart();
    }

    /// Whether it has power.
    pub fn is_on(&self) -> bool {
        self.node.is_some()
    }

    /// If it has not been heard since it was started: until when others wait for that.
    pub fn starts_until(&self) -> Option<Instant> {
        let until = self.started? + BOOT_PATIENCE;
        (self.is_on() && !self.heard && Instant::now() < until).then_some(until)
    }

    /// The image of its first disk.
    pub fn disk(&self) -> Option<&Path> {
        self.prepared.machine.disks.first().map(Attached::path)
    }

    /// Whether it has a network card.
    pub fn has_card(&self) -> bool {
        self.prepared.machine.card.is_some()
    }

    /// Lets its network card, if it is on, notice that its cable is plugged or pulled.
    pub fn plug(&mut self, plugged: bool) -> Result<()> {
        self.plugged = plugged;
        self.node.as_ref().map_or(Ok(()), |node| node.plug(plugged))
    }

    /// Types at its console.
    pub fn type_keys(&self, text: &str) -> Result<()> {
        use std::io::Write;
        let node = self.node.as_ref().context("a node that is off has no console")?;
        node.lines()?.console.write_all(text.as_bytes()).context("the console does not listen")
    }

    /// Debugs a program by the line that its node has to GDB.
    pub fn debug(&self, debugged: &Debugged) -> Result<()> {
        let port = self.prepared.machine.gdb_line.context("the node has no line to GDB")?;
        debugged.debug(port, &self.prepared.programs)
    }

    /// Presses the keys of a text on its keyboard.
    pub fn press_keys(&self, text: &str) -> Result<()> {
        let node = self.node.as_ref().context("a node that is off has no keyboard")?;
        node.press(&screen::keys(text)?)
    }

    /// The text on its screen not long ago, if that is known.
    pub fn look(&self) -> Result<Option<String>> {
        self.node.as_ref().map_or(Ok(None), Node::look)
    }

    /// What the node's report means; an end if its watch ends with it.
    pub fn take(&mut self, report: Report, session: &mut dyn Session) -> Result<Option<End>> {
        match report {
            Report::Console(bytes) => {
                self.heard = true;
                session.console(&bytes)
            }
            Report::Channel(bytes) => {
                self.heard = true;
                session.channel(&bytes)
            }
            Report::Panic => {
                self.panic_deadline = Some(Instant::now() + PANIC_PATIENCE);
                Ok(None)
            }
            Report::Shutdown { reset } => {
                self.reset = reset;
                Ok(None)
            }
            Report::Closed => {
                self.open -= 1;
                match &mut self.node {
                    Some(node) if self.open == 0 => {
                        let end = node.wait(self.reset)?;
                        Ok(Some(if self.log.panicked() { End::Panic } else { end }))
                    }
                    _ => Ok(None),
                }
            }
        }
    }

    /// When its watch ends if nothing is heard until then, and how.
    pub fn deadline(&self, session: &dyn Session) -> Option<(Instant, End)> {
        let patience = session.patience().filter(|_| self.is_on() && self.end.is_none());
        let no_boot = self.started.zip(patience).map(|(started, patience)| (started + patience, End::NoBoot));
        let panic = self.panic_deadline.filter(|_| self.is_on()).map(|deadline| (deadline, End::Panic));
        [no_boot, panic].into_iter().flatten().min_by_key(|(deadline, _)| *deadline)
    }
}
