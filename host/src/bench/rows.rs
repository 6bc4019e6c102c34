//! The budgets, and what the same costs elsewhere.
//!
//! The unit is guest instructions where the name doesn't say otherwise. Linux is Debian's 6.1 kernel in the same QEMU
//! and mode, seL4 its own benchmark there; where a peer has several ways, the figure is of the one named here.

/// What V is compared with.
pub const PEERS: [&str; 2] = ["Linux 6.1", "seL4"];

/// Measured by the tool.
pub const SMALLEST_MEMORY: &str = "smallest memory";
/// Measured by the tool.
pub const KERNEL_SIZE: &str = "kernel, without comments and tests";

/// One budget.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The figure's name, as `bench` in the guest writes it.
    pub name: &'static str,
    /// More than this is a failure.
    pub at_most: f64,
    /// Where it should get to.
    pub aim: f64,
    /// What it costs elsewhere, in the order of [`PEERS`].
    pub peers: [Option<f64>; 2],
}

const fn row(name: &'static str, at_most: f64, aim: f64, peers: [Option<f64>; 2]) -> Row {
    Row {
        name,
        at_most,
        aim,
        peers,
    }
}

/// All budgets.
pub const ROWS: &[Row] = &[
    // Linux: two pipes.
    row(
        "Send-Receive-Reply, 32 bytes, two teams",
        350.0,
        200.0,
        [Some(10_602.0), Some(458.0)],
    ),
    // Linux: getppid.
    row(
        "null request to a kernel server",
        150.0,
        100.0,
        [Some(337.0), None],
    ),
    // Linux: a pipe.
    row(
        "reply with a 4 KiB segment",
        1_000.0,
        800.0,
        [Some(11_730.0), None],
    ),
    // Linux: process_vm_readv.
    row(
        "64 KiB MoveTo between teams",
        9_200.0,
        8_600.0,
        [Some(22_899.0), None],
    ),
    // Linux: pread of a tmpfs file, without a switch to a server.
    row(
        "read 4 KiB of a cached file",
        1_400.0,
        1_000.0,
        [Some(1_876.0), None],
    ),
    row("open and close a file", 2_000.0, 1_200.0, [Some(6_325.0), None]),
    // Linux: a pthread.
    row(
        "process: create, start, end, reap",
        6_000.0,
        3_000.0,
        [Some(38_394.0), None],
    ),
    // Linux: vfork and exec. 60,000 once programs are demand-paged.
    row(
        "load, run and end a tiny program",
        100_000.0,
        30_000.0,
        [Some(131_755.0), None],
    ),
    row(
        "zero-page fault, no page zeroed beforehand",
        1_400.0,
        1_100.0,
        [Some(4_303.0), None],
    ),
    // The firmware's 16 M included. Linux: to /init.
    row("reset to shell prompt", 100.0e6, 40.0e6, [Some(1_570.0e6), None]),
    row(SMALLEST_MEMORY, 24.0, 12.0, [Some(80.0), None]),
    row(KERNEL_SIZE, 8_000.0, 6_000.0, [None, None]),
];
