//! The program manager: loads ELF images into new teams, and keeps their ends for whoever started them.
//!
//! | module | what it has |
//! |---|---|
//! | `programs` | which programs run and have ended, and who waits |
//! | `cache` | images loaded before |
//! | `manage` | the requests, and the calls to kernel and file servers |

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cache;
pub mod manage;
pub mod programs;
