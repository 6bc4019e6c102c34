//! The network server: it drives the node's network cards and hands frames to whoever has registered their type.
//!
//! | module | what it has |
//! |---|---|
//! | [`registry`] | who has registered which type, who waits for a frame, and which frames wait |
//! | [`server`] | the requests and the cards' interrupts |
//!
//! All that happens comes as a message: a request, a card's interrupt, the alarm. The server Receives and Replies and
//! Sends to nobody once it has begun, so it never waits for anyone. A frame goes to a process that waits for it straight
//! from the card's buffer, in the reply; one that nobody waits for yet is copied.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod registry;
pub mod server;
