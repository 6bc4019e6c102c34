//! Bound regions on the simulated machine.

mod elsewhere;
mod fixture;
mod model;
mod pages;
mod room;
