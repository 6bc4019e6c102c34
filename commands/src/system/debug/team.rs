//! A program of this node as something that GDB debugs: its processes are the threads. They are stopped by suspending them;
//! what they meet, they tell their exception server, which the debugger makes itself.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::kernel::record::{ProcessState, RegisterRecord};
use abi::kernel::{self, memory, process};
use abi::notice::notice::{ExceptionHandled, Notice};
use abi::protocol::Reply;
use abi::{Error, Message, PAGE_BYTES, Pid};
use v::message::{self, Received};
use v::{Segment, call, time};

use super::stub::Target;
use crate::system::kernel::{describe, name, names};

/// Bytes that are typed at a time.
pub const TYPED_BYTES: usize = 1024;

abi::protocol! {
    /// Between the debugger's processes.
    pub mod channel = 0x7f, enum Channel {
        /// The read segment came from GDB; nothing of it: no more will come.
        Typed = 1 {} => TypedTaken {};
    }
}

/// The program.
#[derive(Debug)]
pub struct Team {
    root: Pid,
    /// Whose exceptions they were before.
    former: Pid,
    /// All processes that it has had, in the order in which they were seen; a thread's number is its place, from 1 on.
    members: Vec<Pid>,
    /// What came from GDB and was not looked at.
    pub typed: Vec<u8>,
    /// Nothing more will come from GDB.
    pub has_closed: bool,
    /// Exceptions that were received and not looked at: who met them, and their vectors.
    pub met: Vec<(Pid, u32)>,
}

impl Team {
    /// Takes the exceptions of a program over.
    pub fn attach(root: Pid) -> Result<Team, Error> {
        let set = process::SetExceptionServer { team: root, server: v::process::own_pid()? };
        let former = call(kernel::server(kernel::PROCESS), &set, Segment::None)?.former;
        let (typed, met) = (Vec::new(), Vec::new());
        Ok(Team { root, former, members: Vec::new(), typed, has_closed: false, met })
    }

    /// Gives them back, and lets the program go on.
    pub fn detach(&mut self) -> Result<(), Error> {
        let set = process::SetExceptionServer { team: self.root, server: self.former };
        call(kernel::server(kernel::PROCESS), &set, Segment::None)?;
        for thread in self.threads() {
            self.go_on(thread)?;
        }
        Ok(())
    }

    /// Whether the program has ended.
    pub fn has_ended(&self) -> Result<bool, Error> {
        match v::process::has_ended(self.root) {
            // A guest's logical host ends with it.
            Err(Error::ProcessElsewhere) => Ok(true),
            outcome => outcome,
        }
    }

    /// Receives until a time, and keeps what came. False if nothing did.
    pub fn receive(&mut self, deadline: abi::call::Deadline) -> Result<bool, Error> {
        let mut buffer = [0; TYPED_BYTES];
        let received = match message::receive(None, &mut buffer, deadline) {
            Ok(received) => received,
            Err(Error::DeadlinePassed | Error::NothingWaiting) => return Ok(false),
            Err(error) => return Err(error),
        };
        let answer = self.keep(&received, &buffer);
        // An exception is answered when the process that met it is suspended.
        if let Some(answer) = answer {
            reply(received.sender.pid, &answer)?;
        }
        Ok(true)
    }

    fn keep(&mut self, received: &Received, buffer: &[u8]) -> Option<Message> {
        if let Some(Notice::Exception(exception)) = Notice::from_message(&received.message) {
            self.met.push((received.sender.pid, exception.vector));
            return None;
        }
        let is_own =
            v::process::identify(received.sender.pid).is_ok_and(|sender| sender.team == v::process::team());
        if !is_own || channel::Channel::from_message(&received.message).is_none() {
            return Some(abi::protocol::refusal(Error::BadRequest));
        }
        let typed = &buffer[..received.segment_bytes()];
        self.has_closed |= typed.is_empty();
        self.typed.extend_from_slice(typed);
        Some(channel::TypedTaken {}.to_message())
    }

    /// The number of a process of the program.
    pub fn number(&mut self, process: Pid) -> u32 {
        let known = self.members.iter().position(|member| *member == process);
        let place = known.unwrap_or_else(|| {
            self.members.push(process);
            self.members.len() - 1
        });
        place as u32 + 1
    }

    fn process(&self, thread: u32) -> Result<Pid, Error> {
        let place = (thread as usize).checked_sub(1);
        place.and_then(|place| self.members.get(place)).copied().ok_or(Error::NonexistentProcess)
    }

    fn change(&self, address: u64, data: &[u8]) -> Result<(), Error> {
        let page = address & !(PAGE_BYTES - 1);
        // What is there is read whole and put back, so the buffer has to be a page's.
        let mut bytes = [0; PAGE_BYTES as usize];
        let peek = memory::Peek { team: self.root, address: page };
        call(kernel::server(kernel::MEMORY), &peek, Segment::Write(&mut bytes))?;
        let begin = (address - page) as usize;
        bytes[begin..begin + data.len()].copy_from_slice(data);
        let write = memory::WriteMemory { team: self.root, address: page };
        call(kernel::server(kernel::MEMORY), &write, Segment::Read(&bytes))?;
        Ok(())
    }
}

/// Answers a process, if it is still there.
fn reply(process: Pid, message: &Message) -> Result<(), Error> {
    match message::reply(process, message, &[]) {
        Err(Error::StaleProcess | Error::NonexistentProcess | Error::NotAwaitingReply) => Ok(()),
        outcome => outcome,
    }
}

/// Of a process that may have ended meanwhile.
fn if_there(outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(Error::StaleProcess | Error::NonexistentProcess) => Ok(()),
        outcome => outcome,
    }
}

impl Target for Team {
    fn threads(&mut self) -> Vec<u32> {
        let all = v::process::all().unwrap_or_default();
        let is_own = |record: &&abi::kernel::record::ProcessRecord| {
            record.team == self.root.to_bits()
                && ProcessState::from_number(record.state) != Some(ProcessState::Ended)
        };
        let own: Vec<Pid> =
            all.iter().filter(is_own).map(abi::kernel::record::ProcessRecord::process).collect();
        let mut numbers: Vec<u32> = own.into_iter().map(|process| self.number(process)).collect();
        numbers.sort_unstable();
        numbers
    }

    fn describe(&mut self, thread: u32) -> String {
        let Ok(process) = self.process(thread) else { return String::new() };
        let all = v::process::all().unwrap_or_default();
        let Some(record) = all.iter().find(|record| record.pid == process.to_bits()) else {
            return String::new();
        };
        let waits_on = Pid::from_bits(record.waits_on);
        let waits = if waits_on.is_none() {
            String::new()
        } else {
            format!(", waits on {}", describe(waits_on, &names(&all)))
        };
        format!("{} {process}{waits}", name(record))
    }

    fn registers(&mut self, thread: u32) -> Result<RegisterRecord, Error> {
        let mut bytes = [0; RegisterRecord::BYTES];
        let read = process::ReadRegisters { process: self.process(thread)? };
        call(kernel::server(kernel::PROCESS), &read, Segment::Write(&mut bytes))?;
        Ok(RegisterRecord::from_bytes(&bytes))
    }

    fn set_registers(&mut self, thread: u32, registers: &RegisterRecord) -> Result<(), Error> {
        let write = process::WriteRegisters { process: self.process(thread)? };
        call(kernel::server(kernel::PROCESS), &write, Segment::Read(&registers.to_bytes()))?;
        Ok(())
    }

    fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = address.saturating_add(done as u64);
            let bytes = (PAGE_BYTES - at % PAGE_BYTES).min((buffer.len() - done) as u64) as usize;
            let peek = memory::Peek { team: self.root, address: at };
            let room = Segment::Write(&mut buffer[done..done + bytes]);
            if call(kernel::server(kernel::MEMORY), &peek, room).is_err() {
                break;
            }
            done += bytes;
        }
        done
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Error> {
        let mut rest = data;
        let mut at = address;
        while !rest.is_empty() {
            let bytes = (PAGE_BYTES - at % PAGE_BYTES).min(rest.len() as u64) as usize;
            self.change(at, &rest[..bytes])?;
            at = at.checked_add(bytes as u64).ok_or(Error::BadAddress)?;
            rest = &rest[bytes..];
        }
        Ok(())
    }

    fn go_on(&mut self, thread: u32) -> Result<(), Error> {
        let resume = process::Resume { process: self.process(thread)? };
        if_there(call(kernel::server(kernel::PROCESS), &resume, Segment::None).map(drop))
    }

    fn stop(&mut self) -> Result<Vec<(u32, u32)>, Error> {
        let mut stopped = 0;
        // Until it is stopped, one may make another.
        loop {
            let threads = self.threads();
            if threads.len() <= stopped {
                break;
            }
            stopped = threads.len();
            for thread in threads {
                let suspend = process::Suspend { process: self.process(thread)? };
                if_there(call(kernel::server(kernel::PROCESS), &suspend, Segment::None).map(drop))?;
            }
        }
        while self.receive(abi::call::NOW)? {}
        let met = core::mem::take(&mut self.met);
        let mut threads = Vec::with_capacity(met.len());
        for (process, vector) in met {
            reply(process, &ExceptionHandled {}.to_message())?;
            threads.push((self.number(process), vector));
        }
        Ok(threads)
    }

    fn end(&mut self, status: u32) -> Result<(), Error> {
        let destroy = process::Destroy { process: self.root, status };
        if_there(call(kernel::server(kernel::PROCESS), &destroy, Segment::None).map(drop))
    }
}

/// A deadline so far from now.
pub fn soon(nanoseconds: u64) -> abi::call::Deadline {
    time::now_ns() + nanoseconds
}
