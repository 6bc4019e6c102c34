//! Ports, device memory and interrupts for user-level drivers.

#![no_std]

pub mod fault;
pub mod physical;
