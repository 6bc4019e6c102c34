//! Bound regions on the simulated machine.

mod elsewhere;
mod fixture;
mod guests;
mod model;
mod pages;
mod room;
