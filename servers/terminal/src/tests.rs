//! The terminal as programs and the serial line see it.

extern crate std;
use std::string::String;
use std::vec;
use std::vec::Vec;

use abi::{Access, Error, Pid, Request, UserId};
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits};
use proptest::prelude::*;
use protocols::io::{io, mode};
use protocols::terminal::{mode as terminal_mode, terminal};

use crate::TerminalServer;
use crate::channel::{CHANNEL_BYTES, channel};

struct Setup {
    server: IoServer<TerminalServer>,
    system: TestSystem,
    bringer: Pid,
    taker: Pid,
    /// A program, and its console.
    program: Pid,
    /// Another process of the same user, which asks things while the program reads.
    asker: Pid,
    instance: u32,
    /// Everything that the screen got.
    screen: Vec<u8>,
}

impl Setup {
    fn new() -> Setup {
        let mut system = TestSystem::new();
        let bringer = system.process(UserId::SYSTEM);
        let taker = system.process(UserId::SYSTEM);
        let program = system.process(UserId(100));
        let asker = system.process(UserId(100));
        let mut server = IoServer::new(TerminalServer::new(vec![bringer, taker]), Limits::default());
        let open = io::Open { context: 0, mode: mode::READ | mode::WRITE, owner: Pid::NONE };
        let opened = system.say(&mut server, program, &open, b"").unwrap();
        Setup {
            server,
            system,
            bringer,
            taker,
            program,
            asker,
            instance: opened.instance,
            screen: Vec::new(),
        }
    }

    /// The process that writes to the serial line does its work until there is no more.
    fn drain(&mut self) {
        loop {
            if !self.system.is_waiting(self.taker) {
                let message = channel::TakeOutput {}.to_message();
                let segment = vec![0; CHANNEL_BYTES];
                self.system.send(&mut self.server, self.taker, &message, segment, Access::WRITE);
            }
            let Some((reply, segment)) = self.system.take_reply(self.taker) else {
                return;
            };
            self.screen.extend_from_slice(&segment[..reply.words[1] as usize]);
        }
    }

    fn type_bytes(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(CHANNEL_BYTES) {
            self.system.say(&mut self.server, self.bringer, &channel::Typed {}, piece).unwrap();
        }
    }

    fn start_read(&mut self, pid: Pid, room: usize) {
        let read = io::Read { instance: self.instance, position: 0 };
        let segment = vec![0; room];
        self.system.send(&mut self.server, pid, &read.to_message(), segment, Access::WRITE);
    }

    fn start_write(&mut self, pid: Pid, text: &[u8]) {
        let write = io::Write { instance: self.instance, position: 0 };
        self.system.send(&mut self.server, pid, &write.to_message(), text.to_vec(), Access::READ);
    }

    /// What a read or write gave, if it is over.
    fn outcome(&mut self, pid: Pid) -> Option<Result<String, Error>> {
        let (reply, mut segment) = self.system.take_reply(pid)?;
        Some(Error::check(reply.code()).map(|()| {
            segment.truncate(reply.words[1] as usize);
            String::from_utf8(segment).unwrap()
        }))
    }

    fn read_line(&mut self) -> Option<Result<String, Error>> {
        self.start_read(self.program, 5000);
        self.outcome(self.program)
    }

    fn ask<R: Request>(&mut self, request: &R, text: &[u8]) -> Result<R::Reply, Error> {
        self.system.say(&mut self.server, self.asker, request, text)
    }

    fn set_mode(&mut self, mode: u32) {
        let instance = self.instance;
        self.ask(&terminal::SetMode { instance, mode }, b"").unwrap();
    }

    fn set_prompt(&mut self, prompt: &str) {
        let instance = self.instance;
        self.ask(&terminal::SetPrompt { instance, completes: 1 }, prompt.as_bytes()).unwrap();
    }

    fn shown(&mut self) -> String {
        self.drain();
        String::from_utf8(core::mem::take(&mut self.screen)).unwrap()
    }
}

#[test]
fn a_program_reads_lines() {
    let mut console = Setup::new();
    assert_eq!(console.read_line(), None);
    console.type_bytes(b"hello");
    assert_eq!(console.outcome(console.program), None);
    console.type_bytes(b"\rnext\r");
    assert_eq!(console.outcome(console.program), Some(Ok("hello\n".into())));
    assert_eq!(console.read_line(), Some(Ok("next\n".into())));
    assert!(console.shown().contains("hello\r\n"));
}

#[test]
fn a_long_line_is_read_in_pieces() {
    let mut console = Setup::new();
    console.type_bytes(b"abcdef\r");
    for piece in ["abcd", "ef\n"] {
        console.start_read(console.program, 4);
        assert_eq!(console.outcome(console.program), Some(Ok(piece.into())));
    }
}

#[test]
fn readers_take_turns() {
    let mut console = Setup::new();
    let second = console.system.process(UserId(100));
    console.start_read(console.program, 100);
    console.start_read(second, 100);
    console.type_bytes(b"one\rtwo\r");
    assert_eq!(console.outcome(console.program), Some(Ok("one\n".into())));
    assert_eq!(console.outcome(second), Some(Ok("two\n".into())));
    console.start_read(console.program, 100);
    console.start_read(second, 100);
    console.system.kill(console.program);
    console.type_bytes(b"three\r");
    assert_eq!(console.outcome(second), Some(Ok("three\n".into())));
}

#[test]
fn the_end_is_read_once() {
    let mut console = Setup::new();
    console.type_bytes(b"\x04more\r");
    assert_eq!(console.read_line(), Some(Ok(String::new())));
    assert_eq!(console.read_line(), Some(Ok("more\n".into())));
}

#[test]
fn text_without_a_lines_end_can_be_handed_over() {
    let mut console = Setup::new();
    console.type_bytes(b"abc\x04\x04de\x02\x04\r");
    for read in ["abc", "", "d\n"] {
        assert_eq!(console.read_line(), Some(Ok(read.into())));
    }
    // With a prompt, the shell's line, it deletes.
    console.set_prompt("$ ");
    console.type_bytes(b"abc\x04\r");
    assert_eq!(console.read_line(), Some(Ok("abc\n".into())));
}

#[test]
fn a_line_is_drawn_again_when_the_serial_line_was_lost() {
    let mut console = Setup::new();
    console.set_prompt("$ ");
    console.start_read(console.program, 100);
    console.type_bytes(b"abc");
    assert!(console.shown().ends_with("$ abc"));
    let asked = console.system.say(&mut console.server, console.bringer, &channel::Reconnected {}, b"");
    asked.unwrap();
    assert!(console.shown().ends_with("$ abc"));
}

#[test]
fn what_is_written_has_left_when_the_next_is_asked_for() {
    let mut console = Setup::new();
    console.drain();
    console.start_write(console.program, b"abc");
    assert_eq!(console.outcome(console.program).map(|written| written.map(drop)), Some(Ok(())));
    // The serial line has it; whether it has left is not known before the line is free for more.
    assert_eq!(console.system.take_reply(console.taker).map(|(reply, _)| reply.words[1]), Some(3));
    let message = io::Synchronize { instance: console.instance }.to_message();
    console.system.send(&mut console.server, console.asker, &message, vec![], Access::NONE);
    assert_eq!(console.system.take_reply(console.asker), None);
    console.drain();
    assert!(console.system.take_reply(console.asker).is_some());
    // Nothing is on its way: the answer comes at once.
    console.ask(&io::Synchronize { instance: console.instance }, b"").unwrap();
}

#[test]
fn whoever_completes_words_is_asked_for_them() {
    let mut console = Setup::new();
    let instance = console.instance;
    console.set_prompt("$ ");
    console.type_bytes(b"cat [boot]b\t");
    assert_eq!(console.read_line(), Some(Ok(String::new())));
    let message = terminal::QueryLine { instance }.to_message();
    console.system.send(&mut console.server, console.asker, &message, vec![0; 64], Access::WRITE);
    let (reply, line) = console.system.take_reply(console.asker).unwrap();
    assert_eq!((&reply.words[1..3], &line[..11]), (&[11, 4][..], &b"cat [boot]b"[..]));
    console.ask(&terminal::SetCompletions { instance }, b"[boot]bin/\n").unwrap();
    assert!(console.shown().ends_with("cat [boot]bin/"));
    console.type_bytes(b"x\r");
    assert_eq!(console.read_line(), Some(Ok("cat [boot]bin/x\n".into())));
    // The end is no question, and an answer without one is nothing.
    console.type_bytes(b"\x04");
    assert_eq!(console.read_line(), Some(Ok(String::new())));
    assert_eq!(console.ask(&terminal::QueryLine { instance }, b"").map(drop), Err(Error::NotFound));
    console.ask(&terminal::SetCompletions { instance }, b"late\n").unwrap();
}

#[test]
fn where_nobody_stops_programs_that_is_said() {
    let mut console = Setup::new();
    console.type_bytes(b"\x1a");
    assert_eq!(console.shown(), "");
    let (instance, child) = (console.instance, console.system.process(UserId(100)));
    console.ask(&terminal::AddForeground { instance, program: child }, b"").unwrap();
    console.type_bytes(b"\x1a");
    assert!(console.shown().starts_with("^Z: nobody here"));
    console.type_bytes(b"\x1c");
    assert_eq!(console.system.ended, [(child, 130)]);
}

#[test]
fn who_stops_programs_is_told_and_their_reads_are_put_aside() {
    let mut console = Setup::new();
    let (instance, child) = (console.instance, console.system.process(UserId(100)));
    let stopper = console.system.process(UserId(100));
    let await_stop = terminal::AwaitStop { instance }.to_message();
    console.system.send(&mut console.server, stopper, &await_stop, Vec::new(), Access::NONE);
    console.ask(&terminal::AddForeground { instance, program: child }, b"").unwrap();
    console.start_read(child, 100);
    console.type_bytes(b"half");
    console.type_bytes(b"\x1a");
    let (wanted, _) = console.system.take_reply(stopper).unwrap();
    let readers = wanted.words[1];
    assert!(console.shown().ends_with("half^Z\r\n"));
    // One that asked before it was stopped is put aside as well, before the shell reads.
    let late = console.system.process(UserId(100));
    console.start_read(late, 100);
    console.ask(&terminal::PutReadersAside { instance, readers: readers + 1 }, b"").unwrap();
    console.ask(&terminal::PutReadersAside { instance, readers }, b"").unwrap();
    // What is typed now is the shell's.
    console.start_read(console.program, 100);
    console.type_bytes(b"jobs\r");
    assert_eq!(console.outcome(console.program), Some(Ok("jobs\n".into())));
    assert_eq!(console.outcome(child), None);
    console.ask(&terminal::ResumeReaders { instance, readers: readers + 1 }, b"").unwrap();
    console.ask(&terminal::ResumeReaders { instance, readers }, b"").unwrap();
    console.type_bytes(b"text\r");
    assert_eq!(console.outcome(child), Some(Ok("text\n".into())));
    console.type_bytes(b"more\r");
    assert_eq!(console.outcome(late), Some(Ok("more\n".into())));
    assert_eq!(console.system.ended, []);
}

#[test]
fn a_stop_before_the_program_is_there_is_told() {
    let mut console = Setup::new();
    let (instance, stopper) = (console.instance, console.system.process(UserId(100)));
    let await_stop = terminal::AwaitStop { instance }.to_message();
    console.system.send(&mut console.server, stopper, &await_stop, Vec::new(), Access::NONE);
    // Where a line is awaited there is nothing to stop.
    console.set_prompt("$ ");
    console.start_read(console.program, 100);
    console.type_bytes(b"sl\x1a");
    assert_eq!(console.system.take_reply(stopper), None);
    // It may come with the line's end.
    console.type_bytes(b"eep\r\x1a");
    assert_eq!(console.outcome(console.program), Some(Ok("sleep\n".into())));
    assert!(console.system.take_reply(stopper).is_some());
    // Another tells nobody until the stopper is there again.
    console.type_bytes(b"\x1a");
    console.system.send(&mut console.server, stopper, &await_stop, Vec::new(), Access::NONE);
    assert_eq!(console.system.take_reply(stopper), None);
    console.type_bytes(b"\x1a");
    assert!(console.system.take_reply(stopper).is_some());
    assert_eq!(console.system.ended, []);
}

#[test]
fn an_interrupt_aborts_a_read_or_ends_programs() {
    let mut console = Setup::new();
    console.start_read(console.program, 100);
    console.type_bytes(b"half a li");
    console.type_bytes(b"\x03");
    assert_eq!(console.outcome(console.program), Some(Err(Error::Aborted)));
    assert!(console.shown().ends_with("half a li^C\r\n"));

    let instance = console.instance;
    let child = console.system.process(UserId(100));
    let add = terminal::AddForeground { instance, program: child };
    console.ask(&add, b"").unwrap();
    console.start_read(child, 100);
    console.type_bytes(b"typed ahead\x03");
    assert_eq!(console.system.ended, [(child, 130)]);
    let cleared = console.ask(&terminal::ClearForeground { instance }, b"").unwrap();
    assert_eq!(cleared.interrupted, 1);
    let cleared = console.ask(&terminal::ClearForeground { instance }, b"").unwrap();
    assert_eq!(cleared.interrupted, 0);
    console.start_read(console.program, 100);
    console.type_bytes(b"next\r");
    assert_eq!(console.outcome(console.program), Some(Ok("next\n".into())));

    let theirs = console.system.process(UserId(101));
    let add = terminal::AddForeground { instance, program: theirs };
    assert_eq!(console.ask(&add, b""), Err(Error::NoPermission));
    let gone = terminal::AddForeground { instance, program: child };
    assert_eq!(console.ask(&gone, b""), Err(Error::StaleProcess));

    // Whose a program of another node is, its manager is to check.
    let elsewhere = console.system.process_elsewhere(UserId(101));
    console.ask(&terminal::AddForeground { instance, program: elsewhere }, b"").unwrap();
    console.type_bytes(b"\x03");
    assert_eq!(console.system.ended.last(), Some(&(elsewhere, 130)));
    assert_eq!(console.system.ended_for.last(), Some(&UserId(100)));
}

#[test]
fn an_interrupt_that_comes_before_the_program_is_meant_for_it() {
    let mut console = Setup::new();
    console.start_read(console.program, 100);
    console.type_bytes(b"sleep 50\r");
    assert_eq!(console.outcome(console.program), Some(Ok("sleep 50\n".into())));
    console.type_bytes(b"\x03");
    let instance = console.instance;
    let child = console.system.process(UserId(100));
    let add = terminal::AddForeground { instance, program: child };
    console.ask(&add, b"").unwrap();
    assert_eq!(console.system.ended, [(child, 130)]);
    // The next command is none of its business.
    console.start_read(console.program, 100);
    console.type_bytes(b"next\r");
    let child = console.system.process(UserId(100));
    let add = terminal::AddForeground { instance, program: child };
    console.ask(&add, b"").unwrap();
    assert_eq!(console.system.ended.len(), 1);
}

#[test]
fn raw_mode_gives_bytes() {
    let mut console = Setup::new();
    console.set_mode(terminal_mode::RAW);
    console.start_read(console.program, 100);
    console.type_bytes(b"\x1b[A\x03\r\xff");
    let (reply, segment) = console.system.take_reply(console.program).unwrap();
    assert_eq!(&segment[..reply.words[1] as usize], b"\x1b[A\x03\r\xff");
    assert_eq!(console.shown(), "", "nothing is echoed");
    console.start_write(console.program, b"a\nb");
    assert_eq!(console.shown(), "a\nb");
    // The one who forgets to set it back is tidied up after.
    let instance = console.instance;
    console.ask(&terminal::ClearForeground { instance }, b"").unwrap();
    let previous = console.ask(&terminal::SetMode { instance, mode: 0 }, b"").unwrap().previous;
    assert_eq!(previous, 0);
}

#[test]
fn a_password_is_not_shown_nor_remembered() {
    let mut console = Setup::new();
    console.set_mode(terminal_mode::NO_ECHO);
    console.set_prompt("password: ");
    console.start_read(console.program, 100);
    console.type_bytes(b"secret\r");
    assert_eq!(console.outcome(console.program), Some(Ok("secret\n".into())));
    assert!(!console.shown().contains("secret"));
    console.set_mode(0);
    console.set_prompt("$ ");
    console.start_read(console.program, 100);
    console.type_bytes(b"\x1b[A\r");
    assert_eq!(console.outcome(console.program), Some(Ok("\n".into())));
}

#[test]
fn output_goes_above_the_line_being_edited() {
    let mut console = Setup::new();
    let other = console.system.process(UserId(100));
    let mut screen = vt100::Parser::new(10, 40, 0);
    console.start_write(other, b"unfinished");
    console.set_prompt("$ ");
    console.start_read(console.program, 100);
    console.type_bytes(b"ls -");
    console.outcome(other);
    console.start_write(other, b"one\ntwo\n");
    console.type_bytes(b"l");
    screen.process(console.shown().as_bytes());
    assert_eq!(screen.screen().contents(), "unfinished\none\ntwo\n$ ls -l");
    assert_eq!(screen.screen().cursor_position(), (3, 7));
}

#[test]
fn the_window_is_asked_for_or_told() {
    let mut console = Setup::new();
    let instance = console.instance;
    console.set_prompt("$ ");
    console.start_read(console.program, 100);
    assert!(console.shown().contains("\x1b[6n"));
    console.type_bytes(b"ab\x1b[50;132Rc\r");
    assert_eq!(console.outcome(console.program), Some(Ok("abc\n".into())));
    let window = console.ask(&terminal::QueryWindow { instance }, b"").unwrap();
    assert_eq!((window.columns, window.rows), (132, 50));
    for (columns, rows) in [(0, 24), (80, 0), (1, 1), (u32::MAX, 24)] {
        let set = terminal::SetWindow { instance, columns, rows };
        assert_eq!(console.ask(&set, b""), Err(Error::BadArgument));
    }
    console.set_prompt("$ ");
    console.start_read(console.program, 100);
    console.type_bytes(b"\x1b[0;0R\r");
    assert_eq!(console.outcome(console.program), Some(Ok("\n".into())));
    assert!(!console.shown().contains("\x1b[6n"), "asked once");
}

#[test]
fn a_blocked_screen_holds_writers_but_not_the_keyboard() {
    let mut console = Setup::new();
    let text = vec![b'x'; 30_000];
    let mut taken = 0;
    loop {
        console.start_write(console.program, &text);
        match console.outcome(console.program) {
            Some(outcome) => taken += outcome.unwrap().len(),
            None => break,
        }
        assert!(taken < 100_000);
    }
    let reader = console.system.process(UserId(100));
    console.start_read(reader, 100);
    console.type_bytes(b"typed\r");
    assert_eq!(console.outcome(reader), Some(Ok("typed\n".into())));
    let shown = console.shown();
    taken += console.outcome(console.program).unwrap().unwrap().len();
    assert_eq!(shown.matches('x').count(), taken);
}

#[test]
fn a_full_keyboard_buffer_holds_the_line() {
    let mut console = Setup::new();
    let line = [&[b'a'; 63][..], b"\r"].concat().repeat(CHANNEL_BYTES / 64);
    let mut typed = 0;
    let message = channel::Typed {}.to_message();
    while !console.system.is_waiting(console.bringer) {
        console.system.send(&mut console.server, console.bringer, &message, line.clone(), Access::READ);
        typed += line.len();
        assert!(typed <= crate::terminal::TYPED_BYTES);
        console.system.take_reply(console.bringer);
    }
    let mut lines = 0;
    while let Some(Ok(_)) = console.read_line() {
        lines += 1;
    }
    assert_eq!(lines, typed / 64);
    assert!(console.system.take_reply(console.bringer).is_some());
}

#[test]
fn strangers_are_refused() {
    let mut console = Setup::new();
    let stranger = console.system.process(UserId(101));
    let instance = console.instance;
    for refused in [
        console.system.say(&mut console.server, stranger, &channel::Typed {}, b"rm *\r").map(drop),
        console
            .system
            .say(&mut console.server, stranger, &terminal::SetMode { instance, mode: 1 }, b"")
            .map(drop),
        console
            .system
            .say(&mut console.server, stranger, &terminal::SetPrompt { instance, completes: 0 }, b"")
            .map(drop),
    ] {
        assert_eq!(refused, Err(Error::NoPermission));
    }
}

proptest! {
    /// Whatever is typed and whatever modes there are, nothing panics, and a ^C and a line later all is well.
    #[test]
    fn any_typing_is_survived(
        steps in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), 0..12u32), 0..30),
        columns in 2..90u32,
    ) {
        let mut console = Setup::new();
        let instance = console.instance;
        console.ask(&terminal::SetWindow { instance, columns, rows: 24 }, b"").unwrap();
        for (bytes, what) in steps {
            match what {
                mode @ 0..8 => console.set_mode(mode),
                8 => console.set_prompt("$ "),
                9 => {
                    let writer = console.system.process(UserId(100));
                    console.start_write(writer, &bytes);
                }
                _ if !console.system.is_waiting(console.program) => {
                    console.start_read(console.program, 100);
                }
                _ => {}
            }
            console.type_bytes(&bytes);
            console.drain();
            console.system.take_reply(console.program);
        }
        console.set_mode(0);
        console.type_bytes(b"\x03\x03");
        console.system.take_reply(console.program);
        console.start_read(console.program, 100);
        console.type_bytes(b"fine\r");
        prop_assert_eq!(console.outcome(console.program), Some(Ok("fine\n".into())));
    }
}
