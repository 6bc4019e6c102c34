//! The server that counts.

extern crate alloc;

use alloc::collections::{BTreeMap, BTreeSet};

use v::abi::segment::HEAD_BYTES;
use v::io::Write;
use v::prelude::*;
use v::server::{self, Client, Options, Outcome, Server};
use v::time::Duration;
use v::{process, time};

use crate::segment;
use crate::tally::{Counted, Read, Tally, Told};

/// Longest segment.
const MOST_BYTES: usize = 1 << 20;
/// How often it looks whether it is over, and how long after the last question that is.
const TICK_NS: u64 = 200_000_000;
const GRACE_NS: u64 = 2_000_000_000;

struct Counter {
    /// How often each message of each client has arrived.
    times: BTreeMap<u32, Vec<u8>>,
    /// Messages of each client with a wrong segment.
    wrong: BTreeMap<u32, u32>,
    told: BTreeSet<u32>,
    clients: usize,
    last_ns: u64,
    answer: Vec<u8>,
}

pub fn serve(clients: usize, delay_ms: u64) -> Result<(), String> {
    let pid = process::own_pid().map_err(|error| format!("own pid: {error}"))?;
    println!("{pid}");
    // The clients read it while this goes on.
    v::io::stdout().flush().map_err(|error| format!("its pid: {error}"))?;
    time::sleep(Duration::from_millis(delay_ms)).map_err(|error| format!("the delay: {error}"))?;
    let mut counter = Counter {
        times: BTreeMap::new(),
        wrong: BTreeMap::new(),
        told: BTreeSet::new(),
        clients,
        last_ns: 0,
        answer: Vec::new(),
    };
    server::serve(&mut counter, Options { tick_ns: TICK_NS, ..Options::default() })
}

impl Counter {
    fn count(&mut self, from: &Client<'_>, client: u32, number: u32) -> Result<Counted, Error> {
        let counts = self.times.entry(client).or_default();
        let place = number as usize;
        if counts.len() <= place {
            counts.resize(place + 1, 0);
        }
        counts[place] = counts[place].saturating_add(1);
        let times = counts[place].into();
        self.answer.clear();
        // What is neither readable nor writable has no bytes.
        let bytes = from.grant.bytes() as usize;
        if from.readable_bytes().is_ok() && bytes > 0 {
            let sent = from.read_segment(MOST_BYTES)?;
            if sent != segment(client, number, false, bytes) {
                *self.wrong.entry(client).or_default() += 1;
            }
        }
        if from.writable_bytes().is_ok() {
            let answer = segment(client, number, true, bytes);
            // By turns as a copy and with the reply.
            if number % 8 >= 4 || bytes as u64 > HEAD_BYTES {
                from.write(0, &answer)?;
            } else {
                self.answer = answer;
            }
        }
        Ok(Counted { times })
    }

    fn read(&mut self, from: &Client<'_>, read: Read) -> Result<Told, Error> {
        let room = from.writable_bytes()? as usize;
        let counts = self.times.get(&read.client).map_or(&[][..], |counts| counts);
        from.write(0, &counts[..counts.len().min(room)])?;
        self.told.insert(read.client);
        self.last_ns = time::now_ns();
        Ok(Told { wrong: self.wrong.get(&read.client).copied().unwrap_or(0) })
    }
}

impl Server for Counter {
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_> {
        match Tally::from_message(message) {
            Some(Tally::Count(count)) => match self.count(client, count.client, count.number) {
                Ok(counted) => Outcome::data(counted, &self.answer),
                Err(error) => Outcome::refuse(error),
            },
            Some(Tally::Read(read)) => Outcome::from(self.read(client, read)),
            None => Outcome::refuse(Error::BadRequest),
        }
    }

    fn tick(&mut self) {
        if self.told.len() >= self.clients && time::now_ns() > self.last_ns + GRACE_NS {
            process::exit(0);
        }
    }
}
