//! Messages between nodes of which it is known afterwards what became of each.
//!
//! | `test-remote` | what it does |
//! |---|---|
//! | `serve CLIENTS [MS]` | prints its pid, counts what is sent to it, from so many milliseconds later on, and ends when so many clients have asked for their counts |
//! | `send PID CLIENT COUNT BYTES…` | sends that often to the server with this pid, as client CLIENT, with and without segments of those sizes by turns, and checks the counts |
//! | `until PID CLIENT BYTES…` | sends until a message fails, and says how |
//! | `crowd PID CLIENT COUNT BYTES` | sends that many messages at the same time, each from a process of its own |
//! | `ask PID` | sends once, and says how that ends |
//! | `storm PID SEED COUNT STATION…` | sends that many hostile frames to the cards with these addresses |

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod client;
mod server;
mod storm;

use test_programs::must;
use v::env;
use v::prelude::*;

v::abi::protocol! {
    /// Counts how often each message arrives.
    pub mod tally = 0x71, enum Tally {
        /// Counts one. A read segment holds the [`pattern`](super::pattern) of the message, a write segment gets that of
        /// the answer.
        Count = 1 { client: u32, number: u32 } => Counted {
            /// How often this one has arrived, this time included.
            times: u32,
        };
        /// How often each message of a client has arrived, a byte for each into the write segment.
        Read = 2 { client: u32 } => Told {
            /// Messages whose segment was not what it should be.
            wrong: u32,
        };
    }
}

v_start::program!(main);

fn main() -> i32 {
    let words: Vec<&str> = env::arguments().skip(1).collect();
    let outcome = match words.as_slice() {
        ["serve", clients] => serve(clients, "0"),
        ["serve", clients, delay] => serve(clients, delay),
        ["crowd", server, client, count, size] => crowd(server, client, count, size),
        ["send", server, client, count, sizes @ ..] => send(server, client, count, sizes),
        ["until", server, client, sizes @ ..] => until(server, client, sizes),
        ["ask", server] => pid(server).map(client::ask),
        ["storm", server, seed, count, stations @ ..] => storm(server, seed, count, stations),
        _ => Err("usage: test-remote serve|send|until|crowd|ask|storm ...; see its source".into()),
    };
    match outcome {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("test-remote: {why}");
            1
        }
    }
}

fn send(server: &str, client: &str, count: &str, sizes: &[&str]) -> Result<(), String> {
    let (client, count) = (must(client, client.parse())?, must(count, count.parse())?);
    client::send(pid(server)?, client, count, &numbers(sizes)?)
}

fn serve(clients: &str, delay_ms: &str) -> Result<(), String> {
    server::serve(must(clients, clients.parse())?, must(delay_ms, delay_ms.parse())?)
}

fn crowd(server: &str, client: &str, count: &str, size: &str) -> Result<(), String> {
    let (client, count) = (must(client, client.parse())?, must(count, count.parse())?);
    client::crowd(pid(server)?, client, count, must(size, size.parse())?)
}

fn until(server: &str, client: &str, sizes: &[&str]) -> Result<(), String> {
    client::until(pid(server)?, must(client, client.parse())?, &numbers(sizes)?)
}

fn numbers(words: &[&str]) -> Result<Vec<usize>, String> {
    words.iter().map(|word| must(word, word.parse())).collect()
}

fn storm(server: &str, seed: &str, count: &str, stations: &[&str]) -> Result<(), String> {
    let stations = stations.iter().map(|text| storm::station(text)).collect::<Result<Vec<_>, _>>()?;
    storm::storm(pid(server)?, must(seed, seed.parse())?, must(count, count.parse())?, &stations)
}

fn pid(text: &str) -> Result<v::Pid, String> {
    text.trim().parse().map_err(|()| format!("{text}: no pid"))
}

/// A byte of a segment: of a client's message with this number, or of the answer.
fn pattern(client: u32, number: u32, is_answer: bool, at: usize) -> u8 {
    let seed = client.wrapping_mul(131).wrapping_add(number).wrapping_mul(31).wrapping_add(is_answer.into());
    (seed as usize).wrapping_add(at).wrapping_add(at >> 8) as u8
}

/// The whole segment.
fn segment(client: u32, number: u32, is_answer: bool, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| pattern(client, number, is_answer, at)).collect()
}
