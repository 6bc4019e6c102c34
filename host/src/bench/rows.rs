//! The budgets, and what the same costs elsewhere.
//!
//! Linux's figures here were measured once, as `--peer linux` measures them
//! again: Debian's 6.1 kernel in the same QEMU and mode. seL4's are of its own benchmark there. V's are those published of the first V, on two SUN workstations of
//! 10 MHz and a 3 Mb Ethernet (Cheriton and Zwaenepoel, SOSP 1983), on SUN workstations of 10 MHz and a 10 Mb Ethernet
//! (Theimer, Lantz and Cheriton, SOSP 1985), and on two Sun-3/75 and a 10 Mb Ethernet (RFC 1045).
//! Where a peer has several ways, the figure is of the one named here.

use serde::Serialize;

/// The peer that can be measured here and now, as it was once,
pub const LINUX: &str = "Linux 6.1";
/// and as it is.
pub const LINUX_HERE: &str = "Linux, here";
const SEL4: &str = "seL4";
const V_1983: &str = "V 1983";
const V_1985: &str = "V 1985";
const V_1988: &str = "V 1988";

/// Measured by the tool.
pub const SMALLEST_MEMORY: &str = "smallest-memory";
/// Measured by the tool.
pub const KERNEL_SIZE: &str = "kernel-size";
/// How much of the lossless throughput is left where one packet in a hundred is lost.
pub const LOSS_THROUGHPUT: &str = "remote-loss-throughput";
/// How much a leased read of another node's file takes, of what one of this node's takes.
pub const LEASED: &str = "leased-read";
/// How many times a frame's way to the other node's driver and back a message's takes.
pub const TIME_RATIO: &str = "remote-time-ratio";

/// How many messages' instructions a program takes more if a node is selected for it than if it runs here.
pub const START_MESSAGES: &str = "domain-start-messages";
/// How many messages' time a program that moves stands still, aside from the time of a copy of 64 KiB.
pub const FREEZE_MESSAGES: &str = "move-freeze-messages";
/// How many times as much one worker executes as the node that executes most where workers are on all nodes.
pub const SPEED_UP: &str = "queens-speed-up";

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The figure's name, as guests write it.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// How many nodes it takes.
    pub nodes: u8,
    /// Whether a disk, too.
    pub has_disk: bool,
    /// What it may be.
    pub budget: Budget,
    /// What it may be if Linux was measured beside it: so many times Linux's figure.
    pub of_linux: Option<Factor>,
    /// What it costs elsewhere.
    pub peers: &'static [(&'static str, f64)],
}

/// What a figure may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Budget {
    /// More is a failure.
    pub at_most: Option<f64>,
    /// Less is a failure.
    pub at_least: Option<f64>,
    /// Where it should get to.
    pub aim: Option<f64>,
}

/// A budget that follows from a peer's figure.
#[derive(Clone, Copy, Debug)]
pub enum Factor {
    /// At most so many times that.
    AtMost(f64),
    /// At least so many times that.
    AtLeast(f64),
}

impl Budget {
    /// With what follows from a peer's figure.
    pub fn of(self, factor: Factor, measured: f64) -> Budget {
        match factor {
            Factor::AtMost(times) => Budget { at_most: Some(times * measured), ..self },
            Factor::AtLeast(times) => Budget { at_least: Some(times * measured), ..self },
        }
    }
}

const fn row(
    name: &'static str,
    title: &'static str,
    [at_most, aim]: [f64; 2],
    peers: &'static [(&'static str, f64)],
) -> Row {
    let budget = Budget { at_most: Some(at_most), at_least: None, aim: Some(aim) };
    Row { name, title, nodes: 1, has_disk: false, budget, of_linux: None, peers }
}

/// A row of files on a disk, which cost no more than Linux's.
const fn disk(name: &'static str, title: &'static str) -> Row {
    let of_linux = Some(Factor::AtMost(1.0));
    Row { name, title, nodes: 1, has_disk: true, budget: UNLIMITED, of_linux, peers: &[] }
}

/// A row between two nodes.
const fn remote(
    name: &'static str,
    title: &'static str,
    budget: Budget,
    peers: &'static [(&'static str, f64)],
) -> Row {
    Row { name, title, nodes: 2, has_disk: false, budget, of_linux: None, peers }
}

/// A row among three nodes.
const fn domain(
    name: &'static str,
    title: &'static str,
    budget: Budget,
    peers: &'static [(&'static str, f64)],
) -> Row {
    Row { name, title, nodes: 3, has_disk: false, budget, of_linux: None, peers }
}

/// A row between two nodes whose budget is what Linux takes, so many times.
const fn against_linux(
    name: &'static str,
    title: &'static str,
    factor: Factor,
    peers: &'static [(&'static str, f64)],
) -> Row {
    Row { name, title, nodes: 2, has_disk: false, budget: UNLIMITED, of_linux: Some(factor), peers }
}

const fn at_most(at_most: f64, aim: f64) -> Budget {
    Budget { at_most: Some(at_most), at_least: None, aim: Some(aim) }
}

const fn at_least(at_least: f64, aim: f64) -> Budget {
    Budget { at_most: None, at_least: Some(at_least), aim: Some(aim) }
}

const UNLIMITED: Budget = Budget { at_most: None, at_least: None, aim: None };

/// All budgets.
pub const ROWS: &[Row] = &[
    // Linux: two pipes.
    row(
        "send-receive-reply",
        "Send-Receive-Reply, 32 bytes, two teams",
        [350.0, 200.0],
        &[(LINUX, 10_602.0), (SEL4, 458.0)],
    ),
    // Linux: getppid.
    row("null-kernel-request", "null request to a kernel server", [150.0, 100.0], &[(LINUX, 337.0)]),
    // Linux: a pipe.
    row("reply-4-kib-segment", "reply with a 4 KiB segment", [1_000.0, 800.0], &[(LINUX, 11_730.0)]),
    // Linux: process_vm_readv.
    row("move-to-64-kib", "64 KiB MoveTo between teams", [9_200.0, 8_600.0], &[(LINUX, 22_899.0)]),
    // Linux: pread of a tmpfs file, without a switch to a server.
    row("read-4-kib-of-cached-file", "read 4 KiB of a cached file", [1_400.0, 1_000.0], &[(LINUX, 1_876.0)]),
    row("open-and-close-file", "open and close a file", [2_000.0, 1_200.0], &[(LINUX, 6_325.0)]),
    // Linux: a pthread.
    row(
        "process-create-start-end",
        "process: create, start, end, reap",
        [6_000.0, 3_000.0],
        &[(LINUX, 38_394.0)],
    ),
    // Linux: vfork and exec.
    row(
        "program-load-run-end",
        "load, run and end a tiny program",
        [60_000.0, 30_000.0],
        &[(LINUX, 131_755.0)],
    ),
    // Of which it touches 1 MiB.
    row("program-10-mib-bytes-read", "start of a 10 MiB program: bytes read", [1.3e6, 1.2e6], &[]),
    row("program-10-mib-second-bytes-read", "its second start: bytes read", [0.0, 0.0], &[]),
    // The server's work included, which lends pages ahead.
    row("page-touch-cached-file", "page after page that a file server has", [2_500.0, 1_000.0], &[]),
    // One for which nothing was lent ahead.
    row("page-fault-cached-file", "one fault for a page that a file server has", [2_500.0, 1_500.0], &[]),
    row(
        "zero-page-fault-zeroed",
        "zero-page fault, a page zeroed beforehand",
        [900.0, 600.0],
        &[(LINUX, 4_303.0)],
    ),
    row(
        "zero-page-fault",
        "zero-page fault, no page zeroed beforehand",
        [1_400.0, 1_100.0],
        &[(LINUX, 4_303.0)],
    ),
    row("large-zero-region-page", "16 MiB mapped, touched, unmapped: each page", [500.0, 300.0], &[]),
    // The firmware's 16 M included. Linux: to /init.
    row("boot-to-here", "reset to first command", [100.0e6, 40.0e6], &[(LINUX, 1_570.0e6)]),
    // Both engines together, the packets' bytes and checksums included.
    row("vmtp-transaction", "VMTP engines: a 32-byte transaction", [1_600.0, 1_200.0], &[]),
    // Both engines together, without copies and checksums: in 16 packets of two blocks on a plain Ethernet, in two
    // on the virtual one.
    row(
        "vmtp-packet-group-16-kib-mtu-1500",
        "VMTP engines: a 16 KiB packet group, MTU 1500",
        [3_000.0, 2_000.0],
        &[],
    ),
    row(
        "vmtp-packet-group-16-kib-mtu-9000",
        "VMTP engines: a 16 KiB packet group, MTU 9000",
        [3_000.0, 1_000.0],
        &[],
    ),
    row("vmtp-idle-hosts", "VMTP engine: a look at 10,000 idle hosts", [100.0, 50.0], &[]),
    row(SMALLEST_MEMORY, "smallest memory", [24.0, 12.0], &[(LINUX, 80.0)]),
    row(KERNEL_SIZE, "kernel, without comments and tests", [11_000.0, 8_000.0], &[]),
    // A virtio disk of 256 MiB in a node of 256 MiB. Linux: ext4.
    disk("disk-write", "64 MiB written to a disk and made safe, each MiB"),
    disk("disk-write-time", "its time"),
    disk("disk-read", "64 MiB read from a disk, each MiB"),
    disk("disk-read-time", "its time"),
    disk("disk-read-random", "4 KiB read from anywhere on a disk"),
    disk("disk-read-random-time", "its time"),
    Row { budget: at_most(1_400.0, 1_000.0), of_linux: None, ..disk("disk-read-warm", "read 4 KiB again") },
    Row { of_linux: None, ..disk("disk-read-warm-time", "its time") },
    // Linux: UDP.
    remote(
        "remote-send-receive-reply",
        "Send-Receive-Reply between nodes, 32 bytes",
        at_most(8_000.0, 5_000.0),
        &[(LINUX, 41_400.0)],
    ),
    against_linux(
        "remote-send-receive-reply-time",
        "its time, median",
        Factor::AtMost(1.0),
        &[(LINUX, 690.0), (V_1983, 2_540.0), (V_1988, 2_250.0)],
    ),
    // Linux: raw packets.
    remote("frame-echo", "a frame there and back, 60 bytes", UNLIMITED, &[(LINUX, 33_800.0)]),
    remote("frame-echo-time", "its time, median", UNLIMITED, &[(LINUX, 570.0)]),
    // The other node's network server itself sends it back.
    remote("loopback", "a frame to the other driver and back", UNLIMITED, &[]),
    remote("loopback-time", "its time, median", UNLIMITED, &[]),
    remote(TIME_RATIO, "a message's time, of that frame's", UNLIMITED, &[]),
    // Linux: UDP. V of 1983: 512 bytes.
    remote(
        "remote-read-4-kib",
        "read 4 KiB of another node's file, warm",
        at_most(15_000.0, 9_000.0),
        &[(LINUX, 70_800.0)],
    ),
    // What the node's own cache answers; and the same of a file of this node, counted in the same way.
    remote("leased-read-4-kib", "read 4 KiB of another node's file, leased", UNLIMITED, &[]),
    remote("here-read-4-kib", "read 4 KiB of a file here", UNLIMITED, &[]),
    remote(LEASED, "a leased read, of one here", at_most(110.0, 100.0), &[]),
    remote("remote-page-touch", "page after page of another node's file, mapped", UNLIMITED, &[]),
    remote("remote-page-throughput", "its throughput, 4 MiB", UNLIMITED, &[]),
    // Linux: TCP, as with all that follow. V of 1983: a program of 64 KiB; of 1988: packet groups of 16 KiB.
    remote("remote-move-to-1-mib", "MoveTo between nodes, 1 MiB", at_most(1.5e6, 0.8e6), &[(LINUX, 5.5e6)]),
    remote(
        "remote-move-from-1-mib",
        "MoveFrom between nodes, 1 MiB",
        at_most(1.5e6, 0.8e6),
        &[(LINUX, 5.5e6)],
    ),
    // A start here, and ten messages.
    remote(
        "remote-program",
        "load, run and end a tiny program on another node",
        at_most(140_000.0, 100_000.0),
        &[],
    ),
    remote(
        "remote-program-selected",
        "the same, the node being selected",
        at_most(140_000.0, 100_000.0),
        &[],
    ),
    against_linux(
        "remote-move-to-throughput",
        "throughput of MoveTo",
        Factor::AtLeast(1.5),
        &[(LINUX, 46.3), (V_1983, 0.192), (V_1988, 0.588)],
    ),
    against_linux(
        "remote-move-from-throughput",
        "throughput of MoveFrom",
        Factor::AtLeast(1.5),
        &[(LINUX, 46.3), (V_1983, 0.192), (V_1988, 0.588)],
    ),
    remote(LOSS_THROUGHPUT, "throughput where 1 % is lost, of that without", at_least(70.0, 90.0), &[]),
    domain("domain-message", "Send-Receive-Reply between nodes, 32 bytes", UNLIMITED, &[]),
    domain("domain-program-here", "load, run and end a tiny program here", UNLIMITED, &[]),
    domain("domain-program-selected", "the same on a node that is selected", UNLIMITED, &[]),
    domain(START_MESSAGES, "what that takes more", at_most(10.0, 5.0), &[]),
    domain(
        "domain-selection-time",
        "the first answer of who can run a program, median",
        UNLIMITED,
        &[(V_1985, 23.0)],
    ),
    // V: selection, an environment set up and taken down, and the load of 100 KB.
    domain(
        "domain-program-time",
        "select, load, run and end a tiny program, median",
        UNLIMITED,
        &[(V_1985, 393.0)],
    ),
    domain("domain-message-time", "Send-Receive-Reply between nodes, median", UNLIMITED, &[]),
    domain("domain-copy-time", "a copy of 64 KiB between nodes, median", UNLIMITED, &[]),
    // V: state of a process and an address space, and the least residue.
    domain(
        "move-freeze-time",
        "a program of 16 MiB moves: it stands still, median",
        UNLIMITED,
        &[(V_1985, 37_000.0)],
    ),
    domain(FREEZE_MESSAGES, "that without the copy's", at_most(20.0, 10.0), &[]),
    domain("move-throughput", "throughput of the whole move, median", UNLIMITED, &[(V_1985, 0.333)]),
    domain("move-copied", "what it copies, of the program's memory, most", at_most(1.3, 1.1), &[]),
    domain("queens-alone", "queens 14, a worker here", UNLIMITED, &[]),
    domain("queens-busiest-node", "queens 14, workers on all nodes: the busiest node", UNLIMITED, &[]),
    // So much for each node.
    domain(SPEED_UP, "speed-up of three nodes", at_least(0.8 * 3.0, 2.8), &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_apart() {
        for (place, row) in ROWS.iter().enumerate() {
            let Budget { at_most, at_least, aim } = row.budget;
            assert!(aim <= at_most || at_least <= aim, "{}", row.name);
            assert!(ROWS[..place].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
