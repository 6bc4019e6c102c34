//! Jobs: commands in the background, and those that the user stopped. `jobs`, `wait`, `fg`, `bg`, `kill %n`, and the notice
//! when one has ended.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::replace;

use abi::Error;

use super::arithmetic::parse_integer;
use super::ast::Text;
use super::elsewhere::Destination;
use super::execute::{Flow, Leave, Shell};
use super::lexer::shorten;
use super::system::{System, Waited};

/// The status of `wait` for a job that is not there.
const NO_JOB: i32 = 127;

/// The jobs of a shell.
pub(super) struct Jobs<S: System> {
    list: Vec<Job<S>>,
    /// Jobs of subshells that have ended. Nobody asks for them any more, but their ends have to be taken.
    orphans: Vec<Job<S>>,
}

/// A pipeline in the background, or one that was stopped.
struct Job<S: System> {
    number: u32,
    is_stopped: bool,
    /// What the system knows its programs by, and all that they start.
    members: S::Job,
    programs: Vec<Running<S::Child>>,
    /// The process identifier of the last program.
    identity: Text,
    text: Text,
}

/// A program of a job, and its status once it has ended, which can be learnt only once.
pub(super) struct Running<Child> {
    child: Child,
    status: Option<i32>,
}

impl<Child> Running<Child> {
    pub(super) fn new(child: Child) -> Running<Child> {
        Running { child, status: None }
    }
}

impl<S: System> Default for Jobs<S> {
    fn default() -> Self {
        Jobs { list: Vec::new(), orphans: Vec::new() }
    }
}

impl<S: System> Jobs<S> {
    /// Adds a job and numbers it.
    pub(super) fn add(&mut self, job: S::Job, children: Vec<S::Child>, identity: Text, text: Text) -> u32 {
        let number = self.list.last().map_or(1, |job| job.number + 1);
        let programs = children.into_iter().map(Running::new).collect();
        self.list.push(Job { number, is_stopped: false, members: job, programs, identity, text });
        number
    }

    /// The names `%n` of all.
    pub(super) fn names(&self) -> impl Iterator<Item = Text> {
        self.list.iter().map(|job| format!("%{}", job.number).into_bytes())
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

impl<S: System> Job<S> {
    /// The last program's status, once all have ended.
    fn status(&self) -> Option<i32> {
        let mut status = Some(0);
        for program in &self.programs {
            status = Some(program.status?);
        }
        status
    }

    /// Finds out which programs have ended; what there is to tell of that.
    fn poll(&mut self, system: &mut S) -> String {
        let mut reasons = String::new();
        for program in self.programs.iter_mut().filter(|program| program.status.is_none()) {
            program.status = match system.poll(&mut program.child) {
                Ok(ended) => ended.map(|ended| ended.tell(&mut reasons)),
                Err(_) => Some(1),
            };
        }
        reasons
    }

    /// Waits until all programs have ended, and says what there is to tell of that; none if the job was stopped. An
    /// interruption ends the waiting, not the job.
    fn wait(&mut self, system: &mut S, reasons: &mut String) -> Result<Option<i32>, Error> {
        for program in self.programs.iter_mut().filter(|program| program.status.is_none()) {
            program.status = match system.wait(&mut program.child) {
                Ok(Waited::Ended(ended)) => Some(ended.tell(reasons)),
                Ok(Waited::Stopped) => return Ok(None),
                Err(Error::Aborted) => return Err(Error::Aborted),
                Err(_) => Some(1),
            };
        }
        Ok(Some(self.status().unwrap_or(0)))
    }

    /// As `jobs` shows it.
    fn line(&self) -> String {
        let state = match self.status() {
            None if self.is_stopped => String::from("Stopped"),
            None => String::from("Running"),
            Some(0) => String::from("Done"),
            Some(status) => format!("Done({status})"),
        };
        format!("[{}] {state:<10} {}\n", self.number, self.shown())
    }

    /// It in a few words.
    fn shown(&self) -> String {
        shorten(&one_line(&self.text))
    }
}

/// A printed command, whose parts have lines of their own, as it would be typed in one.
pub(super) fn one_line(text: &[u8]) -> Text {
    const OPENING: [&str; 14] =
        ["(", "{", "|", "&&", "||", "if", "then", "elif", "else", "while", "until", "do", "in", ";;"];
    let mut joined = Text::new();
    for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let last = joined.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let goes_on =
            last.ends_with(b")") && last != b")" || OPENING.iter().any(|word| word.as_bytes() == last);
        match joined.is_empty() {
            true => {}
            false if goes_on || line == b";;" => joined.push(b' '),
            false => joined.extend_from_slice(b"; "),
        }
        joined.extend_from_slice(line);
    }
    joined
}

impl<S: System> Shell<S> {
    /// Finds out which jobs have ended.
    fn poll_jobs(&mut self) {
        let mut reasons = String::new();
        for job in self.jobs.list.iter_mut().chain(&mut self.jobs.orphans) {
            reasons += &job.poll(&mut self.system);
        }
        self.write_error(reasons.as_bytes());
        self.jobs.orphans.retain(|job| job.status().is_none());
    }

    /// At the end of a subshell: the jobs are again those from before; what the subshell left goes on.
    pub(super) fn take_back_jobs(&mut self, jobs: Jobs<S>) {
        let left = replace(&mut self.jobs, jobs);
        self.jobs.orphans.extend(left.list.into_iter().chain(left.orphans));
        if !self.jobs.orphans.is_empty() {
            self.poll_jobs();
        }
    }

    /// Tells the user which jobs have ended since the last time, and forgets them.
    pub(super) fn notify_of_jobs(&mut self) {
        self.poll_jobs();
        let ended = self.jobs.list.extract_if(.., |job| job.status().is_some());
        let lines: String = ended.map(|job| job.line()).collect();
        self.write_error(lines.as_bytes());
    }

    /// `jobs [-p]`
    pub(super) fn jobs(&mut self, words: &[Text]) -> Flow {
        self.poll_jobs();
        let only_identities = words.get(1).is_some_and(|word| word == b"-p");
        let mut lines = Text::new();
        for job in &self.jobs.list {
            if only_identities {
                lines.extend_from_slice(&job.identity);
                lines.push(b'\n');
            } else {
                lines.extend_from_slice(job.line().as_bytes());
            }
        }
        self.jobs.list.retain(|job| job.status().is_none());
        self.output(&lines)
    }

    /// `wait [job…]`
    pub(super) fn wait(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        if words.len() <= 1 {
            while let Some(index) = self.jobs.list.iter().position(|job| !job.is_stopped) {
                self.wait_for_job(index)?;
            }
            self.state.status = 0;
            return Ok(());
        }
        for name in &words[1..] {
            if let Some(index) = self.jobs.find(name) {
                self.wait_for_job(index)?;
            } else {
                self.complain(words, &format!("{}: no such job", shorten(name)));
                self.state.status = NO_JOB;
            }
        }
        Ok(())
    }

    /// The job that `fg` and `bg` mean; none is complained about.
    fn meant_job(&mut self, words: &[Text]) -> Option<usize> {
        let name = words.get(1).map_or(&b"%%"[..], Vec::as_slice);
        let found = self.jobs.find(name);
        if found.is_none() {
            self.complain(words, &format!("{}: no such job", shorten(name)));
        }
        found
    }

    /// Lets a job go on, if it was stopped.
    fn let_go_on(&mut self, words: &[Text], index: usize) {
        let job = &mut self.jobs.list[index];
        if replace(&mut job.is_stopped, false)
            && let Err(error) = self.system.continue_job(job.members)
        {
            self.complain(words, &format!("{error}"));
        }
    }

    /// `fg [job]`: shows a job, lets it go on and waits for it; the user's interruption then means it.
    pub(super) fn bring_to_foreground(&mut self, words: &[Text]) -> Flow {
        let Some(index) = self.meant_job(words) else { return Ok(()) };
        let text = self.jobs.list[index].text.clone();
        self.write_error(&text);
        let members = self.jobs.list[index].members;
        // From here on the job that was begun with this command is that one.
        self.system.allow_stop(Some(members));
        for program in self.jobs.list[index].programs.iter_mut().filter(|program| program.status.is_none()) {
            self.system.bring_to_foreground(&mut program.child);
        }
        self.let_go_on(words, index);
        let waited = self.wait_for_job(index);
        self.system.allow_stop(None);
        waited?;
        if self.system.interrupted() {
            // What its programs have started is meant as well, which only these know.
            let ended = self.system.kill_job(members);
            self.interrupt()?;
            if let Err(error) = ended {
                self.complain(words, &format!("{error}"));
            }
        }
        Ok(())
    }

    /// `bg [job]`: lets a job go on in the background that was stopped.
    #[expect(clippy::unnecessary_wraps, reason = "built-ins share one signature")]
    pub(super) fn send_to_background(&mut self, words: &[Text]) -> Flow {
        self.state.status = 0;
        let Some(index) = self.meant_job(words) else { return Ok(()) };
        let job = &self.jobs.list[index];
        let line = format!("[{}] {} &\n", job.number, job.shown());
        self.write_error(line.as_bytes());
        self.let_go_on(words, index);
        Ok(())
    }

    /// Adds the job of a pipeline that was stopped in the foreground.
    pub(super) fn keep_stopped_job(&mut self, members: S::Job, text: Text) {
        let programs = core::mem::take(&mut self.stopped);
        let identity = programs.last().map(|program| self.system.identity(&program.child));
        let number = self.jobs.add(members, Vec::new(), identity.unwrap_or_default(), text);
        if let Some(job) = self.jobs.list.last_mut() {
            job.programs = programs;
            job.is_stopped = true;
        }
        self.tell_of_stop(number);
    }

    fn tell_of_stop(&mut self, number: u32) {
        let line = self.jobs.list.iter().find(|job| job.number == number).map(Job::line);
        self.write_error(line.unwrap_or_default().as_bytes());
    }

    /// Ends what was stopped: nobody could let it go on any more.
    pub(super) fn end_stopped_jobs(&mut self) {
        for job in self.jobs.list.iter().filter(|job| job.is_stopped) {
            // What does not hear of it is told by its program manager, when it finds this shell gone.
            let _ = self.system.kill_job(job.members);
        }
    }

    /// Waits for a job and forgets it.
    fn wait_for_job(&mut self, index: usize) -> Flow {
        if self.jobs.list[index].is_stopped {
            let line = format!("{} is stopped; fg or bg lets it go on\n", self.jobs.list[index].shown());
            self.write_error(line.as_bytes());
            return Err(Leave::Stopped);
        }
        let mut reasons = String::new();
        let waited = self.jobs.list[index].wait(&mut self.system, &mut reasons);
        self.write_error(reasons.as_bytes());
        match waited {
            Ok(Some(status)) => {
                self.state.status = status;
                self.jobs.list.remove(index);
                Ok(())
            }
            Ok(None) => {
                self.jobs.list[index].is_stopped = true;
                let number = self.jobs.list[index].number;
                self.tell_of_stop(number);
                Err(Leave::Stopped)
            }
            Err(_) => self.interrupt(),
        }
    }

    /// `kill %job…`; whatever else is named is the program's business.
    pub(super) fn kill(&mut self, words: &[Text]) -> Flow {
        if !words.get(1).is_some_and(|word| word.starts_with(b"%")) {
            let streams = self.streams.clone();
            return match self.launch(words, &streams, &Destination::Here) {
                Some(child) => self.wait_for([child].into()),
                None => Ok(()),
            };
        }
        self.state.status = 0;
        for name in &words[1..] {
            let Some(index) = self.jobs.find(name) else {
                self.complain(words, &format!("{}: no such job", shorten(name)));
                continue;
            };
            // What its programs have started is ended as well, which only these know.
            let mut failure = self.system.kill_job(self.jobs.list[index].members).err();
            for program in &mut self.jobs.list[index].programs {
                if program.status.is_none() {
                    failure = self.system.kill(&mut program.child).err().or(failure);
                }
            }
            if let Some(error) = failure {
                self.complain(words, &format!("{}: {error}", shorten(name)));
            }
        }
        Ok(())
    }
}
