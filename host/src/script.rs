//! The steps of a scenario, one after another: waiting for what a node shows, typing at its console or on its keyboard, and
//! what happens to nodes and their cables.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use regex::Regex;
use serde::Deserialize;

use crate::domain::plan::{Action, Plan};
use crate::output::Record;
use crate::session::{BOOT_PATIENCE, End, Lines, Session};
use ethernet::partition::node_place;

/// A step: once `node` has shown `wait`, after what the steps before have seen of it, and `after` has passed since, it
/// types `send` at that node's console and does `then`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it waits for; without it, for nothing.
    pub wait: Option<Pattern>,
    /// What it waits for on the node's screen instead; see [`crate::screen`].
    pub screen: Option<Pattern>,
    #[serde(default)]
    node: NodeNumber,
    /// Seconds since the pattern appeared, or else since the step before.
    #[serde(default)]
    after: f32,
    #[serde(default)]
    send: String,
    /// Keys to press on the node's keyboard.
    #[serde(default)]
    press: String,
    then: Option<ActionWord>,
}

/// How often a screen is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A regular expression in which `^` and `$` match at lines.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(pub Regex);

impl TryFrom<String> for Pattern {
    type Error = regex::Error;
    fn try_from(text: String) -> Result<Pattern, regex::Error> {
        Regex::new(&format!("(?m){text}")).map(Pattern)
    }
}

/// A node's place, written as its number.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "u32")]
struct NodeNumber(usize);

impl TryFrom<u32> for NodeNumber {
    type Error = String;
    fn try_from(number: u32) -> Result<NodeNumber, String> {
        node_place(&number.to_string()).map(NodeNumber)
    }
}

/// An action, written in words.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct ActionWord(Action);

impl TryFrom<String> for ActionWord {
    type Error = String;
    fn try_from(text: String) -> Result<ActionWord, String> {
        text.parse().map(ActionWord)
    }
}

impl Step {
    /// The number of the highest node that it needs.
    pub fn nodes(&self) -> usize {
        let acted_on = self.then.as_ref().and_then(|then| then.0.node());
        1 + acted_on.map_or(self.node.0, |node| node.max(self.node.0))
    }

    /// Whether it types something.
    pub fn types(&self) -> bool {
        !self.send.is_empty() || !self.press.is_empty()
    }
}

/// Steps on their way. Clones are the same script.
#[derive(Clone, Debug)]
pub struct Script(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    steps: VecDeque<Step>,
    /// What each node has shown after what has been matched.
    shown: Vec<Vec<u8>>,
    /// Since when the first of the steps waits for its time; `None` while it waits for its pattern.
    since: Option<Instant>,
    /// What is to be done now.
    due: VecDeque<Action>,
    /// What was last seen on a screen.
    screen: String,
    /// When a screen is to be looked at next.
    look: Option<Instant>,
    /// The domain ends with the last step, if that types nothing.
    finishes: bool,
}

impl Script {
    /// A script for that many nodes, whose end is the domain's if it `finishes`.
    pub fn new(steps: &[Step], nodes: usize, finishes: bool) -> Script {
        let mut state = State {
            steps: steps.iter().cloned().collect(),
            shown: vec![Vec::new(); nodes],
            since: None,
            due: VecDeque::new(),
            screen: String::new(),
            look: None,
            finishes,
        };
        state.look(Instant::now());
        Script(Rc::new(RefCell::new(state)))
    }

    /// What the steps that are left wait for.
    pub fn left(&self) -> Vec<String> {
        let state = self.0.borrow();
        let wait = |step: &Step| {
            let wait = step.wait.as_ref().or(step.screen.as_ref());
            wait.map_or("its time".to_owned(), |wait| wait.0.to_string())
        };
        state.steps.iter().map(wait).collect()
    }

    /// What is on a node's screen now.
    fn show_screen(&self, node: usize, text: &str) {
        let mut state = self.0.borrow_mut();
        let waits = state.since.is_none() && state.due.is_empty();
        let step = state.steps.front().filter(|step| waits && step.node.0 == node);
        if step.and_then(|step| step.screen.as_ref()).is_some_and(|screen| screen.0.is_match(text)) {
            state.since = Some(Instant::now());
        }
        text.clone_into(&mut state.screen);
    }

    /// The text that was last seen on a screen.
    pub fn screen(&self) -> String {
        self.0.borrow().screen.clone()
    }

    /// The node starts again: what it showed before matches nothing any more.
    fn forget(&self, node: usize) {
        self.0.borrow_mut().shown[node].clear();
    }

    fn show(&self, node: usize, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        state.shown[node].extend(bytes);
        state.look(Instant::now());
    }
}

impl State {
    /// Looks whether the first step's pattern has appeared.
    fn look(&mut self, now: Instant) {
        let looks = self.since.is_none() && self.due.is_empty();
        let Some(step) = self.steps.front().filter(|step| looks && step.screen.is_none()) else { return };
        let shown = &mut self.shown[step.node.0];
        if let Some(wait) = &step.wait {
            let text = String::from_utf8_lossy(shown);
            let Some(found) = wait.0.find(&text) else { return };
            // What isn't text moves the ends of matches; nothing but text is expected of a console.
            let end = found.end().min(shown.len());
            shown.drain(..end);
        }
        self.since = Some(now);
    }

    /// The next thing to be done. Each is done before the next step looks at what its node has shown, which is
    /// nothing any more if that has been started again.
    fn next(&mut self, now: Instant) -> Option<Action> {
        loop {
            if let Some(action) = self.due.pop_front() {
                return Some(action);
            }
            self.look(now);
            let looks_at = self.steps.front().filter(|step| step.screen.is_some() && self.since.is_none());
            if let Some(node) = looks_at.map(|step| step.node.0) {
                if self.look.is_some_and(|next| next > now) {
                    return None;
                }
                self.look = Some(now + LOOK_AGAIN);
                return Some(Action::Look(node));
            }
            if self.wake().is_none_or(|wake| wake > now) {
                return None;
            }
            let step = self.steps.pop_front()?;
            self.since = None;
            let finished = self.finishes && self.steps.is_empty() && !step.types();
            if !step.send.is_empty() {
                self.due.push_back(Action::Type(step.node.0, step.send));
            }
            if !step.press.is_empty() {
                self.due.push_back(Action::Press(step.node.0, step.press));
            }
            self.due.extend(step.then.map(|then| then.0));
            self.due.extend(finished.then_some(Action::Finish));
        }
    }

    fn wake(&self) -> Option<Instant> {
        if self.since.is_none() && self.steps.front()?.screen.is_some() {
            return self.look.or_else(|| Some(Instant::now()));
        }
        Some(self.since? + Duration::try_from_secs_f32(self.steps.front()?.after).unwrap_or_default())
    }
}

impl Plan for Script {
    fn wake(&self) -> Option<Instant> {
        self.0.borrow().wake()
    }

    fn next(&mut self, now: Instant) -> Option<Action> {
        self.0.borrow_mut().next(now)
    }
}

/// Keeps what a node shows, and lets a script see it.
#[derive(Clone, Debug)]
pub struct Shown {
    record: Record,
    script: Script,
    node: usize,
}

impl Shown {
    /// For the node at that place.
    pub fn new(script: &Script, node: usize) -> Shown {
        Shown { record: Record::default(), script: script.clone(), node }
    }

    /// All that it has shown.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.record.bytes()).into_owned()
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.script.show(self.node, bytes);
        self.record.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The session of a node at whose console a script types.
#[derive(Debug)]
pub struct Scripted {
    shown: Shown,
    awaited: bool,
    heard: bool,
}

impl Scripted {
    /// A session that the domain waits for, or doesn't.
    pub fn new(shown: Shown, awaited: bool) -> Scripted {
        Scripted { shown, awaited, heard: false }
    }
}

impl Session for Scripted {
    fn begin(&mut self, _lines: Lines) -> Result<()> {
        self.heard = false;
        self.shown.script.forget(self.shown.node);
        Ok(())
    }

    fn console(&mut self, bytes: &[u8]) -> Result<Option<End>> {
        self.heard = true;
        self.shown.write_all(bytes)?;
        Ok(None)
    }

    fn channel(&mut self, _bytes: &[u8]) -> Result<Option<End>> {
        Ok(None)
    }

    fn screen(&mut self, text: &str) {
        self.shown.script.show_screen(self.shown.node, text);
    }

    fn patience(&self) -> Option<Duration> {
        (!self.heard).then_some(BOOT_PATIENCE)
    }

    fn is_awaited(&self) -> bool {
        self.awaited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Steps {
        step: Vec<Step>,
    }

    fn script(steps: &[&str], finishes: bool) -> Script {
        let text = format!("[[step]]\n{}", steps.join("\n[[step]]\n"));
        let Steps { step } = toml::from_str(&text).unwrap();
        Script::new(&step, 3, finishes)
    }

    fn due(script: &mut Script, now: Instant) -> Vec<Action> {
        std::iter::from_fn(|| script.next(now)).collect()
    }

    #[test]
    fn steps_are_taken_one_after_another() {
        let mut script =
            script(&["wait = '\\$ $'\nsend = 'ls'", "wait = 'bin'\nsend = 'x'", "wait = 'y'"], true);
        let mut shown = Shown::new(&script, 0);
        let now = Instant::now() + Duration::from_secs(1);
        let mut after = |text: &str| {
            shown.write_all(text.as_bytes()).unwrap();
            due(&mut script, now)
        };
        assert_eq!(after("bin y $"), []);
        assert_eq!(after(" "), [Action::Type(0, "ls".to_owned())]);
        assert_eq!(after("lsbi"), []);
        assert_eq!(after("n\r\nx y"), [Action::Type(0, "x".to_owned()), Action::Finish]);
        assert_eq!(shown.text(), "bin y $ lsbin\r\nx y");
    }

    #[test]
    fn steps_may_be_about_any_node_and_wait_for_their_time() {
        let mut script = script(
            &["wait = 'ready'\nnode = 2\nafter = 2.5\nthen = 'pull 3'", "after = 1\nthen = 'plug 3'"],
            false,
        );
        let mut other = Shown::new(&script, 0);
        other.write_all(b"ready").unwrap();
        assert_eq!(script.wake(), None);
        let mut shown = Shown::new(&script, 1);
        shown.write_all(b"ready").unwrap();
        let wake = script.wake().unwrap();
        assert!(due(&mut script, wake.checked_sub(Duration::from_millis(1)).unwrap()).is_empty());
        assert_eq!(due(&mut script, wake), [Action::Pull(2)]);
        assert_eq!(script.wake(), Some(wake + Duration::from_secs(1)));
        assert_eq!(script.left(), ["its time"]);
        assert_eq!(due(&mut script, wake + Duration::from_secs(1)), [Action::Plug(2)]);
        assert!(script.left().is_empty());
    }

    #[test]
    fn what_a_node_showed_before_it_starts_again_is_not_waited_for() {
        let mut script = script(&["wait = 'a'\nthen = 'power-cycle 1'", "wait = 'b'"], true);
        let mut shown = Shown::new(&script, 0);
        shown.write_all(b"a b").unwrap();
        let now = Instant::now() + Duration::from_secs(1);
        assert_eq!(script.next(now), Some(Action::PowerCycle(0)));
        script.forget(0);
        assert_eq!(script.next(now), None);
        shown.write_all(b"b").unwrap();
        assert_eq!(script.next(now), Some(Action::Finish));
    }

    #[test]
    fn mistakes_are_named() {
        for (step, complaint) in [
            ("node = 0", "`0` is no node"),
            ("then = 'push 1'", "nothing that can be done"),
            ("wait = '('", "regex parse error"),
            ("when = 'x'", "unknown field `when`"),
        ] {
            let error = toml::from_str::<Steps>(&format!("[[step]]\n{step}")).err().unwrap().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }
}
