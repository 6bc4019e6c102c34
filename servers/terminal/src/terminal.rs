//! One terminal: its mode, who reads it and who writes to it, whom ^C ends, what was typed ahead, and what is on its
//! way to the screen.
//!
//! In cooked mode a line is edited while somebody waits to read it; what is typed otherwise waits, but for ^C, which
//! is seen at once. While a line is on the screen, whatever programs write goes above it. Invariant: nobody waits to
//! read while a line or, in raw mode, a byte is there; nobody waits to write while there is room.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use abi::protocol::{Reply as _, refusal};
use abi::{Error, Pid, UserId};
use io_server::{Incoming, Ring, System, Waiter, Waiters, waiting};
use protocols::io::io;
use protocols::terminal::{mode, terminal};

use crate::channel::channel;
use crate::editor::{BELL, Editor, Entered, Manner};
use crate::keys::{Key, KeyDecoder};
use crate::line::MAX_LINE_BYTES;
use crate::view::Screen;

/// Bytes typed that nobody has read.
pub const TYPED_BYTES: usize = 64 * 1024;
/// Bytes on their way to the screen,
const OUTPUT_BYTES: usize = 64 * 1024;
/// of which so many are kept for what the terminal itself shows.
const OWN_OUTPUT_BYTES: usize = 24 * 1024;
/// Most programs that ^C ends.
const MAX_FOREGROUND: usize = 64;
/// The exit status of a program that ^C ended: 128 plus the number of an interrupt.
const INTERRUPTED_STATUS: u32 = 130;
/// ^C and ^\\, which mean the same.
const INTERRUPT_BYTES: [u8; 2] = [3, 0x1c];
/// ^Z.
const SUSPEND_BYTE: u8 = 0x1a;
const NO_SUSPENSION: &[u8] = b"^Z: nobody here lets programs go on again; ^C ends this one\n";
/// Most groups of readers that are put aside.
const MAX_ASIDE: usize = 64;
/// Asks a terminal where its cursor is, after sending it as far as it goes; the answer is the window's size. The
/// cursor comes back.
const ASK_WINDOW: &[u8] = b"\x1b7\x1b[999;999H\x1b[6n\x1b8";
/// Has pasted text marked as such.
const MARK_PASTES: &[u8] = b"\x1b[?2004h";
/// The size of a window that does not say.
const DEFAULT_WINDOW: (u32, u32) = (80, 24);
const WINDOW_LIMITS: core::ops::RangeInclusive<u32> = 2..=4096;

/// A terminal.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Four facts that have nothing to do with each other.
pub struct Terminal {
    mode: u32,
    window: (u32, u32),
    /// Whether the window was asked for its size.
    was_asked: bool,
    decoder: KeyDecoder,
    editor: Editor,
    /// The next line's prompt.
    prompt: Option<String>,
    foreground: Vec<(Pid, UserId)>,
    was_interrupted: bool,
    /// ^C came when nobody read and no program was in the foreground: it is meant for the next one.
    awaits_program: bool,
    /// What was typed and not looked at.
    typed: Ring,
    /// A line that is done and not yet read, or the rest of it.
    line: Ring,
    /// ^D, or a question for completions: the next read gives 0 bytes.
    is_at_end: bool,
    /// Who reads completes words.
    completes: bool,
    /// The line whose last word a reader has been asked to complete, and where that begins.
    asked: Option<(String, usize)>,
    readers: Waiters,
    /// Readers of programs that were stopped, by the number under which they may come back.
    aside: Vec<(u32, Waiters)>,
    next_aside: u32,
    /// Those who stop programs when the user says so.
    stoppers: Waiters,
    writers: Waiters,
    output: Ring,
    /// The last byte for the screen ended a row.
    is_at_row_start: bool,
    /// The process that brings what is typed, while there is no room.
    bringer: Option<Pid>,
    /// The process that takes output away, and its room, while there is none.
    taker: Option<(Pid, usize)>,
    /// Those who wait until all that was written has left the line.
    synchronizers: Waiters,
}

impl Terminal {
    /// A terminal of the usual size, in cooked mode.
    pub fn new() -> Terminal {
        Terminal {
            mode: 0,
            window: DEFAULT_WINDOW,
            was_asked: false,
            decoder: KeyDecoder::new(),
            editor: Editor::new(DEFAULT_WINDOW.0 as usize),
            prompt: None,
            foreground: Vec::new(),
            was_interrupted: false,
            awaits_program: false,
            typed: Ring::new(TYPED_BYTES),
            line: Ring::new(MAX_LINE_BYTES + 1),
            is_at_end: false,
            completes: false,
            asked: None,
            readers: Waiters::new(),
            aside: Vec::new(),
            next_aside: 0,
            stoppers: Waiters::new(),
            writers: Waiters::new(),
            output: Ring::new(OUTPUT_BYTES),
            is_at_row_start: true,
            bringer: None,
            taker: None,
            synchronizers: Waiters::new(),
        }
    }

    /// Answers a read, now or when there is something.
    pub fn read(&mut self, reader: Waiter, system: &mut dyn System) {
        self.readers.push(reader);
        self.serve_readers(system);
    }

    /// Takes what there is room for of a write; none: the client is answered when there is room.
    pub fn write(
        &mut self,
        writer: Waiter,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Option<usize>, Error> {
        let count = data.bytes().min(self.write_room());
        if count == 0 {
            self.writers.push(writer);
            return Ok(None);
        }
        let mut text = vec![0; count];
        data.copy_to(0, &mut text, system)?;
        self.show_text(&text, system);
        Ok(Some(count))
    }

    /// Somebody lets go of an instance: those who wait through it are refused.
    pub fn close(&mut self, instance: u64, system: &mut dyn System) {
        self.readers.close(instance, system);
        self.aside.iter_mut().for_each(|(_, readers)| readers.close(instance, system));
        self.stoppers.close(instance, system);
        self.writers.close(instance, system);
        self.synchronizers.close(instance, system);
    }

    /// Answers when all that is written by now has left the serial line.
    pub fn synchronize(&mut self, waiter: Waiter, system: &mut dyn System) {
        self.synchronizers.push(waiter);
        self.feed_taker(system);
    }

    /// Bytes that came from the keyboard, no more than there is room for. False if there is no room for more:
    /// `bringer` is answered when there is.
    pub fn type_bytes(&mut self, bytes: &[u8], bringer: Pid, system: &mut dyn System) -> bool {
        let is_cooked = self.mode & mode::RAW == 0;
        let mut rest = bytes;
        if is_cooked && let Some(last) = bytes.iter().rposition(|byte| INTERRUPT_BYTES.contains(byte)) {
            // What was typed before it is dropped with all else.
            self.interrupt(system);
            rest = &bytes[last + 1..];
        }
        if is_cooked && let Some(last) = rest.iter().rposition(|byte| *byte == SUSPEND_BYTE) {
            if self.foreground.is_empty() && !self.stoppers.is_empty() {
                // It may follow the line that is about to bring a program there.
                let _ = self.typed.push(&rest[..last]);
                self.serve_readers(system);
                rest = &rest[last..];
            }
            if !self.foreground.is_empty() || self.awaits_foreground() {
                self.stop(system);
                rest = &rest[rest.iter().rposition(|byte| *byte == SUSPEND_BYTE).map_or(0, |at| at + 1)..];
            }
        }
        // There is room: the bringer was told so.
        let _ = self.typed.push(rest);
        self.serve_readers(system);
        if self.typed.room() < crate::channel::CHANNEL_BYTES {
            self.bringer = Some(bringer);
            return false;
        }
        true
    }

    /// Whether a command has been typed and nobody waits for the next, but its program has yet to come.
    fn awaits_foreground(&self) -> bool {
        !self.stoppers.is_empty() && self.readers.is_empty() && !self.editor.is_active()
    }

    /// Answers when the user wants to stop what is in the foreground.
    pub fn await_stop(&mut self, stopper: Waiter, system: &mut dyn System) {
        self.stoppers.forget_ended(system);
        self.stoppers.push(stopper);
    }

    /// ^Z: tells the last who asked, and puts those aside who wait to read.
    fn stop(&mut self, system: &mut dyn System) {
        let Some(stopper) = self.stoppers.pop_last() else {
            return self.show_text(NO_SUSPENSION, system);
        };
        self.forget_line("^Z", system);
        for (_, readers) in &mut self.aside {
            readers.forget_ended(system);
        }
        self.aside.retain(|(_, readers)| !readers.is_empty());
        self.next_aside = self.next_aside.wrapping_add(1);
        self.put_readers_aside(self.next_aside);
        let wanted = terminal::StopWanted { readers: self.next_aside };
        // Who has gone needs no answer.
        let _ = system.reply(stopper.client, &wanted.to_message(), &[]);
    }

    /// Puts those who wait to read aside, under a number that was given out.
    pub fn put_readers_aside(&mut self, number: u32) {
        if self.readers.is_empty() {
            return;
        }
        let place = self.aside.iter().position(|(known, _)| *known == number);
        if place.is_none() && (self.aside.len() == MAX_ASIDE || number != self.next_aside) {
            return;
        }
        let place = place.unwrap_or_else(|| {
            self.aside.push((number, Waiters::new()));
            self.aside.len() - 1
        });
        while let Some(reader) = self.readers.pop() {
            self.aside[place].1.push(reader);
        }
    }

    /// Those who were put aside under a number wait to read again.
    pub fn resume_readers(&mut self, number: u32, system: &mut dyn System) {
        if let Some(place) = self.aside.iter().position(|(known, _)| *known == number) {
            let (_, mut readers) = self.aside.swap_remove(place);
            while let Some(reader) = readers.pop() {
                self.readers.push(reader);
            }
            self.serve_readers(system);
        }
    }

    /// Draws the line that is being edited again: the screen may lack what it was told last.
    pub fn redraw(&mut self, system: &mut dyn System) {
        if self.editor.is_active() {
            let mut screen = Screen::new();
            self.editor.draw(&mut screen);
            self.show(&screen, system);
        }
    }

    /// Gives the process that takes output away what there is, now or later.
    pub fn take_output(&mut self, taker: Pid, room: usize, system: &mut dyn System) {
        self.taker = Some((taker, room));
        self.feed_taker(system);
    }

    /// Sets the mode; the one before it.
    pub fn set_mode(&mut self, new_mode: u32, system: &mut dyn System) -> u32 {
        let old_mode = core::mem::replace(&mut self.mode, new_mode);
        if new_mode & mode::RAW != 0 && self.editor.is_active() {
            let mut screen = Screen::new();
            self.editor.abandon("", &mut screen);
            self.show(&screen, system);
        }
        self.serve_readers(system);
        old_mode
    }

    /// Columns and rows.
    pub const fn window(&self) -> (u32, u32) {
        self.window
    }

    /// Somebody knows the window's size.
    pub fn set_window(&mut self, columns: u32, rows: u32, system: &mut dyn System) -> Result<(), Error> {
        if !WINDOW_LIMITS.contains(&columns) || !(1..=*WINDOW_LIMITS.end()).contains(&rows) {
            return Err(Error::BadArgument);
        }
        self.was_asked = true;
        self.window = (columns, rows);
        let mut screen = Screen::new();
        self.editor.set_columns(columns as usize, &mut screen);
        self.show(&screen, system);
        Ok(())
    }

    /// ^C ends this program.
    pub fn add_foreground(
        &mut self,
        program: Pid,
        user: UserId,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        if self.foreground.len() >= MAX_FOREGROUND {
            self.foreground.retain(|(program, _)| !system.has_ended(*program));
        }
        if self.foreground.len() >= MAX_FOREGROUND {
            return Err(Error::NoResources);
        }
        if self.awaits_program {
            // One that has ended already is no loss.
            let _ = system.end(program, user, INTERRUPTED_STATUS);
            return Ok(());
        }
        self.foreground.push((program, user));
        Ok(())
    }

    /// ^C ends no program any more, and lines are edited again. Whether there was a ^C since the last time.
    pub fn clear_foreground(&mut self, system: &mut dyn System) -> bool {
        self.foreground.clear();
        self.awaits_program = false;
        self.set_mode(0, system);
        core::mem::take(&mut self.was_interrupted)
    }

    /// What is shown before the next line, and whether its reader completes words.
    pub fn set_prompt(&mut self, prompt: String, completes: bool) {
        self.prompt = Some(prompt);
        self.completes = completes;
        self.asked = None;
    }

    /// Whether any line is remembered.
    pub fn has_history(&self) -> bool {
        self.editor.has_history()
    }

    /// Remembers lines, the oldest first.
    pub fn remember<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        lines.filter(|line| line.len() <= MAX_LINE_BYTES).for_each(|line| self.editor.remember(line));
    }

    /// The line whose last word the reader is asked to complete, and where that begins.
    pub fn asked(&self) -> Option<(&str, usize)> {
        self.asked.as_ref().map(|(line, word)| (line.as_str(), *word))
    }

    /// The words that complete the one that was asked about. Without a question they come too late.
    pub fn complete(&mut self, words: Vec<String>, system: &mut dyn System) {
        if self.asked.take().is_some() && self.editor.is_active() {
            let mut screen = Screen::new();
            self.editor.complete(words, &mut screen);
            self.show(&screen, system);
        }
    }

    /// Answers readers as long as there is something for them; begins a line where there isn't.
    fn serve_readers(&mut self, system: &mut dyn System) {
        while let Some(reader) = self.readers.first() {
            if self.mode & mode::RAW != 0 {
                let ring = if self.line.is_empty() { &mut self.typed } else { &mut self.line };
                if ring.is_empty() {
                    break;
                }
                self.readers.pop();
                // A reader that has gone takes nothing along.
                let _ = waiting::reply_read(reader.client, ring, reader.bytes, system);
            } else if !self.line.is_empty() {
                self.readers.pop();
                let _ = waiting::reply_read(reader.client, &mut self.line, reader.bytes, system);
            } else if self.is_at_end {
                self.readers.pop();
                let end = io::ReadDone { count: 0 }.to_message();
                self.is_at_end = system.reply(reader.client, &end, &[]).is_err();
            } else if !self.edit(system) {
                break;
            }
        }
        self.let_bringer_go(system);
    }

    /// Gives keys to the editor until a line is done; false if there are too few.
    fn edit(&mut self, system: &mut dyn System) -> bool {
        let mut screen = Screen::new();
        if !self.editor.is_active() {
            self.begin_line(&mut screen);
        } else if self.prompt.is_some() {
            let prompt = self.prompt.take();
            self.editor.begin(prompt, self.manner(), &mut screen);
        }
        let mut is_done = false;
        while !is_done {
            let Some(byte) = self.typed.filled().0.first().copied() else {
                break;
            };
            self.typed.drop_oldest(1);
            let Some(key) = self.decoder.push(byte) else {
                continue;
            };
            if let Key::Position { row, column } = key {
                self.show(&core::mem::take(&mut screen), system);
                // A size that can't be is no answer.
                let _ = self.set_window(u32::from(column), u32::from(row), system);
                continue;
            }
            is_done = self.enter(key, &mut screen, system);
        }
        self.show(&screen, system);
        is_done
    }

    /// One key; whether readers have something to read now, or are fewer.
    fn enter(&mut self, key: Key, screen: &mut Screen, system: &mut dyn System) -> bool {
        match self.editor.key(key, screen) {
            Entered::Nothing => false,
            Entered::Line(line) => {
                // It is empty, and a line is not longer than it; only memory can be lacking, and then it is lost.
                let _ = self.line.push(line.as_bytes());
                let _ = self.line.push(b"\n");
                true
            }
            Entered::Part(part) => {
                // As above.
                let _ = self.line.push(part.as_bytes());
                true
            }
            Entered::End => {
                self.is_at_end = true;
                true
            }
            Entered::Interrupt => {
                self.interrupt(system);
                true
            }
            Entered::Complete { line, word } if self.completes => {
                self.asked = Some((line, word));
                self.is_at_end = true;
                true
            }
            Entered::Complete { .. } => {
                screen.push(BELL);
                false
            }
        }
    }

    fn begin_line(&mut self, screen: &mut Screen) {
        self.awaits_program = false;
        if !self.is_at_row_start && self.prompt.is_some() {
            screen.extend_from_slice(b"\r\n");
        }
        if self.prompt.is_some() && !self.was_asked {
            self.was_asked = true;
            screen.extend_from_slice(ASK_WINDOW);
            screen.extend_from_slice(MARK_PASTES);
        }
        let prompt = self.prompt.take();
        let manner = self.manner();
        self.editor.begin(prompt, manner, screen);
    }

    fn manner(&self) -> Manner {
        Manner { is_hidden: self.mode & mode::NO_ECHO != 0, is_forgetful: self.mode & mode::NO_HISTORY != 0 }
    }

    /// ^C: ends the programs in the foreground; if there are none, whoever has waited longest to read is told.
    fn interrupt(&mut self, system: &mut dyn System) {
        self.forget_line("^C", system);
        self.was_interrupted = true;
        if self.foreground.is_empty() {
            if let Some(reader) = self.readers.pop() {
                // Who has gone needs no answer.
                let _ = system.reply(reader.client, &refusal(Error::Aborted), &[]);
            } else {
                // A command was typed and its program is about to come.
                self.awaits_program = true;
            }
            return;
        }
        for (program, user) in self.foreground.drain(..) {
            // One that has ended already is no loss.
            let _ = system.end(program, user, INTERRUPTED_STATUS);
        }
        self.readers.forget_ended(system);
    }

    /// Drops what was typed, and shows the sign of the key that did it.
    fn forget_line(&mut self, sign: &str, system: &mut dyn System) {
        self.typed.clear();
        self.line.clear();
        self.is_at_end = false;
        self.asked = None;
        self.decoder = KeyDecoder::new();
        let mut screen = Screen::new();
        if self.editor.is_active() {
            self.editor.abandon(sign, &mut screen);
        } else {
            screen.extend_from_slice(sign.as_bytes());
            screen.extend_from_slice(b"\r\n");
        }
        self.show(&screen, system);
    }

    /// Puts a program's text on the screen, above the line that is being edited.
    fn show_text(&mut self, text: &[u8], system: &mut dyn System) {
        let mut screen = Screen::new();
        let was_active = self.editor.is_active();
        self.editor.hide(&mut screen);
        if self.mode & mode::RAW != 0 {
            screen.extend_from_slice(text);
        } else {
            for piece in text.split_inclusive(|byte| *byte == b'\n') {
                match piece.split_last() {
                    Some((b'\n', before)) => {
                        screen.extend_from_slice(before);
                        screen.extend_from_slice(b"\r\n");
                    }
                    _ => screen.extend_from_slice(piece),
                }
            }
        }
        if was_active {
            if !screen.ends_with(b"\n") {
                screen.extend_from_slice(b"\r\n");
            }
            self.editor.draw(&mut screen);
        }
        self.show(&screen, system);
    }

    /// Sends bytes on their way to the screen.
    fn show(&mut self, screen: &[u8], system: &mut dyn System) {
        if screen.is_empty() {
            return;
        }
        self.is_at_row_start = screen.ends_with(b"\n") || screen.ends_with(crate::view::CLEAR_FROM_ROW_START);
        // The terminal's own output is bounded by the room kept for it; while the screen is blocked for long, what
        // is typed is not shown.
        let _ = self.output.push(screen);
        self.feed_taker(system);
    }

    fn feed_taker(&mut self, system: &mut dyn System) {
        let Some((taker, room)) = self.taker else {
            return;
        };
        // It has nothing, so all that was written has left the line.
        if self.output.is_empty() {
            self.synchronizers.answer_all(&io::Synchronized {}.to_message(), system);
            return;
        }
        self.taker = None;
        let (first, _) = self.output.oldest(room);
        let count = first.len();
        let reply = channel::OutputTaken { count: count as u32 };
        if system.reply(taker, &reply.to_message(), first).is_ok() {
            self.output.drop_oldest(count);
        }
        self.let_writers_go(system);
    }

    /// Room for what programs write. A line's end becomes two bytes, and a line being edited is drawn again.
    fn write_room(&self) -> usize {
        self.output.room().saturating_sub(OWN_OUTPUT_BYTES) / 2
    }

    fn let_writers_go(&mut self, system: &mut dyn System) {
        while self.write_room() > 0
            && let Some(writer) = self.writers.pop()
        {
            let mut text = vec![0; writer.bytes.min(self.write_room())];
            let reply = match system.move_from(writer.client, 0, &mut text) {
                Ok(()) => io::Written { count: text.len() as u32 }.to_message(),
                Err(error) => refusal(error),
            };
            // A writer that has gone has written nothing.
            if system.reply(writer.client, &reply, &[]).is_ok() && reply.code() == Error::OK_CODE {
                self.show_text(&text, system);
            }
        }
    }

    fn let_bringer_go(&mut self, system: &mut dyn System) {
        if self.typed.room() >= crate::channel::CHANNEL_BYTES
            && let Some(bringer) = self.bringer.take()
        {
            // It is a process of this team, and waits.
            let _ = system.reply(bringer, &channel::TypedTaken {}.to_message(), &[]);
        }
    }
}

impl Default for Terminal {
    fn default() -> Terminal {
        Terminal::new()
    }
}
