//! Bound regions on the simulated machine.

mod fixture;
mod model;
mod pages;
