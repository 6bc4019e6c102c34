//! The budgets, and what the same costs elsewhere.
//!
//! The unit is guest instructions where the name doesn't say otherwise. Linux is Debian's 6.1 kernel in the same QEMU
//! and mode, seL4 its own benchmark there; where a peer has several ways, the figure is of the one named here.

/// What V is compared with.
pub const PEERS: [&str; 2] = ["Linux 6.1", "seL4"];

/// Measured by the tool.
pub const SMALLEST_MEMORY: &str = "smallest-memory";
/// Measured by the tool.
pub const KERNEL_SIZE: &str = "kernel-size";

/// One budget.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The figure's name, as `bench` in the guest writes it.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// More than this is a failure.
    pub at_most: f64,
    /// Where it should get to.
    pub aim: f64,
    /// What it costs elsewhere, in the order of [`PEERS`].
    pub peers: [Option<f64>; 2],
}

const fn row(name: &'static str, title: &'static str, budget: [f64; 2], peers: [Option<f64>; 2]) -> Row {
    Row { name, title, at_most: budget[0], aim: budget[1], peers }
}

/// What only Linux has been measured for.
const fn linux(figure: f64) -> [Option<f64>; 2] {
    [Some(figure), None]
}

/// All budgets.
pub const ROWS: &[Row] = &[
    // Linux: two pipes.
    row(
        "send-receive-reply",
        "Send-Receive-Reply, 32 bytes, two teams",
        [350.0, 200.0],
        [Some(10_602.0), Some(458.0)],
    ),
    // Linux: getppid.
    row("null-kernel-request", "null request to a kernel server", [150.0, 100.0], linux(337.0)),
    // Linux: a pipe.
    row("reply-4-kib-segment", "reply with a 4 KiB segment", [1_000.0, 800.0], linux(11_730.0)),
    // Linux: process_vm_readv.
    row("move-to-64-kib", "64 KiB MoveTo between teams", [9_200.0, 8_600.0], linux(22_899.0)),
    // Linux: pread of a tmpfs file, without a switch to a server.
    row("read-4-kib-of-cached-file", "read 4 KiB of a cached file", [1_400.0, 1_000.0], linux(1_876.0)),
    row("open-and-close-file", "open and close a file", [2_000.0, 1_200.0], linux(6_325.0)),
    // Linux: a pthread.
    row("process-create-start-end", "process: create, start, end, reap", [6_000.0, 3_000.0], linux(38_394.0)),
    // Linux: vfork and exec. The budget is to be 60,000 once programs are demand-paged.
    row("program-load-run-end", "load, run and end a tiny program", [100_000.0, 30_000.0], linux(131_755.0)),
    row("zero-page-fault", "zero-page fault, no page zeroed beforehand", [1_400.0, 1_100.0], linux(4_303.0)),
    // The firmware's 16 M included. Linux: to /init.
    row("boot-to-here", "reset to first command", [100.0e6, 40.0e6], linux(1_570.0e6)),
    // Both engines together, the packets' bytes and checksums included.
    row("vmtp-transaction", "VMTP engines: a 32-byte transaction", [1_600.0, 1_200.0], [None, None]),
    // Both engines together, without copies and checksums: in 16 packets of two blocks on a plain Ethernet, in two
    // on the virtual one.
    row(
        "vmtp-packet-group-16-kib-mtu-1500",
        "VMTP engines: a 16 KiB packet group, MTU 1500",
        [3_000.0, 2_000.0],
        [None, None],
    ),
    row(
        "vmtp-packet-group-16-kib-mtu-9000",
        "VMTP engines: a 16 KiB packet group, MTU 9000",
        [3_000.0, 1_000.0],
        [None, None],
    ),
    row("vmtp-idle-hosts", "VMTP engine: a look at 10,000 idle hosts", [100.0, 50.0], [None, None]),
    row(SMALLEST_MEMORY, "smallest memory", [24.0, 12.0], linux(80.0)),
    row(KERNEL_SIZE, "kernel, without comments and tests", [8_000.0, 6_000.0], [None, None]),
];
