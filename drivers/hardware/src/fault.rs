//! Faults made on purpose, for `crash` and for tests of what the system does about them.

use core::arch::asm;

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Reads address 0: page fault.
    Null,
    /// Writes where nothing is mapped: page fault.
    Unmapped,
    /// Writes the program's own code: page fault.
    WriteReadOnly,
    /// Runs bytes on the stack: page fault.
    ExecuteData,
    /// Divides by zero: divide error.
    Divide,
    /// An instruction that is none: invalid opcode.
    InvalidOpcode,
    /// Halts the processor: general protection.
    Privileged,
    /// Reads an address that cannot be: general protection.
    NonCanonical,
    /// Reads the kernel's memory: page fault.
    KernelAddress,
    /// A debugger's instruction: breakpoint.
    Breakpoint,
    /// Divides by zero in a vector register with the exception unmasked: SIMD exception.
    Simd,
}

/// Causes it. Returns if a debugger resumes the program behind the fault.
pub fn cause(fault: Fault) {
    match fault {
        Fault::Null => read(0),
        Fault::Unmapped => write(0x0000_5555_0000_0000),
        Fault::WriteReadOnly => write(cause as fn(Fault) as usize),
        Fault::ExecuteData => {
            let code = [0xc3_u8; 16];
            // SAFETY: the stack is mapped without the right to execute, so this faults at the call's target; were
            // it not, the bytes are `ret`, which comes back with nothing changed.
            unsafe { asm!("call {}", in(reg) code.as_ptr(), clobber_abi("C")) };
        }
        Fault::Divide => {
            // SAFETY: changes nothing but the two registers named.
            unsafe {
                asm!("xor edx, edx", "div {zero:e}", zero = in(reg) 0, inout("eax") 1 => _, out("edx") _);
            };
        }
        // SAFETY: the instruction is defined to fault and nothing else.
        Fault::InvalidOpcode => unsafe { asm!("ud2") },
        // SAFETY: outside ring 0 the instruction only faults.
        Fault::Privileged => unsafe { asm!("hlt") },
        Fault::NonCanonical => read(0x8000_0000_0000_0000),
        Fault::KernelAddress => read(0xffff_ffff_8010_0000),
        // SAFETY: the instruction only traps.
        Fault::Breakpoint => unsafe { asm!("int3") },
        Fault::Simd => {
            let unmasked: u32 = 0x1f80 & !0x200;
            // SAFETY: loads a legal MXCSR and divides within two scratch registers.
            unsafe {
                asm!(
                    "ldmxcsr [{control}]",
                    "xorps {zero}, {zero}",
                    "mov {one:e}, 1",
                    "cvtsi2ss {value}, {one:e}",
                    "divss {value}, {zero}",
                    control = in(reg) &raw const unmasked,
                    one = out(reg) _,
                    zero = out(xmm_reg) _,
                    value = out(xmm_reg) _,
                );
            }
        }
    }
}

fn read(address: usize) {
    // SAFETY: the address is not mapped for this program, so the load faults and gives nothing.
    unsafe { asm!("mov {value}, [{address}]", address = in(reg) address, value = out(reg) _) };
}

fn write(address: usize) {
    // SAFETY: the address is not mapped for writing, so the store faults and changes nothing.
    unsafe { asm!("mov byte ptr [{address}], 0", address = in(reg) address) };
}
