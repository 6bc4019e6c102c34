//! Everything that an interrupted or faulting process had in its registers.
//!
//! One area for each process slot, allocated at boot. The entry code fills it and resumes from it.

use core::mem::offset_of;

use abi::USER_ADDRESS_END;
use abi::call::Registers;
use abi::kernel::record::RegisterRecord;

use crate::features::{self, VECTOR_STATE_BYTES};

/// Flags that a program may set: arithmetic, trap, direction, overflow, resume, alignment, identification.
const USER_FLAGS: u64 = 0x0025_0dd5;
/// Flags that it always has: the second bit, and interrupts on.
pub const FIXED_FLAGS: u64 = 0x202;

/// The areas' layout; the entry code knows the offsets.
#[repr(C)]
pub struct Saved {
    /// As debuggers see them.
    pub registers: RegisterRecord,
    /// What XSAVE wrote.
    pub vector: VectorState,
}

// The entry code finds a process's area by a shift, and the general registers in their order.
const _: () = assert!(size_of::<Saved>().is_power_of_two() && offset_of!(Saved, registers.r15) == 15 * 8);

impl Saved {
    /// An area as it must be before its first use.
    pub fn empty() -> Saved {
        let registers = RegisterRecord { rflags: FIXED_FLAGS, ..RegisterRecord::default() };
        Saved { registers, vector: VectorState::CLEAN }
    }

    /// Changes the general registers. Flags that a program may not set stay as they must be, and addresses where no
    /// program can be become 0.
    pub fn set(&mut self, registers: &RegisterRecord) {
        self.registers = RegisterRecord {
            rip: user_address(registers.rip),
            rsp: user_address(registers.rsp),
            rflags: registers.rflags & USER_FLAGS | FIXED_FLAGS,
            ..*registers
        };
    }

    /// As if the process had been interrupted where its system call returns.
    pub fn set_results(&mut self, results: &Registers) {
        self.registers =
            RegisterRecord { rflags: results.flags | FIXED_FLAGS, ..RegisterRecord::from(results) };
        self.vector = VectorState::CLEAN;
    }

    /// Whether the processor can return to where this was.
    pub fn is_resumable(&self) -> bool {
        self.registers.rip < USER_ADDRESS_END
    }
}

const fn user_address(address: u64) -> u64 {
    if address < USER_ADDRESS_END { address } else { 0 }
}

/// Vector registers, where XSAVE wants them.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct VectorState([u8; VECTOR_STATE_BYTES]);

impl VectorState {
    /// As a program finds it at its start and after each system call: registers zero, all exceptions masked.
    pub const CLEAN: VectorState = {
        let mut state = [0; VECTOR_STATE_BYTES];
        // x87 control word 0x037f; MXCSR 0x1f80.
        state[0] = 0x7f;
        state[1] = 0x03;
        state[24] = 0x80;
        state[25] = 0x1f;
        VectorState(state)
    };

    /// As XSAVE wrote them.
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Such bytes of whatever origin, unless the processor would refuse them.
    pub fn checked(bytes: &[u8]) -> Option<VectorState> {
        let state = VectorState(bytes.try_into().ok()?);
        let word =
            |at: usize| bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes);
        let components = word(HEADER)?;
        let is_plain = bytes[HEADER + 8..HEADER + 64].iter().all(|byte| *byte == 0);
        let control = (word(MXCSR)? & 0xffff_ffff) as u32;
        (components & !features::vector_components() == 0 && is_plain && control & !MXCSR_BITS == 0)
            .then_some(state)
    }
}

/// Where XSAVE's header is: the components that are there, then what its standard form has zeros for.
const HEADER: usize = 512;
/// Where the vector unit's control register is, and the bits that it may have.
const MXCSR: usize = 24;
const MXCSR_BITS: u32 = 0xffff;
