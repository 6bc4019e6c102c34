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

/// Bytes of those that are told.
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

fn long(r: &RegisterRecord) -> [u64; LONG.len()] {
    [
        r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
        r.r14, r.r15, r.rip,
    ]
}

/// All registers, as the answer to `g`.
pub fn told(registers: &RegisterRecord) -> Vec<u8> {
    let mut text: Vec<u8> =
        long(registers).iter().flat_map(|register| hex(&register.to_le_bytes())).collect();
    text.extend(hex(&(registers.rflags as u32).to_le_bytes()));
    text.resize(text.len() + 2 * UNKNOWN_BYTES, b'x');
    text
}

/// Changes registers to what `G` says of them.
pub fn take(text: &[u8], registers: &mut RegisterRecord) -> Option<()> {
    let bytes = bytes(text.get(..2 * TOLD_BYTES)?)?;
    let (words, flags) = bytes.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let [rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip] =
        *words.first_chunk::<17>()?;
    let rflags = u64::from(u32::from_le_bytes(*flags.first_chunk::<4>()?));
    *registers = RegisterRecord {
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rbp,
        rsp,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rip,
        rflags,
    };
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
        let mut taken = RegisterRecord::default();
        assert_eq!(take(&text, &mut taken), Some(()));
        assert_eq!(taken, registers);
        assert_eq!(take(&text[..30], &mut taken), None);
        assert_eq!(description().matches("<reg ").count(), 17 + 1 + 6 + 8 + 8);
    }
}
