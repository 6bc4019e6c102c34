//! NVMe disks: the namespaces of NVM Express controllers (base specification 1.0 to 2.0).
//!
//! | module | what it has |
//! |---|---|
//! | `controller` | a controller's registers: reset, start, doorbells |
//! | `queue` | a pair of queues: commands go to the device by one, and their ends come by the other |
//! | `command` | what commands look like |
//! | `identify` | what a controller and a namespace say of themselves |
//! | `device` | from a device that was found to its disks |
//! | `requests` | a disk's requests at the device |
//!
//! Each namespace is a disk and has a pair of queues of its own, so that disks of one controller have nothing in common but
//! its interrupt. The pair for administration is used at the start only, and nothing interrupts for it. All but
//! `controller` and `device` needs no more than memory, and is tested on the host against whatever a device may say.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod command;
pub mod controller;
pub mod device;
pub mod identify;
pub mod queue;
pub mod requests;
