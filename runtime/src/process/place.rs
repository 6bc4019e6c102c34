//! Where programs run: program managers of this node and of others, and what they tell.

use alloc_crate::string::{String, ToString};
use alloc_crate::vec::Vec;

use abi::call::NOW;
use abi::kernel::well_known_group;
use abi::protocol::Reply as _;
use abi::{Error, LogicalHost, PAGE_BYTES, Pid};
use protocols::program::{ProgramRecord, program};

use crate::message::{self, Segment, again, call};
use crate::name::is_server_gone;
use crate::node;
use crate::process::thread;
use crate::sync::Mutex;
use crate::time;

/// How long nodes have to offer to run a program: enough for a few packets to be lost.
const OFFER_NS: u64 = 2_000_000_000;
/// How long managers have to say that they know a program.
const FIND_NS: u64 = 500_000_000;

/// How long the manager of a named node need not be looked for again: not so long that the node has booted again.
const KNOWN_NS: u64 = 3_000_000_000;

/// Where a program is to run.
///
/// On another place than [`Here`](Place::Here) it is a *guest*: it has no rights, runs when the node's own programs leave
/// the processor to it, and can be moved. So it is if the node is this one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Place {
    /// On this node, as its own.
    #[default]
    Here,
    /// On the node with this name.
    Node(String),
    /// On the node that is idle most, of those that have what is needed; this one is among them.
    Any {
        /// Memory that must be free, in bytes.
        least_memory_bytes: u64,
        /// How much of the last seconds its processor must have been idle, in percent.
        least_idle_percent: u32,
    },
}

impl Place {
    /// On the node that is idle most.
    pub const fn any() -> Place {
        Place::Any { least_memory_bytes: 0, least_idle_percent: 0 }
    }

    /// What to ask all nodes for, if any of them will do.
    fn bid(&self) -> Option<program::Bid> {
        let Place::Any { least_memory_bytes, least_idle_percent } = *self else { return None };
        let least_free_pages = u32::try_from(least_memory_bytes.div_ceil(PAGE_BYTES)).unwrap_or(u32::MAX);
        Some(program::Bid { least_free_pages, least_idle_percent })
    }
}

/// A program manager, and on which node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Manager {
    pub(super) pid: Pid,
    /// The node's name; none if it is this program's own.
    pub(super) node: Option<String>,
}

/// The managers of nodes that programs were started on by name, and when last.
static KNOWN: Mutex<Vec<(Manager, u64)>> = Mutex::new(Vec::new());

/// How long the offers are good of nodes that were not the first to answer. In a burst of starts the next one takes such a node: it
/// has less to do than the one that was chosen before it, which has a new guest.
const OFFERED_NS: u64 = 20_000_000;

/// A bid to which further answers may have come.
struct LastBid {
    bid: program::Bid,
    since_ns: u64,
    /// Which of this program's Sends to groups it was.
    number: u32,
}

/// The last one.
static LAST_BID: Mutex<Option<LastBid>> = Mutex::new(None);

/// Does what sends to the program manager of a place. If that has just gone, the next one is asked. A request that may
/// have been executed is not made again.
pub(super) fn at<T>(
    place: &Place,
    mut operation: impl FnMut(Pid) -> Result<T, Error>,
) -> Result<(Manager, T), Error> {
    let mut was_gone = false;
    let mut known = take_known(place).or_else(|| take_offer(place));
    loop {
        let is_known = known.is_some();
        let manager = known.take().map_or_else(|| find(place), Ok)?;
        match again(false, || operation(manager.pid)) {
            Err(error) if is_known && is_server_gone(error, false) => {}
            Err(error) if !was_gone && is_server_gone(error, false) => was_gone = true,
            Err(error) => return Err(error),
            Ok(done) => {
                if matches!(place, Place::Node(_)) {
                    KNOWN.lock().push((manager.clone(), time::now_ns()));
                }
                return Ok((manager, done));
            }
        }
    }
}

/// The manager of a named node, if it was asked so short a time ago that it need not be looked for.
fn take_known(place: &Place) -> Option<Manager> {
    let Place::Node(name) = place else { return None };
    let now_ns = time::now_ns();
    let mut known = KNOWN.lock();
    known.retain(|(_, since_ns)| now_ns < since_ns + KNOWN_NS);
    let at = known.iter().position(|(manager, _)| manager.node.as_ref() == Some(name))?;
    Some(known.swap_remove(at).0)
}

/// The next of the nodes that have answered the last bid, if that was for the same and is not old. Other threads have Sends to groups
/// of their own, whose answers these could be.
fn take_offer(place: &Place) -> Option<Manager> {
    let bid = place.bid()?;
    let mut last = LAST_BID.lock();
    let is_good = last.as_ref().is_some_and(|last| {
        last.bid == bid
            && time::now_ns() < last.since_ns + OFFERED_NS
            && last.number == message::group_sends()
            && !thread::are_several()
    });
    let next = if is_good { message::get_reply(&mut [], NOW).ok() } else { None };
    let Some((pid, reply)) = next else {
        *last = None;
        return None;
    };
    Error::check(reply.code()).ok()?;
    offered(pid, &program::BidMade::from_message(&reply)).ok()
}

fn find(place: &Place) -> Result<Manager, Error> {
    match place {
        Place::Here => Ok(Manager { pid: manager_on(LogicalHost::OWN)?, node: None }),
        Place::Node(name) => {
            let host = node::find(name).map_err(|error| match error {
                Error::HostNotFound => Error::NoSuchNode,
                error => error,
            })?;
            Ok(Manager { pid: manager_on(host)?, node: Some(name.clone()) })
        }
        Place::Any { .. } => best(place.bid().ok_or(Error::BadArgument)?, Pid::NONE),
    }
}

/// The manager of a place, which is another one than `manager`; [`BadArgument`](Error::BadArgument) if the place has that.
pub(super) fn other_than(manager: Pid, place: &Place) -> Result<Manager, Error> {
    if let Some(bid) = place.bid() {
        return best(bid, manager);
    }
    let found = find(place)?;
    if found.pid == manager { Err(Error::BadArgument) } else { Ok(found) }
}

/// The manager that offers first, `unwanted` aside.
fn best(bid: program::Bid, unwanted: Pid) -> Result<Manager, Error> {
    let ask = || {
        let all = well_known_group::ALL_PROGRAM_MANAGERS;
        let since_ns = time::now_ns();
        let (mut pid, mut made) = message::call_group(all, &bid, Segment::None, since_ns + OFFER_NS)?;
        *LAST_BID.lock() = Some(LastBid { bid, since_ns, number: message::group_sends() });
        while pid == unwanted {
            let (next, reply) = message::get_reply(&mut [], since_ns + OFFER_NS)?;
            Error::check(reply.code())?;
            (pid, made) = (next, program::BidMade::from_message(&reply));
        }
        Ok((pid, made))
    };
    match again(true, ask) {
        Ok((pid, made)) => offered(pid, &made),
        Err(Error::EmptyGroup | Error::DeadlinePassed | Error::DiedBeforeReply) => Err(Error::NoOffer),
        Err(error) => Err(error),
    }
}

/// The manager that has made an offer.
fn offered(pid: Pid, made: &program::BidMade) -> Result<Manager, Error> {
    let name = made.name_bytes();
    let name = core::str::from_utf8(&name).map_err(|_| Error::BadReply)?;
    Ok(Manager { pid, node: Some(name.trim_end_matches('\0').to_string()) })
}

/// The program manager of the node that a logical host is on.
fn manager_on(host: LogicalHost) -> Result<Pid, Error> {
    node::member_on(host, well_known_group::PROGRAM_MANAGERS)
}

/// The program manager of the node that a program is on now.
pub fn manager_of(program: Pid) -> Result<Pid, Error> {
    manager_on(program.host())
}

/// The program manager that has a program now, or knows how it has ended, if it answers soon. No node is waited for.
pub(super) fn who_knows(program: Pid) -> Option<Pid> {
    let all = well_known_group::ALL_PROGRAM_MANAGERS;
    let find = program::FindProgram { program };
    let found = message::call_group(all, &find, Segment::None, time::now_ns() + FIND_NS);
    found.ok().map(|(manager, _)| manager)
}

/// The programs of a node, as its program manager tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Programs {
    /// How much a further guest would meet, as in [`ProgramsListed`](program::ProgramsListed).
    pub load_percent: u32,
    /// Those that run.
    pub running: Vec<ProgramRecord>,
}

/// The programs of the node with a logical host.
pub fn programs_of(host: LogicalHost) -> Result<Programs, Error> {
    const AT_ONCE: usize = 64;
    let manager = manager_on(host)?;
    let mut programs = Programs { load_percent: 0, running: Vec::new() };
    let mut bytes = [0; AT_ONCE * ProgramRecord::BYTES];
    let mut position = 0;
    loop {
        let list = program::ListPrograms { position };
        let listed = again(true, || call(manager, &list, Segment::Write(&mut bytes)))?;
        let (records, _) = bytes.as_chunks();
        let count = listed.count as usize;
        programs.running.extend(records.iter().take(count).map(ProgramRecord::from_bytes));
        programs.load_percent = listed.load_percent;
        if listed.next <= position {
            return Ok(programs);
        }
        position = listed.next;
    }
}
