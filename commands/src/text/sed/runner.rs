//! A script at work: line after line comes to the *pattern space*, the commands change it, and what is left is written.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use v::io::BufRead;

use super::script::{Action, Address, Piece, Script, Step, Substitution};
use crate::context::{Context, Failure, Outcome};
use crate::text::characters::characters;
use crate::text::pattern::Pattern;
use crate::usage::Misuse;

/// Runs a script over files, none meaning standard input.
pub fn run(script: Script, prints: bool, files: &[String], context: &mut Context<'_>) -> Outcome {
    let input = ["-".to_owned()];
    let names = if files.is_empty() { &input } else { files }.to_vec();
    let ranges = script.steps.iter().map(|_| Range::Outside).collect();
    let patterns = Patterns { all: script.patterns, last: None };
    let mut runner = Runner {
        input: Input { names: names.into_iter(), current: None, number: 0 },
        patterns,
        ranges,
        space: Vec::new(),
        held: Held { text: Vec::new(), ends_line: true },
        ends_line: true,
        appended: Vec::new(),
        has_replaced: false,
        prints,
    };
    runner.run(&script.steps, context)
}

/// The lines of all files.
struct Input {
    names: alloc::vec::IntoIter<String>,
    current: Option<(String, Box<dyn BufRead>)>,
    /// Of the line that was read last.
    number: u64,
}

impl Input {
    /// Whether there is a further line. What cannot be read is complained about and left out.
    fn has_more(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            if let Some((name, file)) = &mut self.current {
                match file.fill_buf() {
                    Ok(bytes) if !bytes.is_empty() => return true,
                    Ok(_) => {}
                    Err(error) => context.complain(name, error),
                }
            }
            self.current = None;
            let Some(name) = self.names.next() else { return false };
            match (context.open)(&name) {
                Ok(file) => self.current = Some((name, file)),
                Err(error) => context.complain(&name, error),
            }
        }
    }

    /// Appends the next line without its newline; whether it had one, or none if there is no line.
    fn next(&mut self, line: &mut Vec<u8>, context: &mut Context<'_>) -> Option<bool> {
        if !self.has_more(context) {
            return None;
        }
        let (name, file) = self.current.as_mut()?;
        if let Err(error) = file.read_until(b'\n', line) {
            context.complain(name, error);
        }
        self.number += 1;
        let had_newline = line.ends_with(b"\n");
        if had_newline {
            line.pop();
        }
        Some(had_newline)
    }
}

/// The script's patterns.
struct Patterns {
    all: Vec<Pattern>,
    last: Option<usize>,
}

impl Patterns {
    fn get(&mut self, index: Option<usize>) -> Result<&mut Pattern, Failure> {
        let index = index.or(self.last).ok_or_else(|| Misuse("no pattern was used before".into()))?;
        self.last = Some(index);
        Ok(&mut self.all[index])
    }
}

/// Where a command with two addresses is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    Outside,
    /// Until this line, or until the second address matches.
    Until(Option<u64>),
}

/// What comes after a command.
enum Next {
    /// The command at this place.
    Step(usize),
    /// The end of the cycle.
    EndCycle,
    /// The same without writing the pattern space.
    Delete,
    /// As `Delete`, but the next cycle begins with what is left.
    Again,
    /// The end, after this cycle.
    Quit,
}

/// The hold space, and whether what is in it had a newline.
struct Held {
    text: Vec<u8>,
    ends_line: bool,
}

struct Runner {
    input: Input,
    patterns: Patterns,
    ranges: Vec<Range>,
    space: Vec<u8>,
    held: Held,
    /// Whether the line in the pattern space had a newline.
    ends_line: bool,
    /// What comes behind the line.
    appended: Vec<String>,
    has_replaced: bool,
    prints: bool,
}

impl Runner {
    fn run(&mut self, steps: &[Step], context: &mut Context<'_>) -> Outcome {
        let mut reads = true;
        loop {
            if reads && !self.read(context) {
                return Ok(());
            }
            reads = true;
            let mut at = 0;
            let end = loop {
                let Some(step) = steps.get(at) else { break Next::EndCycle };
                match self.step(step, at, context)? {
                    Next::Step(next) => at = next,
                    end => break end,
                }
            };
            if self.prints && matches!(end, Next::EndCycle | Next::Quit) {
                self.write_space(context)?;
            }
            self.write_appended(context)?;
            match end {
                Next::Quit => return Ok(()),
                Next::Again => reads = false,
                _ => {}
            }
        }
    }

    /// Reads the next line into the pattern space; false if there is none.
    fn read(&mut self, context: &mut Context<'_>) -> bool {
        let mut line = core::mem::take(&mut self.space);
        line.clear();
        let newline = self.input.next(&mut line, context);
        self.space = line;
        self.has_replaced = false;
        self.ends_line = newline.unwrap_or(true);
        newline.is_some()
    }

    fn write_line(&mut self, from: usize, to: usize, context: &mut Context<'_>) -> Outcome {
        context.output.write_all(&self.space[from..to])?;
        // Only the very last line may lack a newline, and then it does in the output.
        if self.ends_line || to < self.space.len() || self.input.has_more(context) {
            context.output.write_all(b"\n")?;
        }
        Ok(())
    }

    fn write_space(&mut self, context: &mut Context<'_>) -> Outcome {
        self.write_line(0, self.space.len(), context)
    }

    fn write_appended(&mut self, context: &mut Context<'_>) -> Outcome {
        if !self.appended.is_empty() && !self.ends_line && !self.input.has_more(context) {
            context.output.write_all(b"\n")?;
        }
        for text in core::mem::take(&mut self.appended) {
            context.output.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    fn matches(&mut self, address: Address, context: &mut Context<'_>) -> Result<bool, Failure> {
        Ok(match address {
            Address::Line(number) => self.input.number == number,
            Address::Last => !self.input.has_more(context),
            Address::Match(pattern) => self.patterns.get(pattern)?.matches(&self.space),
            Address::More(_) => false,
        })
    }

    /// Whether a command is meant for the line.
    fn is_selected(&mut self, step: &Step, at: usize, context: &mut Context<'_>) -> Result<bool, Failure> {
        let selected = match (step.addresses, self.ranges[at]) {
            ([None, _], _) => true,
            ([Some(address), None], _) => self.matches(address, context)?,
            ([Some(first), Some(second)], Range::Outside) => {
                let begins = self.matches(first, context)?;
                if begins {
                    let here = self.input.number;
                    self.ranges[at] = match second {
                        // A line that has passed ends the range where it begins.
                        Address::Line(number) if number <= here => Range::Outside,
                        Address::Line(number) => Range::Until(Some(number)),
                        Address::More(0) => Range::Outside,
                        Address::More(count) => Range::Until(Some(here.saturating_add(count))),
                        Address::Last if !self.input.has_more(context) => Range::Outside,
                        Address::Last | Address::Match(_) => Range::Until(None),
                    };
                }
                begins
            }
            ([_, Some(second)], Range::Until(end)) => {
                let ends = match end {
                    Some(number) => self.input.number >= number,
                    None => self.matches(second, context)?,
                };
                if ends {
                    self.ranges[at] = Range::Outside;
                }
                // A jump may have passed over the end.
                end.is_none_or(|number| self.input.number <= number)
            }
        };
        Ok(selected != step.is_negated)
    }

    fn step(&mut self, step: &Step, at: usize, context: &mut Context<'_>) -> Result<Next, Failure> {
        let on = Next::Step(at + 1);
        if !self.is_selected(step, at, context)? {
            return Ok(if let Action::Block(end) = step.action { Next::Step(end + 1) } else { on });
        }
        match &step.action {
            Action::Block(_) | Action::Nothing => {}
            Action::Branch { to, if_replaced } => {
                if !if_replaced || core::mem::take(&mut self.has_replaced) {
                    return Ok(Next::Step(*to));
                }
            }
            Action::Append(text) => self.appended.push(text.clone()),
            Action::Insert(text) => context.output.write_all(text.as_bytes())?,
            Action::Change(text) => {
                if step.is_negated || self.ranges[at] == Range::Outside {
                    context.output.write_all(text.as_bytes())?;
                }
                return Ok(Next::Delete);
            }
            Action::Substitute(substitution) => {
                if self.substitute(substitution)? {
                    self.has_replaced = true;
                    if substitution.prints {
                        self.write_space(context)?;
                    }
                }
            }
            Action::Map(pairs) => self.map(pairs),
            Action::Quit(status) => {
                context.status = context.status.max(*status);
                return Ok(Next::Quit);
            }
            Action::Letter(letter) => return self.letter(*letter, on, context),
        }
        Ok(on)
    }

    fn letter(&mut self, letter: u8, on: Next, context: &mut Context<'_>) -> Result<Next, Failure> {
        let first_newline = self.space.iter().position(|byte| *byte == b'\n');
        match letter {
            b'd' => return Ok(Next::Delete),
            b'D' => match first_newline {
                None => return Ok(Next::Delete),
                Some(end) => {
                    self.space.drain(..=end);
                    return Ok(Next::Again);
                }
            },
            b'p' => self.write_space(context)?,
            b'P' => self.write_line(0, first_newline.unwrap_or(self.space.len()), context)?,
            b'n' => {
                if !self.input.has_more(context) {
                    return Ok(Next::Quit);
                }
                if self.prints {
                    self.write_space(context)?;
                }
                self.write_appended(context)?;
                let has_replaced = self.has_replaced;
                self.read(context);
                self.has_replaced = has_replaced;
            }
            b'N' => {
                if !self.input.has_more(context) {
                    return Ok(Next::Quit);
                }
                self.write_appended(context)?;
                self.space.push(b'\n');
                self.ends_line = self.input.next(&mut self.space, context).unwrap_or(true);
            }
            // Whether there was a newline goes along with what is copied.
            b'g' => {
                self.space.clone_from(&self.held.text);
                self.ends_line = self.held.ends_line;
            }
            b'G' => {
                self.space.push(b'\n');
                self.space.extend_from_slice(&self.held.text);
                self.ends_line = self.held.ends_line;
            }
            b'h' => {
                self.held.text.clone_from(&self.space);
                self.held.ends_line = self.ends_line;
            }
            b'H' => {
                self.held.text.push(b'\n');
                self.held.text.extend_from_slice(&self.space);
                self.held.ends_line = self.ends_line;
            }
            b'x' => {
                core::mem::swap(&mut self.space, &mut self.held.text);
                core::mem::swap(&mut self.ends_line, &mut self.held.ends_line);
            }
            _ => context.output.write_all(format!("{}\n", self.input.number).as_bytes())?,
        }
        Ok(on)
    }

    /// Replaces matches; whether there was one to be replaced.
    fn substitute(&mut self, substitution: &Substitution) -> Result<bool, Failure> {
        let pattern = self.patterns.get(substitution.pattern)?;
        let text = &self.space;
        let mut output = Vec::new();
        let (mut from, mut copied, mut count, mut replaced) = (0, 0, 0, false);
        let mut last_end = None;
        while from <= text.len() {
            let Some(found) = pattern.find_from(text, from) else { break };
            if found.is_empty() && last_end == Some(found.end) {
                from = found.end + 1;
                continue;
            }
            last_end = Some(found.end);
            from = if found.is_empty() {
                // The next match begins at another character.
                found.end + characters(&text[found.end..]).next().map_or(1, <[u8]>::len)
            } else {
                found.end
            };
            count += 1;
            if count < substitution.from {
                continue;
            }
            output.extend_from_slice(&text[copied..found.start]);
            copied = found.end;
            replaced = true;
            for piece in &substitution.replacement {
                match piece {
                    Piece::Text(bytes) => output.extend_from_slice(bytes),
                    Piece::Group(number) => {
                        output.extend_from_slice(&text[pattern.group(*number).unwrap_or_default()]);
                    }
                }
            }
            if !substitution.is_global {
                break;
            }
        }
        if replaced {
            output.extend_from_slice(&text[copied..]);
            self.space = output;
        }
        Ok(replaced)
    }

    fn map(&mut self, pairs: &[(char, char)]) {
        let mut output = Vec::with_capacity(self.space.len());
        for bytes in characters(&self.space) {
            let character = core::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
            let pair = pairs.iter().find(|(from, _)| Some(*from) == character);
            match pair {
                Some((_, to)) => output.extend_from_slice(to.encode_utf8(&mut [0; 4]).as_bytes()),
                None => output.extend_from_slice(bytes),
            }
        }
        self.space = output;
    }
}
