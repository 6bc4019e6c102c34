//! Guests that move from one kernel to another: what their processes do goes on, and what is told is checked.

mod hostile;
mod random;
mod refusals;
mod world;
