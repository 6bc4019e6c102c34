//! The program `queens`, and its workers; see the library.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

v_start::program!(main);

fn main() -> i32 {
    let worker = v::parallel::worker(commands::parallel::queens::work);
    worker.unwrap_or_else(|| commands::run::run(&commands::parallel::queens::COMMAND))
}
