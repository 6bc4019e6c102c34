//! A core file as GDB reads it: ELF's header, a program header for each piece of memory, notes about the threads in the layout
//! that Linux gives them on x86-64, and then the memory's bytes, piece by piece.

use alloc::vec::Vec;

use abi::PAGE_BYTES;
use abi::kernel::protection;
use abi::kernel::record::RegisterRecord;

/// Most pieces: the header has 16 bits for the number of program headers, of which the notes have one.
pub const MOST_PIECES: usize = 0xfff0;

const HEADER_BYTES: u64 = 64;
const PROGRAM_HEADER_BYTES: u64 = 56;
const TYPE_CORE: u16 = 4;
const MACHINE_X86_64: u16 = 62;
const LOAD: u32 = 1;
const NOTE: u32 = 4;
const NOTE_STATUS: u32 = 1;
const NOTE_PROGRAM: u32 = 3;
const NOTE_NAME: &[u8; 8] = b"CORE\0\0\0\0";
const STATUS_BYTES: usize = 336;
const PROGRAM_BYTES: usize = 136;
/// The selectors of Linux's programs of 64 bits, by which GDB knows what they are.
const CODE_SELECTOR: u64 = 0x33;
const DATA_SELECTOR: u64 = 0x2b;
/// For what is no system call.
const NO_CALL: u64 = u64::MAX;

/// A thread.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// By which GDB calls it.
    pub number: u32,
    /// The signal of that meaning, of what it has met; 0 if nothing.
    pub signal: u8,
    /// What it goes on with.
    pub registers: RegisterRecord,
}

/// Memory that the program has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Where it begins.
    pub address: u64,
    /// How long it is.
    pub bytes: u64,
    /// All of it is in the file, or nothing.
    pub is_saved: bool,
    /// Bits of [`protection`].
    pub protection: u32,
}

/// All before the memory's bytes. GDB begins with the first thread.
pub fn head(program: &str, threads: &[Thread], pieces: &[Piece]) -> Vec<u8> {
    let notes = notes(program, threads);
    let notes_at = HEADER_BYTES + (pieces.len() as u64 + 1) * PROGRAM_HEADER_BYTES;
    let mut at = (notes_at + notes.len() as u64).next_multiple_of(PAGE_BYTES);
    let mut out = Vec::with_capacity(at as usize);
    out.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    halves(&mut out, &[TYPE_CORE, MACHINE_X86_64]);
    words(&mut out, &[1]);
    doubles(&mut out, &[0, HEADER_BYTES, 0]);
    words(&mut out, &[0]);
    halves(&mut out, &[HEADER_BYTES as u16, PROGRAM_HEADER_BYTES as u16, pieces.len() as u16 + 1, 0, 0, 0]);
    words(&mut out, &[NOTE, 0]);
    doubles(&mut out, &[notes_at, 0, 0, notes.len() as u64, 0, 4]);
    for piece in pieces {
        let saved = if piece.is_saved { piece.bytes } else { 0 };
        words(&mut out, &[LOAD, flags(piece.protection)]);
        doubles(&mut out, &[at, piece.address, 0, saved, piece.bytes, PAGE_BYTES]);
        at += saved;
    }
    out.extend(notes);
    out.resize(out.len().next_multiple_of(PAGE_BYTES as usize), 0);
    out
}

/// A protection as program headers have it.
fn flags(bits: u32) -> u32 {
    [(protection::EXECUTE, 1), (protection::WRITE, 2), (protection::READ, 4)]
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .map(|(_, flag)| flag)
        .sum()
}

fn notes(program: &str, threads: &[Thread]) -> Vec<u8> {
    let mut out = Vec::new();
    for (place, thread) in threads.iter().enumerate() {
        note(&mut out, NOTE_STATUS, &status(thread));
        if place == 0 {
            note(&mut out, NOTE_PROGRAM, &about(program, thread.number));
        }
    }
    out
}

fn note(out: &mut Vec<u8>, kind: u32, content: &[u8]) {
    // The name's length is that with one zero; it is padded to words, as the contents are already.
    words(out, &[5, content.len() as u32, kind]);
    out.extend_from_slice(NOTE_NAME);
    out.extend_from_slice(content);
}

/// `elf_prstatus`.
fn status(thread: &Thread) -> Vec<u8> {
    let mut out = Vec::with_capacity(STATUS_BYTES);
    words(&mut out, &[u32::from(thread.signal), 0, 0, u32::from(thread.signal)]);
    doubles(&mut out, &[0, 0]);
    words(&mut out, &[thread.number, 0, 0, 0]);
    // Times that are not told.
    doubles(&mut out, &[0; 8]);
    let r = &thread.registers;
    doubles(&mut out, &[r.r15, r.r14, r.r13, r.r12, r.rbp, r.rbx, r.r11, r.r10, r.r9, r.r8]);
    doubles(&mut out, &[r.rax, r.rcx, r.rdx, r.rsi, r.rdi, NO_CALL, r.rip, CODE_SELECTOR, r.rflags]);
    // Then the bases and selectors of segments that nothing is in.
    doubles(&mut out, &[r.rsp, DATA_SELECTOR, 0, 0, 0, 0, 0, 0]);
    out.resize(STATUS_BYTES, 0);
    out
}

/// `elf_prpsinfo`.
fn about(program: &str, number: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(PROGRAM_BYTES);
    doubles(&mut out, &[0, 0]);
    words(&mut out, &[0, 0, number, 0, 0, 0]);
    for bytes in [16, 80] {
        let end = out.len() + bytes;
        let shown = program.len().min(bytes - 1);
        out.extend_from_slice(&program.as_bytes()[..shown]);
        out.resize(end, 0);
    }
    out
}

fn halves(out: &mut Vec<u8>, numbers: &[u16]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn words(out: &mut Vec<u8>, numbers: &[u32]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn doubles(out: &mut Vec<u8>, numbers: &[u64]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::elf::abi::{EM_X86_64, ET_CORE, PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE};
    use ::elf::note::Note;
    use ::elf::{ElfBytes, endian::LittleEndian};

    fn threads() -> [Thread; 2] {
        let registers = RegisterRecord {
            r15: 15,
            rdi: 5,
            rip: 0x40_1000,
            rsp: 0x7000,
            rflags: 0x202,
            ..RegisterRecord::default()
        };
        [Thread { number: 2, signal: 11, registers }, Thread { number: 1, signal: 0, registers }]
    }

    #[test]
    fn another_reader_finds_threads_and_memory() {
        let text = Piece {
            address: 0x40_0000,
            bytes: 0x2000,
            is_saved: false,
            protection: protection::READ | protection::EXECUTE,
        };
        let stack = Piece {
            address: 0x7000,
            bytes: 0x1000,
            is_saved: true,
            protection: protection::READ | protection::WRITE,
        };
        let mut file = head("crash", &threads(), &[stack, text]);
        let begin = file.len() as u64;
        file.resize(file.len() + 0x1000, 7);
        let core = ElfBytes::<LittleEndian>::minimal_parse(&file).unwrap();
        assert_eq!((core.ehdr.e_type, core.ehdr.e_machine), (ET_CORE, EM_X86_64));
        let headers: Vec<_> = core.segments().unwrap().iter().collect();
        let [notes, first, second] = &headers[..] else { panic!("{headers:?}") };
        assert_eq!((first.p_type, first.p_flags, first.p_vaddr), (PT_LOAD, PF_R | PF_W, 0x7000));
        assert_eq!((first.p_offset, first.p_filesz, first.p_memsz), (begin, 0x1000, 0x1000));
        assert_eq!((second.p_flags, second.p_filesz, second.p_memsz), (PF_R | PF_X, 0, 0x2000));
        assert_eq!(notes.p_type, PT_NOTE);
        let notes: Vec<_> = core
            .segment_data_as_notes(notes)
            .unwrap()
            .map(|note| match note {
                Note::Unknown(note) => (note.n_type, note.name, note.desc),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            notes.iter().map(|(kind, name, desc)| (*kind, *name, desc.len())).collect::<Vec<_>>(),
            [
                (1, b"CORE\0".as_slice(), STATUS_BYTES),
                (3, b"CORE\0".as_slice(), PROGRAM_BYTES),
                (1, b"CORE\0".as_slice(), STATUS_BYTES)
            ]
        );
        let double = |at: usize| u64::from_le_bytes(*notes[0].2[at..].first_chunk().unwrap());
        // The signal, the thread's number, and the registers from byte 112 on: the first, the eighth before the end...
        assert_eq!((notes[0].2[12], notes[0].2[32], notes[2].2[32]), (11, 2, 1));
        assert_eq!((double(112), double(112 + 14 * 8), double(112 + 16 * 8)), (15, 5, 0x40_1000));
        assert_eq!((double(112 + 18 * 8), double(112 + 19 * 8)), (0x202, 0x7000));
        assert!(notes[1].2[40..].starts_with(b"crash\0"));
    }
}
