//! The exception server: a program that faults stops and is reported here, with registers and backtrace, and ended.
//!
//! | module | what it has |
//! |---|---|
//! | `backtrace` | the callers of a stopped process, from its frame pointers |
//! | `images` | the programs of the boot archive, for the names of functions |
//! | `report` | what a person reads |
//! | `serve` | the exceptions, and whom they are told to |
//!
//! It Sends to no server on whose behalf it might be at work: a faulting service is reported in the kernel's log
//! alone. What it tells a program's standard error, it tells from a process of its own for each report, because
//! nobody knows who serves that.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod backtrace;
pub mod images;
pub mod report;
pub mod serve;
