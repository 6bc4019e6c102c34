//! A pager of one's own: `test-pager [refuse | die]`. The book's chapter on virtual memory walks through it.
//!
//! A process of this program serves one instance, of which nothing is stored: page n is made when it is asked for, and
//! says which it is. The program starts itself again, with the instance as standard input; that one maps it and shows
//! what it finds. Told to, the pager refuses the pages, or its program ends when it is asked for one.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use v::abi::PAGE_BYTES;
use v::file::File;
use v::io::{Instance, standard_stream};
use v::memory::{MappedFile, Mapping};
use v::prelude::*;
use v::process::{self, Command, Stream, spawn_thread};
use v::protocols::io::{attribute, io};
use v::server::{Client, Options, Outcome, Server, serve};

v_start::program!(main);

/// Pages of the instance.
const PAGES: u64 = 1000;
/// The only instance's number.
const INSTANCE: u32 = 1;
const STACK_BYTES: usize = 64 * 1024;

/// What the pager does when it is asked for a page.
#[derive(Clone, Copy)]
enum Manner {
    Give,
    Refuse,
    Die,
}

struct Pager {
    manner: Manner,
    page: String,
}

impl Server for Pager {
    fn request(&mut self, _client: &Client<'_>, message: &Message) -> Outcome<'_> {
        // A page request is a read like any other, of a page, at the beginning of one.
        match io::Io::from_message(message) {
            Some(io::Io::Read(read)) if read.instance == INSTANCE => self.read(read.position),
            Some(io::Io::QueryInstance(_)) => Outcome::from(Ok(io::InstanceQueried {
                attributes: attribute::READABLE,
                block_bytes: PAGE_BYTES as u32,
                size: PAGES * PAGE_BYTES,
            })),
            // Whoever has the instance may; there is nothing to be closed.
            Some(io::Io::Share(_)) => Outcome::from(Ok(io::Shared {})),
            Some(io::Io::Release(_)) => Outcome::from(Ok(io::Released {})),
            _ => Outcome::refuse(Error::BadRequest),
        }
    }
}

impl Pager {
    fn read(&mut self, position: u64) -> Outcome<'_> {
        match self.manner {
            Manner::Give => {}
            // The one who touched the page meets an exception, with this as its reason.
            Manner::Refuse => return Outcome::refuse(Error::NoPermission),
            Manner::Die => process::abort(3),
        }
        if position >= PAGES * PAGE_BYTES {
            return Outcome::data(io::ReadDone { count: 0 }, &[]);
        }
        // What is left of the page is zeros.
        self.page = format!("page {} of {PAGES}\n", position / PAGE_BYTES);
        Outcome::data(io::ReadDone { count: self.page.len() as u32 }, self.page.as_bytes())
    }
}

fn main() -> Result<i32, Error> {
    let manner = match v::env::arguments().nth(1) {
        None => Manner::Give,
        Some("refuse") => Manner::Refuse,
        Some("die") => Manner::Die,
        Some("read") => return read(),
        Some(_) => return Err(Error::BadArgument),
    };
    // The pager is a process of its own: this one waits for its reader.
    let pager = spawn_thread(STACK_BYTES, move || {
        serve(&mut Pager { manner, page: String::new() }, Options::default())
    })?;
    let instance = Instance { server: pager.pid(), number: INSTANCE, attributes: attribute::READABLE };
    let mut reader =
        Command::new(v::env::program_name()).arg("read").stdin(Stream::Instance(instance)).start()?;
    Ok(reader.wait()?.code)
}

/// Maps what standard input is, and shows some of its pages.
fn read() -> Result<i32, Error> {
    let file = File::from_instance(standard_stream(0).ok_or(Error::NotReadable)?);
    let bytes = file.size()? as usize;
    let mapped = MappedFile::new(file, 0, bytes, Mapping::ReadOnly)?;
    for page in [0, 7, PAGES as usize - 1] {
        let mut text = [0; 64];
        mapped.read_at(page * PAGE_BYTES as usize, &mut text)?;
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        print!("{}", core::str::from_utf8(&text[..end]).map_err(|_| Error::BadReply)?);
    }
    Ok(0)
}
