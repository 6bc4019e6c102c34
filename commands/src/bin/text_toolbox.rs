//! The program `text-toolbox`, which is the commands with patterns; see the library.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

v_start::program!(main);

fn main() -> i32 {
    commands::run::run_by_name(commands::TEXT_TOOLBOX)
}
