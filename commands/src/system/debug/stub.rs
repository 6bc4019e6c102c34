//! What GDB asks, in terms of a stopped program: the commands of its remote serial protocol that a debugger of programs
//! needs. Everything else is answered with nothing, which means that it is not supported.
//!
//! The program stops and goes on as a whole; while it runs, GDB says nothing but that it is to stop. Breakpoints are
//! instructions in the program's memory, put there and taken away here; GDB never sees them. A thread's number is its place
//! among all that the program had since the debugger came, from 1 on.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::kernel::record::RegisterRecord;
use abi::{Error, notice};

use super::layout;
use super::packet::{self, Incoming, Parser, framed, hex, number};

/// A program that can be stopped. Threads are told by their numbers, all but `stop` and `go_on` of a stopped one.
pub trait Target {
    /// The threads that it has.
    fn threads(&mut self) -> Vec<u32>;
    /// What a person should know of a thread.
    fn describe(&mut self, thread: u32) -> String;
    /// Its registers.
    fn registers(&mut self, thread: u32) -> Result<RegisterRecord, Error>;
    /// Changes them.
    fn set_registers(&mut self, thread: u32, registers: &RegisterRecord) -> Result<(), Error>;
    /// Reads memory as far as it can be read; the bytes read.
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize;
    /// Writes memory, whatever may be done with it.
    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Error>;
    /// Lets a thread go on.
    fn go_on(&mut self, thread: u32) -> Result<(), Error>;
    /// Stops all threads. Those that have met exceptions since they went on, with the vectors.
    fn stop(&mut self) -> Result<Vec<(u32, u32)>, Error>;
    /// Ends it.
    fn end(&mut self, status: u32) -> Result<(), Error>;
}

/// Why a program stopped, or that it has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It was made to.
    Interrupted,
    /// An exception of the processor's, with its vector, in a thread.
    Exception(u32, u32),
    /// A breakpoint of GDB's, in a thread.
    Breakpoint(u32),
    /// With this status.
    Ended(u32),
    /// By an exception of this vector.
    EndedByException(u32),
}

/// What becomes of the program when GDB leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// It goes on by itself.
    Detach,
    /// It has been ended.
    Kill,
}

/// The breakpoint instruction.
const BREAKPOINT: u8 = 0xcc;
/// The processor's number of what it makes.
pub const BREAKPOINT_VECTOR: u32 = 3;
/// In the flags: an exception after each instruction.
const TRAP_FLAG: u64 = 1 << 8;
/// Most bytes of memory that one packet asks for.
const MOST_READ: u64 = 1024;

/// GDB's signal of the meaning of a processor's exception.
pub const fn signal(vector: u32) -> u8 {
    match vector {
        0 | 16 | 19 => 8,
        1 | BREAKPOINT_VECTOR => 5,
        6 => 4,
        17 => 10,
        _ => 11,
    }
}

/// The debugger's end of the line.
#[derive(Debug)]
pub struct Stub<T> {
    /// The program.
    pub target: T,
    parser: Parser,
    acknowledges: bool,
    /// The last packet, for when it did not arrive.
    last_sent: Vec<u8>,
    /// What lies where breakpoints are.
    breakpoints: BTreeMap<u64, u8>,
    /// The thread that GDB speaks of.
    thread: u32,
    /// The thread that makes a single step.
    stepping: Option<u32>,
    stop: Stop,
    is_running: bool,
}

impl<T: Target> Stub<T> {
    /// Of a program that is stopped.
    pub fn new(target: T) -> Stub<T> {
        Stub {
            target,
            parser: Parser::default(),
            acknowledges: true,
            last_sent: Vec::new(),
            breakpoints: BTreeMap::new(),
            thread: 1,
            stepping: None,
            stop: Stop::Interrupted,
            is_running: false,
        }
    }

    /// Whether the program runs.
    pub const fn is_running(&self) -> bool {
        self.is_running
    }

    /// Takes the next byte off the line; what is to be said goes to `output`. An error is the program's, not GDB's.
    pub fn take(&mut self, byte: u8, output: &mut Vec<u8>) -> Result<Option<Leave>, Error> {
        match self.parser.push(byte) {
            None => {}
            Some(Incoming::Interrupt) if !self.is_running => {}
            Some(Incoming::Again) => output.extend_from_slice(&self.last_sent),
            Some(Incoming::Damaged) => output.extend(self.acknowledges.then_some(b'-')),
            Some(Incoming::Interrupt) => {
                self.stop()?;
                self.stopped(Stop::Interrupted, output)?;
            }
            Some(Incoming::Packet(data)) => {
                output.extend(self.acknowledges.then_some(b'+'));
                return self.command(&data, output);
            }
        }
        Ok(None)
    }

    /// A thread has met an exception: all are stopped, and GDB is told.
    pub fn exception(&mut self, thread: u32, vector: u32, output: &mut Vec<u8>) -> Result<(), Error> {
        let is_breakpoint = self.stop()?.contains(&thread);
        let stop = if is_breakpoint { Stop::Breakpoint(thread) } else { Stop::Exception(vector, thread) };
        self.stopped(stop, output)
    }

    /// Stops all threads; those that were at breakpoints. Of the exceptions that several have met one is told: the others
    /// they meet again.
    fn stop(&mut self) -> Result<Vec<u32>, Error> {
        let mut at_breakpoints = Vec::new();
        for (thread, vector) in self.target.stop()? {
            if self.go_back(thread, vector)? {
                at_breakpoints.push(thread);
            }
        }
        Ok(at_breakpoints)
    }

    /// Puts a thread that has executed a breakpoint of GDB's back before it; whether it has.
    fn go_back(&mut self, thread: u32, vector: u32) -> Result<bool, Error> {
        let mut registers = self.target.registers(thread)?;
        let address = registers.rip.wrapping_sub(1);
        let is_breakpoint = vector == BREAKPOINT_VECTOR && self.breakpoints.contains_key(&address);
        if is_breakpoint {
            registers.rip = address;
            self.target.set_registers(thread, &registers)?;
        }
        Ok(is_breakpoint)
    }

    /// The program, which ran, is stopped or has ended: GDB is told.
    pub fn stopped(&mut self, stop: Stop, output: &mut Vec<u8>) -> Result<(), Error> {
        self.is_running = false;
        self.stop = stop;
        if let Stop::Exception(_, thread) | Stop::Breakpoint(thread) = stop {
            self.thread = thread;
        }
        let has_ended = matches!(stop, Stop::Ended(_) | Stop::EndedByException(_));
        if let Some(thread) = self.stepping.take().filter(|_| !has_ended)
            && let Ok(mut registers) = self.target.registers(thread)
        {
            registers.rflags &= !TRAP_FLAG;
            self.target.set_registers(thread, &registers)?;
        }
        let text = self.stop_reply();
        self.say(&text, output);
        Ok(())
    }

    fn say(&mut self, data: &[u8], output: &mut Vec<u8>) {
        self.last_sent = framed(data);
        output.extend_from_slice(&self.last_sent);
    }

    fn stop_reply(&mut self) -> Vec<u8> {
        let thread = self.thread;
        match self.stop {
            Stop::Interrupted => format!("T02thread:{thread:x};"),
            Stop::Breakpoint(_) => format!("T05thread:{thread:x};swbreak:;"),
            Stop::Exception(vector, _) => format!("T{:02x}thread:{thread:x};", signal(vector)),
            Stop::Ended(status) => format!("W{:02x}", status & 0xff),
            Stop::EndedByException(vector) => format!("X{:02x}", signal(vector)),
        }
        .into_bytes()
    }

    fn command(&mut self, data: &[u8], output: &mut Vec<u8>) -> Result<Option<Leave>, Error> {
        match data {
            b"D" | [b'D', b';', ..] => {
                self.remove_all()?;
                self.say(b"OK", output);
                return Ok(Some(Leave::Detach));
            }
            b"k" | [b'v', b'K', b'i', b'l', b'l', ..] => {
                self.target.end(notice::STATUS_KILLED)?;
                // `k` wants no answer.
                if data.len() > 1 {
                    self.say(b"OK", output);
                }
                return Ok(Some(Leave::Kill));
            }
            b"QStartNoAckMode" => {
                self.say(b"OK", output);
                self.acknowledges = false;
            }
            [b'c' | b's', ..] | [b'v', b'C', b'o', b'n', b't', b';', ..] => {
                if let Err(error) = self.go_on(data) {
                    self.say(&failure(error), output);
                }
            }
            _ => {
                let answer = self.answer(data).unwrap_or_else(failure);
                self.say(&answer, output);
            }
        }
        Ok(None)
    }

    /// What is answered at once.
    fn answer(&mut self, data: &[u8]) -> Result<Vec<u8>, Error> {
        let ok = Ok(b"OK".to_vec());
        match data {
            b"?" => Ok(self.stop_reply()),
            b"g" => Ok(layout::told(&self.target.registers(self.thread)?)),
            [b'G', text @ ..] => {
                let mut registers = self.target.registers(self.thread)?;
                layout::take(text, &mut registers).ok_or(Error::BadArgument)?;
                self.target.set_registers(self.thread, &registers)?;
                ok
            }
            [b'm', range @ ..] => self.read(range),
            [b'M', rest @ ..] => {
                let (range, text) = split(rest, b':').ok_or(Error::BadArgument)?;
                let bytes = packet::bytes(text).ok_or(Error::BadArgument)?;
                let (address, length) = numbers(range).ok_or(Error::BadArgument)?;
                if length != bytes.len() as u64 {
                    return Err(Error::BadArgument);
                }
                self.write(address, bytes)?;
                ok
            }
            [action @ (b'Z' | b'z'), b'0', b',', rest @ ..] => {
                let (address, _) = numbers(rest).ok_or(Error::BadArgument)?;
                let outcome = if *action == b'Z' { self.insert(address) } else { self.remove(address) };
                outcome.and(ok)
            }
            [b'H', b'g', thread @ ..] => {
                let asked = number(thread).unwrap_or(0) as u32;
                if self.target.threads().contains(&asked) {
                    self.thread = asked;
                }
                ok
            }
            [b'H', b'c', ..] => ok,
            [b'T', thread @ ..] => {
                let asked = number(thread).unwrap_or(0) as u32;
                if self.target.threads().contains(&asked) { ok } else { Err(Error::NonexistentProcess) }
            }
            b"vCont?" => Ok(b"vCont;c;C;s;S".to_vec()),
            b"qC" => Ok(format!("QC{:x}", self.thread).into_bytes()),
            b"qAttached" => Ok(b"1".to_vec()),
            b"qfThreadInfo" => {
                let threads: Vec<String> =
                    self.target.threads().iter().map(|thread| format!("{thread:x}")).collect();
                Ok(format!("m{}", threads.join(",")).into_bytes())
            }
            b"qsThreadInfo" => Ok(b"l".to_vec()),
            _ => Ok(self.answer_named(data)),
        }
    }

    /// The queries that have parameters.
    fn answer_named(&mut self, data: &[u8]) -> Vec<u8> {
        if data.starts_with(b"qSupported") {
            let most = packet::MOST_BYTES;
            return format!(
                "PacketSize={most:x};swbreak+;vContSupported+;QStartNoAckMode+;qXfer:features:read+"
            )
            .into_bytes();
        }
        if let Some(thread) = data.strip_prefix(b"qThreadExtraInfo,").and_then(number) {
            return hex(self.target.describe(thread as u32).as_bytes());
        }
        let wanted = data.strip_prefix(b"qXfer:features:read:target.xml:").and_then(numbers);
        wanted.map_or_else(Vec::new, |(offset, length)| {
            let text = layout::description().into_bytes();
            let begin = text.len().min(offset as usize);
            let end = text.len().min(begin.saturating_add(length as usize));
            let mut answer = vec![if end == text.len() { b'l' } else { b'm' }];
            answer.extend_from_slice(&text[begin..end]);
            answer
        })
    }

    fn read(&mut self, range: &[u8]) -> Result<Vec<u8>, Error> {
        let (address, length) = numbers(range).ok_or(Error::BadArgument)?;
        let mut buffer = vec![0; length.min(MOST_READ) as usize];
        let count = self.target.read(address, &mut buffer);
        buffer.truncate(count);
        if buffer.is_empty() && length > 0 {
            return Err(Error::BadAddress);
        }
        for (at, original) in self.breakpoints.range(address..address.saturating_add(count as u64)) {
            buffer[(at - address) as usize] = *original;
        }
        Ok(hex(&buffer))
    }

    fn write(&mut self, address: u64, mut bytes: Vec<u8>) -> Result<(), Error> {
        for (at, original) in self.breakpoints.range_mut(address..address.saturating_add(bytes.len() as u64))
        {
            *original = core::mem::replace(&mut bytes[(at - address) as usize], BREAKPOINT);
        }
        self.target.write(address, &bytes)
    }

    fn insert(&mut self, address: u64) -> Result<(), Error> {
        if self.breakpoints.contains_key(&address) {
            return Ok(());
        }
        let mut original = [0];
        if self.target.read(address, &mut original) == 0 {
            return Err(Error::BadAddress);
        }
        self.target.write(address, &[BREAKPOINT])?;
        self.breakpoints.insert(address, original[0]);
        Ok(())
    }

    fn remove(&mut self, address: u64) -> Result<(), Error> {
        match self.breakpoints.remove(&address) {
            Some(original) => self.target.write(address, &[original]),
            None => Ok(()),
        }
    }

    /// Leaves none of the breakpoints in the program.
    pub fn remove_all(&mut self) -> Result<(), Error> {
        while let Some(address) = self.breakpoints.keys().next().copied() {
            self.remove(address)?;
        }
        Ok(())
    }

    /// Carries out `c`, `s` or `vCont`: some thread makes a step, or all go on. The answer comes when the program stops.
    fn go_on(&mut self, data: &[u8]) -> Result<(), Error> {
        let actions = Actions::parse(data, self.thread).ok_or(Error::BadArgument)?;
        if let (true, Stop::Exception(vector, _)) = (actions.with_signal, self.stop) {
            // What it would end by if it were not debugged.
            self.target.end(notice::STATUS_EXCEPTION + vector)?;
            self.is_running = true;
            return Ok(());
        }
        if let Some(thread) = actions.step {
            let mut registers = self.target.registers(thread)?;
            registers.rflags |= TRAP_FLAG;
            self.target.set_registers(thread, &registers)?;
            self.stepping = Some(thread);
            self.target.go_on(thread)?;
        }
        let goes_on = |thread: &u32| actions.all_go_on || actions.go_on.contains(thread);
        for thread in self.target.threads().into_iter().filter(|thread| actions.step != Some(*thread)) {
            if goes_on(&thread) {
                self.target.go_on(thread)?;
            }
        }
        self.is_running = true;
        Ok(())
    }
}

/// What `vCont` asks for.
#[derive(PartialEq, Eq, Debug, Default)]
struct Actions {
    step: Option<u32>,
    go_on: Vec<u32>,
    all_go_on: bool,
    /// GDB hands the exception on to the program.
    with_signal: bool,
}

impl Actions {
    /// Of `c`, `s` or `vCont`; `thread` is meant where none is named. The first action that fits a thread is its own.
    fn parse(data: &[u8], thread: u32) -> Option<Actions> {
        let mut actions = Actions::default();
        let Some(list) = data.strip_prefix(b"vCont;") else {
            let steps = data[0] == b's';
            return (data.len() == 1).then_some(Actions {
                step: steps.then_some(thread),
                all_go_on: !steps,
                ..actions
            });
        };
        for action in list.split(|byte| *byte == b';') {
            let (what, whom) = split(action, b':').unwrap_or((action, b""));
            // -1 is all of them.
            let whom = if whom.is_empty() || whom == b"-1" { None } else { Some(number(whom)? as u32) };
            actions.with_signal |= matches!(what.first()?, b'C' | b'S') && what != b"C05" && what != b"S05";
            match (what.first()?, whom) {
                (b's' | b'S', whom) => actions.step = actions.step.or(Some(whom.unwrap_or(thread))),
                (b'c' | b'C', Some(whom)) => actions.go_on.push(whom),
                (b'c' | b'C', None) => actions.all_go_on = true,
                _ => return None,
            }
        }
        Some(actions)
    }
}

fn failure(error: Error) -> Vec<u8> {
    format!("E{:02x}", error.code().clamp(1, 0xff)).into_bytes()
}

/// What is before a byte, and what is behind it.
fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == at)?;
    Some((&text[..place], &text[place + 1..]))
}

/// Two numbers with a comma between.
fn numbers(text: &[u8]) -> Option<(u64, u64)> {
    let (first, second) = split(text, b',')?;
    Some((number(first)?, number(second)?))
}

#[cfg(test)]
#[path = "stub_tests.rs"]
mod tests;
