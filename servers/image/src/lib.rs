//! Program images: how what an ELF file asks for ([`Layout`]) becomes a program ([`NewTeam`]), and which function and line an
//! address lies in ([`Symbols`], [`Lines`]).
//!
//! The supervisor, the program manager and the exception server share this.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod lines;
mod load;
mod symbols;

pub use formats::image::{BadImage, HEAD_BYTES, Layout};
pub use lines::Lines;
pub use load::{NewTeam, Owner, team_end};
pub use symbols::Symbols;

#[cfg(test)]
mod tests;
