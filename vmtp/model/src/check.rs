//! Has the model checker visit all states of a scenario.

use std::fmt::Write;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Instant;

use stateright::{Checker, Model, Property};

use crate::scenario::Scenario;
use crate::world::{Step, World};

/// What was visited.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// States, each counted once.
    pub states: usize,
    /// Steps of the longest course looked at.
    pub depth: usize,
}

struct Courses<'a>(&'a Scenario);

impl Model for Courses<'static> {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.0)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        steps.extend(world.steps(self.0));
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        next.take(self.0, step);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Courses<'static>>> {
        vec![
            Property::always("kept", |courses, world: &World| world.broken(courses.0).is_none()),
            Property::always("kept at the end", |courses, world: &World| {
                !world.steps(courses.0).is_empty() || world.broken_at_end(courses.0).is_none()
            }),
        ]
    }
}

/// Checks a scenario for a test, and says how much was visited.
///
/// # Panics
/// With the shortest course to a broken promise.
pub fn all_courses(scenario: &Scenario) {
    let started = Instant::now();
    match check(scenario) {
        Ok(checked) => println!("{checked:?} in {:.1} s", started.elapsed().as_secs_f32()),
        Err(course) => panic!("{course}"),
    }
}

/// Visits every state of `scenario`. The error tells the shortest course to a broken promise.
pub fn check(scenario: &Scenario) -> Result<Checked, String> {
    // The checker's threads want it for ever; a test checks a few scenarios and ends.
    let scenario: &'static Scenario = Box::leak(Box::new(scenario.clone()));
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let checker = Courses(scenario).checker().threads(threads).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let Some((_, path)) = discoveries.into_iter().next() else {
        return Ok(Checked { states: checker.unique_state_count(), depth: checker.max_depth() });
    };
    let mut told = String::new();
    let mut last = World::new(scenario);
    for (world, step) in path.into_vec() {
        if let Some(step) = step {
            writeln!(told, "{}", world.describe(step)).expect("a string can be written to");
        }
        last = world;
    }
    let promise = last.broken(scenario).or_else(|| last.broken_at_end(scenario)).unwrap_or("a promise");
    Err(format!("{promise}\n{told}{:?}", last.outcomes()))
}
