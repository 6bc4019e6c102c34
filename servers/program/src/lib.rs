//! The program manager: loads ELF images into new teams, and keeps their ends for whoever started them.
//!
//! | module | what it has |
//! |---|---|
//! | `programs` | which programs run and have ended, and who waits |
//! | `cache` | images loaded before |
//! | `file` | files of images, held open |
//! | `images` | images out of files of file servers |
//! | `loader` | the process that waits for other nodes |
//! | `offers` | the node's load, and answers to bids |
//! | `moving` | programs that move between nodes |
//! | `stopping` | jobs that are stopped and let go on |
//! | `manage` | the requests, and the calls to the kernel |

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cache;
pub mod file;
pub mod images;
pub mod loader;
pub mod manage;
pub mod moving;
pub mod offers;
pub mod programs;
mod stopping;
