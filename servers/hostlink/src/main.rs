//! The guest's end of the host channel; see the library.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use abi::Pid;
use formats::archive::Archive;
use hardware::device::Device;
use hostlink_server::{HostLink, Line, NAMES, inner};
use io_server::{IoServer, Limits};
use protocols::io::{attribute, io, mode};
use protocols::supervisor::supervisor;
use v::io::Instance;
use v::prelude::*;
use v::process::{Child, Command, Stream, spawn_thread};
use v::{env, log};
use virtio_console::Port;

v_start::program!(main);

/// Where this node's own boot archive has the commands; what `[boot]` leads to may be another node's.
const SCRIPT: &str = "configuration/exec";
const SHELL: &str = "[boot]bin/exec";
/// What the supervisor keeps once the commands have been started, should this server be started again: they are not
/// run twice, whatever else has died.
const STARTED_MARK: &[u8] = b"commands started";
/// The word of the boot command line that says that other nodes may need this one when the commands have ended.
const STAY_WORD: &str = "stay";
/// What the tool is told when the commands could not be run or their end cannot be known.
const FAILED_STATUS: u32 = 125;
const RUNNER_STACK_BYTES: usize = 64 * 1024;

fn main() -> Result<Infallible, Error> {
    let own = v::process::own_pid()?;
    let device = Device::all_of(env::program_name())?.into_iter().next().ok_or(Error::NotFound)?;
    let port = Port::start(&device)?;
    let runner = spawn_thread(RUNNER_STACK_BYTES, move || run(own))?;
    let link = HostLink::new(DeviceLine(port), runner.pid());
    v::server::ready();
    io_server::serve(IoServer::new(link, Limits::default()))
}

struct DeviceLine(Port);

impl Line for DeviceLine {
    fn interrupt(&self) -> Pid {
        self.0.interrupt()
    }

    fn attend(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<bool, Error> {
        let mut was_opened = false;
        loop {
            was_opened |= self.0.attend()?;
            while let Some(received) = self.0.receive() {
                take(self.0.bytes(&received));
                self.0.give_back(received);
            }
            if !self.0.rearm() {
                return Ok(was_opened);
            }
        }
    }

    fn room(&mut self, fewer: usize) -> usize {
        self.0.room(fewer)
    }

    fn send(&mut self, encoded: &[u8]) -> Result<(), Error> {
        self.0.send(encoded)
    }

    fn is_idle(&mut self) -> bool {
        self.0.is_idle()
    }
}

/// The second process: runs the commands and tells their end.
fn run(server: Pid) {
    let status = run_commands(server).unwrap_or_else(|reason| {
        log::error!("{reason}");
        // The tool cannot tell why by the status, which commands may have too.
        if let Err(error) = complain(server, &reason) {
            log::error!("this could not be told: {error}");
        }
        FAILED_STATUS
    });
    // The reply comes when all has left the line: what it still held would be lost with the machine.
    let told = call(server, &inner::CommandsEnded { status }, Segment::None).map(drop);
    if v::entry::boot_command_line().split_ascii_whitespace().any(|word| word == STAY_WORD) {
        if let Err(error) = told {
            log::error!("the commands' end could not be told: {error}");
        }
        return;
    }
    let off = told.and_then(|()| {
        let supervisor = v::name::resolve("[supervisor]")?.server;
        call(supervisor, &supervisor::PowerOff { status }, Segment::None)
    });
    if let Err(error) = off {
        log::error!("cannot switch off: {error}");
    }
}

/// Their status, or why it is not known.
fn run_commands(server: Pid) -> Result<u32, String> {
    if was_started().map_err(failure)? {
        return Err("the host channel's server was started again while commands ran; \
                    how they end cannot be known"
            .into());
    }
    let ended = start_commands(server).and_then(|mut shell| shell.wait());
    ended.map(|status| status.code.cast_unsigned()).map_err(failure)
}

fn failure(error: Error) -> String {
    format!("the commands could not be run: {error}")
}

/// Whether an earlier life of this server has started the commands; from now on one has.
fn was_started() -> Result<bool, Error> {
    let supervisor = v::name::resolve("[supervisor]")?.server;
    let mut mark = [0; STARTED_MARK.len()];
    if call(supervisor, &supervisor::LoadState {}, Segment::Write(&mut mark))?.count > 0 {
        return Ok(true);
    }
    call(supervisor, &supervisor::SaveState {}, Segment::Read(STARTED_MARK))?;
    Ok(false)
}

fn start_commands(server: Pid) -> Result<Child, Error> {
    let script = script()?;
    v::name::wait_for(SHELL)?;
    let [input, output, errors] = open_streams(server)?;
    let home = v::name::set_home()?;
    let shell = Command::new(SHELL)
        .arg("-c")
        .arg(script)
        .env("HOME", home)
        .directory(home)
        .stdin(Stream::Instance(input))
        .stdout(Stream::Instance(output))
        .stderr(Stream::Instance(errors))
        .start()?;
    // Only the commands hold them from now on.
    for stream in [input, output, errors] {
        stream.release(v::process::team())?;
    }
    Ok(shell)
}

/// Says something on the tool's standard error.
fn complain(server: Pid, reason: &str) -> Result<(), Error> {
    let text = format!("v: {reason}\n");
    let [input, output, errors] = open_streams(server)?;
    errors.write(0, text.as_bytes())?;
    for stream in [input, output, errors] {
        stream.release(v::process::team())?;
    }
    Ok(())
}

fn script() -> Result<&'static str, Error> {
    let archive = Archive::new(hardware::physical::map_boot_archive()?);
    let entry = archive.find(SCRIPT).map_err(|damage| {
        log::error!("{damage}");
        Error::DeviceError
    })?;
    core::str::from_utf8(entry.ok_or(Error::NotFound)?.content).map_err(|_| Error::BadArgument)
}

fn open_streams(server: Pid) -> Result<[Instance; 3], Error> {
    let open = |name: &str, mode| -> Result<Instance, Error> {
        let request = io::Open { context: 0, mode, owner: v::process::team() };
        let opened = call(server, &request, Segment::Read(name.as_bytes()))?;
        Ok(Instance { server, number: opened.instance, attributes: opened.attributes | attribute::STREAM })
    };
    Ok([open(NAMES[0], mode::READ)?, open(NAMES[1], mode::WRITE)?, open(NAMES[2], mode::WRITE)?])
}
