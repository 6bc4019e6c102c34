//! The Versatile Message Transaction Protocol, RFC 1045, as one engine without input or output.
//!
//! An [`Engine`] is the VMTP of one host. It neither sends nor sleeps: whoever drives it hands it packets, calls and
//! the time, and asks what is to be done. So the network server, a node on another system, a simulator, a fuzzer and a
//! model checker drive the same code. All memory is taken when the engine is made; every table is bounded; the same
//! inputs give the same outputs; engines can be cloned, compared and hashed.
//!
//! # Driving it
//!
//! 1. Call [`Engine::send`], [`Engine::receive_packet`], [`Engine::reply`], [`Engine::refuse`] or, when
//!    [`Engine::next_deadline`] is reached, [`Engine::advance`].
//! 2. If it was a packet and a [`Store`] came back, copy the packet's data to the buffer it names, before the next
//!    call.
//! 3. If an [`Action`] came back, do it. Where a packet is all there is to a message and nothing else is to be done,
//!    what comes of a call is known at once.
//! 4. Call [`Engine::next_action`] until there is none, and do each one. After a packet of a long segment,
//!    [`Engine::next_in_group`] has the next one cheaper.
//!
//! The engine never holds a segment's bytes. It says which blocks of which [`Buffer`] a packet takes
//! ([`Transmit::write`] gathers them) and where a packet's blocks go ([`Store::copy`] scatters them). Memory for
//! requests that come in is handed out by the engine as numbers below [`Configuration::buffers`], each for
//! [`Configuration::buffer_bytes`]; a delivered one is given back with [`Engine::release_buffer`]. The other buffers
//! are the caller's own numbers.
//!
//! # Moving a logical host
//!
//! [`Engine::export`] takes a logical host's state out as bytes: its clients' transactions, the requests its servers
//! have, those they have answered. [`Engine::import`] goes on with them, in another machine's engine or in a new one on
//! the same machine. Each send still has one outcome, and no request is executed twice.
//!
//! # What of RFC 1045 is here
//!
//! | section | | |
//! |---|---|---|
//! | 1, 2.1–2.4 model, entities, domains, messages | implemented | one domain for each engine; the process and principal of a probe's answer have our domain's meaning (`manager`) |
//! | 2.5.1 transaction identifiers | implemented | at most once across restarts: stricter than asked, `server` |
//! | 2.5.2, 3.2 checksum | implemented | header only (HCO) by configuration; none is accepted by configuration, never sent |
//! | 2.5.3 acknowledgement | implemented | |
//! | 2.5.4 retransmission | changed | of the header only, with back-off; long idempotent responses are kept: without that they never arrive over a bad network |
//! | 2.5.5 timers | changed | TC1–TC4, TS1–TS5 as in [`Configuration`]; round trips are smoothed; silence is judged for each host, so a slow server is not taken for a dead one |
//! | 2.5.6 rate control | implemented | gaps kept on average over a millisecond, since timers are no finer (`pace`) |
//! | 2.6, V security | left out | a later step; encrypted packets are refused, [`packet::header::ENCRYPTED`] is the place |
//! | 2.7, 4.6.2 multicast, several responses, co-residence | implemented | requests to groups are one packet group long; responses *to* groups (experimental) are left out |
//! | 2.8 real time | implemented | priorities order transmission; datagrams; CMD is the user's to judge; NRT; HCO for the whole engine |
//! | 2.9, 5.6.3 forwarding | implemented | where the RFC asks for a nested call, and back to the client's own host, the user makes it |
//! | 2.10, III management | changed | `ProbeEntity`, `ProbeEntityBlock`, `QueryVMTPNode` and the three notices are answered here; entities and groups are made by sending to the kernel's servers, so those procedures get `NO_PERMISSION` |
//! | 2.11 runs of transactions | implemented | to individuals, `run_length` at a time; delivered one after the other; batched responses (`PGcount`) are understood and, by [`Engine::batch`], sent. Not looked at: the count in a notice, the run's flags in a response |
//! | 2.12 fault tolerance | left out | experimental; the NRS flag and sequence numbers stay 0 |
//! | 2.13 packet groups, delivery masks | implemented | `transfer`, [`packet::mask`]; of two packets that contradict each other the later is dropped, not the whole group |
//! | 2.14 runs of packet groups, skipped identifiers | implemented | up to 4 MiB, a window of sixteen groups; what a later group has overtaken is asked for at once |
//! | 2.15 byte order | implemented | the message's words are big-endian on the wire; segments are bytes |
//! | 2.16, 2.17, VIII | not applicable | minimal subsets, procedure calls, the 4.3 BSD interface |
//! | 3 packet formats | implemented | `packet`; a response's STI repeats its request's, whether it needs the numbers or not |
//! | 4 client | implemented | `client`; a response that nobody waits for is refused where it asks for an acknowledgement |
//! | 5 server | implemented | `server` |
//! | I response codes | implemented | [`manager::code`], those that are sent or understood |
//! | II presentation | implemented | of the managers' procedures |
//! | IV domains, decentralised allocation | changed | logical hosts of 2^32 identifiers are claimed, announced and defended (`claim`); one that moves takes its state along, but not requests to groups (`export`) |
//! | VI IP | changed | UDP over IPv4 and IPv6 in place of protocol 81 ([`encapsulation`]) |
//! | VII implementation notes | followed | maps, one pool of records, one timer structure |
//!
//! # What is promised, and what checks it
//!
//! The model is `vmtp/model` (`promises.rs`), which visits all courses of small worlds; `network` is `vmtp/tests/network`,
//! engines on a random network; the simulator is `simulator/src/network` (`oracle.rs`), whole kernels with programs; the
//! fuzzer is `tests/fuzz` (`user.rs`), where the network is hostile and only the engine's own side can be checked.
//!
//! | promise | model | network | simulator | fuzzer |
//! |---|---|---|---|---|
//! | each send has exactly one outcome | in every state, and none is open at the end | "one outcome" | `outcome`, `assert_all_ended` | "one outcome" |
//! | it says "may have been executed" when that is so | "true outcome" | `check` | `outcome` | no: the other side is forged |
//! | a run is executed in order, one after the other | "in order" | `check_order` | the kernel sends none | one of a client's at a time |
//! | a request that is not idempotent is executed once at most | "at most once" | `check` | `executed` | none is delivered while the user has it |
//! | no stale identifier reaches a new process | hosts boot again as others | `migrations` | "is for" in `programs.rs`, across reboots | requests to hosts that were given up |
//! | nobody waits forever for a dead host | "a send waits for nothing" | "a send waits forever" | `assert_all_ended` after crashes and partitions | all have ended in `finish` |
//! | segments arrive whole, or the count is exact | lengths | contents | contents | stores stay within their buffers |
//! | in the end nothing is held | "quiet end" | `run_until_quiet` | `assert_quiet` | `finish` |
//! | two hosts never both keep one number | "one owner": at no time, with fewer packets lost or late than probes; else not at the end | `claims` | machines that claim the same, in `World::run` | claims won and lost were begun |
//! | the short paths do what the plain ones do | through them, as the network does | through them | through them | through them |
//!
//! The last is checked for itself, call by call, in `short_path/tests.rs` and `group.rs`.
//!
//! # Example
//!
//! Two hosts on one Ethernet: a client asks, a server answers.
//!
//! ```
//! use vmtp::encapsulation::Address;
//! use vmtp::{Action, Configuration, Destination, Engine, EntityId, LogicalHost, Message, Outcome, Reply, Send};
//!
//! let addresses = [Address::Ethernet([2, 0, 0, 0, 0, 1]), Address::Ethernet([2, 0, 0, 0, 0, 2])];
//! let mut hosts: Vec<Engine> = (0..2).map(|seed| Engine::new(&Configuration::default(), 0, seed)).collect();
//! // An entity's identifier says which logical host it belongs to: here 100 and 200.
//! hosts[0].add_local_host(LogicalHost::from_bits(100));
//! hosts[1].add_local_host(LogicalHost::from_bits(200));
//! let client = EntityId::from_bits(0x2000_0064_0001_0010);
//! let server = EntityId::from_bits(0x2000_00c8_0001_0020);
//!
//! let question = Message { words: [0x1001, 1, 2, 3, 4, 5, 6, 7] };
//! let send = Send { client, transaction: 1, server, message: question, ..Send::default() };
//! let (_, action) = hosts[0].send(0, &send).unwrap();
//! let mut first = [action, None];
//!
//! let (mut now_ns, mut outcome) = (0, None);
//! while outcome.is_none() {
//!     for own in 0..2 {
//!         while let Some(action) = first[own].take().or_else(|| hosts[own].next_action()) {
//!             match action {
//!                 Action::Transmit(transmit) => {
//!                     let mut packet = [0; 1500];
//!                     let length = transmit.write(&[], &mut packet).unwrap();
//!                     // The other host is the only one, so a multicast goes there too.
//!                     let other = 1 - own;
//!                     let received = hosts[other].receive_packet(now_ns, addresses[own], &packet[..length]);
//!                     first[other] = received.action;
//!                 }
//!                 Action::Deliver(request) => {
//!                     let message = Message { words: [0, request.message.words[1] + 41, 0, 0, 0, 0, 0, 0] };
//!                     let reply = Reply { server: request.server, message, segment: None };
//!                     first[own] = hosts[own].reply(now_ns, request.id, &reply).unwrap();
//!                 }
//!                 Action::Complete { outcome: ended, .. } => outcome = Some(ended),
//!                 _ => {}
//!             }
//!         }
//!     }
//!     // Nothing more happens now: go to the next deadline.
//!     now_ns = hosts.iter_mut().filter_map(|host| host.next_deadline()).min().unwrap_or(now_ns);
//!     hosts.iter_mut().for_each(|host| host.advance(now_ns));
//! }
//! let Some(Outcome::Response(response)) = outcome else { panic!("{outcome:?}") };
//! assert_eq!(response.message.words[1], 42);
//! assert_eq!(response.server, server);
//! ```

#![no_std]
#![forbid(unsafe_code)]
// The short path is a fixed number of instructions, most of which calls within it would cost: see `short_path`.
#![allow(clippy::inline_always)]

extern crate alloc;

mod action;
mod claim;
mod client;
mod configuration;
mod counters;
pub mod encapsulation;
mod engine;
mod entity;
mod export;
mod group;
mod host;
pub mod manager;
mod outcome;
mod pace;
pub mod packet;
mod server;
mod short_path;
mod table;
mod transfer;

pub use action::{
    Action, Buffer, Destination, Received, Request, RequestId, Response, Segment, SendId, Store, Transmit,
};
pub use client::{Send, transaction_step};
pub use configuration::Configuration;
pub use counters::Counters;
pub use engine::Engine;
pub use entity::{EntityId, LogicalHost};
pub use export::{ImportError, Imported};
pub use outcome::{BatchError, Failure, ForwardError, Outcome, Refusal, SendError, Stale};
pub use packet::Message;
pub use server::{Forward, Reply};
