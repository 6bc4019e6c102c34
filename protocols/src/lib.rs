//! The protocols of the V servers, one file each.

#![no_std]
#![forbid(unsafe_code)]

pub mod host_channel;
