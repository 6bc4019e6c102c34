//! Program images: what an ELF file asks for ([`Layout`]), how that becomes a program ([`NewTeam`]), and which
//! function an address lies in ([`Symbols`]).
//!
//! The supervisor, the program manager and the exception server share this. A file is hostile until its layout is
//! checked: afterwards every segment lies in the space for images, no two touch one page, none is writable and
//! executable, and all their bytes are in the file.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod layout;
mod load;
mod symbols;

pub use layout::{BadImage, HEAD_BYTES, IMAGE_BEGIN, IMAGE_END, Layout, Segment};
pub use load::{NewTeam, Owner, team_end};
pub use symbols::Symbols;

#[cfg(test)]
mod tests;
