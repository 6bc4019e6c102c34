//! What parallel commands have in common: how many workers, where, and what is shown while they work.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use v::io::standard_stream;
use v::parallel::{Failure as Undone, Job, MOST_WORKERS, Progress, Report};
use v::process::Place;
use v::protocols::io::attribute;
use v::time::{Duration, Instant};

use super::speed_up;
use crate::context::{Context, Failure};
use crate::shell::Constraints;
use crate::shell::elsewhere::parse as constraints;
use crate::usage::{Arguments, Choice, Misuse, ON};

/// How many workers there are if nothing is said.
const DEFAULT_WORKERS: usize = 4;

/// How often it is shown how far it is.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// The option of how many workers there are.
pub const WORKERS: Choice =
    Choice { letter: 'w', long: "workers", value: Some("N"), help: "So many workers, 4 if nothing is said." };
/// The option that asks for a table.
pub const SPEED_UP: Choice = Choice {
    letter: '\0',
    long: "speed-up",
    value: None,
    help: "Do it on one node, on two, on all, and show what that gains.",
};

/// The workers of a command.
pub struct Crew {
    /// How many.
    pub workers: usize,
    /// Where.
    pub place: Place,
    shows_speed_up: bool,
}

impl Crew {
    /// What a command's arguments say.
    pub fn of(arguments: &Arguments) -> Result<Crew, Misuse> {
        let workers = arguments.number(WORKERS.long)?.unwrap_or(DEFAULT_WORKERS);
        if !(1..=MOST_WORKERS).contains(&workers) {
            return Err(Misuse(format!("--{}: expected a number from 1 to {MOST_WORKERS}", WORKERS.long)));
        }
        let place = arguments.value(ON.long).map_or(Ok(Place::Here), place)?;
        Ok(Crew { workers, place, shows_speed_up: arguments.has(SPEED_UP.long) })
    }

    /// Has a job done, `take` being given the results; or has it done often, for a table, in which case they are taken
    /// the first time.
    pub fn run(&self, context: &mut Context<'_>, job: Job, take: &mut Take<'_>) -> Result<(), Failure> {
        let job = job.workers(self.workers);
        if self.shows_speed_up {
            return speed_up::show(context, &job, take);
        }
        run(context, job, take)?;
        Ok(())
    }
}

/// What is done with a task's number and result.
pub type Take<'a> = dyn FnMut(&mut Context<'_>, usize, Vec<u8>) -> Result<(), abi::Error> + 'a;

/// Has a job done, and shows how far it is if somebody sees standard error.
pub fn run(context: &mut Context<'_>, job: Job, take: &mut Take<'_>) -> Result<Report, Failure> {
    let is_seen = standard_stream(2).is_some_and(|stream| stream.is(attribute::INTERACTIVE));
    let mut errors = v::io::stderr();
    let mut shown: Option<Instant> = None;
    let tell = |progress: &Progress| {
        if is_seen && shown.is_none_or(|shown| shown.elapsed() >= SHOW_EVERY) {
            shown = Some(Instant::now());
            // What cannot be shown is no reason to stop.
            let _ = v::io::Write::write_all(&mut errors, line(progress).as_bytes());
        }
    };
    let done = job.run_telling(|task, result| take(context, task, result), tell);
    if is_seen {
        let _ = v::io::Write::write_all(&mut v::io::stderr(), b"\r\x1b[K");
    }
    done.map_err(|undone| match undone {
        Undone::Stopped(error) => Failure::Output(error),
        undone => Failure::Failed(format!("{undone}")),
    })
}

/// How far it is, over the line before.
fn line(progress: &Progress) -> String {
    let Progress { done, tasks, workers, lost } = *progress;
    let lost = if lost == 0 { String::new() } else { format!(", {lost} lost") };
    let plural = if workers == 1 { "" } else { "s" };
    format!("\r\x1b[K{done} of {tasks} done, {workers} worker{plural}{lost}")
}

/// Where the workers are to be: as the shell has it behind `@`.
fn place(text: &str) -> Result<Place, Misuse> {
    let Some(wanted) = text.strip_prefix('*') else {
        return Ok(Place::Node(text.into()));
    };
    let constraints = constraints(wanted.as_bytes());
    let Constraints { least_memory_bytes, least_idle_percent } =
        constraints.map_err(|reason| Misuse(format!("--{}: {reason}", ON.long)))?;
    Ok(Place::Any { least_memory_bytes, least_idle_percent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_the_shell_has_them() {
        assert_eq!(place("node2"), Ok(Place::Node("node2".into())));
        assert_eq!(place("*"), Ok(Place::any()));
        assert_eq!(place("* mem>=1K"), Ok(Place::Any { least_memory_bytes: 1024, least_idle_percent: 0 }));
        assert!(place("* cpu>3").is_err_and(|Misuse(reason)| reason.starts_with("--on: 'cpu>3'")));
    }
}
