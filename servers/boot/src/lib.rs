//! Starts machines over the network, with files of this node: it gives them addresses by DHCP and files by TFTP.
//!
//! [`BootServer`] is a function of frames, times and files; the program around it has the card. Everything in a frame is
//! hostile until checked. [`wire`] takes frames apart and makes them, [`dhcp`] answers who asks for an address to start
//! with, [`tftp`] reads and writes the packets of files, and [`transfers`] sends files, each block until it is
//! acknowledged. Invariants: what is kept is bounded, whoever asks; only files under one folder are sent.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod dhcp;
pub mod server;
#[cfg(test)]
mod tests;
pub mod tftp;
pub mod transfers;
pub mod wire;

pub use server::BootServer;
