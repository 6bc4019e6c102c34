//! Names: from `[prefix]path` to a server and what the server is to be asked for.
//!
//! A prefix is looked up in the table that the program was started with, then asked of the naming group; what the
//! group said is remembered. A name without prefix belongs to the working directory. What comes after the prefix is
//! the server's business, `.` and `..` included: `..` never leads out of a server.
//!
//! A prefix that nobody here answers for may be the name of another node: `[node2]tmp/a` is `[tmp]a` as node 2 has it,
//! whose naming server is asked. `[node2]` alone is the directory of its prefixes.
//!
//! A program that runs on another node than at home asks the naming server of its home, so that its prefixes mean there
//! what they mean to who started it; only of the network server and the log is the [nearest](NEAREST) meant.
//!
//! **On-use correction.** A remembered server may have died and been restarted under another pid. Nobody asks
//! beforehand: [`with_place`] finds out when the operation fails, forgets the server, asks again (the naming server
//! waits while the service restarts), and repeats the operation once.
//!
//! `table` holds the table and its syntax, which is pure; this file asks the servers.

mod table;

use alloc_crate::borrow::Cow;
use alloc_crate::string::{String, ToString};
use alloc_crate::vec;
use alloc_crate::vec::Vec;

use abi::kernel::well_known_group::{ALL_NAMING, NAMING};
use abi::protocol::Request;
use abi::{Error, LogicalHost, Pid};
use protocols::names::{MAX_PATH_BYTES, names};
use protocols::naming::{PREFIXES, RESTART_PATIENCE_NS, is_prefix, naming};
use protocols::program::Entry;
use protocols::storage::FILES;

use crate::message::{self, Segment, again, call};
use crate::node::member_on;
use crate::sync::Mutex;
use crate::time::{self, Duration};

pub use table::{Binding, Bound, Directory};
use table::{Known, Parsed, Table};

/// Where a name leads: a server, a directory of it, and the rest of the name, relative to that directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// The server.
    pub server: Pid,
    /// The directory.
    pub context: u32,
    /// What is left for the server to look up; empty for the directory itself.
    pub rest: Cow<'a, str>,
}

/// The prefix of the network server, which knows the other nodes.
pub(crate) const NETWORK: &str = "network";

/// Prefixes of services of which the nearest is meant, also by a program that runs elsewhere than at home.
const NEAREST: [&str; 2] = [NETWORK, "log"];

/// Aliases of aliases are followed so far; beyond it they go in a circle.
const MAX_ALIASES: usize = 16;

/// How long to wait for whoever has a global prefix.
const LOCATE_NS: u64 = 2_000_000_000;
/// How long to wait before asking again when no naming server is there.
const NAMING_PAUSE: Duration = Duration::from_millis(10);

const HOME_ON_DISK: &str = "[storage]home";
const HOME_IN_MEMORY: &str = "[tmp]";

/// Between two looks for a server that is waited for.
const WAIT_PAUSE: Duration = Duration::from_millis(250);

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

/// Calls `body` with the table, which is made of the start block when it is first needed.
fn with_table<T>(body: impl FnOnce(&mut Table) -> T) -> T {
    let mut table = TABLE.lock();
    body(
        table.get_or_insert_with(|| {
            Table::from_entries(protocols::program::entries(crate::entry::start_block()))
        }),
    )
}

/// Finds out where a name leads.
///
/// ```no_run
/// let place = v::name::resolve("[tmp]a/b")?;
/// assert_eq!(place.rest, "a/b");
/// # Ok::<(), v::Error>(())
/// ```
pub fn resolve(name: &str) -> Result<Place<'_>, Error> {
    match with_table(|table| table.find(name)) {
        Some((server, context, rest)) => Ok(Place { server, context, rest: Cow::Borrowed(rest) }),
        None => resolve_further(name),
    }
}

/// The same for any name: aliases are followed, and whoever may know is asked.
#[cold]
fn resolve_further(name: &str) -> Result<Place<'_>, Error> {
    let mut name = Cow::Borrowed(name);
    let mut aliases = 0;
    loop {
        match with_table(|table| table.look_up(&name))? {
            Known::Place(server, context, rest) => {
                let rest_bytes = rest.len();
                return Ok(Place { server, context, rest: end(name, rest_bytes) });
            }
            Known::Alias(_) if aliases == MAX_ALIASES => return Err(Error::BadName),
            Known::Alias(longer) => {
                aliases += 1;
                name = Cow::Owned(longer);
            }
            Known::Ask(prefix, path) => ask(prefix, path)?,
        }
    }
}

/// Learns what a prefix means: of this node's naming server or, where that does not know it, of those of all nodes.
fn ask(prefix: &str, path: &str) -> Result<(), Error> {
    let resolve = Segment::Read(prefix.as_bytes());
    let (server, context) = match ask_home(Some(prefix), &naming::Resolve {}, resolve) {
        Ok(resolved) => (resolved.server, resolved.context),
        Err(Error::NoSuchPrefix) => locate(prefix)?,
        Err(error) => return Err(error),
    };
    if context == PREFIXES {
        let inner = table::first_of(path).0;
        let (server, context) = ask_node(server, inner)?;
        with_table(|table| table.learn_elsewhere(prefix, inner, server, context));
    } else {
        with_table(|table| table.learn(prefix, server, context));
    }
    Ok(())
}

/// Who has a global prefix. Only the system's processes can be in the group that is asked, on any node.
fn locate(prefix: &str) -> Result<(Pid, u32), Error> {
    // Without a network there is nobody else; the network server is found by a prefix itself.
    if prefix == NETWORK || resolve("[network]").is_err() {
        return Err(Error::NoSuchPrefix);
    }
    let end_ns = time::now_ns() + RESTART_PATIENCE_NS;
    loop {
        let deadline = time::now_ns() + LOCATE_NS;
        let segment = Segment::Read(prefix.as_bytes());
        match message::call_group(ALL_NAMING, &naming::Locate {}, segment, deadline) {
            // A naming server answers for its own node only.
            Ok((replier, located)) if located.server.host() == replier.host() => {
                return Ok((located.server, located.context));
            }
            Ok(_) => return Err(Error::BadReply),
            // The network server, or this node's naming server, is being restarted.
            Err(Error::EmptyGroup | Error::DiedBeforeReply | Error::NoNetwork) if time::now_ns() < end_ns => {
                time::sleep(NAMING_PAUSE)?;
            }
            Err(Error::EmptyGroup | Error::DiedBeforeReply | Error::DeadlinePassed) => {
                return Err(Error::NoSuchPrefix);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether some server of this node answers for a prefix. Other nodes are not asked.
pub fn is_known_here(prefix: &str) -> bool {
    ask_naming(&naming::Resolve {}, Segment::Read(prefix.as_bytes())).is_ok()
}

/// Lets `[home]` stand for where files of the node's users are: on its disk, if it has one, else in memory. Says where.
pub fn set_home() -> Result<&'static str, Error> {
    let home = if is_known_here(FILES) { HOME_ON_DISK } else { HOME_IN_MEMORY };
    set_alias("home", home)?;
    Ok(home)
}

/// Waits until somebody answers for a name's prefix, such as a node that has yet to boot. Says so in the log where it
/// takes a while.
pub fn wait_for(name: &str) -> Result<(), Error> {
    let mut was_told = false;
    loop {
        match resolve(name) {
            Ok(_) => return Ok(()),
            Err(Error::NoSuchPrefix | Error::NoNetwork | Error::HostNotFound | Error::HostUnreachable) => {
                if !was_told {
                    crate::log::notice!("waiting for the server of {name}");
                }
                was_told = true;
                time::sleep(WAIT_PAUSE)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// What a prefix means at a naming server; without a prefix, the directory of all that it has.
fn ask_node(naming: Pid, prefix: &str) -> Result<(Pid, u32), Error> {
    if prefix.is_empty() {
        return Ok((naming, PREFIXES));
    }
    if !is_prefix(prefix) {
        return Err(Error::NoSuchPrefix);
    }
    let ask = || call(naming, &naming::Resolve {}, Segment::Read(prefix.as_bytes()));
    let resolved = again(true, ask)?;
    // It answers for its own node only.
    if resolved.server.host() == naming.host() {
        Ok((resolved.server, resolved.context))
    } else {
        Err(Error::BadReply)
    }
}

/// The last so many bytes of a name.
fn end(name: Cow<'_, str>, bytes: usize) -> Cow<'_, str> {
    let start = name.len() - bytes;
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(&name[start..]),
        Cow::Owned(mut name) => {
            name.drain(..start);
            Cow::Owned(name)
        }
    }
}

/// Resolves `name` and does `operation` at the place. If its server has gone, the name is resolved anew and the
/// operation repeated, once; after [`DiedBeforeReply`](Error::DiedBeforeReply), when it may have been done already,
/// only if it is `idempotent`. It is repeated as well while a network server comes back, see [`again`].
pub fn with_place<T>(
    name: &str,
    idempotent: bool,
    mut operation: impl FnMut(&Place<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut gone = None;
    loop {
        let place = match gone {
            None => resolve(name)?,
            Some(error) => resolve(name).map_err(|again| reason_of(error, again))?,
        };
        match again(idempotent, || operation(&place)) {
            Err(error) if gone.is_none() && is_server_gone(error, idempotent) => {
                forget(place.server).map_err(|again| reason_of(error, again))?;
                gone = Some(error);
            }
            outcome => return outcome,
        }
    }
}

/// Whether an error says that the server has gone, and the operation may be repeated elsewhere.
pub(crate) fn is_server_gone(error: Error, idempotent: bool) -> bool {
    match error {
        // The last is what a node that has booted again is known by.
        Error::NonexistentProcess | Error::StaleProcess | Error::HostNotFound => true,
        Error::DiedBeforeReply => idempotent,
        _ => false,
    }
}

/// Why an operation failed whose server was `gone` and was looked up again in vain: where its node is gone, that nobody
/// has its prefix is a consequence, not a wrong name.
pub(crate) fn reason_of(gone: Error, again: Error) -> Error {
    if gone == Error::HostNotFound && again == Error::NoSuchPrefix { gone } else { again }
}

/// Forgets what is remembered of a server that has gone. If the working directory was its, it is looked up again by
/// its name.
pub(crate) fn forget(server: Pid) -> Result<(), Error> {
    let directory = with_table(|table| {
        table.forget(server);
        table.directory.as_ref().filter(|directory| directory.server == server).cloned()
    });
    match directory {
        Some(directory) if directory.name.starts_with('[') => set_current_directory(&directory.name),
        _ => Ok(()),
    }
}

/// Asks the naming group, waiting while the naming server itself is being restarted.
pub(crate) fn ask_naming<R: Request>(request: &R, mut segment: Segment<'_>) -> Result<R::Reply, Error> {
    let end_ns = time::now_ns() + RESTART_PATIENCE_NS;
    loop {
        // The server is given its own patience beyond ours.
        let deadline = end_ns + RESTART_PATIENCE_NS / 10;
        match message::call_group(NAMING, request, segment.reborrow(), deadline) {
            Ok((_, reply)) => return Ok(reply),
            Err(Error::EmptyGroup | Error::DiedBeforeReply) if time::now_ns() < end_ns => {
                time::sleep(NAMING_PAUSE)?;
            }
            Err(Error::EmptyGroup | Error::DiedBeforeReply | Error::DeadlinePassed) => {
                return Err(Error::NoSuchPrefix);
            }
            Err(error) => return Err(error),
        }
    }
}

/// As [`ask_naming`], of a prefix or of all; a guest's prefixes mean what they mean at its home, but for the
/// [nearest](NEAREST).
fn ask_home<R: Request>(
    prefix: Option<&str>,
    request: &R,
    mut segment: Segment<'_>,
) -> Result<R::Reply, Error> {
    match home().filter(|_| prefix.is_none_or(|prefix| !NEAREST.contains(&prefix))) {
        None => ask_naming(request, segment),
        Some(home) => again(true, || call(member_on(home, NAMING)?, request, segment.reborrow())),
    }
}

/// The node whose naming server knows the program's prefixes, if that is not the one that it runs on.
pub(crate) fn home() -> Option<LogicalHost> {
    with_table(|table| table.home)
}

/// Appends to a start block what a program on another node needs to know of prefixes that are not in this program's own
/// table: where home is, and for speed what has been learnt from there.
pub(crate) fn append_home(block: &mut Vec<u8>) {
    with_table(|table| {
        let host = table.home.unwrap_or_else(|| crate::process::team().host());
        Entry::Home { host }.append(block);
        for (name, server, context) in table.learnt().filter(|(name, ..)| !NEAREST.contains(name)) {
            Entry::Learnt { name, server, context }.append(block);
        }
    });
}

/// The prefixes of the program's own table, sorted; those that were only learnt are not among them.
pub fn prefixes() -> Vec<Binding> {
    with_table(|table| table.own())
}

/// The prefixes that the naming servers know: name, server and context.
pub fn global_prefixes() -> Result<Vec<(String, Pid, u32)>, Error> {
    enumerate(|request, place| ask_home(None, request, Segment::Write(place)))
}

/// Whether a process answers for a prefix of its node, which only the system's servers do.
pub fn is_registered(server: Pid) -> Result<bool, Error> {
    let prefixes = if server.host() == crate::node::host() {
        global_prefixes()
    } else {
        let naming = member_on(server.host(), NAMING)?;
        enumerate(|request, place| call(naming, request, Segment::Write(place)))
    };
    Ok(prefixes?.iter().any(|(_, other, _)| *other == server))
}

/// All prefixes that a naming server tells of.
fn enumerate(
    mut ask: impl FnMut(&naming::Enumerate, &mut [u8]) -> Result<naming::Enumerated, Error>,
) -> Result<Vec<(String, Pid, u32)>, Error> {
    let mut found = Vec::new();
    let mut place = [0; protocols::naming::MAX_PREFIX_BYTES];
    for position in 0.. {
        match ask(&naming::Enumerate { position }, &mut place) {
            Ok(entry) => {
                let name = place.get(..entry.count as usize).ok_or(Error::BadReply)?;
                let name = core::str::from_utf8(name).map_err(|_| Error::BadReply)?;
                found.push((name.to_string(), entry.server, entry.context));
            }
            Err(Error::NotFound) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Binds `[prefix]` to a directory of a server, for this program and those that it starts.
pub fn set_prefix(prefix: &str, server: Pid, context: u32) -> Result<(), Error> {
    bind(prefix, Bound::Context(server, context))
}

/// Lets `[prefix]` stand for another name, `[other]path`, for this program and those that it starts. What it stands
/// for is looked up each time.
pub fn set_alias(prefix: &str, target: &str) -> Result<(), Error> {
    if !matches!(table::parse(target), Parsed::Prefixed(..)) || target.len() > MAX_PATH_BYTES {
        return Err(Error::BadName);
    }
    bind(prefix, Bound::Alias(target.to_string()))
}

/// Takes a prefix out of the program's own table; false if it is not there.
pub fn remove_prefix(prefix: &str) -> bool {
    with_table(|table| table.unbind(prefix))
}

fn bind(prefix: &str, to: Bound) -> Result<(), Error> {
    if !is_prefix(prefix) {
        return Err(Error::BadName);
    }
    with_table(|table| table.bind(prefix, to));
    Ok(())
}

/// The full name of the working directory.
pub fn current_directory() -> Option<String> {
    with_table(|table| table.directory.as_ref().map(|directory| directory.name.clone()))
}

/// The working directory.
pub fn directory() -> Option<Directory> {
    with_table(|table| table.directory.clone())
}

/// Makes the directory `name` the working directory.
pub fn set_current_directory(name: &str) -> Result<(), Error> {
    let directory = find_directory(name)?;
    with_table(|table| table.directory = Some(directory));
    Ok(())
}

/// The directory with this name.
pub fn find_directory(name: &str) -> Result<Directory, Error> {
    let full = full_name(name)?;
    with_place(name, true, |place| {
        let request = names::GetContext { context: place.context };
        let found = call(place.server, &request, Segment::Read(place.rest.as_bytes()))?;
        Ok(Directory { server: place.server, context: found.found, name: full.clone() })
    })
}

/// The program's own prefixes and working directory at some time.
#[derive(Clone, Debug)]
pub struct Saved {
    own: Vec<Binding>,
    directory: Option<Directory>,
}

/// The program's own prefixes and working directory as they are now, for [`restore`].
pub fn save() -> Saved {
    with_table(|table| Saved { own: table.own(), directory: table.directory.clone() })
}

/// Goes back to the prefixes and working directory of another time.
pub fn restore(saved: Saved) {
    with_table(|table| {
        table.set_own(saved.own);
        table.directory = saved.directory;
    });
}

/// The name in full, with prefix, and without `.` and `..`, as text; nobody is asked. What has no prefix is taken
/// from the working directory.
///
/// ```no_run
/// v::name::set_current_directory("[tmp]work")?;
/// assert_eq!(v::name::full_name("../a/./b")?, "[tmp]a/b");
/// # Ok::<(), v::Error>(())
/// ```
pub fn full_name(name: &str) -> Result<String, Error> {
    let directory = current_directory();
    table::full_name(name, directory.as_deref())
}

/// The path, from the root of its server, of a directory known by its context.
pub fn context_name(server: Pid, context: u32) -> Result<String, Error> {
    let mut place = vec![0; MAX_PATH_BYTES];
    let request = names::GetContextName { context };
    let named = call(server, &request, Segment::Write(&mut place))?;
    place.truncate(named.count as usize);
    String::from_utf8(place).map_err(|_| Error::BadReply)
}
