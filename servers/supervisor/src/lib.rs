//! The supervisor.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod acpi;
pub mod configuration;
pub mod services;
pub mod watchdog;
