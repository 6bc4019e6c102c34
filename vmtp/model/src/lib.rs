//! Every course that a small VMTP network can take.
//!
//! A [`Scenario`] is a few hosts, each with the real [`vmtp::Engine`], what their processes do, and how much may go
//! wrong: packets lost, repeated and late, engines that lose their state, hosts that crash and boot again, hosts that claim
//! one number. The model checker `stateright` visits all states that can be reached, each once, and looks in each of them
//! for a broken promise:
//!
//! | property | promise |
//! |---|---|
//! | in order | the requests of a run are executed in their order, one after the other |
//! | at most once | no request is executed twice, unless its server said that it may be |
//! | one outcome | no send has two outcomes; one that still waits, waits for something |
//! | true outcome | a response belongs to its request; what failed for certain was and will never be executed |
//! | no lost hope | where nothing went wrong that retransmissions cannot mend, there is a response |
//! | one owner | two hosts never keep one number, and each that claims it is told whether it has it; `tests/claims.rs` says what that stands on |
//! | quiet end | when nothing more happens, the engines hold nothing |
//!
//! Time is the engines' own: it passes from one deadline to the next. See [`World::tick`] for when.

#![forbid(unsafe_code)]

mod check;
mod claims;
mod promises;
mod scenario;
mod world;

pub use check::{Checked, all_courses, check};
pub use scenario::{Budget, Deed, Order, Scenario, entity};
pub use world::{Step, World};
