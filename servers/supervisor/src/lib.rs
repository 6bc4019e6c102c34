//! The supervisor: the first team. It starts the services of `configuration/services` from images in the boot
//! archive, starts them again when they die or hang, and has the machine's power.
//!
//! | module | what it has |
//! |---|---|
//! | `configuration` | which services there are and what each may have |
//! | `services` | the state of each, and when which is started |
//! | `watchdog` | who hangs |
//! | `devices` | which service has which device, and what becomes of a device whose driver ends |
//! | `launch` | a service's image, team, resources and start block |
//! | `supervise` | the requests, the kernel's notices, and what is due |
//! | `operate` | what operators ask: power, and the kernel's trace for those of other nodes |
//! | `power` | off and restart |
//! | `clock` | the date at boot |
//! | `configuration_space` | how the devices' configuration space is reached |
//! | `acpi` | what the firmware's tables say of that and of power |
//! | `physical`, `ports` | the memory that those tables lie in, and I/O ports |
//!
//! The first four, and `acpi`, decide, and run under `cargo test`; the others act.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod acpi;
pub mod clock;
pub mod configuration;
pub mod configuration_space;
pub mod devices;
pub mod launch;
pub mod operate;
mod physical;
mod ports;
pub mod power;
pub mod services;
pub mod supervise;
pub mod watchdog;
