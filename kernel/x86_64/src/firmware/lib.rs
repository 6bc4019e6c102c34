//! What firmware and boot loaders tell the kernel, read by safe code and tested on the host.
//!
//! Everything here works on physical memory through [`formats::Memory`]. Tables are allegations like any other input: lengths
//! and checksums are checked, and what makes no sense is left out.

#![no_std]
#![forbid(unsafe_code)]

pub mod loader;
pub mod platform;
pub mod ranges;
