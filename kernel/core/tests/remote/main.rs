//! The kernel's side of messages between nodes: Sends that go to the network server, aliens that it sends for clients
//! elsewhere, copies and forwards across, and the end of each of those who take part.

mod across;
mod aliens;
mod fixture;
mod groups;
mod guests;
mod sends;
