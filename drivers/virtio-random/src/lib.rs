//! Virtio devices of random numbers: whoever reads `[random]` gets bytes that the host has drawn. The entropy server does, and
//! mixes them with what else it knows; programs have `[entropy]`, which is never short of them.
//!
//! | module | what it has |
//! |---|---|
//! | `source` | the device's queue, whatever the device may say |
//! | `device` | a device, brought up |
//! | `server` | the device as an instance of the I/O protocol |

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod device;
pub mod server;
pub mod source;
