//! Memory that comes from elsewhere, or from nowhere: `test-memory WHAT…`.
//!
//! * `table [stay]`: this program is of more than a MiB, most of it a table whose pages are read from its file when they are
//!   touched. Each line of standard input says which are: `FIRST END`. With `stay` all are, and it stays.
//! * `change FILE PAGES`: maps the file shared, changes its pages and ends without a word to anyone.
//! * `check FILE PAGES`: whether they have been changed.
//! * `exhaust DIRECTORY`: makes files while no program can have more memory, until it is told that there is no space.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::hint::black_box;
use core::time::Duration;

use v::abi::PAGE_BYTES;
use v::abi::kernel::MOST_FETCHED;
use v::abi::kernel::protection::{READ, WRITE};
use v::file::{self, File};
use v::io::{BufReader, standard_stream, stdin, stdout};
use v::memory::{self, MappedFile, Mapping};
use v::pipe::pipe;
use v::prelude::*;
use v::process::{self, Command};
use v::protocols::io::mode;
use v::{env, time};

v_start::program!(main);

const PAGE: usize = PAGE_BYTES as usize;

/// Pages of the table.
const PAGES: usize = 512;

#[repr(align(4096))]
struct Table([[u64; PAGE / 8]; PAGES]);

/// Each page begins with its number, from 1.
static TABLE: Table = {
    let mut pages = [[0; PAGE / 8]; PAGES];
    let mut page = 0;
    while page < PAGES {
        pages[page][0] = page as u64 + 1;
        page += 1;
    }
    Table(pages)
};

/// Programs that take what memory there is: one may not have all of it.
const HOLDERS: usize = 4;
/// Pages that a holder takes at a time.
const PIECE_PAGES: u32 = 16;
/// Files that are made before there is no memory.
const FIRST_FILES: u32 = 64;
/// Files that a user may not have.
const TOO_MANY_FILES: u32 = 20_000;

fn main() -> Result<(), Error> {
    let words: Vec<&str> = env::arguments().skip(1).collect();
    match words[..] {
        ["table"] => {
            for line in stdin().lines() {
                let line = line?;
                let (first, end) = line.split_once(' ').ok_or(Error::BadArgument)?;
                touch(number(first)?, number(end)?)?;
            }
            Ok(())
        }
        ["table", "stay"] => {
            touch(0, PAGES)?;
            time::sleep(Duration::from_mins(10))
        }
        ["change", name, pages] => change(name, number(pages)?),
        ["check", name, pages] => check(name, number(pages)?),
        ["exhaust", directory] => exhaust(directory),
        ["hold"] => hold(),
        _ => Err(Error::BadArgument),
    }
}

fn number(word: &str) -> Result<usize, Error> {
    word.parse().map_err(|_| Error::BadArgument)
}

/// Touches pages of the table, from the last on: what a server lends with a page is behind it.
fn touch(first: usize, end: usize) -> Result<(), Error> {
    let table = &black_box(&TABLE).0;
    for page in (first..end).rev() {
        if table.get(page).ok_or(Error::BadArgument)?[0] != page as u64 + 1 {
            println!("page {page} is not as it was");
            return Err(Error::BadImage);
        }
    }
    println!("touched {first} to {end}");
    stdout().flush()
}

/// What page `page` of a changed file begins with.
fn mark(page: usize) -> [u8; 8] {
    (page as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
}

fn change(name: &str, pages: usize) -> Result<(), Error> {
    let file = File::open_with(name, mode::READ | mode::WRITE | mode::CREATE)?;
    file.set_size((pages * PAGE) as u64)?;
    let mapped = MappedFile::new(file, 0, pages * PAGE, Mapping::Shared)?;
    for page in 0..pages {
        mapped.write_at(page * PAGE, &mark(page))?;
    }
    process::abort(3)
}

fn check(name: &str, pages: usize) -> Result<(), Error> {
    let bytes = file::read(name)?;
    let changed =
        bytes.chunks(PAGE).enumerate().filter(|(page, bytes)| bytes.starts_with(&mark(*page))).count();
    println!("{changed} of {pages} pages were changed");
    Ok(())
}

/// The name of a file, without memory of its own.
fn make(directory: &str, files: core::ops::Range<u32>) -> (u32, Result<(), Error>) {
    let mut name = String::with_capacity(directory.len() + 16);
    for file in files.clone() {
        name.clear();
        // There is room for it.
        let _ = core::fmt::Write::write_fmt(&mut name, format_args!("{directory}/file-{file}"));
        if let Err(error) = File::create(&name) {
            return (file, Err(error));
        }
    }
    (files.end, Ok(()))
}

fn exhaust(directory: &str) -> Result<(), Error> {
    file::create_directory(directory)?;
    make(directory, 0..FIRST_FILES).1?;
    let mut holders = Vec::new();
    for _ in 0..HOLDERS {
        let ((asks, told), (hears, tells)) = (pipe()?, pipe()?);
        let child = Command::new(env::program_name()).arg("hold").stdin(&asks).stdout(&tells).start()?;
        holders.push((child, told, BufReader::new(hears)));
    }
    // All are there before there is nothing for one more. First they say something, for which they need memory themselves.
    for line in 0..2 {
        for (_, told, hears) in &mut holders {
            told.write_all(b"x")?;
            let mut said = String::new();
            hears.read_line(&mut said)?;
            if line > 0 {
                print!("{said}");
            }
        }
    }
    stdout().flush()?;
    let (count, outcome) = make(directory, FIRST_FILES..TOO_MANY_FILES);
    let again = make(directory, TOO_MANY_FILES..TOO_MANY_FILES + 1).1;
    for (mut child, told, _) in holders {
        drop(told);
        child.wait()?;
    }
    println!("{} files, then {:?} and {:?}", count, outcome.err(), again.err());
    make(directory, TOO_MANY_FILES..TOO_MANY_FILES + 1).1?;
    println!("with memory there is space");
    Ok(())
}

/// Takes all memory that there is to be had, and keeps it until standard input ends.
fn hold() -> Result<(), Error> {
    // Without a buffer, for which there may be no room.
    let input = standard_stream(0).ok_or(Error::NotReadable)?;
    input.read(0, &mut [0])?;
    println!("ready");
    stdout().flush()?;
    input.read(1, &mut [0])?;
    let limit = memory::query_team(Pid::NONE)?.quota_pages;
    let address = memory::map(Pid::NONE, 0, limit, READ | WRITE)?;
    let mut taken = 0;
    let error = loop {
        const { assert!(PIECE_PAGES <= MOST_FETCHED) };
        let piece = PIECE_PAGES.min(limit - taken);
        match memory::fetch(Pid::NONE, address + u64::from(taken) * PAGE_BYTES, piece) {
            Ok(()) if piece == PIECE_PAGES => taken += piece,
            Ok(()) => break Error::NoQuota,
            Err(error) => break error,
        }
    };
    println!("{taken} pages, then {error}");
    stdout().flush()?;
    input.read(2, &mut [0])?;
    Ok(())
}
