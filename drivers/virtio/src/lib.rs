//! Virtio 1.0 devices on PCI.
//!
//! | module | what it has |
//! |---|---|
//! | [`transport`] | a device's registers: reset, features, start |
//! | [`queue`] | the split virtqueue, through which driver and device hand buffers to each other |
//! | [`indirect`] | buffers of several parts |
//! | [`way`] | a queue with its buffers |
//! | [`inbox`] | what a device tells by itself, in small buffers |
//!
//! A buffer has a descriptor of its own, set up once, for its one piece of memory or for a table of its parts: the number
//! of the buffer is the number of the descriptor. So handing one over is one store and the queue's index another. What a device writes is believed no
//! further than it is checked: numbers of buffers by [`hardware::buffers`], lengths by the driver.

#![no_std]
#![forbid(unsafe_code)]

pub mod inbox;
pub mod indirect;
pub mod queue;
pub mod transport;
pub mod way;

pub use inbox::Inbox;
pub use queue::Queue;
pub use transport::Transport;
pub use way::Way;

/// The maker's number of all virtio devices.
pub const VENDOR: u16 = 0x1af4;

/// Features of all kinds of device.
pub mod feature {
    /// A descriptor may lead to a table of others.
    pub const INDIRECT: u64 = 1 << 28;
    /// Driver and device say at which index they want to be told of more.
    pub const EVENT_INDEX: u64 = 1 << 29;
    /// The device follows the standard from version 1.0 on.
    pub const VERSION_1: u64 = 1 << 32;
}
