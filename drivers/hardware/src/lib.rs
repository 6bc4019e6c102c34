//! Ports, device memory and interrupts for user-level drivers: the kernel's device server as safe types.
//!
//! A team uses only what it was granted (see `abi::kernel::device`), so that a driver's reach is written down in the
//! supervisor's configuration. This is the one crate of the drivers with `unsafe` code.
//!
//! | module | what it has |
//! |---|---|
//! | [`port`] | I/O ports |
//! | [`interrupt`] | interrupts, which come as messages |
//! | [`register`] | device registers in memory |
//! | [`dma`] | memory that a device reads and writes |
//! | [`buffers`] | pieces of it that driver and device have by turns |
//! | [`device`] | a PCI device that the team was given: its registers, its interrupt |
//! | [`physical`] | memory that holds facts |
//! | [`random`] | the processor's random numbers |
//! | [`fault`] | faults on purpose |

#![no_std]

extern crate alloc;

pub mod buffers;
pub mod device;
pub mod dma;
pub mod fault;
pub mod interrupt;
pub mod physical;
pub mod port;
pub mod random;
pub mod register;

/// The driver in the book compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/book/drivers.md")]
struct Book;
