//! Entry, panic handler and allocator of a V program; loaded by binaries only.
//!
//! Libraries and tests on the host link the crate `v` alone, so nothing here meets the host's own entry, panic
//! handler and allocator, though V programs are built for the host's target.
//!
//! # A program's package
//! Its manifest depends on `v` and `v-start`, says `[package.metadata.v] program = true`, and each `[[bin]]` has
//! `test = false, bench = false, doctest = false`. Its `build.rs` passes on the linker's arguments, which this
//! crate's own build script gives:
//!
//! ```text
//! fn main() {
//!     let arguments = std::env::var("DEP_V_START_LINK_ARGUMENTS").expect("v-start is a dependency");
//!     arguments.split('|').for_each(|argument| println!("cargo::rustc-link-arg-bins={argument}"));
//! }
//! ```
//!
//! The program itself:
//!
//! ```text
//! #![no_std]
//! #![no_main]
//! use v::prelude::*;
//!
//! v_start::program!(main);
//!
//! fn main() -> i32 {
//!     println!("hello");
//!     0
//! }
//! ```
//!
//! `main` may return anything that is [`Termination`]. The package has no `tests` folder of its own: cargo would
//! build the program for it with unwinding. What is worth testing on the host lies in the package's library.

#![no_std]

mod entry;
mod panic;

use builtins as _;

pub use v::process::Termination;

/// Makes the function `main` the program's.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn v_program_main() -> i32 {
            $crate::Termination::status($main())
        }
    };
}
