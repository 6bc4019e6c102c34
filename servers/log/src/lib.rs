//! The log server: what servers and the kernel say, in one order, kept and read as `[log]`.
//!
//! Everything goes through the kernel's log, which also reaches the machine's log device: an entry is given its
//! heading and handed to the kernel, and what the kernel's log has gained is taken from there. So the order is the
//! true one, an entry survives the death of this server as long as the kernel's ring keeps it, and what others write
//! to the kernel's log directly is there as well.
//!
//! | module | what it has |
//! |---|---|
//! | `ring` | the text that is kept |
//! | `lines` | an entry as lines |
//! | `serve` | the requests |

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod lines;
pub mod ring;
pub mod serve;
