//! Clients and servers whose logical hosts move among machines, over a network that loses, repeats and reorders packets:
//! each request is executed once at most, each Send has one outcome, and where no machine dies nothing is lost.
//!
//! Each seed is a course of events. One that fails says how to see it again:
//! `V_MIGRATION_SEED=7 cargo test -p network-partner --test migration replay -- --nocapture`; `V_MIGRATION_DEATHS=1` beside
//! it makes it one of those in which machines die.

mod kernel;
mod oracle;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::World;

/// Courses of events, as many as `V_MIGRATION_COURSES` says.
fn run_all(count: u64, deaths: bool) {
    let asked = std::env::var("V_MIGRATION_COURSES").ok().and_then(|count| count.parse().ok());
    let (mut well, mut badly, mut moves) = (0, 0, 0);
    for seed in 0..asked.unwrap_or(count) {
        let mut world = World::new(seed, deaths);
        let is_well = catch_unwind(AssertUnwindSafe(|| world.run())).is_ok();
        assert!(is_well, "seed {seed} fails, deaths {}", u8::from(deaths));
        let counts = world.counts();
        (well, badly, moves) = (well + counts.0, badly + counts.1, moves + counts.2);
    }
    println!("{well} requests ended well, {badly} did not; {moves} moves");
    assert!(moves > 0 && well > badly * 10, "the courses say something");
    assert!(deaths || badly == 0, "nothing is lost where no machine dies");
}

#[test]
fn nothing_is_lost_on_the_way() {
    run_all(20, false);
}

#[test]
fn machines_may_die_at_each_step() {
    run_all(20, true);
}

/// See the file's head.
#[test]
fn replay() {
    let Ok(seed) = std::env::var("V_MIGRATION_SEED") else { return };
    let deaths = std::env::var("V_MIGRATION_DEATHS").is_ok();
    let mut world = World::new(seed.parse().expect("a number"), deaths);
    world.traced = true;
    world.run();
}
