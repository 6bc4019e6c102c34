//! Processes of other nodes: which have ended, and how one is ended. Their own kernels know, and their program managers
//! do it; processes beside the server's ask these, since a server must not wait for another node while its clients wait
//! for it.
//!
//! The server wants to know of a process again and again, for as long as that has something open. What was found out
//! last is its answer. A process whose node has been silent for [`SILENCE_NS`] counts as ended.

use abi::{Error, Pid, UserId};
use alloc::vec::Vec;
use protocols::program::program::EndProgram;
use v::process::Thread;
use v::sync::Mutex;
use v::time;

/// How long a node must be silent before its processes count as ended.
const SILENCE_NS: u64 = 20_000_000_000;
/// How often each is asked about.
const INTERVAL_NS: u64 = 1_000_000_000;
/// How long after the server last wanted to know of a process it is forgotten.
const MEMORY_NS: u64 = 10_000_000_000;
const STACK_BYTES: usize = 16 * 1024;

static WATCH: Mutex<Watch> = Mutex::new(Watch::new());
static ASKING: Mutex<Option<Thread>> = Mutex::new(None);
/// What is to end, and whether a process sees to it.
static ENDING: Mutex<(Vec<End>, bool)> = Mutex::new((Vec::new(), false));
static ENDER: Mutex<Option<Thread>> = Mutex::new(None);

/// Whether a process is known to have ended. If it is on another node it will be, some time after it has.
pub fn has_ended(process: Pid) -> bool {
    match v::process::has_ended(process) {
        Err(Error::ProcessElsewhere) => has_ended_elsewhere(process),
        outcome => outcome == Ok(true),
    }
}

fn has_ended_elsewhere(process: Pid) -> bool {
    let mut watch = WATCH.lock();
    let now_ns = time::now_ns();
    let has_ended = watch.want(process, now_ns);
    if watch.is_due(now_ns) {
        drop(watch);
        start_asking();
    }
    has_ended
}

/// Has all be asked about, unless that is going on already.
fn start_asking() {
    // Without a process for it, it is tried again when somebody wants to know.
    let _ = start(&mut ASKING.lock(), ask);
}

/// Lets a process do something, unless there is one that does.
fn start(place: &mut Option<Thread>, body: fn()) -> Result<(), Error> {
    if let Some(thread) = place.take() {
        if !matches!(v::process::has_ended(thread.pid()), Ok(true)) {
            *place = Some(thread);
            return Ok(());
        }
        // It has ended, so this only takes its stack back.
        let _ = thread.join();
    }
    *place = Some(v::process::spawn_thread(STACK_BYTES, body)?);
    Ok(())
}

/// A program that is to end.
#[derive(Clone, Copy, Debug)]
struct End {
    program: Pid,
    user: UserId,
    status: u32,
}

/// Ends a program of another node, if it is the user's. That is done some time later.
pub fn end(program: Pid, user: UserId, status: u32) -> Result<(), Error> {
    let mut ending = ENDING.lock();
    ending.0.push(End { program, user, status });
    if ending.1 {
        return Ok(());
    }
    start(&mut ENDER.lock(), end_all)?;
    ending.1 = true;
    Ok(())
}

fn end_all() {
    loop {
        let mut ending = ENDING.lock();
        let Some(End { program, user, status }) = ending.0.pop() else {
            ending.1 = false;
            return;
        };
        drop(ending);
        let request = EndProgram { program, user, status };
        // Its manager knows whose it is. What does not answer is not there to be ended.
        let _ =
            v::process::manager_of(program).and_then(|manager| v::call(manager, &request, v::Segment::None));
    }
}

fn ask() {
    let wanted = WATCH.lock().begin(time::now_ns());
    let mut silent = None;
    for process in wanted {
        let began_ns = time::now_ns();
        // Its node need not be asked again for each of its processes.
        let outcome = if silent == Some(process.host()) {
            Err(Error::HostUnreachable)
        } else {
            v::process::has_ended_anywhere(process)
        };
        if is_silence(outcome) {
            silent = Some(process.host());
        }
        WATCH.lock().found(process, outcome, began_ns, time::now_ns());
    }
}

const fn is_silence(outcome: Result<bool, Error>) -> bool {
    matches!(outcome, Err(Error::HostUnreachable | Error::HostNotFound))
}

/// A process that the server wants to know of.
#[derive(Debug)]
struct Known {
    process: Pid,
    wanted_ns: u64,
    silent_since_ns: Option<u64>,
    has_ended: bool,
}

/// What is known.
#[derive(Debug)]
struct Watch {
    known: Vec<Known>,
    next_ns: u64,
}

impl Watch {
    const fn new() -> Watch {
        Watch { known: Vec::new(), next_ns: 0 }
    }

    /// The server wants to know of a process: whether it is known to have ended.
    fn want(&mut self, process: Pid, now_ns: u64) -> bool {
        if let Some(known) = self.known.iter_mut().find(|known| known.process == process) {
            known.wanted_ns = now_ns;
            return known.has_ended;
        }
        let known = Known { process, wanted_ns: now_ns, silent_since_ns: None, has_ended: false };
        self.known.push(known);
        false
    }

    const fn is_due(&self, now_ns: u64) -> bool {
        self.next_ns <= now_ns
    }

    /// Whom to ask about now, one node's processes after the other's.
    fn begin(&mut self, now_ns: u64) -> Vec<Pid> {
        self.next_ns = now_ns + INTERVAL_NS;
        self.known.retain(|known| known.wanted_ns + MEMORY_NS > now_ns);
        let mut wanted: Vec<Pid> =
            self.known.iter().filter(|known| !known.has_ended).map(|known| known.process).collect();
        wanted.sort_unstable_by_key(|process| (process.host().to_bits(), process.to_bits()));
        wanted
    }

    /// What was heard of a process, having been asked about from `began_ns` to `now_ns`.
    fn found(&mut self, process: Pid, outcome: Result<bool, Error>, began_ns: u64, now_ns: u64) {
        let Some(known) = self.known.iter_mut().find(|known| known.process == process) else { return };
        if is_silence(outcome) {
            let since_ns = *known.silent_since_ns.get_or_insert(began_ns);
            known.has_ended = since_ns + SILENCE_NS <= now_ns;
        } else {
            known.silent_since_ns = None;
            known.has_ended = matches!(outcome, Ok(true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec;

    const SECOND: u64 = 1_000_000_000;
    const ONE: Pid = Pid::from_bits(0x2000_0001_0001_0010);
    const TWO: Pid = Pid::from_bits(0x2000_0002_0001_0010);
    const OTHER: Pid = Pid::from_bits(0x2000_0001_0001_0011);

    #[test]
    fn who_has_ended_is_found_out_later() {
        let mut watch = Watch::new();
        for process in [ONE, TWO, OTHER] {
            assert!(!watch.want(process, 0));
        }
        assert_eq!(watch.begin(0), vec![ONE, OTHER, TWO]);
        assert!(!watch.is_due(SECOND - 1) && watch.is_due(SECOND));
        watch.found(ONE, Ok(true), 0, 1);
        watch.found(OTHER, Ok(false), 0, 1);
        assert!(watch.want(ONE, 2) && !watch.want(OTHER, 2) && !watch.want(TWO, 2));
        assert_eq!(watch.begin(3), vec![OTHER, TWO]);
        watch.want(OTHER, 11 * SECOND);
        assert_eq!(watch.begin(11 * SECOND), vec![OTHER]);
    }

    #[test]
    fn a_node_must_be_silent_for_a_while() {
        let mut watch = Watch::new();
        watch.want(ONE, 0);
        for (error, is_over) in [
            (Err(Error::HostUnreachable), false),
            (Err(Error::HostNotFound), true),
            // The own network server is restarted: nothing is known.
            (Err(Error::NoNetwork), false),
            (Err(Error::HostNotFound), false),
            (Ok(false), false),
        ] {
            let began_ns = watch.known[0].wanted_ns;
            let now_ns = began_ns + 10 * SECOND;
            watch.found(ONE, error, began_ns, now_ns);
            assert_eq!(watch.want(ONE, now_ns), is_over, "{error:?}");
        }
    }
}
