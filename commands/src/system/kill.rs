//! `kill`: ends processes and services.

use abi::kernel::{PROCESS, process};
use abi::notice::STATUS_KILLED;
use abi::{Error, Pid};
use protocols::supervisor::{ServiceRecord, state, supervisor};
use v::group::Group;
use v::message::{Segment, again, call};
use v::time::{Duration, Instant};

use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, MANY, Misuse, NODE, Usage};

/// How long to wait for a service to come back.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "kill",
        synopsis: "[-s SERVICE [@NODE]]... [PID|GROUP...]",
        summary: "Ends processes; a team's first process ends the team.",
        details: "A PID is as ps shows it, of this node or another; in the shell %JOB means a job. A GROUP, as groups\n\
                  shows it, is its members on all nodes. There are no signals, as -9: ended is ended. A service is started again by the supervisor; kill waits for that,\n\
                  up to five seconds. Another node's network server takes its own node's answer with it: then kill looks\n\
                  whether it runs as another process.",
        choices: &[
            Choice { letter: 's', long: "service", value: Some("SERVICE"), help: "A service, by its name." },
            NODE,
        ],
        operands: (0, MANY),
    },
    body: kill,
};

fn kill(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let node = Node::of(arguments)?;
    if arguments.operands.is_empty() && !arguments.has("service") {
        return Err(Misuse("expected a pid, or -s and a service".into()).into());
    }
    for service in arguments.values("service") {
        if let Err(error) = kill_service(node.server("supervisor")?, service) {
            context.complain(service, error);
        }
    }
    for word in &arguments.operands {
        let Ok(pid) = word.parse::<Pid>() else {
            context.complain(word, "not a pid; ps shows them");
            continue;
        };
        if let Err(error) = if pid.is_group() { kill_group(Group::from_pid(pid)) } else { destroy(pid) } {
            context.complain(word, error);
        }
    }
    Ok(())
}

/// Ends the program of a process.
pub(super) fn destroy(process: Pid) -> Result<(), Error> {
    let request = process::Destroy { process, status: STATUS_KILLED };
    call(Pid::kernel_server(process.host(), PROCESS), &request, Segment::None)?;
    Ok(())
}

/// Ends the members of a group. One that ends by itself meanwhile, or with another's team, is no failure.
fn kill_group(group: Group) -> Result<(), Error> {
    let members = group.members()?;
    if members.is_empty() {
        return Err(Error::EmptyGroup);
    }
    for member in members {
        match destroy(member) {
            Ok(()) | Err(Error::StaleProcess | Error::NonexistentProcess) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Kills a service and waits until it runs again or stays stopped; not for longer than [`PATIENCE`]. Where the answer is
/// lost, as that of a node whose network server it was, what has become of the service is the answer.
fn kill_service(supervisor: Pid, service: &str) -> Result<(), Error> {
    let before = find(supervisor, service)?.ok_or(Error::NoSuchService)?;
    let killed = call(supervisor, &supervisor::KillService {}, Segment::Read(service.as_bytes()));
    if let Err(error) = killed
        && !error.may_have_been_executed()
    {
        return Err(error);
    }
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match find(supervisor, service)? {
            Some((state::RUNNING, process)) if process != before.1 => return Ok(()),
            Some((state::STOPPED, _)) => return Ok(()),
            _ => v::time::sleep(PAUSE)?,
        }
    }
    killed.map(|_| ())
}

/// State and process of a service.
fn find(supervisor: Pid, service: &str) -> Result<Option<(u32, u64)>, Error> {
    let mut buffer = [0; ServiceRecord::HEADER_BYTES + ServiceRecord::MAX_NAME_BYTES];
    for position in 0.. {
        let query = supervisor::QueryService { position };
        match again(true, || call(supervisor, &query, Segment::Write(&mut buffer))) {
            Ok(_) => {}
            Err(Error::NotFound) => break,
            Err(error) => return Err(error),
        }
        let record = ServiceRecord::decode(&buffer).ok_or(Error::BadReply)?;
        if record.name == service {
            return Ok(Some((record.state, record.process)));
        }
    }
    Ok(None)
}
