//! Which node this is.

use alloc_crate::vec;
use alloc_crate::vec::Vec;

use abi::{Error, LogicalHost, Pid, kernel};
use protocols::naming::RESTART_PATIENCE_NS;
use protocols::network::{HostRecord, network};

use crate::entry::boot_command_line;
use crate::message::{Segment, again, call};
use crate::time::{self, Duration};

/// The name of a node that was not given one.
const UNNAMED: &str = "node";

/// The node's name, such as `node1`: what the boot command line says after `name=`.
pub fn name() -> &'static str {
    word(boot_command_line(), "name=").filter(|name| !name.is_empty()).unwrap_or(UNNAMED)
}

/// The node's logical host.
pub fn host() -> LogicalHost {
    LogicalHost::from_bits(crate::entry::information().logical_host as u32)
}

/// The node's number among those that were started together, from 1: what the boot command line says after `node=`.
/// None where it says nothing of the kind.
pub fn number() -> Option<u32> {
    word(boot_command_line(), "node=")?.parse().ok()
}

/// Longest content of a frame on the node's links, in bytes, for cards that cannot tell: what the boot command line says
/// after `mtu=`. None where it says nothing of the kind.
pub fn link_content() -> Option<usize> {
    word(boot_command_line(), "mtu=")?.parse().ok()
}

/// The name of the keyboard's layout: what the boot command line says after `keyboard=`. None where it says nothing of the
/// kind.
pub fn keyboard() -> Option<&'static str> {
    word(boot_command_line(), "keyboard=")
}

/// Whether a nanosecond of the node's time is an instruction: where the boot command line has the word `icount`, since QEMU's
/// clock counts them.
pub fn counts_instructions() -> bool {
    word(boot_command_line(), "icount") == Some("")
}

/// The number of the domain that the node is in: what the boot command line says after `domain=`. None where it says
/// nothing of the kind.
pub fn domain() -> Option<u16> {
    word(boot_command_line(), "domain=")?.parse().ok()
}

/// Most nodes of a list.
const MOST_HOSTS: usize = 1024;

/// The nodes of the domain that answer now, this one first. [`NoNetwork`](Error::NoNetwork) where no network server runs.
pub fn all() -> Result<Vec<HostRecord>, Error> {
    let mut bytes = vec![0; MOST_HOSTS * HostRecord::BYTES];
    let ask = |server| call(server, &network::ListHosts {}, Segment::Write(&mut bytes));
    let count = ask_network(ask)?.count as usize;
    Ok(bytes.as_chunks().0.iter().take(count).map(HostRecord::from_bytes).collect())
}

/// The logical host of the node with a name: on another node, a process, or a kernel server such as the one with the
/// statistics, is sent to by its pid relative to that. [`HostNotFound`](Error::HostNotFound) if no node with that name
/// answers, [`NoNetwork`](Error::NoNetwork) where no network server runs.
pub fn find(name: &str) -> Result<LogicalHost, Error> {
    find_within(name, 0)
}

/// As [`find`], in so many milliseconds, not more than two seconds; 0 for these.
pub fn find_within(name: &str, patience_ms: u32) -> Result<LogicalHost, Error> {
    if name == self::name() {
        return Ok(host());
    }
    let ask = |server| call(server, &network::FindHost { patience_ms }, Segment::Read(name.as_bytes()));
    Ok(LogicalHost::from_bits(ask_network(ask)?.logical_host))
}

/// The clocks of a node, as a message to its kernel and back shows them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockReading {
    /// When the answer came, in nanoseconds since this node's boot.
    pub at_ns: u64,
    /// How long the message and its answer took, in nanoseconds.
    pub round_trip_ns: u64,
    /// How long the node had been up when the answer came, less half of that, as all here.
    pub uptime_ns: u64,
    /// How far its real-time clock is ahead of this node's.
    pub ahead_ns: i64,
}

impl ClockReading {
    /// How wrong the reading may be: the answer was made at some moment of the round trip.
    pub fn error_ns(&self) -> u64 {
        self.round_trip_ns.div_ceil(2)
    }
}

/// Reads the clocks of a node.
pub fn read_clocks(host: LogicalHost) -> Result<ClockReading, Error> {
    let (began_ns, real_ns) = (time::now_ns(), time::real_ns());
    let clocks = call(Pid::kernel_server(host, kernel::TIME), &kernel::time::Now {}, Segment::None)?;
    let at_ns = time::now_ns();
    let round_trip_ns = at_ns - began_ns;
    let middle_ns = real_ns.wrapping_add(round_trip_ns / 2);
    Ok(ClockReading {
        at_ns,
        round_trip_ns,
        uptime_ns: clocks.monotonic_ns.saturating_add(round_trip_ns / 2),
        ahead_ns: clocks.real_ns.wrapping_sub(middle_ns).cast_signed(),
    })
}

/// The surest of some readings of a node's clocks.
pub fn read_clocks_surely(host: LogicalHost) -> Result<ClockReading, Error> {
    const READINGS: u32 = 4;
    let mut best = read_clocks(host)?;
    for _ in 1..READINGS {
        let next = read_clocks(host)?;
        if next.round_trip_ns < best.round_trip_ns {
            best = next;
        }
    }
    Ok(best)
}

/// How long to wait before looking for a member again.
const MEMBER_PAUSE: Duration = Duration::from_millis(10);

/// The member that a well-known group has on the node that a logical host is on, as that node's kernel tells. Waits while
/// the service is being started again.
pub(crate) fn member_on(host: LogicalHost, group: Pid) -> Result<Pid, Error> {
    let query = kernel::group::QueryGroup { group, position: 0 };
    let groups = Pid::kernel_server(host, kernel::GROUP);
    let end_ns = time::now_ns() + RESTART_PATIENCE_NS;
    loop {
        match again(true, || call(groups, &query, Segment::None)) {
            Ok(queried) => return Ok(queried.member),
            Err(Error::EmptyGroup) if time::now_ns() < end_ns => time::sleep(MEMBER_PAUSE)?,
            Err(error) => return Err(error),
        }
    }
}

fn ask_network<T>(mut ask: impl FnMut(abi::Pid) -> Result<T, Error>) -> Result<T, Error> {
    crate::name::with_place("[network]", true, |network| ask(network.server)).map_err(|error| match error {
        Error::NoSuchPrefix => Error::NoNetwork,
        error => error,
    })
}

fn word<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_their_key() {
        let line = "panic=exit node=2 name=node2 exec";
        assert_eq!(word(line, "node="), Some("2"));
        assert_eq!(word(line, "name="), Some("node2"));
        assert_eq!(word(line, "exec="), None);
    }
}
