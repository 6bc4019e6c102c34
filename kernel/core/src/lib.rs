//! The logic of the V kernel: processes, messages, address spaces, time, groups and devices, in safe Rust over one
//! small trait, [`machine::Machine`]. It knows no processor; `kernel/x86_64` and the simulator run the same code.
//!
//! Start at `kernel` (tables and entry points), then `process`, then `ipc`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod frame;
pub mod kernel;
pub mod list;
pub mod machine;
pub mod priority;
pub mod process;
pub mod schedule;
pub mod table;
pub mod team;
pub mod timer;
pub mod transfer;

mod alarm;
pub mod birth;
mod death;
mod exception;
mod group_server;
mod interrupt;
mod ipc;
mod long_copy;
mod pending;
mod process_server;
pub mod request;
mod system_call;
mod time_server;
