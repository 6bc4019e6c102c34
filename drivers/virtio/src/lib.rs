//! Virtio 1.0 devices on PCI.
//!
//! | module | what it has |
//! |---|---|
//! | [`transport`] | a device's registers: reset, features, start |
//! | [`queue`] | the split virtqueue, through which driver and device hand buffers to each other |
//! | [`way`] | a queue with its buffers |
//!
//! A buffer is one piece of memory and has a descriptor of its own, set up once: the number of the buffer is the number
//! of the descriptor. So handing one over is one store and the queue's index another. What a device writes is believed no
//! further than it is checked: numbers of buffers by [`hardware::buffers`], lengths by the driver.

#![no_std]
#![forbid(unsafe_code)]

pub mod queue;
pub mod transport;
pub mod way;

pub use queue::Queue;
pub use transport::Transport;
pub use way::Way;

/// The maker's number of all virtio devices.
pub const VENDOR: u16 = 0x1af4;

/// Features of all kinds of device.
pub mod feature {
    /// Driver and device say at which index they want to be told of more.
    pub const EVENT_INDEX: u64 = 1 << 29;
    /// The device follows the standard from version 1.0 on.
    pub const VERSION_1: u64 = 1 << 32;
}
