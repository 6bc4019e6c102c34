//! The exception server at work.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::kernel::record::{ProcessRecord, RegisterRecord};
use abi::kernel::{self, process};
use abi::notice::notice::{Exception, Notice};
use abi::notice::{STATUS_EXCEPTION, STATUS_PANIC};
use abi::{Error, Message, Pid};
use protocols::io::{attribute, io};
use protocols::program::program::{QueryStandardError, StandardError};
use v::process::{Thread, spawn_thread};
use v::server::{Client, Outcome, Server};
use v::{Segment, message};

use crate::backtrace::walk;
use crate::images::{Images, name_all};
use crate::report::{self, Victim};

/// Most reports that are being told to standard errors at a time. Of more there is word in the log only.
const MOST_TELLERS: usize = 8;
const TELLER_STACK_BYTES: usize = 64 * 1024;

/// All that the exception server knows.
#[derive(Debug)]
pub struct Excepting {
    images: Images<'static>,
    tellers: Vec<Teller>,
}

/// A process that tells a report to a standard error. Once it is done it is joined, so that its stack is used again.
#[derive(Debug)]
struct Teller {
    thread: Thread,
    is_done: Arc<AtomicBool>,
}

impl Excepting {
    /// A server that names functions by the images in this boot archive.
    pub const fn new(archive: &'static [u8]) -> Excepting {
        Excepting { images: Images::new(archive), tellers: Vec::new() }
    }

    /// Reports an exception and ends its team.
    fn exception(&mut self, sender: Pid, exception: &Exception) -> Result<(), Error> {
        let registers = registers(sender)?;
        let team = v::process::identify(sender)?;
        let root = v::process::query(team.team)?;
        let name = name(&root);
        let addresses = walk(registers.rip, registers.rbp, |address| two_words(sender, address));
        let file = self
            .images
            .find(&name, &addresses, |address, buffer| message::move_from(sender, address, buffer).is_ok());
        let victim = Victim { name, process: sender, user: team.user };
        let calls = name_all(file, &addresses);
        let (lines, status) = if report::is_panic(exception, &registers) {
            (report::panic_lines(&victim, &calls), STATUS_PANIC)
        } else {
            let lines = report::lines(&victim, exception, &registers, &calls);
            (lines, STATUS_EXCEPTION + exception.vector)
        };
        for line in &lines {
            v::log::error!("{line}");
        }
        let end = End { team: team.team, status };
        // A service's fault is no one's to read but the log's; and whoever would have to be asked may be what stopped.
        let is_service = team.user.is_system() || team.owner == v::entry::creator();
        if is_service || !self.tell_and_end(team.owner, end, &lines) {
            end.destroy();
        }
        Ok(())
    }

    /// Tells the program's standard error, which its `manager` knows, and then ends it; in a process of its own,
    /// which may have to wait. False if there can be none.
    fn tell_and_end(&mut self, manager: Pid, end: End, lines: &[String]) -> bool {
        self.join_done();
        if self.tellers.len() >= MOST_TELLERS {
            return false;
        }
        let mut text = lines.join("\n");
        text.push('\n');
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let tell = move || {
            // A program without a standard error, or with one that takes nothing, has its report in the log.
            let _ = tell(manager, end.team, text.as_bytes());
            end.destroy();
            done.store(true, Ordering::Release);
        };
        let Ok(thread) = spawn_thread(TELLER_STACK_BYTES, tell) else {
            return false;
        };
        self.tellers.push(Teller { thread, is_done });
        true
    }

    /// Takes the stacks of the processes that are done back.
    fn join_done(&mut self) {
        for teller in self.tellers.extract_if(.., |teller| teller.is_done.load(Ordering::Acquire)) {
            if let Err(error) = teller.thread.join() {
                v::log::error!("a teller's stack is lost: {error}");
            }
        }
    }
}

impl Server for Excepting {
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_> {
        let Some(Notice::Exception(exception)) = Notice::from_message(message) else {
            return Outcome::refuse(Error::BadRequest);
        };
        match self.exception(client.pid, &exception) {
            Ok(()) => Outcome::Later,
            // Whoever has no exception in the kernel's eyes only said so.
            Err(Error::NotAwaitingReply) => Outcome::refuse(Error::BadRequest),
            Err(error) => {
                v::log::error!("cannot report an exception of {}: {error}", client.pid);
                let status = STATUS_EXCEPTION + exception.vector;
                End { team: client.pid, status }.destroy();
                Outcome::Later
            }
        }
    }
}

/// A team that is to end, and how.
#[derive(Clone, Copy, Debug)]
struct End {
    team: Pid,
    status: u32,
}

impl End {
    fn destroy(self) {
        let destroy = process::Destroy { process: self.team, status: self.status };
        match v::call(kernel::server(kernel::PROCESS), &destroy, Segment::None) {
            // Somebody else was quicker.
            Ok(_) | Err(Error::StaleProcess | Error::NonexistentProcess) => {}
            Err(error) => v::log::error!("cannot end {}: {error}", self.team),
        }
    }
}

fn tell(manager: Pid, program: Pid, mut text: &[u8]) -> Result<(), Error> {
    let StandardError { server, instance } =
        v::call(manager, &QueryStandardError { program }, Segment::None)?;
    let facts = v::call(server, &io::QueryInstance { instance }, Segment::None)?;
    let is_stream = facts.attributes & attribute::STREAM != 0;
    let mut position = if is_stream { 0 } else { facts.size };
    while !text.is_empty() {
        let write = io::Write { instance, position };
        let count = v::call(server, &write, Segment::Read(text))?.count;
        text = text.get(count.max(1) as usize..).unwrap_or_default();
        position += u64::from(count);
    }
    Ok(())
}

/// The registers of a process that has met an exception.
fn registers(process: Pid) -> Result<RegisterRecord, Error> {
    let mut bytes = [0; RegisterRecord::BYTES];
    let read = process::ReadRegisters { process };
    v::call(kernel::server(kernel::PROCESS), &read, Segment::Write(&mut bytes))?;
    Ok(RegisterRecord::from_bytes(&bytes))
}

/// Two words of a stopped process's memory.
fn two_words(process: Pid, address: u64) -> Option<[u64; 2]> {
    let mut bytes = [0; 16];
    message::move_from(process, address, &mut bytes).ok()?;
    let (words, _) = bytes.as_chunks();
    Some([u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])])
}

fn name(record: &ProcessRecord) -> String {
    let bytes: Vec<u8> = record.name_bytes().into_iter().take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).replace(|character: char| character.is_control(), "?")
}

/// Makes the calling process hear of the exceptions of every other team there is, and so of those that they make.
///
/// A team that is not told yet may make another meanwhile, so this looks again until there is none that it has not seen.
pub fn take_over() -> Result<(), Error> {
    let own = v::process::query(Pid::NONE)?;
    let mut seen = BTreeSet::from([own.team]);
    loop {
        let before = seen.len();
        for record in v::process::all()? {
            if record.pid == record.team && seen.insert(record.team) {
                let set = process::SetExceptionServer { team: record.process(), server: own.process() };
                // What has ended meanwhile meets no exception.
                let _ = v::call(kernel::server(kernel::PROCESS), &set, Segment::None);
            }
        }
        if seen.len() == before {
            return Ok(());
        }
    }
}
