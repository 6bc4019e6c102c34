//! `kill`: ends processes and services.

use abi::kernel::{PROCESS, process, server};
use abi::notice::STATUS_KILLED;
use abi::{Error, Pid};
use protocols::supervisor::supervisor;
use v::message::{Segment, call};

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "kill",
        synopsis: "[-s SERVICE] [PID...]",
        summary: "Ends processes; a team's first process ends the team.",
        details: "A PID is as ps shows it. A service is started again by the supervisor.",
        choices: &[Choice {
            letter: 's',
            long: "service",
            value: Some("SERVICE"),
            help: "A service, by its name.",
        }],
        operands: (0, MANY),
    },
    body: kill,
};

fn kill(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    if let Some(service) = arguments.value("service") {
        if let Err(error) = kill_service(service) {
            context.complain(service, error);
        }
    } else if arguments.operands.is_empty() {
        return Err(Misuse("a pid or a service is missing".into()).into());
    }
    for word in &arguments.operands {
        let Ok(pid) = word.parse::<Pid>() else {
            context.complain(word, "not a pid; ps shows them");
            continue;
        };
        let request = process::Destroy { process: pid, status: STATUS_KILLED };
        if let Err(error) = call(server(PROCESS), &request, Segment::None) {
            context.complain(word, error);
        }
    }
    Ok(())
}

fn kill_service(service: &str) -> Result<(), Error> {
    let supervisor = v::name::resolve("[supervisor]")?.server;
    call(supervisor, &supervisor::KillService {}, Segment::Read(service.as_bytes()))?;
    Ok(())
}
