//! The exchanges drawn in the book's page on the message protocol are those of the engine.
//!
//! Each scene runs engines on a scripted network and draws what they say. A drawing that differs from the book's fails;
//! `UPDATE_BOOK=1 cargo test -p vmtp --test book` writes the new ones into the page, for its text to be read again.

mod stage;

use std::fs;
use std::path::Path;

use stage::{Cue, Stage};
use vmtp::packet::message::MULTIPLE_RESPONSES;

/// One request, one response.
fn small() -> String {
    let mut stage = Stage::new(&["client", "server"], 40);
    stage.acquaint();
    stage.send(1, 0, 0);
    stage.run(Cue::Outcome)
}

/// The first response is lost.
fn lost_response() -> String {
    let mut stage = Stage::new(&["client", "server"], 40);
    stage.acquaint();
    stage.lose(&[1]);
    stage.send(1, 0, 0);
    stage.run(Cue::Outcome)
}

/// The second packet of a response of 4 KiB is lost.
fn hole() -> String {
    let mut stage = Stage::new(&["client", "server"], 40);
    stage.acquaint();
    stage.lose(&[2]);
    stage.send(1, 0, 4096);
    stage.run(Cue::Outcome)
}

/// The first server hands the request on to the second.
fn forward() -> String {
    let mut stage = Stage::new(&["client", "first server", "second server"], 34);
    stage.acquaint();
    stage.hand_on(1, 2);
    stage.send(1, 0, 0);
    stage.run(Cue::Outcome)
}

/// The second of three requests of a run is lost.
fn run() -> String {
    let mut stage = Stage::new(&["client", "server"], 48);
    stage.acquaint();
    stage.lose(&[1]);
    stage.send_run(1, 3);
    stage.run(Cue::Outcome)
}

/// A run whose last response stands for all.
fn batched_run() -> String {
    let mut stage = Stage::new(&["client", "server"], 48);
    stage.acquaint();
    stage.batch();
    stage.send_run(1, 3);
    stage.run(Cue::Outcome)
}

/// Three members of a group answer, the last one late, to a client that collects for a while.
fn group() -> String {
    let mut stage = Stage::new(&["client", "a member", "another", "a third"], 24);
    stage.acquaint();
    stage.send_to_group(MULTIPLE_RESPONSES);
    stage.run(Cue::Outcome)
}

/// The server's host crashes at work and comes back under another number.
fn reboot() -> String {
    let mut stage = Stage::new(&["client", "server"], 40);
    stage.acquaint();
    stage.crash_at_work(1);
    stage.send(1, 0, 0);
    stage.run(Cue::Outcome)
}

/// The server's logical host moves while its server is at work.
fn moved() -> String {
    let mut stage = Stage::new(&["client", "a machine", "another"], 36);
    stage.acquaint();
    stage.move_at_work(1, 2);
    stage.send(1, 0, 0);
    stage.run(Cue::Outcome)
}

#[test]
fn the_book_draws_what_engines_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/book/message-protocol.md");
    let mut page = fs::read_to_string(&path).expect("the page is there");
    let update = std::env::var_os("UPDATE_BOOK").is_some();
    for (name, drawing) in [
        ("small", small()),
        ("lost-response", lost_response()),
        ("hole", hole()),
        ("run", run()),
        ("batched-run", batched_run()),
        ("forward", forward()),
        ("group", group()),
        ("reboot", reboot()),
        ("moved", moved()),
    ] {
        let mark = format!("<!-- drawn by vmtp/tests/book: {name} -->\n```text\n");
        let start =
            page.find(&mark).unwrap_or_else(|| panic!("the page has no place for {name}")) + mark.len();
        let end = start + page[start..].find("```").expect("the drawing ends");
        if update {
            page.replace_range(start..end, &drawing);
        } else {
            assert_eq!(
                page[start..end],
                drawing,
                "{name}: the page shows\n{}\nand engines say\n{drawing}",
                &page[start..end]
            );
        }
    }
    if update {
        fs::write(&path, page).expect("the page can be written");
    }
}
