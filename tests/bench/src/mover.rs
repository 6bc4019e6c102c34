//! A program to be moved: it has 16 MiB resident, writes 1 MiB of them a second, page after page, and knows what is in each.

use abi::protocol::{Reply as _, refusal};
use abi::{Error, PAGE_BYTES};
use alloc::vec::Vec;
use v::message::{Segment, call, receive, reply};
use v::prelude::*;
use v::process::{Child, Command, Place};
use v::time::now_ns;

use crate::Page;
use crate::peer::peer as request;

/// What it is told to be.
pub const WRITER: &str = "writer";
/// Pages that it has written at all.
pub const RESIDENT_PAGES: usize = (16 << 20) / PAGE_BYTES as usize;
/// How often it writes one.
const WRITE_NS: u64 = 1_000_000_000 / ((1 << 20) / PAGE_BYTES);

/// Starts it on a node; it has written each page then.
pub fn start(node: &str) -> Result<Child, Error> {
    let child = Command::new("bench").arg(WRITER).on(Place::Node(node.into())).start()?;
    call(child.pid(), &request::Nothing {}, Segment::None)?;
    Ok(child)
}

/// Ends it. An error if it has not found in its pages what it wrote there.
pub fn end(child: &mut Child) -> Result<(), Error> {
    call(child.pid(), &request::End {}, Segment::None)?;
    if child.wait()?.is_success() { Ok(()) } else { Err(Error::BadReply) }
}

/// The program itself.
pub fn write() -> Result<(), Error> {
    let mut pages: Vec<Page> = (0..RESIDENT_PAGES).map(|_| Page([0; PAGE_BYTES as usize])).collect();
    let mut written = 0;
    // Each of them once before the first request is answered.
    (0..RESIDENT_PAGES).for_each(|_| write_next(&mut pages, &mut written));
    let mut due_ns = now_ns();
    loop {
        let received = match receive(None, &mut [], due_ns) {
            Ok(received) => received,
            Err(Error::DeadlinePassed) => {
                write_next(&mut pages, &mut written);
                due_ns += WRITE_NS;
                continue;
            }
            Err(error) => return Err(error),
        };
        let asked = request::Peer::from_message(&received.message);
        let answer = match asked {
            Some(request::Peer::Nothing(_)) => request::NothingDone {}.to_message(),
            Some(request::Peer::End(_)) => request::Ended {}.to_message(),
            _ => refusal(Error::BadRequest),
        };
        reply(received.sender.pid, &answer, &[])?;
        if let Some(request::Peer::End(_)) = asked {
            return check(&pages, written);
        }
    }
}

/// How often a page has been written, of so many times in all: what it is filled with.
fn times(page: usize, written: usize) -> u8 {
    (written / RESIDENT_PAGES + usize::from(page < written % RESIDENT_PAGES)) as u8
}

fn write_next(pages: &mut [Page], written: &mut usize) {
    let page = *written % RESIDENT_PAGES;
    *written += 1;
    pages[page].0.fill(times(page, *written));
}

fn check(pages: &[Page], written: usize) -> Result<(), Error> {
    let is_intact =
        |(page, content): (usize, &Page)| content.0.iter().all(|byte| *byte == times(page, written));
    match pages.iter().enumerate().position(|page| !is_intact(page)) {
        None => Ok(()),
        Some(page) => {
            eprintln!("bench: page {page} is not what was written");
            Err(Error::BadReply)
        }
    }
}
