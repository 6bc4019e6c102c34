//! Keyboards: their keys go to the display server, which knows what stands on them and who is to read it. Two services run this
//! program: `virtio-input`, which is given virtio's devices, and `ps2`, which is given the ports of the controller that every PC
//! has, or pretends to.
//!
//! | module | what it has |
//! |---|---|
//! | `server` | from a keyboard's interrupt to the display server, and back to the keyboard's lights |
//! | `controller` | the PC's controller |
//! | `codes` | what comes from it, as keys |
//! | `input` | a virtio input device, brought up |
//! | `facts` | what such a device says of itself |
//! | `events` | its two queues, whatever it may say in them |

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod codes;
pub mod controller;
pub mod events;
pub mod facts;
pub mod input;
pub mod server;
