//! Groups with members on several nodes.
//!
//! | `test-groups` | what it does |
//! |---|---|
//! | `found all\|user COUNT` | makes a group, prints its pid, waits until so many others have joined it, and asks them all |
//! | `join GROUP` | joins the group, and answers until it is told to leave |
//! | `ask GROUP COUNT` | asks the group's members, who are that many |
//! | `part GROUP` | has all members leave, and sees that the group is no more |
//!
//! What is asked is a number and some bytes; each member answers with the number and the bytes turned round.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use test_programs::must;
use v::abi::call::FOREVER;
use v::abi::protocol::{Reply as _, Request as _};
use v::env;
use v::group::{Admission, Group};
use v::prelude::*;
use v::time::{self, Duration, Instant};
use v::{Message, message};

v::abi::protocol! {
    /// What members are asked.
    pub mod asking = 0x71, enum Asking {
        /// Answers with the number, and the segment turned round.
        Ask = 1 { number: u32 } => Asked { number: u32 };
        /// Leaves the group.
        Part = 2 {} => Parted {};
    }
}

use asking::{Ask, Asked, Asking, Part, Parted};

/// How long others may take to join, or to be gone.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);
/// How long answers are waited for.
const ANSWERS: Duration = Duration::from_secs(5);

v_start::program!(main);

fn main() -> i32 {
    let words: Vec<&str> = env::arguments().skip(1).collect();
    let outcome = match words.as_slice() {
        ["found", admission, count] => found(admission, count),
        ["join", group] => join(group),
        ["ask", group, count] => parsed(group).and_then(|group| ask(group, must(count, count.parse())?)),
        ["part", group] => part(group),
        _ => Err("usage: test-groups found|join|ask|part ...; see its source".into()),
    };
    match outcome {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("test-groups: {why}");
            1
        }
    }
}

fn parsed(text: &str) -> Result<Group, String> {
    text.trim().parse().map(Group::from_pid).map_err(|()| format!("{text}: no group"))
}

fn found(admission: &str, count: &str) -> Result<(), String> {
    let admission = if admission == "user" { Admission::OwnUser } else { Admission::Anyone };
    let count: usize = must(count, count.parse())?;
    let group = must("create", Group::create(admission))?;
    println!("{}", group.pid());
    must("standard output", v::io::flush_standard_output())?;
    await_members(group, count + 1)?;
    ask(group, count)
}

/// Waits until the group has so many members.
fn await_members(group: Group, count: usize) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let members = must("members", group.members())?;
        if members.len() == count {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            return Err(format!("{} members, not {count}: {members:?}", members.len()));
        }
        must("sleep", time::sleep(PAUSE))?;
    }
}

fn join(group: &str) -> Result<(), String> {
    let group = parsed(group)?;
    must("join", group.join())?;
    eprintln!("joined");
    let mut buffer = [0; 4096];
    loop {
        let received = must("receive", message::receive(None, &mut buffer, FOREVER))?;
        let data = &mut buffer[..received.segment_bytes()];
        data.reverse();
        let (reply, is_over) = match Asking::from_message(&received.message) {
            Some(Asking::Ask(Ask { number })) => (Asked { number }.to_message(), false),
            Some(Asking::Part(_)) => {
                must("leave", group.leave())?;
                (Parted {}.to_message(), true)
            }
            None => (v::abi::protocol::refusal(Error::BadRequest), false),
        };
        // Who asked may have gone.
        let _ = message::reply(received.sender.pid, &reply, if is_over { &[] } else { data });
        if is_over {
            return Ok(());
        }
    }
}

fn ask(group: Group, count: usize) -> Result<(), String> {
    let number = time::now_ns() as u32;
    let question: Vec<u8> = (0..3000_u32).map(|at| (at ^ number) as u8).collect();
    let mut expected = question.clone();
    expected.reverse();
    let sent = group.send(&Ask { number }.to_message(), &question, question.len(), ANSWERS);
    // Whether it is known that nobody is there, or only that nobody answers, depends on who hurries.
    let replies =
        if count == 0 && matches!(sent, Err(Error::EmptyGroup)) { None } else { Some(must("send", sent)?) };
    let mut heard = Vec::new();
    for answer in replies.into_iter().flatten() {
        must("answer", Error::check(answer.message.code()))?;
        if Asked::from_message(&answer.message).number != number || answer.data != expected {
            return Err(format!("{} answers something else", answer.from));
        }
        if heard.contains(&answer.from) {
            return Err(format!("{} answers twice", answer.from));
        }
        heard.push(answer.from);
        // All have answered; on a network nobody says so.
        if heard.len() == count {
            break;
        }
    }
    println!("{} of {count} answered", heard.len());
    if heard.len() == count { Ok(()) } else { Err("some did not answer".into()) }
}

fn part(group: &str) -> Result<(), String> {
    let group = parsed(group)?;
    let message: Message = Part {}.to_message();
    let parted = must("send", group.send(&message, &[], 0, ANSWERS))?.count();
    println!("{parted} left");
    await_members(group, 0)
}
