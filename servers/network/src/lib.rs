//! The network server: it drives the node's network cards, is the kernel's partner for the other nodes of the domain, and
//! hands other frames to whoever has registered their type.
//!
//! | module | what it has |
//! |---|---|
//! | [`server`] | the loop |
//! | [`domain`] | messages between this node and others: VMTP on the first card |
//! | [`seekers`] | who wants to know which nodes there are |
//! | [`frames`] | the cards, and what clients ask of them |
//! | [`loopback`] | frames that only want to be sent on |
//! | [`registry`] | who has registered which type, who waits for a frame, and which frames wait |
//!
//! All that happens comes as a message: a request, a message for another node, the answer to one from there, a card's
//! interrupt, the alarm. The server Receives and Replies and Sends to nobody but the kernel once it has begun, so it
//! never waits for anyone. A frame goes to a process that waits for it straight from the card's buffer, in the reply; one
//! that nobody waits for yet is copied.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod domain;
pub mod frames;
pub mod loopback;
pub mod registry;
pub mod seekers;
pub mod server;
