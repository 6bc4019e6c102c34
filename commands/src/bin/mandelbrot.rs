//! The program `mandelbrot`, and its workers; see the library.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

v_start::program!(main);

fn main() -> i32 {
    let worker = v::parallel::worker(commands::parallel::mandelbrot::work);
    worker.unwrap_or_else(|| commands::run::run(&commands::parallel::mandelbrot::COMMAND))
}
