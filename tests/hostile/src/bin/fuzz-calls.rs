//! Makes random system calls as an ordinary team, and sees whether the system survives.
//!
//! `fuzz-calls [CALLS [SEED]]`: so many calls (a million unless told) in child teams of [`CALLS_EACH`], each of whose
//! sequences its seed repeats. A child may well end itself, by unmapping what it runs on or by writing to it; that is
//! its own affair. One that waits for ever is ended by the parent's second process. Nothing else may suffer, and
//! nothing may be lost: the calls are repeated until they leave nothing more in the kernel's tables than there was before.

#![no_std]
#![no_main]

extern crate alloc;

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use abi::call::{Forward, GetReply, MoveFrom, MoveTo, NOW, Receive, Registers, Reply, ReplyReceive, Send};
use abi::kernel::record::BindingRecord;
use abi::kernel::{DEVICE, GROUP, MEMORY, PROCESS, STATISTICS, TIME, memory, process, server};
use abi::{Access, Error, Grant, LogicalHost, Pid, Request as _, information};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use hostile::random::Random;
use hostile::raw::system_call;
use hostile::remains;
use v::file::File;
use v::prelude::*;
use v::process::{Command, spawn_thread};
use v::protocols::io::mode;

v_start::program!(main);

const CALLS_EACH: u64 = 20_000;
/// A child is given so long before it counts as waiting for ever.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> i32 {
    let words: Vec<String> = v::env::arguments().map(String::from).collect();
    let number = |at: usize, default: u64| words.get(at).map_or(Ok(default), |word| word.parse());
    if words.get(1).map(String::as_str) == Some("child") {
        let (Ok(seed), Ok(calls)) = (number(2, 0), number(3, 0)) else {
            return 2;
        };
        return Child::new(seed).run(calls);
    }
    let (Ok(calls), Ok(seed)) = (number(1, 1_000_000), number(2, 1)) else {
        eprintln!("fuzz-calls: usage: fuzz-calls [CALLS [SEED]]");
        return 2;
    };
    match compare(calls, seed) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            eprintln!("fuzz-calls: {error}");
            1
        }
    }
}

/// The child that runs, for the process that watches the time; 0 for none.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// Whether the calls, repeated with the same seeds, leave nothing behind.
fn compare(calls: u64, seed: u64) -> Result<bool, Error> {
    // The file's memory is there before anything is compared.
    v::file::write(FILE, [7; FILE_BYTES])?;
    let _watch = spawn_thread(16 * 1024, watch)?;
    let remains = remains::unchanged(|| {
        println!("{}", fuzz(calls, seed)?);
        Ok(())
    })?;
    v::file::remove(FILE)?;
    if let Some(remains) = &remains {
        println!("{remains} as before");
    }
    Ok(remains.is_some())
}

fn fuzz(calls: u64, first_seed: u64) -> Result<String, Error> {
    let (mut done, mut ended_early, mut seed) = (0, 0, first_seed);
    while done < calls {
        let now = CALLS_EACH.min(calls - done);
        let mut child = Command::new("fuzz-calls")
            .arg("child")
            .arg(&seed.to_string())
            .arg(&now.to_string())
            .without_rights()
            .start()?;
        RUNNING.store(child.pid().to_bits(), Ordering::Release);
        let status = child.wait();
        RUNNING.store(0, Ordering::Release);
        // A child that got through says so with this status; what others did before they ended is not counted.
        if matches!(&status, Ok(status) if status.code == THROUGH) {
            done += now;
        } else {
            ended_early += 1;
        }
        seed += 1;
        if ended_early > 1000 {
            return Err(Error::NoResources);
        }
    }
    Ok(alloc::format!(
        "{done} calls made; {} children, of which {ended_early} ended early",
        seed - first_seed
    ))
}

const THROUGH: i32 = 42;

/// Ends a child that is still there after [`PATIENCE`].
fn watch() {
    const STEP: Duration = Duration::from_millis(250);
    let mut seen = (0, Duration::ZERO);
    while v::time::sleep(STEP).is_ok() {
        let running = RUNNING.load(Ordering::Acquire);
        seen = if running == seen.0 { (running, seen.1 + STEP) } else { (running, Duration::ZERO) };
        if running != 0 && seen.1 > PATIENCE {
            // It may have ended just now, which is as well.
            let request = process::Destroy { process: Pid::from_bits(running), status: 1 };
            let _ = v::call(server(PROCESS), &request, Segment::None);
            seen.1 = Duration::ZERO;
        }
    }
}

/// Memory that calls may name without harm to the child.
const SCRATCH_BYTES: usize = 128 * 1024;

/// What is bound.
const FILE: &str = "[tmp]fuzz-calls";
/// Not whole pages.
const FILE_BYTES: usize = 3 * 4096 + 5;

/// Where the kernel puts what is mapped at an address of its own choice.
const CHOSEN: u64 = 0x1_0000_0000;

struct Child {
    random: Random,
    scratch: Vec<u8>,
    pids: [Pid; 8],
    /// An open file, whose pages calls bind; none if it could not be opened.
    file: Option<File>,
    /// What the last of them named.
    binding: [u8; BindingRecord::BYTES],
}

impl Child {
    fn new(seed: u64) -> Child {
        let own = v::process::team();
        let mode = mode::READ | mode::WRITE;
        let file = v::file::write(FILE, [7; FILE_BYTES]).and_then(|()| File::open_with(FILE, mode)).ok();
        let scratch = alloc::vec![0; SCRATCH_BYTES];
        Child { random: Random::new(seed), scratch, pids: [own; 8], file, binding: [0; BindingRecord::BYTES] }
    }

    fn run(mut self, calls: u64) -> i32 {
        for _ in 0..calls {
            let mut registers = if self.random.once_in(40) { self.bind() } else { self.registers() };
            // SAFETY: where the call names memory, it is `scratch`, or an address at random, which may well end this
            // program: that is what it is for, and nobody else's memory can be meant.
            unsafe { system_call(&mut registers) };
            // What came back is worth trying again.
            let slot = self.random.below(8) as usize;
            self.pids[slot] = Pid::from_bits(registers.pid);
        }
        THROUGH
    }

    fn registers(&mut self) -> Registers {
        let mut registers = Registers {
            number: self.call_number(),
            pid: self.pid().to_bits(),
            message: self.message(),
            extra: [self.address(), self.length(), self.deadline(), self.address(), self.length()],
            ..Registers::default()
        };
        match registers.number {
            Send::NUMBER => {
                let access = Access(self.random.below(4) as u8);
                registers.extra[1] = if self.random.once_in(8) {
                    self.random.bits()
                } else {
                    Grant::new(self.length(), access).to_bits()
                };
                let is_group = Pid::from_bits(registers.pid).is_group();
                registers.extra[2] = if is_group == self.random.once_in(16) { 0 } else { self.deadline() };
                // Servers may well let a client wait for ever, so few of the calls are for them.
                if !is_group && !self.random.once_in(2000) {
                    registers.extra[2] = 0;
                    registers.pid = self.kernel_server().to_bits();
                }
            }
            Forward::NUMBER => registers.extra[0] = self.pid().to_bits(),
            MoveTo::NUMBER | MoveFrom::NUMBER => {
                registers.extra = [self.length(), self.address(), self.length(), 0, 0];
            }
            _ => {}
        }
        registers
    }

    /// Binds pages of the file, mostly, to an address of the kernel's choice.
    fn bind(&mut self) -> Registers {
        let instance = self.file.as_ref().map(File::instance);
        let (pager, instance) = match instance {
            Some(instance) if !self.random.once_in(16) => (instance.server, instance.number),
            _ => (self.pid(), self.random.below(4) as u32),
        };
        let binding = BindingRecord {
            pager: pager.to_bits(),
            instance: instance.into(),
            position: if self.random.once_in(16) { self.length() } else { 4096 * self.random.below(6) },
        };
        self.binding = binding.to_bytes();
        let request = memory::Bind {
            team: Pid::NONE,
            address: if self.random.once_in(8) { self.address() } else { 0 },
            pages: self.random.below(6) as u32,
            protection: self.random.below(8) as u32 | (32 * self.random.below(2) as u32),
        };
        let address = self.binding.as_ptr().expose_provenance() as u64;
        let grant = Grant::new(BindingRecord::BYTES as u64, Access::READ);
        Send {
            to: Pid::kernel_server(LogicalHost::OWN, MEMORY),
            message: request.to_message(),
            segment_address: address,
            grant: grant.to_bits(),
            deadline: 0,
        }
        .encode()
    }

    fn call_number(&mut self) -> u64 {
        match self.random.below(24) {
            0 => self.random.bits(),
            1 => self.random.below(16),
            2..4 => Receive::NUMBER,
            4..6 => Reply::NUMBER,
            6..8 => ReplyReceive::NUMBER,
            8 => Forward::NUMBER,
            9 => MoveTo::NUMBER,
            10 => MoveFrom::NUMBER,
            11 => GetReply::NUMBER,
            _ => Send::NUMBER,
        }
    }

    fn kernel_server(&mut self) -> Pid {
        let index = self.random.pick(&[PROCESS, MEMORY, DEVICE, TIME, GROUP, STATISTICS]);
        Pid::kernel_server(LogicalHost::OWN, index)
    }

    fn pid(&mut self) -> Pid {
        match self.random.below(8) {
            0 => Pid::from_bits(self.random.bits()),
            1 => Pid::NONE,
            2 => v::process::team(),
            3 => self.kernel_server(),
            4 => {
                let own = v::process::team();
                Pid::process(own.host(), self.random.below(4) as u16, self.random.below(300) as u16)
            }
            5 => Pid::unrestricted_group(LogicalHost::OWN, self.random.below(300) as u32),
            _ => {
                let slot = self.random.below(8) as usize;
                self.pids[slot]
            }
        }
    }

    /// Mostly a request that some kernel server knows, with arguments that are sometimes sensible.
    fn message(&mut self) -> [u64; 4] {
        let mut words = [0_u32; 8];
        for pair in 1..4 {
            let value = match self.random.below(8) {
                0 => self.random.bits(),
                1..3 => self.address(),
                3 => self.pid().to_bits(),
                4 => self.length(),
                _ => self.random.below(16),
            };
            // Fields begin at word 1, so a 64-bit field lies across two registers.
            words[2 * pair - 1] = value as u32;
            words[2 * pair] = (value >> 32) as u32;
        }
        let protocol = 1 + self.random.below(6) as u32;
        let operation = 1 + self.random.below(27) as u32;
        words[0] =
            if self.random.once_in(12) { self.random.bits() as u32 } else { protocol << 8 | operation };
        // A Delay of random length would only wait; to destroy or suspend oneself ends the fun, so that comes seldom.
        let ends = words[0] == 0x104 || words[0] == 0x107;
        if words[0] == 0x402 || ends && !self.random.once_in(5000) {
            words[0] = 0x601;
        }
        abi::Message { words }.to_registers()
    }

    fn address(&mut self) -> u64 {
        let start = self.scratch.as_ptr().expose_provenance() as u64;
        match self.random.below(16) {
            0 => self.random.bits(),
            1 => self.random.below(abi::USER_ADDRESS_END),
            2 => abi::USER_ADDRESS_END - self.random.below(8192),
            3 => 0xffff_8000_0000_0000 + self.random.below(1 << 32),
            4 => 0xffff_ffff_8000_0000 + self.random.below(1 << 28),
            5 => 0x0000_8000_0000_0000 - self.random.below(16),
            6 => self.random.below(8192),
            7 => information::ADDRESS + self.random.below(8192),
            8 => 0,
            10..13 => CHOSEN + self.random.below(1 << 18),
            9 => start + SCRATCH_BYTES as u64 - self.random.below(64),
            _ => start + self.random.below(SCRATCH_BYTES as u64 / 2),
        }
    }

    fn length(&mut self) -> u64 {
        match self.random.below(8) {
            0 => self.random.bits(),
            1 => self.random.below(1 << 20),
            2 => 4096 * self.random.below(17),
            3 => 0,
            _ => self.random.below(4096),
        }
    }

    fn deadline(&mut self) -> u64 {
        match self.random.below(32) {
            0 => v::time::now_ns() + self.random.below(2_000_000),
            1 => self.random.below(1 << 20) | 2,
            _ => NOW,
        }
    }
}
