//! What a person reads about a fault.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::kernel::record::RegisterRecord;
use abi::notice::notice::Exception;
use abi::notice::{PANIC_MARK, REASON_SHIFT};
use abi::{Error, Pid, UserId};

/// The processor's number of a breakpoint.
const BREAKPOINT: u32 = 3;

/// Whom it happened to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Victim {
    /// Its program's name.
    pub name: String,
    /// The process.
    pub process: Pid,
    /// Whose it is.
    pub user: UserId,
}

/// The report, line by line.
pub fn lines(
    victim: &Victim,
    exception: &Exception,
    registers: &RegisterRecord,
    calls: &[String],
) -> Vec<String> {
    let mut lines = Vec::from([
        format!("{}: {}", victim.name, what(exception)),
        format!(
            "process {} of user {}, instruction {:#x}, flags {:#x}",
            victim.process, victim.user, registers.rip, registers.rflags
        ),
    ]);
    lines.extend(register_lines(registers));
    for (depth, call) in calls.iter().enumerate() {
        lines.push(format!("{} {call}", if depth == 0 { "at" } else { "in" }));
    }
    lines
}

/// Whether a program has executed the breakpoint that ends a panic.
pub fn is_panic(exception: &Exception, registers: &RegisterRecord) -> bool {
    exception.vector == BREAKPOINT && registers.rax == PANIC_MARK
}

/// The report of a panic. Why it panicked the program has said itself; its registers say nothing.
pub fn panic_lines(victim: &Victim, calls: &[String]) -> Vec<String> {
    let mut lines =
        Vec::from([format!("{}: panicked; process {} of user {}", victim.name, victim.process, victim.user)]);
    lines.extend(calls.iter().map(|call| format!("in {call}")));
    lines
}

fn register_lines(r: &RegisterRecord) -> impl Iterator<Item = String> {
    let rows = [
        [("rax", r.rax), ("rbx", r.rbx), ("rcx", r.rcx), ("rdx", r.rdx)],
        [("rsi", r.rsi), ("rdi", r.rdi), ("rbp", r.rbp), ("rsp", r.rsp)],
        [("r8 ", r.r8), ("r9 ", r.r9), ("r10", r.r10), ("r11", r.r11)],
        [("r12", r.r12), ("r13", r.r13), ("r14", r.r14), ("r15", r.r15)],
    ];
    rows.into_iter().map(|row| row.map(|(name, value)| format!("{name} {value:016x}")).join("  "))
}

/// What the program did.
fn what(exception: &Exception) -> String {
    const PRESENT: u32 = 1;
    const WRITE: u32 = 2;
    const FETCH: u32 = 16;
    let name = match exception.vector {
        0 => "division error",
        1 => "debug exception",
        BREAKPOINT => "breakpoint",
        4 => "overflow",
        5 => "bound exceeded",
        6 => "invalid instruction",
        7 => "no coprocessor",
        8 => "double fault",
        11 => "segment not present",
        12 => "stack fault",
        13 => "protection fault",
        16 | 19 => "floating-point error",
        17 => "misaligned access",
        21 => "control protection fault",
        14 => {
            let (code, address) = (exception.code, exception.address);
            let access = if code & FETCH != 0 {
                "executed"
            } else if code & WRITE != 0 {
                "wrote to"
            } else {
                "read from"
            };
            let reason = Error::from_code(code >> REASON_SHIFT);
            return match reason {
                Error::Unknown(0) | Error::BadAddress if code & PRESENT != 0 => {
                    format!("page fault: it {access} {address:#x}, which it may not")
                }
                Error::Unknown(0) | Error::BadAddress => {
                    format!("page fault: it {access} {address:#x}, where it has no memory")
                }
                reason => {
                    format!("page fault: it {access} {address:#x}, whose page it cannot have: {reason}")
                }
            };
        }
        vector => return format!("exception {vector}, code {:#x}", exception.code),
    };
    match exception.code {
        0 => String::from(name),
        code => format!("{name}, code {code:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::ToString;

    fn exception(vector: u32, code: u32) -> Exception {
        Exception { vector, code, address: 0x10, instruction: 0x40_0000 }
    }

    const fn refused(reason: Error) -> u32 {
        reason.code() << REASON_SHIFT
    }

    #[test]
    fn faults_are_told_in_words() {
        for (vector, code, text) in [
            (0, 0, "division error"),
            (13, 0x1a, "protection fault, code 0x1a"),
            (14, 4, "page fault: it read from 0x10, where it has no memory"),
            (14, 7, "page fault: it wrote to 0x10, which it may not"),
            (14, 0x15, "page fault: it executed 0x10, which it may not"),
            (14, 4 | refused(Error::BadAddress), "page fault: it read from 0x10, where it has no memory"),
            (
                14,
                6 | refused(Error::DiedBeforeReply),
                "page fault: it wrote to 0x10, whose page it cannot have: the other process died before it replied",
            ),
            (99, 1, "exception 99, code 0x1"),
        ] {
            assert_eq!(what(&exception(vector, code)), text);
        }
    }

    #[test]
    fn a_panic_is_told_apart_from_a_breakpoint() {
        let marked = RegisterRecord { rax: PANIC_MARK, ..RegisterRecord::default() };
        assert!(is_panic(&exception(3, 0), &marked));
        assert!(!is_panic(&exception(3, 0), &RegisterRecord::default()));
        assert!(!is_panic(&exception(6, 0), &marked));
    }

    #[test]
    fn a_report_has_everything() {
        let victim = Victim { name: "crash".to_string(), process: "1.2.3".parse().unwrap(), user: UserId(1) };
        let registers = RegisterRecord { rip: 0x40_0000, r15: 0xff, ..RegisterRecord::default() };
        let calls = ["0x400000 main+0x0".to_string(), "0x400010".to_string()];
        let lines = lines(&victim, &exception(6, 0), &registers, &calls);
        assert_eq!(lines[0], "crash: invalid instruction");
        assert_eq!(lines[1], "process 1.2.3 of user 1, instruction 0x400000, flags 0x0");
        assert!(lines[5].ends_with("r15 00000000000000ff"));
        assert_eq!(lines[6..], ["at 0x400000 main+0x0", "in 0x400010"]);
    }
}
