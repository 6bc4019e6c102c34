//! `trace`: what kernels did while a program ran, on this node, on another, or on all of them in one list.
//!
//! | module | what it has |
//! |---|---|
//! | `tracer` | setting and reading the ring of a node |
//! | `join` | one list out of several nodes' records, and which of them are of one transaction |
//! | `exchange` | the Sends of one program, each with its reply: `messages` |
//! | `show` | the list as text and as JSON |

mod exchange;
mod join;
mod show;
mod tracer;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::trace::Event;
use abi::{Error, Pid};
use v::process::Command as Program;

use super::hosts::network_failure;
use super::kernel::names;
use super::node::Node;
use crate::Command;
use crate::context::{Context, Failure, Outcome, failed, not_run};
use crate::usage::{Arguments, Choice, Misuse, NODE, PROGRAM, Usage};
use join::Log;
use tracer::{Found, Tracer};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "trace",
        synopsis: "[-d] [-e EVENTS] [--json] PROGRAM [WORD...] [@NODE]",
        summary: "Runs a program and shows what the kernel did meanwhile: sends, receives, replies, faults, switches.",
        details: "EVENTS is a list with commas of: send receive reply forward switch fault create end interrupt.\n\
                  All but switch are shown unless told. Needs the right to trace. With @NODE the program runs here and\n\
                  that node's kernel is watched.\n\
                  With --domain the kernels of all nodes are, and their events are one list: each with its node, and\n\
                  what belongs to one Send with the same number, here and there. Times are this node's; between\n\
                  nodes they are right to within half a round trip. JSON has an object for each event in a line.",
        choices: &[
            Choice { letter: 'd', long: "domain", value: None, help: "Watch all nodes." },
            Choice { letter: '\0', long: "json", value: None, help: "Write lines of JSON." },
            Choice { letter: 'e', long: "events", value: Some("EVENTS"), help: "Only these events." },
            NODE,
        ],
        operands: (1, PROGRAM),
    },
    body: trace,
};

fn events(list: Option<&str>) -> Result<u32, Misuse> {
    let Some(list) = list else {
        let all = Event::NAMES.iter().fold(0, |set, (event, _)| set | event.bit());
        return Ok(all & !Event::Switch.bit());
    };
    list.split(',').try_fold(0, |set, word| {
        let known = Event::NAMES.iter().find(|(_, name)| *name == word);
        known.map(|(event, _)| set | event.bit()).ok_or_else(|| Misuse(format!("there is no event '{word}'")))
    })
}

/// A kernel that is watched.
struct Watched {
    name: String,
    node: Node,
    tracer: Tracer,
    /// Where its records of the program begin.
    from: u64,
}

impl Watched {
    fn new(name: &str, node: Node) -> Result<Watched, Failure> {
        let tracer = Tracer::of(&node)?;
        let from = tracer.end().map_err(refused)?;
        Ok(Watched { name: name.into(), node, tracer, from })
    }

    /// Those that the arguments say.
    fn all(arguments: &Arguments) -> Result<Vec<Watched>, Failure> {
        if !arguments.has("domain") {
            let name = arguments.value(NODE.long).unwrap_or_else(|| v::node::name());
            return Ok(vec![Watched::new(name, Node::of(arguments)?)?]);
        }
        if arguments.has(NODE.long) {
            return Err(Misuse("--domain is all nodes: say either that or one of them".into()).into());
        }
        let hosts = v::node::all().map_err(|error| network_failure("--domain", error))?;
        let named = hosts.iter().filter_map(|host| Some((host.name()?, host.logical_host)));
        named.map(|(name, host)| Watched::new(name, Node::found(name, host))).collect()
    }

    /// Its processes that are there now, with their names.
    fn processes(&self) -> BTreeMap<Pid, String> {
        v::process::all_of(self.node.host).map(|records| names(&records)).unwrap_or_default()
    }

    fn log(&self) -> Result<Log, Failure> {
        let clocks = v::node::read_clocks_surely(self.node.host).map_err(refused)?;
        let booted_ns = clocks.at_ns.cast_signed() - clocks.uptime_ns.cast_signed();
        let Found { records, lost, .. } = self.tracer.read(self.from).map_err(refused)?;
        let host = if self.node.is_named() { self.node.host } else { v::node::host() };
        Ok(Log { host, booted_ns, records, lost })
    }
}

fn refused(error: Error) -> Failure {
    failed("trace", error)
}

fn trace(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let chosen = events(arguments.value("events"))?;
    let (program, words) =
        arguments.operands.split_first().ok_or_else(|| Misuse("a program is missing".into()))?;
    let watched = Watched::all(arguments)?;
    let mut names = BTreeMap::new();
    for kernel in &watched {
        names.extend(kernel.processes());
    }
    let set = |events| watched.iter().try_for_each(|kernel| kernel.tracer.set(events)).map_err(refused);
    let result = set(chosen).and_then(|()| run(program, words, &mut names, context));
    let reset = set(0);
    for (pid, name) in watched.iter().flat_map(Watched::processes) {
        names.entry(pid).or_insert(name);
    }
    let logs = watched.iter().map(Watched::log).collect::<Result<Vec<Log>, Failure>>()?;
    for (kernel, log) in watched.iter().zip(&logs).filter(|(_, log)| log.lost > 0) {
        let text =
            format!("trace: {}: {} events were overwritten before they were read\n", kernel.name, log.lost);
        context.errors.write_all(text.as_bytes())?;
    }
    let entries = join::join(&logs);
    let start_ns = entries.first().map_or(0, |entry| entry.time_ns);
    for entry in &entries {
        let node = &watched[entry.log].name;
        let text = if arguments.has("json") {
            show::object(entry, node, &names)
        } else {
            show::line(entry, start_ns, (watched.len() > 1).then_some(node), &names)
        };
        context.output.write_all(format!("{text}\n").as_bytes())?;
    }
    reset?;
    context.status = result?;
    Ok(())
}

/// The command that shows what one program asks of others.
pub const MESSAGES: Command = Command {
    usage: Usage {
        name: "messages",
        synopsis: "[-s] [--json] PROGRAM [WORD...]",
        summary: "Runs a program and shows each message that it sent: to whom, what was answered, how long it took.",
        details: "Behind each are the fields of the request and, behind ->, those of the reply, without segments. What programs\n\
                  that it starts send is not shown. The names are those of the protocols, each of which has a page in the\n\
                  manual. Needs the right to trace.",
        choices: &[
            Choice { letter: '\0', long: "json", value: None, help: "Write lines of JSON." },
            Choice {
                letter: 's',
                long: "sum",
                value: None,
                help: "Count them by what they ask and of whom.",
            },
        ],
        operands: (1, PROGRAM),
    },
    body: messages,
};

fn messages(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let Some((program, words)) = arguments.operands.split_first() else { return Ok(()) };
    let kernel = Watched::new(v::node::name(), Node::of(arguments)?)?;
    let mut names = kernel.processes();
    kernel.tracer.set(exchange::EVENTS).map_err(refused)?;
    let known: Vec<Pid> = names.keys().copied().collect();
    let result = run(program, words, &mut names, context);
    kernel.tracer.set(0).map_err(refused)?;
    let log = kernel.log()?;
    // What is new is the program, which was named when it was started.
    let own = names.keys().copied().find(|pid| !known.contains(pid));
    for (pid, name) in kernel.processes() {
        names.entry(pid).or_insert(name);
    }
    if log.lost > 0 {
        let text = format!("messages: {} events were overwritten before they were read\n", log.lost);
        context.errors.write_all(text.as_bytes())?;
    }
    let exchanges = own.map(|own| exchange::exchanges(&log.records, own)).unwrap_or_default();
    let text = if arguments.has("sum") {
        exchange::sums(&exchanges, &names)
    } else if arguments.has("json") {
        exchanges.iter().map(|exchange| exchange.object(&names)).collect()
    } else {
        let start_ns = exchanges.first().map_or(0, |exchange| exchange.sent_ns);
        exchanges.iter().map(|exchange| exchange.line(start_ns, &names)).collect()
    };
    context.output.write_all(text.as_bytes())?;
    context.status = result?;
    Ok(())
}

/// Runs the program; its status. Its name is noted, for it may be gone when the kernels are asked for names.
fn run(
    program: &str,
    words: &[String],
    names: &mut BTreeMap<Pid, String>,
    context: &mut Context<'_>,
) -> Result<i32, Failure> {
    let mut command = Program::new(program);
    for word in words {
        command = command.arg(word);
    }
    let failed = |error| failed(program, error);
    let mut child = command.start().map_err(|error| {
        context.failure_status = not_run(error);
        failed(error)
    })?;
    names.insert(child.pid(), program.rsplit(['/', ']']).next().unwrap_or(program).into());
    Ok(child.wait().map_err(failed)?.code)
}
