//! GDB's questions to a program of two threads that is a table.

use super::*;
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;
use std::println;

const CODE: u64 = 0x40_0000;

#[derive(Debug)]
struct Table {
    memory: [u8; 16],
    registers: [RegisterRecord; 2],
    runs: [bool; 2],
    ended: Option<u32>,
    met: Vec<(u32, u32)>,
}

impl Target for Table {
    fn threads(&mut self) -> Vec<u32> {
        vec![1, 2]
    }

    fn describe(&mut self, thread: u32) -> String {
        thread.to_string()
    }

    fn registers(&mut self, thread: u32) -> Result<RegisterRecord, Error> {
        (thread as usize)
            .checked_sub(1)
            .and_then(|place| self.registers.get(place))
            .copied()
            .ok_or(Error::StaleProcess)
    }

    fn set_registers(&mut self, thread: u32, registers: &RegisterRecord) -> Result<(), Error> {
        let place = (thread as usize).checked_sub(1).and_then(|place| self.registers.get_mut(place));
        *place.ok_or(Error::StaleProcess)? = *registers;
        Ok(())
    }

    fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
        let from = address.checked_sub(CODE).and_then(|from| self.memory.get(from as usize..)).unwrap_or(&[]);
        let count = from.len().min(buffer.len());
        buffer[..count].copy_from_slice(&from[..count]);
        count
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Error> {
        let begin = address.checked_sub(CODE).ok_or(Error::BadAddress)? as usize;
        let place = self.memory.get_mut(begin..begin.saturating_add(data.len())).ok_or(Error::BadAddress)?;
        place.copy_from_slice(data);
        Ok(())
    }

    fn go_on(&mut self, thread: u32) -> Result<(), Error> {
        *self.runs.get_mut(thread as usize - 1).ok_or(Error::StaleProcess)? = true;
        Ok(())
    }

    fn stop(&mut self) -> Result<Vec<(u32, u32)>, Error> {
        self.runs = [false; 2];
        Ok(self.met.drain(..).collect())
    }

    fn end(&mut self, status: u32) -> Result<(), Error> {
        self.ended = Some(status);
        Ok(())
    }
}

fn stub() -> Stub<Table> {
    let registers = RegisterRecord { rip: CODE, rflags: 0x202, ..RegisterRecord::default() };
    let memory = core::array::from_fn(|at| at as u8);
    let mut stub = Stub::new(Table {
        memory,
        registers: [registers; 2],
        runs: [false; 2],
        ended: None,
        met: Vec::new(),
    });
    assert_eq!(ask(&mut stub, "QStartNoAckMode"), "+$OK#9a");
    stub
}

fn ask(stub: &mut Stub<Table>, text: &str) -> String {
    let mut output = Vec::new();
    for byte in framed(text.as_bytes()) {
        stub.take(byte, &mut output).unwrap();
    }
    String::from_utf8(output).unwrap()
}

#[track_caller]
fn expect(stub: &mut Stub<Table>, text: &str, answer: &str) {
    let expected = String::from_utf8(framed(answer.as_bytes())).unwrap();
    let came = ask(stub, text);
    println!("{text}");
    assert_eq!(came, if answer == "none" { "" } else { &expected });
}

#[test]
fn memory_is_read_and_changed_around_breakpoints() {
    let mut stub = stub();
    expect(&mut stub, "m400002,4", "02030405");
    expect(&mut stub, "m40000e,4", "0e0f");
    expect(&mut stub, "m500000,4", &format!("E{:02x}", Error::BadAddress.code()));
    expect(&mut stub, "Z0,400003,1", "OK");
    expect(&mut stub, "Z0,400003,1", "OK");
    assert_eq!(stub.target.memory[2..5], [2, BREAKPOINT, 4]);
    expect(&mut stub, "m400002,4", "02030405");
    expect(&mut stub, "M400002,3:a0a1a2", "OK");
    assert_eq!(stub.target.memory[2..5], [0xa0, BREAKPOINT, 0xa2]);
    expect(&mut stub, "z0,400003,1", "OK");
    assert_eq!(stub.target.memory[2..5], [0xa0, 0xa1, 0xa2]);
    expect(&mut stub, "M400002,3:a0", &format!("E{:02x}", Error::BadArgument.code()));
    expect(&mut stub, "Z0,400004,1", "OK");
    expect(&mut stub, "D", "OK");
    assert_eq!(stub.target.memory[4], 0xa2);
}

#[test]
fn a_step_is_one_threads_and_leaves_no_trap_behind() {
    let mut stub = stub();
    expect(&mut stub, "Hg2", "OK");
    expect(&mut stub, "vCont;s:2", "none");
    assert_eq!((stub.target.runs, stub.target.registers[1].rflags), ([false, true], 0x302));
    let mut output = Vec::new();
    stub.exception(2, 1, &mut output).unwrap();
    assert_eq!(output, framed(b"T05thread:2;"));
    assert_eq!(stub.target.registers[1].rflags, 0x202);
    expect(&mut stub, "vCont;s:2;c", "none");
    assert_eq!(stub.target.runs, [true, true]);
}

#[test]
fn it_goes_on_until_it_is_interrupted_or_ends() {
    let mut stub = stub();
    expect(&mut stub, "vCont;c", "none");
    assert!(stub.is_running() && stub.target.runs == [true, true]);
    let mut output = Vec::new();
    stub.take(3, &mut output).unwrap();
    assert_eq!(output, framed(b"T02thread:1;"));
    assert_eq!(stub.target.runs, [false, false]);
    expect(&mut stub, "c", "none");
    output.clear();
    stub.exception(2, 3, &mut output).unwrap();
    assert_eq!(output, framed(b"T05thread:2;"), "it is the program's own breakpoint");
    // Two threads are at GDB's: one is told, and the other will come to it again.
    expect(&mut stub, "Z0,400003,1", "OK");
    stub.target.registers.iter_mut().for_each(|registers| registers.rip = CODE + 4);
    stub.target.met = vec![(2, 3), (1, 3)];
    output.clear();
    stub.exception(2, 3, &mut output).unwrap();
    assert_eq!(output, framed(b"T05thread:2;swbreak:;"));
    assert_eq!(stub.target.registers.map(|registers| registers.rip), [CODE + 3; 2]);
    expect(&mut stub, "qC", "QC2");
    // A fault that GDB hands on ends the program as it would have ended.
    stub.exception(1, 14, &mut output).unwrap();
    expect(&mut stub, "vCont;C0b:1;c", "none");
    assert_eq!(stub.target.ended, Some(notice::STATUS_EXCEPTION + 14));
    output.clear();
    stub.stopped(Stop::EndedByException(14), &mut output).unwrap();
    assert_eq!(output, framed(b"X0b"));
    stub.stopped(Stop::Ended(7), &mut output).unwrap();
    expect(&mut stub, "?", "W07");
}

#[test]
fn what_is_not_known_is_answered_with_nothing() {
    let mut stub = stub();
    for text in ["vMustReplyEmpty", "qTStatus", "X400000,0:", "Z2,400000,4", "", "qXfer:auxv:read::0,100"] {
        expect(&mut stub, text, "");
    }
    expect(&mut stub, "qfThreadInfo", "m1,2");
    expect(&mut stub, "qThreadExtraInfo,2", "32");
    expect(&mut stub, "T3", &format!("E{:02x}", Error::NonexistentProcess.code()));
    expect(&mut stub, "qXfer:features:read:target.xml:0,6", "m<?xml ");
    assert!(ask(&mut stub, "qXfer:features:read:target.xml:6,fff").starts_with("$lversion"));
    assert!(ask(&mut stub, "qSupported:swbreak+").contains("swbreak+"));
}

proptest! {
    #[test]
    fn nothing_that_is_asked_is_fatal(
        texts in prop::collection::vec("[cszZHTGMmqvDk?g][0-9a-f,:;cs]{0,20}|vCont;[csCS0-9:;-]{0,9}|Z0,40000[0-9],1", 0..30),
    ) {
        let mut stub = stub();
        for text in texts {
            ask(&mut stub, &text);
        }
        stub.remove_all().unwrap();
    }
}
