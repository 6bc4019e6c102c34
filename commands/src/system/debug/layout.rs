//! Registers as GDB wants them: of "org.gnu.gdb.i386.core" those that a program's process has here, and of the others, the
//! x87 unit's among them, that they are not known.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::kernel::record::RegisterRecord;

use super::packet::{bytes, hex};

/// The general registers and the instruction pointer: 64 bits each.
const LONG: [&str; 17] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "rip",
];
/// Behind the flags: segments, 32 bits each.
const SEGMENTS: [&str; 6] = ["cs", "ss", "ds", "es", "fs", "gs"];
/// Registers of the x87 stack, 80 bits each.
const STACK_REGISTERS: usize = 8;
/// The x87 unit's control, 32 bits each.
const CONTROL: [&str; 8] = ["fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"];

/// Bytes of those that are told: a record has them in GDB's order, with flags of 64 bits at its end.
const TOLD_BYTES: usize = LONG.len() * 8 + 4;
/// Bytes of those that are not.
const UNKNOWN_BYTES: usize = (SEGMENTS.len() + CONTROL.len()) * 4 + STACK_REGISTERS * 10;

/// What GDB is told of the machine.
pub fn description() -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>\
         <architecture>i386:x86-64</architecture><feature name=\"org.gnu.gdb.i386.core\">",
    );
    let mut add = |name: &str, bits: u32, kind: &str| {
        for part in ["<reg name=\"", name, "\" bitsize=\"", &bits.to_string(), "\" type=\"", kind, "\"/>"] {
            text += part;
        }
    };
    for name in LONG {
        let kind = match name {
            "rip" => "code_ptr",
            "rbp" | "rsp" => "data_ptr",
            _ => "int64",
        };
        add(name, 64, kind);
    }
    add("eflags", 32, "int32");
    for name in SEGMENTS {
        add(name, 32, "int32");
    }
    for number in 0..STACK_REGISTERS {
        add(&format!("st{number}"), 80, "i387_ext");
    }
    for name in CONTROL {
        add(name, 32, "int");
    }
    text + "</feature></target>"
}

/// All registers, as the answer to `g`.
pub fn told(registers: &RegisterRecord) -> Vec<u8> {
    let mut text = hex(&registers.to_bytes()[..TOLD_BYTES]);
    text.resize(text.len() + 2 * UNKNOWN_BYTES, b'x');
    text
}

/// Changes registers to what `G` says of them.
pub fn take(text: &[u8], registers: &mut RegisterRecord) -> Option<()> {
    let mut bytes = bytes(text.get(..2 * TOLD_BYTES)?)?;
    bytes.resize(RegisterRecord::BYTES, 0);
    *registers = RegisterRecord::from_bytes(bytes.first_chunk()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_can_be_taken() {
        let registers = RegisterRecord {
            rax: 0x0123,
            rsp: 0x7fff,
            rip: u64::MAX,
            rflags: 0x202,
            ..RegisterRecord::default()
        };
        let text = told(&registers);
        assert!(text.starts_with(b"2301000000000000") && text.ends_with(b"xx"));
        assert!(
            text[7 * 16..].starts_with(b"ff7f") && text[16 * 16..].starts_with(b"ffffffffffffffff02020000xx")
        );
        let mut taken = RegisterRecord::default();
        assert_eq!(take(&text, &mut taken), Some(()));
        assert_eq!(taken, registers);
        assert_eq!(take(&text[..30], &mut taken), None);
        assert_eq!(description().matches("<reg ").count(), 17 + 1 + 6 + 8 + 8);
    }
}
