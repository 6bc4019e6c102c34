//! The nodes that run together: one, or several on a network of their own.
//!
//! [`Domain::watch`] starts them, hands what each says to its [`Session`], does what a [`Plan`] wants done to them,
//! and tells how it ended. In here a node is its place, from 0; people see its number, from 1, and its name, `node1`.
//!
//! Nodes start as many at a time as the host has processors, each when another has come up, and the first one (or who else
//! is [started last](Domain::start_last)) last: so whoever uses it finds the others there. Invariant: reports from a QEMU that has been replaced are never heard.

mod member;
pub mod plan;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::log::Log;
use crate::node::Report;
use crate::progress::Progress;
use crate::run::Prepared;
use crate::session::{End, Session};
use ethernet::Network;
use member::Member;
use plan::{Action, Plan};

/// Events that may wait.
const EVENTS: usize = 16;

/// What the watch reacts to.
#[derive(Debug)]
pub enum Event {
    /// A node's lines brought something.
    Report {
        /// The node's place.
        node: usize,
        /// Which of its starts that was.
        boot: u32,
        /// What they brought.
        report: Report,
    },
    /// Somebody on the host wants something done.
    Act(Action),
    /// Somebody on the host wants to end this.
    Stop(End),
}

/// How a domain ended: the node that decided it, and how that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its place.
    pub node: usize,
    /// Its end.
    pub end: End,
}

/// Nodes that run together. They end when this is dropped.
#[derive(Debug)]
pub struct Domain {
    members: Vec<Member>,
    network: Option<Network>,
    log: Log,
    sender: SyncSender<Event>,
    events: Receiver<Event>,
    /// Nodes that are still to be started, the last one first.
    waiting: Vec<usize>,
}

/// The name of the node at that place.
pub fn name(node: usize) -> String {
    format!("node{}", node + 1)
}

impl Domain {
    /// A domain of these nodes, none of which runs yet.
    pub fn new(nodes: Vec<Prepared>, network: Option<Network>, log: &Log) -> Domain {
        let (sender, events) = sync_channel(EVENTS);
        let count = nodes.len();
        let log_of = |node| if count == 1 { log.clone() } else { log.of_node(&name(node)) };
        let members =
            nodes.into_iter().enumerate().map(|(node, prepared)| Member::new(prepared, log_of(node)));
        let members = members.collect();
        let mut waiting: Vec<usize> = (1..count).rev().collect();
        waiting.insert(0, 0);
        Domain { members, network, log: log.clone(), sender, events, waiting }
    }

    /// Has that node start when all others have come up.
    pub fn start_last(&mut self, node: usize) {
        self.waiting.retain(|waiting| *waiting != node);
        self.waiting.insert(0, node);
    }

    /// Has that node start before all others.
    pub fn start_first(&mut self, node: usize) {
        self.waiting.retain(|waiting| *waiting != node);
        self.waiting.push(node);
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.members.len()
    }

    /// The log of a node.
    pub fn log(&self, node: usize) -> Log {
        self.members[node].log().clone()
    }

    /// For whoever wants to tell the watch something.
    pub fn sender(&self) -> SyncSender<Event> {
        self.sender.clone()
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

    /// Starts the nodes, and lets each one's session have what it says, until all that are awaited have ended, one
    /// fails whose session doesn't survive that, or `timeout` has passed.
    pub fn watch(
        &mut self,
        sessions: &mut [Box<dyn Session + '_>],
        plan: &mut dyn Plan,
        timeout: Option<Duration>,
    ) -> Result<Outcome> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let outcome = loop {
            self.start_waiting(sessions)?;
            let ended = match self.next_event(sessions, plan, deadline) {
                Happened::Event(Event::Report { node, boot, report }) if boot == self.members[node].boots => {
                    let end = self.members[node].take(report, &mut *sessions[node])?;
                    end.and_then(|end| self.ended(node, end, sessions))
                }
                Happened::Event(Event::Act(action)) => self.act(&action, sessions)?,
                Happened::Event(Event::Stop(end)) => Some(Outcome { node: 0, end }),
                Happened::Late(node, end) => self.ended(node, end, sessions),
                Happened::TimeOut => Some(Outcome { node: 0, end: End::Timeout }),
                Happened::Event(Event::Report { .. }) | Happened::Nothing => None,
            };
            let planned = match ended {
                Some(_) => ended,
                None => self.follow(plan, sessions)?,
            };
            if let Some(outcome) = planned.or_else(|| self.all_ended(sessions)) {
                break outcome;
            }
        };
        if let Some(network) = self.network.take() {
            self.log.note(&format!("network: {}", network.end()));
        }
        Ok(outcome)
    }

    /// Starts those nodes whose turn it is.
    fn start_waiting(&mut self, sessions: &mut [Box<dyn Session + '_>]) -> Result<()> {
        let at_a_time = thread::available_parallelism().map_or(1, usize::from);
        while let Some(&node) = self.waiting.last() {
            let starting = self.members.iter().filter(|member| member.starts_until().is_some()).count();
            let room = if self.waiting.len() == 1 { 1 } else { at_a_time };
            if starting >= room {
                return Ok(());
            }
            self.waiting.pop();
            let _progress = (!self.waiting.is_empty() || self.nodes() == 1).then(|| Progress::new("booting"));
            self.boot(node, sessions)?;
        }
        Ok(())
    }

    fn boot(&mut self, node: usize, sessions: &mut [Box<dyn Session + '_>]) -> Result<()> {
        let member = &mut self.members[node];
        member.boots += 1;
        let (boot, sender) = (member.boots, self.sender.clone());
        let report = move |report| sender.send(Event::Report { node, boot, report }).is_ok();
        member.boot(&mut *sessions[node], report).with_context(|| name(node))
    }

    /// The next event, or whose patience ran out before one came.
    fn next_event(
        &self,
        sessions: &[Box<dyn Session + '_>],
        plan: &dyn Plan,
        deadline: Option<Instant>,
    ) -> Happened {
        let members = self.members.iter().zip(sessions).enumerate();
        let late = members.filter_map(|(node, (member, session))| {
            let (deadline, end) = member.deadline(&**session)?;
            Some((deadline, Happened::Late(node, end)))
        });
        let timeout = deadline.map(|deadline| (deadline, Happened::TimeOut));
        let wake = plan.wake().map(|wake| (wake, Happened::Nothing));
        // A node that takes too long to come up does not keep the others from starting.
        let starting =
            self.members.iter().filter_map(Member::starts_until).map(|until| (until, Happened::Nothing));
        let starting = starting.filter(|_| !self.waiting.is_empty());
        let first = late.chain(timeout).chain(wake).chain(starting).min_by_key(|(deadline, _)| *deadline);
        let Some((deadline, happened)) = first else {
            // This domain holds a sender, so the events never end.
            return self.events.recv().map_or(Happened::TimeOut, Happened::Event);
        };
        match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) => Happened::Event(event),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => happened,
        }
    }

    /// Takes note that a node's watch has ended. What follows for the domain if it is over with that.
    fn ended(&mut self, node: usize, end: End, sessions: &mut [Box<dyn Session + '_>]) -> Option<Outcome> {
        let end = sessions[node].ended(end);
        let several = self.nodes() > 1;
        let member = &mut self.members[node];
        member.end = Some(end.clone());
        match end {
            // Where there are others, they may still need it.
            End::Exit(_) if several => None,
            End::PowerOff | End::Exit(_) => {
                member.power_off();
                None
            }
            _ if several && sessions[node].survives_failure() => {
                member.power_off();
                None
            }
            _ => Some(Outcome { node, end }),
        }
    }

    /// How the domain ended, if all did that are awaited: as the first of them, unless that did well and another
    /// didn't.
    fn all_ended(&self, sessions: &[Box<dyn Session + '_>]) -> Option<Outcome> {
        let mut outcome: Option<Outcome> = None;
        for (node, (member, session)) in self.members.iter().zip(sessions).enumerate() {
            if session.is_awaited() {
                let end = member.end.clone()?;
                if outcome.as_ref().is_none_or(|outcome| outcome.end.is_well() && !end.is_well()) {
                    outcome = Some(Outcome { node, end });
                }
            }
        }
        outcome
    }

    fn follow(
        &mut self,
        plan: &mut dyn Plan,
        sessions: &mut [Box<dyn Session + '_>],
    ) -> Result<Option<Outcome>> {
        while let Some(action) = plan.next(Instant::now()) {
            let outcome = self.act(&action, sessions)?;
            if outcome.is_some() {
                return Ok(outcome);
            }
        }
        Ok(None)
    }

    fn act(&mut self, action: &Action, sessions: &mut [Box<dyn Session + '_>]) -> Result<Option<Outcome>> {
        if let (Some(node), false) = (action.node(), matches!(action, Action::Look(_))) {
            self.members
                .get(node)
                .with_context(|| format!("there is no {}", name(node)))?
                .log()
                .note(&action.to_string());
        }
        match *action {
            Action::Pull(node) => self.plug(node, false)?,
            Action::Plug(node) => self.plug(node, true)?,
            Action::PowerOff(node) => self.power_off(node, sessions),
            Action::PowerOn(node) => self.power_on(node, sessions)?,
            Action::PowerCycle(node) => {
                self.power_off(node, sessions);
                self.power_on(node, sessions)?;
            }
            Action::Damage(node, ref damage) => {
                let disk =
                    self.members[node].disk().with_context(|| format!("{} has no disk", name(node)))?;
                damage.inflict(disk)?;
            }
            Action::Debug(node, ref debugged) => self.members[node].debug(debugged)?,
            Action::Type(node, ref text) => self.members[node].type_keys(text)?,
            Action::Press(node, ref text) => self.members[node].press_keys(text)?,
            Action::Look(node) => {
                if let Some(text) = self.members[node].look()? {
                    sessions[node].screen(&text);
                }
            }
            Action::Finish => return Ok(Some(Outcome { node: 0, end: End::Exit(0) })),
        }
        Ok(None)
    }

    fn plug(&mut self, node: usize, plugged: bool) -> Result<()> {
        if let (Some(network), true) = (&self.network, self.members[node].has_card()) {
            network.plug(node, plugged)?;
            self.members[node].plug(plugged)?;
        }
        Ok(())
    }

    fn power_off(&mut self, node: usize, sessions: &mut [Box<dyn Session + '_>]) {
        self.waiting.retain(|waiting| *waiting != node);
        let member = &mut self.members[node];
        if member.is_on() {
            member.power_off();
            // Even a node that had not come up has ended well if that was ordered.
            sessions[node].ended(End::PowerOff);
        }
        self.members[node].end = Some(End::PowerOff);
    }

    fn power_on(&mut self, node: usize, sessions: &mut [Box<dyn Session + '_>]) -> Result<()> {
        if self.members[node].is_on() { Ok(()) } else { self.boot(node, sessions) }
    }
}

/// What ended the wait for the next event.
enum Happened {
    Event(Event),
    /// A node's time is over, with this end.
    Late(usize, End),
    /// The domain's time is over.
    TimeOut,
    /// Something may be due now.
    Nothing,
}

/// Ends [`Domain::heed_signals`].
struct Heeding(Handle);

impl Drop for Heeding {
    fn drop(&mut self) {
        self.0.close();
    }
}
