//! Kernel cores in one host process: the second machine under the kernel's logic.
//!
//! [`SimulatedMachine`] keeps address spaces as maps of pages in host memory and a clock that stands still until it is
//! told otherwise. [`Node`] is a kernel on such a machine, driven by a test: any process that is ready can be made the
//! running one and given a system call, so that every interleaving can be had on purpose. [`check`] tests what must
//! hold between any two steps. [`network`] has many nodes on a network that loses, repeats, delays and corrupts.

#![forbid(unsafe_code)]

pub mod check;
mod draft;
mod machine;
pub mod network;
pub mod node;
pub mod storm;

pub use machine::{SimulatedMachine, Space};
pub use node::{Node, Outcome, system_call};
