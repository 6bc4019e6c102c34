//! Virtio disks.
//!
//! One queue. A request has a head, which says what to do and where, data, and a byte in which the device says how it went:
//! three parts, of which the data is in the slot's buffer and the rest in the slot's record. So each slot has one place in
//! the queue, described once.
//!
//! `device` brings a device up, `requests` has what goes on then, which needs nothing but memory, and so is tested on the
//! host against whatever a device may say.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod device;
pub mod requests;
