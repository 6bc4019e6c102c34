//! `test-disk NAME OPERATIONS`: four processes read and write a disk, each its own quarter, so many times each, at places
//! and lengths that only a seed decides, and flush now and then; then everything is read once more. What is read must be
//! what was written, also when the driver dies meanwhile, any number of times: whatever may have been done is done again.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use v::file::File;
use v::prelude::*;
use v::process::spawn_thread;
use v::protocols::io::mode;
use v::sync::Mutex;
use v::{env, time};

v_start::program!(main);

const WORKERS: u64 = 4;
const STACK_BYTES: usize = 64 * 1024;
/// Blocks of a quarter that are used, and of the longest request.
const MOST_BLOCKS: u64 = 2048;
const LONGEST: u64 = 64;
/// How long a driver may take to come back, in pauses.
const MOST_TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// The disk, opened anew when its driver has died. Only one may have it open for writing, so all share it.
struct Disk {
    name: String,
    file: Mutex<Arc<File>>,
    /// How often something was done again.
    again: AtomicU32,
}

impl Disk {
    fn open(name: &str) -> Result<File, Error> {
        File::open_with(name, mode::READ | mode::WRITE)
    }

    /// Does something until it succeeds.
    fn persist<T>(&self, operation: impl Fn(&File) -> Result<T, Error>) -> Result<T, Error> {
        let mut tries = 0;
        loop {
            let file = self.file.lock().clone();
            let error = match operation(&file) {
                Ok(done) => return Ok(done),
                Err(error) if tries == MOST_TRIES => return Err(error),
                Err(error) => error,
            };
            tries += 1;
            self.again.fetch_add(1, Ordering::Relaxed);
            time::sleep(PAUSE)?;
            let mut current = self.file.lock();
            // Unless another has opened it meanwhile.
            if Arc::ptr_eq(&current, &file) {
                match Disk::open(&self.name) {
                    Ok(file) => *current = Arc::new(file),
                    Err(Error::NoPermission | Error::ReadOnly) => return Err(error),
                    Err(_) => {}
                }
            }
        }
    }

    fn write(&self, position: u64, data: &[u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < data.len() {
            done += self.persist(|file| file.write_at(position + done as u64, &data[done..]))?;
        }
        Ok(())
    }

    fn read(&self, position: u64, bytes: usize) -> Result<Vec<u8>, Error> {
        let mut data = vec![0; bytes];
        let mut done = 0;
        while done < bytes {
            let place = Mutex::new(&mut data[done..]);
            match self.persist(|file| file.read_at(position + done as u64, *place.lock()))? {
                0 => return Err(Error::EndOfFile),
                count => done += count,
            }
        }
        Ok(data)
    }
}

/// A quarter of the disk, and what was written there last.
struct Quarter {
    disk: Arc<Disk>,
    first: u64,
    block_bytes: u64,
    written: Vec<u32>,
    random: u64,
}

impl Quarter {
    fn next(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    /// What a block holds that was written in that round.
    fn content(&self, block: u64, round: u32) -> Vec<u8> {
        let word = |at: u64| (self.first + block).wrapping_mul(0x9e37_79b9) ^ u64::from(round) << 32 ^ at;
        (0..self.block_bytes / 8).map(word).flat_map(u64::to_le_bytes).collect()
    }

    fn check(&self, block: u64, count: u64) -> Result<(), String> {
        let position = (self.first + block) * self.block_bytes;
        let read = self.disk.read(position, (count * self.block_bytes) as usize);
        let read = read.map_err(|error| format!("cannot read at {position}: {error}"))?;
        for (block, data) in (block..).zip(read.chunks_exact(self.block_bytes as usize)) {
            let round = self.written[block as usize];
            // What was not written yet may hold anything.
            if round > 0 && data != self.content(block, round) {
                return Err(format!(
                    "block {} is not as it was written in round {round}",
                    self.first + block
                ));
            }
        }
        Ok(())
    }

    fn run(&mut self, operations: u32) -> Result<(), String> {
        let blocks = self.written.len() as u64;
        for round in 1..=operations {
            let block = self.next(blocks);
            let count = 1 + self.next(LONGEST.min(blocks - block));
            if self.next(2) == 0 {
                let data: Vec<u8> =
                    (block..block + count).flat_map(|block| self.content(block, round)).collect();
                let position = (self.first + block) * self.block_bytes;
                self.disk
                    .write(position, &data)
                    .map_err(|error| format!("cannot write at {position}: {error}"))?;
                self.written[block as usize..(block + count) as usize].fill(round);
            } else {
                self.check(block, count)?;
            }
            if self.next(16) == 0 {
                let flushed = self.disk.persist(File::synchronize);
                flushed.map_err(|error| format!("cannot flush: {error}"))?;
            }
        }
        (0..blocks).step_by(32).try_for_each(|block| self.check(block, 32.min(blocks - block)))
    }
}

fn main() -> i32 {
    match run() {
        Ok(text) => {
            println!("{text}");
            0
        }
        Err(error) => {
            eprintln!("test-disk: {error}");
            1
        }
    }
}

fn run() -> Result<String, String> {
    let mut words = env::arguments().skip(1);
    let name = words.next().ok_or("a name is needed")?;
    let operations =
        words.next().and_then(|word| word.parse().ok()).ok_or("a number of operations is needed")?;
    let failed = |error: Error| format!("{name}: {error}");
    let file = Disk::open(name).map_err(failed)?;
    let (size, block_bytes) = (file.size().map_err(failed)?, u64::from(file.block_bytes()));
    let blocks = size / block_bytes / WORKERS;
    let again = AtomicU32::new(0);
    let disk = Arc::new(Disk { name: name.into(), file: Mutex::new(Arc::new(file)), again });
    let faults: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new(Vec::new()));
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let mut quarter = Quarter {
            disk: disk.clone(),
            first: number * blocks,
            block_bytes,
            written: vec![0; blocks.min(MOST_BLOCKS) as usize],
            random: 0x1234_5678_9abc_def1 + number,
        };
        let faults = faults.clone();
        let body = move || faults.lock().extend(quarter.run(operations).err());
        workers.push(spawn_thread(STACK_BYTES, body).map_err(failed)?);
    }
    for worker in workers {
        worker.join().map_err(failed)?;
    }
    if let Some(fault) = faults.lock().pop() {
        return Err(fault);
    }
    let again = disk.again.load(Ordering::Relaxed);
    Ok(format!(
        "{} operations on {name} were right; {again} were done again",
        u64::from(operations) * WORKERS
    ))
}
