//! The guest's end of the host channel; see the library.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use core::convert::Infallible;

use abi::Pid;
use hostlink_server::{HostLink, Line, NAMES, PIECE_BYTES, inner};
use io_server::{IoServer, Limits};
use protocols::io::{attribute, io, mode};
use protocols::supervisor::supervisor;
use v::file::File;
use v::io::Instance;
use v::log;
use v::prelude::*;
use v::process::{Command, Stream, spawn_thread};

v_start::program!(main);

const LINE: &str = "[uart]com2";
const SCRIPT: &str = "[boot]configuration/exec";
const SHELL: &str = "[boot]bin/exec";
/// Where the commands begin.
const HOME: &str = "[tmp]";
/// Says that the commands have been started already, should this server be started again.
const STARTED_MARK: &str = "[tmp].commands-started";
/// The word of the boot command line that says that other nodes may need this one when the commands have ended.
const STAY_WORD: &str = "stay";
/// What the tool is told when the commands could not be run or their end cannot be known.
const FAILED_STATUS: u32 = 125;
const HELPER_STACK_BYTES: usize = 64 * 1024;

fn main() -> Result<Infallible, Error> {
    let own = v::process::own_pid()?;
    let instance = open_line()?;
    let reader = spawn_thread(HELPER_STACK_BYTES, move || {
        if let Err(error) = read_line(instance, own) {
            log::error!("{LINE}: {error}");
        }
    })?;
    let runner = spawn_thread(HELPER_STACK_BYTES, move || run(own, instance))?;
    let link = HostLink::new(SerialLine(instance), alloc::vec![reader.pid(), runner.pid()])?;
    v::server::ready();
    io_server::serve(IoServer::new(link, Limits::default()))
}

struct SerialLine(Instance);

/// Whether the driver has died; it comes back, and what it had in its buffers is lost.
fn driver_died(error: Error) -> bool {
    matches!(error, Error::DiedBeforeReply | Error::NonexistentProcess | Error::StaleProcess)
}

fn open_line() -> Result<Instance, Error> {
    Ok(File::open_with(LINE, mode::READ | mode::WRITE)?.into_instance())
}

impl Line for SerialLine {
    fn send(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            match self.0.write(0, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if driver_died(error) => self.0 = open_line()?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn synchronize(&mut self) -> Result<(), Error> {
        self.0.synchronize()
    }
}

/// The second process: from the line to the first.
fn read_line(mut line: Instance, server: Pid) -> Result<(), Error> {
    let mut buffer = [0; PIECE_BYTES];
    loop {
        let count = match line.read(0, &mut buffer) {
            Ok(count) => count,
            Err(error) if driver_died(error) => {
                log::warning!("{LINE}: {error}; opening it again, and what was on its way is lost");
                line = open_line()?;
                call(server, &inner::LineLost {}, Segment::None)?;
                continue;
            }
            Err(error) => return Err(error),
        };
        if count > 0 {
            call(server, &inner::Arrived {}, Segment::Read(&buffer[..count]))?;
        }
    }
}

/// The third process: runs the commands and tells their end.
fn run(server: Pid, line: Instance) {
    let status = run_commands(server).unwrap_or_else(|error| {
        log::error!("the commands could not be run: {error}");
        FAILED_STATUS
    });
    let told = call(server, &inner::CommandsEnded { status }, Segment::None).map(drop);
    if v::entry::boot_command_line().split_ascii_whitespace().any(|word| word == STAY_WORD) {
        if let Err(error) = told {
            log::error!("the commands' end could not be told: {error}");
        }
        return;
    }
    let off = told.and_then(|()| {
        // What the line still holds would be lost with the machine; if the line itself is, there is nothing to wait for.
        let _ = line.synchronize();
        let supervisor = v::name::resolve("[supervisor]")?.server;
        call(supervisor, &supervisor::PowerOff { status }, Segment::None)
    });
    if let Err(error) = off {
        log::error!("cannot switch off: {error}");
    }
}

fn run_commands(server: Pid) -> Result<u32, Error> {
    match File::open_with(STARTED_MARK, mode::WRITE | mode::CREATE | mode::NEW) {
        Ok(_) => {}
        Err(Error::AlreadyExists) => {
            log::error!("started again while commands ran; their end cannot be known");
            return Ok(FAILED_STATUS);
        }
        Err(error) => return Err(error),
    }
    let script = v::file::read_to_string(SCRIPT)?;
    let [input, output, errors] = open_streams(server)?;
    let mut shell = Command::new(SHELL)
        .arg("-c")
        .arg(&script)
        .env("HOME", HOME)
        .directory(HOME)
        .stdin(Stream::Instance(input))
        .stdout(Stream::Instance(output))
        .stderr(Stream::Instance(errors))
        .start()?;
    // Only the commands hold them from now on.
    for stream in [input, output, errors] {
        stream.release(v::process::team())?;
    }
    Ok(shell.wait()?.code.cast_unsigned())
}

fn open_streams(server: Pid) -> Result<[Instance; 3], Error> {
    let open = |name: &str, mode| {
        let request = io::Open { context: 0, mode, owner: v::process::team() };
        let opened = call(server, &request, Segment::Read(name.as_bytes()))?;
        Ok(Instance { server, number: opened.instance, attributes: opened.attributes | attribute::STREAM })
    };
    Ok([open(NAMES[0], mode::READ)?, open(NAMES[1], mode::WRITE)?, open(NAMES[2], mode::WRITE)?])
}
