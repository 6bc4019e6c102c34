//! Checks every Send that the kernel traces against the order of servers: `test-order PAGE [service…]`.
//!
//! With the kernel's trace on it exercises what a node has, kills each service named and lets it come back, reads the
//! trace, and tells each Send or Forward that goes against the order that PAGE, ARCHITECTURE.md, states. A process
//! belongs to the service whose root the supervisor says its team has; all others are programs. It is an error too if
//! the ring has lost something, or if a service of the order did nothing at all.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::collections::{BTreeMap, BTreeSet};

use test_programs::must;
use test_programs::order::{COMMANDS, KERNEL, Order};
use v::abi::kernel::{STATISTICS, server, statistics, well_known_group};
use v::abi::trace::{Event, TraceRecord};
use v::name::with_place;
use v::prelude::*;
use v::process::Command;
use v::protocols::supervisor::ServiceRecord;
use v::protocols::supervisor::state::RUNNING;
use v::protocols::supervisor::supervisor::{KillService, QueryService};
use v::time::{Duration, sleep};

v_start::program!(main);

/// Services that have nothing to do on this node, without a terminal or a screen, other nodes, or disks.
const IDLE: [&str; 22] = [
    "hostlink",
    "session",
    "network",
    "cache",
    "clock",
    "boot",
    "display",
    "ps2",
    "virtio-input",
    "screen1",
    "screen2",
    "screen3",
    "shell1",
    "shell2",
    "shell3",
    "storage",
    "fat",
    "virtio-blk",
    "nvme",
    "ahci",
    "virtio-rng",
    "virtio-console",
];
/// What is run at the shell, besides the killing: something of every service's.
const EXERCISES: &[&str] = &[
    "echo text > [tmp]order; cat [tmp]order | sort | uniq | wc -l > [null]; rm [tmp]order; ls -l [boot]bin > [null]",
    "mkdir [tmp]order; cp [boot]bin/true [tmp]order/a; [tmp]order/a; mv [tmp]order/a [tmp]order/b; rm -r [tmp]order",
    "crash null 2> [tmp]report; test $? -eq 139 && rm [tmp]report",
    "crash null; test $? -eq 139",
    "log for the order of servers; log | tail -n 1 > [null]",
    "head -c 100 [entropy] > [null]; head -c 100000 [zero] > [null]",
    "services > [null]; ps > [null]; prefixes > [null]; free > [null]; regions > [null]; date > [null]; env > [null]",
    "sleep 10 & kill $!; wait $!; [boot]bin/exec -c 'exit 3' || true",
    "seq 1 20000 | tee [tmp]numbers | tail -n 1 > [null]; find [boot] -name 'c*' > [null]; rm [tmp]numbers",
    "echo to the terminal > [terminal]",
    "mkdir [home]order; echo text > [home]order/a; cat [home]order/a > [null]; rm -r [home]order",
];

/// How long a service may take to come back.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);
const RECORDS_AT_ONCE: usize = 128;

/// The trace as far as it is read.
struct Watch {
    order: Order,
    /// Sequence number of the next event.
    next: u64,
    /// Every process seen so far, with the service that it is of.
    services: BTreeMap<Pid, String>,
    /// Services that sent or were sent to.
    active: BTreeSet<String>,
    sends: u64,
    offences: BTreeSet<String>,
}

fn main() -> i32 {
    let words: Vec<&str> = v::env::arguments().skip(1).collect();
    let Some((page, killed)) = words.split_first() else {
        eprintln!("test-order: needs the name of the page with the order of servers");
        return 2;
    };
    match watch(page, killed) {
        Ok(watch) => {
            for offence in &watch.offences {
                println!("{offence}");
            }
            let services =
                watch.active.iter().filter(|name| ![COMMANDS, KERNEL].contains(&name.as_str())).count();
            let sends = watch.sends;
            println!("{sends} Sends of {services} services, {} against the order", watch.offences.len());
            i32::from(!watch.offences.is_empty())
        }
        Err(why) => {
            eprintln!("test-order: {why}");
            1
        }
    }
}

fn watch(page: &str, killed: &[&str]) -> Result<Watch, String> {
    let page = must(page, v::file::read_to_string(page))?;
    let mut watch = Watch {
        order: Order::read(&page)?,
        next: u64::MAX,
        services: BTreeMap::new(),
        active: BTreeSet::new(),
        sends: 0,
        offences: BTreeSet::new(),
    };
    watch.read()?;
    set_trace(Event::Send.bit() | Event::Forward.bit())?;
    let outcome = exercise(&mut watch, killed);
    set_trace(0)?;
    outcome?;
    let idle: Vec<&str> = watch.order.services().filter(|name| !watch.active.contains(*name)).collect();
    // A node has either of the first two, and the session only waits while this runs; the others need a card.
    if idle.iter().all(|name| IDLE.contains(name)) { Ok(watch) } else { Err(format!("idle: {idle:?}")) }
}

fn exercise(watch: &mut Watch, killed: &[&str]) -> Result<(), String> {
    for commands in EXERCISES {
        watch.run(commands)?;
    }
    for name in killed {
        let before = service(name)?;
        let kill = with_place("[supervisor]", false, |place| {
            call(place.server, &KillService {}, Segment::Read(name.as_bytes()))
        });
        must(name, kill)?;
        let end = v::time::Instant::now() + PATIENCE;
        while service(name)? == before || !is_running(name)? {
            if v::time::Instant::now() > end {
                return Err(format!("{name} does not come back"));
            }
            must("sleep", sleep(PAUSE))?;
        }
        watch.read()?;
        // Whoever used it finds it again.
        for commands in EXERCISES {
            watch.run(commands)?;
        }
    }
    Ok(())
}

impl Watch {
    fn run(&mut self, commands: &str) -> Result<(), String> {
        let child = Command::new("exec").args(["-c", commands]).start();
        let status = must(commands, must(commands, child)?.wait())?;
        if !status.is_success() {
            return Err(format!("{commands}: status {}", status.code));
        }
        self.read()
    }

    /// Reads what was traced since the last time, then notes whose the processes are, and then judges.
    fn read(&mut self) -> Result<(), String> {
        let records = self.records()?;
        let roots = services()?;
        for record in must("processes", v::process::all())? {
            let root = roots.iter().find(|(root, ..)| root.to_bits() == record.team);
            if let Some((_, name, _)) = root {
                self.services.insert(record.process(), name.clone());
            }
        }
        let supervisor = must("supervisor", v::name::resolve("[supervisor]"))?.server;
        self.services.insert(supervisor, "supervisor".to_owned());
        for record in &records {
            self.judge(record);
        }
        Ok(())
    }

    fn records(&mut self) -> Result<Vec<TraceRecord>, String> {
        let mut read = Vec::new();
        let mut buffer = vec![0; RECORDS_AT_ONCE * TraceRecord::BYTES];
        loop {
            let request = statistics::ReadTrace { from: self.next };
            let reply =
                must("read the trace", call(server(STATISTICS), &request, Segment::Write(&mut buffer)))?;
            let first = reply.next - u64::from(reply.count);
            if self.next != u64::MAX && first > self.next {
                return Err(format!("the trace has lost {} events", first - self.next));
            }
            let (records, _) = buffer.as_chunks::<{ TraceRecord::BYTES }>();
            read.extend(records.iter().take(reply.count as usize).map(TraceRecord::from_bytes));
            self.next = reply.next;
            // Each request to read is traced as well, so the end never comes quite near.
            if (reply.count as usize) < RECORDS_AT_ONCE {
                return Ok(read);
            }
        }
    }

    fn judge(&mut self, record: &TraceRecord) {
        if record.from_pid().is_kernel_server() || self.is_within_team(record) {
            return;
        }
        self.sends += 1;
        let (sender, receiver) = (self.name(record.from_pid()), self.name(record.to_pid()));
        let request = v::protocols::name_of(record.code())
            .map_or_else(|| format!("{:#x}", record.code()), ToOwned::to_owned);
        let judged = self.order.check(&sender, &receiver, &request);
        self.active.extend([sender, receiver]);
        self.offences.extend(judged.err());
    }

    /// Whether one process of a service sends to another of the same.
    fn is_within_team(&self, record: &TraceRecord) -> bool {
        let (from, to) = (self.services.get(&record.from_pid()), self.services.get(&record.to_pid()));
        from.is_some() && from == to
    }

    fn name(&self, pid: Pid) -> String {
        let known = match pid {
            _ if pid.is_kernel_server() => KERNEL,
            well_known_group::NAMING => "naming",
            well_known_group::PROGRAM_MANAGERS => "program",
            _ => self.services.get(&pid).map_or(COMMANDS, String::as_str),
        };
        known.to_owned()
    }
}

fn set_trace(events: u32) -> Result<(), String> {
    must("trace", call(server(STATISTICS), &statistics::SetTrace { events }, Segment::None))?;
    Ok(())
}

/// Root, name and state of each service.
fn services() -> Result<Vec<(Pid, String, u32)>, String> {
    let mut found = Vec::new();
    let mut buffer = [0; ServiceRecord::HEADER_BYTES + ServiceRecord::MAX_NAME_BYTES];
    for position in 0.. {
        let queried = with_place("[supervisor]", true, |place| {
            call(place.server, &QueryService { position }, Segment::Write(&mut buffer))
        });
        match queried {
            Ok(_) => {}
            Err(Error::NotFound) => break,
            Err(error) => return Err(format!("[supervisor]: {error}")),
        }
        let record = ServiceRecord::decode(&buffer).ok_or("a service's record is not understood")?;
        found.push((Pid::from_bits(record.process), record.name.to_owned(), record.state));
    }
    Ok(found)
}

fn service(name: &str) -> Result<Pid, String> {
    let found = services()?.into_iter().find_map(|(root, known, _)| (known == name).then_some(root));
    found.ok_or_else(|| format!("there is no service {name}"))
}

fn is_running(name: &str) -> Result<bool, String> {
    Ok(services()?.into_iter().any(|(_, known, state)| known == name && state == RUNNING))
}
