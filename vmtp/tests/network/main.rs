//! Engines on a simulated network that loses, repeats and reorders packets, with users that check what they are told.

mod claims;
mod groups;
mod guests;
mod losses;
mod migrations;
mod net;
mod runs;
mod transactions;
mod users;
