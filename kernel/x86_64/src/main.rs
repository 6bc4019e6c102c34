//! The V kernel for x86-64: the machine under `kernel-core`, and every unsafe line of the kernel.
//!
//! `boot` is the way in. No code here ever touches a user address, and no exception in the kernel is legal: any is a
//! panic with a report. Interrupts are off whenever this code runs.

#![no_std]
#![no_main]

mod boot;
mod builtins;
mod instructions;
mod log;
mod panic;

use log::say;

/// Entered from `boot` with what the loader left.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(protocol: u32, information: u32) -> ! {
    log::initialize();
    say!("V: boot protocol {protocol:#x}, information at {information:#x}");
    panic!("nothing to run yet");
}
