//! Everything that an interrupted or faulting process had in its registers.
//!
//! One area for each process slot, allocated at boot. The entry code fills it and resumes from it.

use abi::USER_ADDRESS_END;
use abi::call::Registers;
use abi::kernel::record::RegisterRecord;

use crate::features::VECTOR_STATE_BYTES;

/// Flags that a program may set: arithmetic, trap, direction, overflow, resume, alignment, identification.
const USER_FLAGS: u64 = 0x0025_0dd5;
/// Flags that it always has: the second bit, and interrupts on.
pub const FIXED_FLAGS: u64 = 0x202;

/// The areas' layout; the entry code knows the offsets.
#[repr(C, align(64))]
pub struct Saved {
    /// rax, rbx, rcx, rdx, rsi, rdi, rbp, r8 to r15.
    pub general: [u64; 15],
    /// rip.
    pub instruction: u64,
    /// The flags.
    pub flags: u64,
    /// rsp.
    pub stack: u64,
    reserved: [u64; 6],
    /// What XSAVE wrote, or FXSAVE.
    vector: [u8; VECTOR_STATE_BYTES],
}

// The entry code finds a process's area by a shift.
const _: () = assert!(size_of::<Saved>().is_power_of_two());

/// Offset of `general`'s word for a register, for the entry code.
pub mod offset {
    use super::Saved;
    use core::mem::offset_of;
    /// Of `instruction`.
    pub const INSTRUCTION: usize = offset_of!(Saved, instruction);
    /// Of `flags`.
    pub const FLAGS: usize = offset_of!(Saved, flags);
    /// Of `stack`.
    pub const STACK: usize = offset_of!(Saved, stack);
    /// Of `vector`.
    pub const VECTOR: usize = offset_of!(Saved, vector);
}

impl Saved {
    /// An area as it must be before its first use.
    pub const EMPTY: Saved = Saved {
        general: [0; 15],
        instruction: 0,
        flags: FIXED_FLAGS,
        stack: 0,
        reserved: [0; 6],
        vector: clean_vector_state(),
    };

    /// The registers, as debuggers see them.
    pub fn record(&self) -> RegisterRecord {
        let [rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15] = self.general;
        RegisterRecord {
            rax,
            rbx,
            rcx,
            rdx,
            rsi,
            rdi,
            rbp,
            rsp: self.stack,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            rip: self.instruction,
            rflags: self.flags,
        }
    }

    /// Changes the general registers. Flags that a program may not set stay as they must be, and addresses where no
    /// program can be become 0.
    pub fn set(&mut self, record: &RegisterRecord) {
        let r = record;
        self.general = [
            r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14,
            r.r15,
        ];
        self.instruction = user_address(r.rip);
        self.stack = user_address(r.rsp);
        self.flags = r.rflags & USER_FLAGS | FIXED_FLAGS;
    }

    /// As if the process had been interrupted where its system call returns.
    pub fn set_results(&mut self, registers: &Registers) {
        let [rsi, rdx, r8, r9] = registers.message;
        let [r10, r12, r13, r14, r15] = registers.extra;
        self.general =
            [registers.number, 0, 0, rdx, rsi, registers.pid, 0, r8, r9, r10, 0, r12, r13, r14, r15];
        self.instruction = registers.instruction;
        self.stack = registers.stack;
        self.flags = registers.flags | FIXED_FLAGS;
        self.vector = clean_vector_state();
    }

    /// Whether the processor can return to where this was.
    pub fn is_resumable(&self) -> bool {
        self.instruction < USER_ADDRESS_END
    }
}

const fn user_address(address: u64) -> u64 {
    if address < USER_ADDRESS_END { address } else { 0 }
}

/// Vector state as a program finds it at its start and after each system call: registers zero, all exceptions masked.
pub const fn clean_vector_state() -> [u8; VECTOR_STATE_BYTES] {
    let mut state = [0; VECTOR_STATE_BYTES];
    // x87 control word 0x037f; MXCSR 0x1f80.
    state[0] = 0x7f;
    state[1] = 0x03;
    state[24] = 0x80;
    state[25] = 0x1f;
    state
}
