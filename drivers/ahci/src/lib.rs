//! SATA disks at AHCI controllers (Serial ATA AHCI 1.3.1).
//!
//! | module | what it has |
//! |---|---|
//! | `registers` | a controller's registers and those of its ports |
//! | `identify` | what a disk says of itself |
//! | `requests` | a port's requests: tables of commands, and which of them have ended |
//! | `device` | from a device that was found to its disks |
//!
//! Each port with a disk is a disk. Commands are plain DMA ones: the controller has as many as there are slots, and gives
//! the disk one after the other. When one fails, the port stops; it is started again, and what was behind goes on.
//! `requests` and `identify` need no more than memory, and are tested on the host against whatever a device may say.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod device;
pub mod identify;
pub mod registers;
pub mod requests;
