//! The logic of the V kernel: processes, messages, address spaces, time, groups and devices, in safe Rust over one
//! small trait, [`machine::Machine`]. It knows no processor; `kernel/x86_64` and the simulator run the same code.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod frame;
pub mod machine;
