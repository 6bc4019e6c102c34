//! Checks the register rules: that a system call leaves nothing behind in any register, and that an interrupt
//! changes none.
//!
//! For each system call it fills every register, calls, and looks at all of them. Then it keeps a pattern in every
//! register through many timer interrupts, while a second process of the same priority keeps another.

#![no_std]
#![no_main]

use abi::call::{self, NOW};
use abi::kernel::{STATISTICS, server, statistics};
use abi::{Error, Pid, Request};
use hostile::raw::Look;
use hostile::storm;
use v::prelude::*;

v_start::program!(main);

fn main() -> i32 {
    let mut faults = 0;
    for (name, call, outcome) in calls() {
        let mut look = Look::new(call);
        // SAFETY: none of these calls names memory.
        unsafe { look.make() };
        faults += check(name, &look, outcome);
    }
    match storm::run() {
        Ok(0) => {}
        Ok(changed) => {
            eprintln!("check-registers: interrupts changed registers {changed} times");
            faults += 1;
        }
        Err(error) => {
            eprintln!("check-registers: {error}");
            faults += 1;
        }
    }
    if faults == 0 {
        println!("registers hold");
    }
    i32::from(faults != 0)
}

/// Calls that name no memory, with the outcome of each.
fn calls() -> [(&'static str, [u64; 11], u64); 6] {
    let nothing = statistics::Null {}.to_message().to_registers();
    let to = server(STATISTICS).to_bits();
    let ones = u64::MAX;
    let stranger = Pid::from_bits(ones).to_bits();
    let code = |error: Error| u64::from(error.code());
    [
        ("Send", [call::Send::NUMBER, to, nothing[0], ones, ones, ones, 0, 0, 0, ones, ones], 0),
        (
            "Receive",
            [call::Receive::NUMBER, 0, ones, ones, ones, ones, 0, 0, NOW, ones, ones],
            code(Error::NothingWaiting),
        ),
        (
            "Reply",
            [call::Reply::NUMBER, to, ones, ones, ones, ones, 0, 0, ones, ones, ones],
            code(Error::NotAwaitingReply),
        ),
        (
            "MoveTo",
            [call::MoveTo::NUMBER, to, ones, ones, ones, ones, 0, 0, 0, ones, ones],
            code(Error::NotAwaitingReply),
        ),
        (
            "GetReply",
            [call::GetReply::NUMBER, ones, ones, ones, ones, ones, 0, 0, NOW, ones, ones],
            code(Error::NothingWaiting),
        ),
        (
            "no call",
            [ones, stranger, ones, ones, ones, ones, ones, ones, ones, ones, ones],
            code(Error::BadRequest),
        ),
    ]
}

/// What a register that carries no result must hold: rbx, rbp, r13 to r15, and all that is not integer.
fn check(name: &str, look: &Look, outcome: u64) -> i32 {
    let mut faults = 0;
    let mut expect = |what: &str, found: u64, wanted: u64| {
        if found != wanted {
            eprintln!("check-registers: after {name}, {what} is {found:#x}, not {wanted:#x}");
            faults += 1;
        }
    };
    let [rax, rbx, _, _, _, _, rbp, rsp, _, _, _, _, _, r13, r14, r15] = look.general;
    expect("rax", rax, outcome);
    for (what, found) in [("rbx", rbx), ("rbp", rbp), ("r13", r13), ("r14", r14), ("r15", r15)] {
        expect(what, found, 0);
    }
    expect("rsp", rsp, look.stack);
    let saved = &look.saved.0;
    expect("the x87 control word", saved[0] & 0xffff, 0x37f);
    expect("the x87 tag word", saved[0] >> 32 & 0xff, 0);
    expect("MXCSR", saved[3] & 0xffff_ffff, 0x1f80);
    for register in 0..8 {
        expect("an x87 register", saved[4 + 2 * register] | saved[5 + 2 * register] & 0xffff, 0);
    }
    for register in 0..16 {
        expect("a vector register", saved[20 + 2 * register] | saved[21 + 2 * register], 0);
        expect("a vector register's upper half", look.upper[register][0] | look.upper[register][1], 0);
    }
    faults
}
