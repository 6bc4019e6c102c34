//! Parallel programs: commands whose work is done by workers on any nodes (`v::parallel`).

pub mod count_words;
pub mod mandelbrot;
pub mod queens;

mod crew;
mod speed_up;
