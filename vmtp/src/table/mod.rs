//! Bounded tables: all memory is taken when they are made.
//!
//! What can be derived from the rest ([`Map`], the order in [`Timers`]) counts as equal to any other of its kind, so
//! that two engines in the same state compare equal whatever their past.

mod local;
mod map;
mod pool;
mod ready;
mod set;
mod timers;

pub use local::LocalHosts;
pub use map::Map;
pub use pool::Pool;
pub use ready::Ready;
pub use set::IndexSet;
pub use timers::{NEVER, Timers};
