//! `debug`: lets GDB, on another computer, look into a program and stop it.
//!
//! | module | what it has |
//! |---|---|
//! | `packet` | the framing of GDB's remote serial protocol |
//! | `layout` | registers as GDB wants them |
//! | `stub` | what GDB asks, in terms of a program that can be stopped |
//! | `team` | a program of this node as that |
//!
//! It needs no right but that of everyone over programs of one's own: it suspends their processes, reads and writes what it
//! has suspended, and hears of their exceptions. Reading the line is the work of a process of its own, since the first
//! one waits for exceptions too.

mod layout;
mod packet;
pub(super) mod stub;
pub(super) mod team;

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use abi::{Error, Pid};
use protocols::io::mode;
use v::file::File;
use v::io::{Read, Write};
use v::process::{Child, Command as Program, Status, Stream};
use v::{Segment, call};

use crate::Command;
use crate::context::{Context, Failure, Outcome, failed, not_run};
use crate::usage::{Arguments, Choice, PROGRAM, Usage};
use stub::{Leave, Stop, Stub, Target};
use team::{TYPED_BYTES, Team, channel, soon};

/// The line to GDB where nothing else is said.
const LINE: &str = "[uart]com2";
const STACK_BYTES: usize = 32 * 1024;
/// How often it is looked whether the program has ended.
const LOOK_NS: u64 = 50_000_000;

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "debug",
        synopsis: "[-i | -l LINE] PID | PROGRAM [ARGUMENT...]",
        summary: "Lets GDB on another computer debug a program.",
        details: "The program with that PID is stopped, or PROGRAM is started and stopped before its first instruction,\n\
                  until GDB lets it go on. GDB is at the other end of LINE, which is [uart]com2 unless said otherwise:\n\
                  `cargo v run --gdb PORT` leads it to a port of the host, and GDB's command is\n\
                  `target remote :PORT`. With -i it is at standard input and output, as in\n\
                  `target remote | cargo v run --exec 'debug -i PROGRAM'`; what the program writes then goes to\n\
                  standard error. When GDB detaches the program goes on; when debug is killed it stays stopped.\n\
                  The status is the program's, if it was started here.",
        choices: &[
            Choice { letter: 'i', long: "input", value: None, help: "GDB is at standard input and output." },
            Choice {
                letter: 'l',
                long: "line",
                value: Some("LINE"),
                help: "GDB is at the end of this line.",
            },
        ],
        operands: (1, PROGRAM),
    },
    body: debug,
};

/// The two ends of the line.
type Ends = (Box<dyn Read + Send>, Box<dyn Write>);

fn open(arguments: &Arguments) -> Result<Ends, Failure> {
    if arguments.has("input") {
        return Ok((Box::new(v::io::stdin()), Box::new(v::io::stdout())));
    }
    let line = arguments.value("line").unwrap_or(LINE);
    let open = |mode| {
        File::open_with(line, mode).map_err(|error| match error {
            Error::NotFound if line == LINE => {
                Failure::Failed(format!("{line}: there is no second serial port; see --gdb of cargo v run"))
            }
            error => failed(line, error),
        })
    };
    Ok((Box::new(open(mode::READ)?), Box::new(open(mode::WRITE)?)))
}

fn debug(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let (input, output) = open(arguments)?;
    let word = &arguments.operands[0];
    let (root, child) = if let Ok(pid) = word.parse::<Pid>() {
        (v::process::identify(pid).map_err(|error| failed(word, error))?.team, None)
    } else {
        let mut program = Program::new(word).args(&arguments.operands[1..]).held();
        if arguments.has("input") {
            let errors = v::io::standard_stream(2).map_or(Stream::Closed, Stream::Instance);
            program = program.stdin(Stream::Closed).stdout(errors);
        }
        let child = program.start().map_err(|error| {
            context.failure_status = not_run(error);
            failed(word, error)
        })?;
        (child.pid(), Some(child))
    };
    if root == v::process::team() {
        return Err(Failure::Failed(format!("{word}: it cannot debug itself")));
    }
    let mut team = Team::attach(root).map_err(|error| failed(word, error))?;
    team.stop().map_err(|error| failed(word, error))?;
    let told = format!("debug: {word} {root} is stopped and waits for GDB\n");
    // Whoever cannot read this sees it from GDB.
    let _ = context.errors.write_all(told.as_bytes());
    read_from(input).map_err(|error| failed("line", error))?;
    let mut session = Session { stub: Stub::new(team), output, child };
    context.status = session.serve().map_err(|error| failed(word, error))?;
    Ok(())
}

/// Brings what comes off the line to the calling process.
fn read_from(mut line: Box<dyn Read + Send>) -> Result<(), Error> {
    let debugger = v::process::own_pid()?;
    v::process::spawn_thread(STACK_BYTES, move || {
        let mut buffer = [0; TYPED_BYTES];
        loop {
            // A line that fails has come to its end.
            let count = line.read(&mut buffer).unwrap_or(0);
            let told = call(debugger, &channel::Typed {}, Segment::Read(&buffer[..count]));
            if count == 0 || told.is_err() {
                break;
            }
        }
    })?;
    Ok(())
}

struct Session {
    stub: Stub<Team>,
    output: Box<dyn Write>,
    child: Option<Child>,
}

impl Session {
    /// Debugs until GDB leaves or the program has ended; the status.
    fn serve(&mut self) -> Result<i32, Error> {
        let mut output = Vec::new();
        loop {
            self.stub.target.receive(soon(LOOK_NS))?;
            if let Some((process, vector)) = self.stub.target.met.first().copied() {
                let thread = self.stub.target.number(process);
                self.stub.exception(thread, vector, &mut output)?;
            }
            for byte in core::mem::take(&mut self.stub.target.typed) {
                if let Some(leave) = self.stub.take(byte, &mut output)? {
                    self.send(&mut output)?;
                    return self.leave(leave);
                }
            }
            if self.stub.is_running() && self.stub.target.has_ended()? {
                let status =
                    self.child.as_mut().map_or(Ok(Status { code: 0, exception: None }), Child::wait)?;
                let code = status.code.cast_unsigned();
                let stop = status.exception.map_or(Stop::Ended(code), Stop::EndedByException);
                self.stub.stopped(stop, &mut output)?;
                self.send(&mut output)?;
                return Ok(status.code);
            }
            self.send(&mut output)?;
            if self.stub.target.has_closed {
                // GDB is gone. What it started it ends.
                let kills = self.child.is_some();
                if kills {
                    self.stub.target.end(abi::notice::STATUS_KILLED)?;
                } else {
                    self.stub.remove_all()?;
                }
                return self.leave(if kills { Leave::Kill } else { Leave::Detach });
            }
        }
    }

    fn send(&mut self, output: &mut Vec<u8>) -> Result<(), Error> {
        if !output.is_empty() {
            self.output.write_all(output)?;
            self.output.flush()?;
            output.clear();
        }
        Ok(())
    }

    fn leave(&mut self, leave: Leave) -> Result<i32, Error> {
        if leave == Leave::Detach {
            self.stub.target.detach()?;
        }
        let status = self.child.as_mut().map(Child::wait).transpose()?;
        Ok(status.map_or(0, |status| status.code))
    }
}
