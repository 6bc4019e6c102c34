//! The logic of the V kernel: processes, messages, address spaces, time, groups and devices, in safe Rust over one
//! small trait, [`machine::Machine`]. It knows no processor; `kernel/x86_64` and the simulator run the same code.
//!
//! Start at `kernel` (tables and entry points), then `process`, then `ipc`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod alien;
pub mod birth;
mod block;
pub mod boot;
pub mod cache;
pub mod frame;
pub mod group;
pub mod kernel;
pub mod list;
pub mod log;
pub mod machine;
pub mod object;
pub mod page_request;
pub mod paging;
pub mod priority;
pub mod process;
pub mod region;
pub mod request;
pub mod ring;
pub mod schedule;
pub mod table;
pub mod team;
pub mod timer;
pub mod trace;
pub mod transfer;

mod alarm;
mod death;
mod device_server;
mod exception;
mod freeze;
mod group_send;
mod group_server;
mod guest_memory;
mod guest_state;
mod interrupt;
mod ipc;
mod long_copy;
mod memory;
mod memory_server;
mod process_server;
mod reclaim;
mod remote;
pub mod short_path;
mod short_remote;
mod statistics_server;
mod system_call;
mod time_server;

/// What may fail, mostly with an error that programs know.
pub type Result<T, E = abi::Error> = core::result::Result<T, E>;

/// The error unless the condition holds.
#[inline]
pub(crate) fn ensure(condition: bool, error: abi::Error) -> Result<()> {
    if condition { Ok(()) } else { Err(error) }
}

#[cfg(test)]
#[path = "tests/machine.rs"]
mod test_machine;
