//! Background commands: `jobs`, `wait`, `kill %n`, and the notice when one has ended.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Error;

use super::arithmetic::parse_integer;
use super::ast::Text;
use super::execute::{Flow, Shell};
use super::lexer::shorten;
use super::system::System;

/// The background commands of a shell.
pub(super) struct Jobs<Child> {
    list: Vec<Job<Child>>,
}

/// A pipeline in the background.
struct Job<Child> {
    number: u32,
    children: Vec<Child>,
    /// The process identifier of the last program.
    identity: Text,
    text: Text,
    /// The last program's status, once all have ended.
    status: Option<i32>,
}

impl<Child> Default for Jobs<Child> {
    fn default() -> Self {
        Jobs { list: Vec::new() }
    }
}

impl<Child> Jobs<Child> {
    /// Adds a job and numbers it.
    pub(super) fn add(&mut self, children: Vec<Child>, identity: Text, text: Text) -> u32 {
        let number = self.list.last().map_or(1, |job| job.number + 1);
        self.list.push(Job {
            number,
            children,
            identity,
            text,
            status: None,
        });
        number
    }

    /// The index of the job that `%n`, `%%`, `%-`, `%text` or a process identifier means.
    fn find(&self, name: &[u8]) -> Option<usize> {
        let Some(rest) = name.strip_prefix(b"%") else {
            return self.list.iter().rposition(|job| job.identity == name);
        };
        match rest {
            b"" | b"%" | b"+" => self.list.len().checked_sub(1),
            b"-" => self.list.len().checked_sub(2),
            _ => match parse_integer(rest) {
                Some(number) => self.list.iter().position(|job| i64::from(job.number) == number),
                None => self.list.iter().rposition(|job| job.text.starts_with(rest)),
            },
        }
    }
}

impl<S: System> Shell<S> {
    /// Finds out which jobs have ended.
    fn poll_jobs(&mut self) {
        for job in &mut self.jobs.list {
            if job.status.is_some() {
                continue;
            }
            let mut status = Some(0);
            for child in &mut job.children {
                status = match self.system.poll(child) {
                    Ok(Some(ended)) => Some(ended.status),
                    Ok(None) => None,
                    Err(_) => Some(1),
                };
                if status.is_none() {
                    break;
                }
            }
            job.status = status;
        }
    }

    /// Tells the user which jobs have ended since the last time, and forgets them.
    pub(super) fn notify_of_jobs(&mut self) {
        self.poll_jobs();
        let mut lines = String::new();
        for job in self.jobs.list.iter().filter(|job| job.status.is_some()) {
            lines.push_str(&line(job));
        }
        self.jobs.list.retain(|job| job.status.is_none());
        self.write_error(lines.as_bytes());
    }

    /// `jobs`
    pub(super) fn jobs(&mut self, words: &[Text]) -> Flow {
        self.poll_jobs();
        let only_identities = words.get(1).is_some_and(|word| word == b"-p");
        let mut lines = String::new();
        for job in &self.jobs.list {
            if only_identities {
                lines.push_str(&String::from_utf8_lossy(&job.identity));
                lines.push('\n');
            } else {
                lines.push_str(&line(job));
            }
        }
        self.jobs.list.retain(|job| job.status.is_none());
        self.output(lines.as_bytes())
    }

    /// `wait [job…]`
    pub(super) fn wait(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        if words.len() <= 1 {
            while !self.jobs.list.is_empty() {
                self.wait_for_job(0)?;
            }
            self.state.status = 0;
            return Ok(());
        }
        for name in &words[1..] {
            if let Some(index) = self.jobs.find(name) {
                self.wait_for_job(index)?;
            } else {
                self.complain(words, &format!("{}: no such job", shorten(name)));
                self.state.status = 127;
            }
        }
        Ok(())
    }

    /// `fg [job]`: waits for a job, which an interruption now ends.
    pub(super) fn bring_to_foreground(&mut self, words: &[Text]) -> Flow {
        let name = words.get(1).map_or(&b"%%"[..], Vec::as_slice);
        let Some(index) = self.jobs.find(name) else {
            self.complain(words, &format!("{}: no such job", shorten(name)));
            return Ok(());
        };
        let mut job = self.jobs.list.remove(index);
        self.write_error(&job.text.clone());
        match job.status {
            Some(status) => {
                self.state.status = status;
                Ok(())
            }
            None => self.wait_for(&mut job.children),
        }
    }

    /// Waits for a job and forgets it. An interruption ends the waiting, not the job.
    fn wait_for_job(&mut self, index: usize) -> Flow {
        let job = &mut self.jobs.list[index];
        if job.status.is_none() {
            let mut status = 0;
            for child in &mut job.children {
                status = match self.system.wait(child) {
                    Ok(ended) => ended.status,
                    Err(Error::Aborted) => return Err(self.interrupt()),
                    Err(_) => 1,
                };
            }
            job.status = Some(status);
        }
        self.state.status = self.jobs.list.remove(index).status.unwrap_or(1);
        Ok(())
    }

    /// `kill %job…`; whatever else is named is the program's business.
    pub(super) fn kill(&mut self, words: &[Text]) -> Flow {
        if !words.get(1).is_some_and(|word| word.starts_with(b"%")) {
            let streams = self.streams.clone();
            return match self.launch(words, &streams, None) {
                Some(child) => self.wait_for(&mut [child]),
                None => Ok(()),
            };
        }
        self.state.status = 0;
        for name in &words[1..] {
            let Some(index) = self.jobs.find(name) else {
                self.complain(words, &format!("{}: no such job", shorten(name)));
                continue;
            };
            let mut failure = None;
            for child in &mut self.jobs.list[index].children {
                failure = self.system.kill(child).err();
            }
            if let Some(error) = failure {
                self.complain(words, &format!("{}: {error}", shorten(name)));
            }
        }
        Ok(())
    }
}

/// A job as `jobs` shows it.
fn line<Child>(job: &Job<Child>) -> String {
    let state = match job.status {
        None => String::from("Running"),
        Some(0) => String::from("Done"),
        Some(status) => format!("Done({status})"),
    };
    let text = job
        .text
        .trim_ascii()
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    format!("[{}] {state:<10} {}\n", job.number, shorten(text))
}
