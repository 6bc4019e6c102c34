//! The program `exec`, the shell; see the library.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

v_start::program!(main);

fn main() -> i32 {
    commands::shell::program::run()
}
