//! Messages between machines, on a network of which anything can be expected.
//!
//! Each seed is a schedule. One that fails prints how to see it again, with everything that happened:
//! `V_NETWORK_SEED=7 cargo test -p simulator --test network replay -- --nocapture`; `V_NETWORK_LOSS=300` beside it makes
//! it one of those in which packets are lost, so many in a thousand, and nothing else goes wrong; `V_NETWORK_FLOOD=1`,
//! one in which a machine asks as much as it can; `V_NETWORK_CONTESTED=1`, one in which all machines claim the same;
//! `V_NETWORK_GUESTS=1`, one with guests, and with `V_NETWORK_LOSS` too, one of those in which all must end well;
//! `V_NETWORK_MOVES=1` as that, and the guests move; `V_NETWORK_INTERRUPTED=1`, one in which a move is interrupted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use simulator::network::{Interruption, Schedule, World};

/// Lines of a failed schedule's trace that are shown.
const LAST_LINES: usize = 60;

/// Runs a schedule for each seed, on all processors; says how many requests ended well, and how many did not.
fn run_all(seeds: std::ops::Range<u64>, again: &str, schedule: fn(u64) -> Schedule) -> (usize, usize) {
    let (next, failures) = (AtomicU64::new(seeds.start), AtomicUsize::new(0));
    let (well, badly) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || failures.load(Ordering::Relaxed) > 2 {
                return;
            }
            let mut world = World::new(schedule(seed), false);
            if catch_unwind(AssertUnwindSafe(|| world.run())).is_err() {
                failures.fetch_add(1, Ordering::Relaxed);
                let command = "cargo test -p simulator --test network replay -- --nocapture";
                eprintln!(
                    "seed {seed} fails; {again}V_NETWORK_SEED={seed} {command}\n{}",
                    end_of(seed, schedule)
                );
            }
            let (more_well, more_badly) = world.counts();
            well.fetch_add(more_well, Ordering::Relaxed);
            badly.fetch_add(more_badly, Ordering::Relaxed);
        }
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..processors).for_each(|_| drop(scope.spawn(worker))));
    assert_eq!(failures.into_inner(), 0, "schedules fail");
    (well.into_inner(), badly.into_inner())
}

/// The last that happened in a schedule.
fn end_of(seed: u64, schedule: fn(u64) -> Schedule) -> String {
    let mut world = World::new(schedule(seed), true);
    let _ = catch_unwind(AssertUnwindSafe(|| world.run()));
    let lines: Vec<&str> = world.trace().lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[test]
fn all_members_of_a_group_answer() {
    run_all(0..100, "", Schedule::together);
}

#[test]
fn nothing_goes_wrong_that_must_not() {
    let (well, badly) = run_all(0..2_000, "", Schedule::rough);
    // Neither a network on which everything works, nor one on which nothing does.
    assert!(well > 10_000 && badly > 500, "{well} requests ended well, {badly} did not");
}

#[test]
#[ignore = "soak"]
fn nothing_goes_wrong_that_must_not_in_many_schedules() {
    run_all(2_000..102_000, "", Schedule::rough);
}

/// Seeds that found something, once.
#[test]
fn what_was_found_stays_found() {
    for seed in [4, 14_230, 22_701, 44_646, 61_473, 86_865] {
        run_all(seed..seed + 1, "", Schedule::rough);
    }
}

#[test]
fn what_was_found_of_moves_stays_found() {
    for seed in [4_898, 8_321, 8_889] {
        run_all(seed..seed + 1, "V_NETWORK_MOVES=1 ", Schedule::moving);
    }
}

#[test]
fn everything_ends_well_though_a_third_is_lost() {
    let (well, badly) = run_all(0..60, "V_NETWORK_LOSS=300 ", |seed| Schedule::lossy(seed, 300));
    assert!(well > 500 && badly == 0, "{well} requests ended well, {badly} did not");
}

/// A loss of one packet in a hundred costs copies little more than a tenth of their speed: nearly all is mended while the rest
/// goes on.
#[test]
fn copies_go_on_while_what_was_lost_is_mended() {
    let waited_ns = |loss| -> u64 {
        let waits = (0..24).map(|seed| {
            let mut world = World::new(Schedule::copies(seed, loss), false);
            world.run();
            world.waited_ns()
        });
        waits.sum()
    };
    let per_mille = waited_ns(0) * 1000 / waited_ns(10);
    assert!(per_mille > 885, "{per_mille} of 1000");
}

#[test]
fn a_machine_that_asks_too_much_does_not_keep_the_others_out() {
    let (well, _) = run_all(0..20, "V_NETWORK_FLOOD=1 ", Schedule::flooded);
    assert!(well > 10_000, "{well} requests ended well");
}

#[test]
fn machines_never_keep_the_same_logical_host() {
    let (well, _) = run_all(0..300, "V_NETWORK_CONTESTED=1 ", Schedule::contested);
    assert!(well > 500, "{well} requests ended well");
}

#[test]
#[ignore = "soak"]
fn machines_never_keep_the_same_logical_host_in_many_schedules() {
    run_all(300..10_300, "V_NETWORK_CONTESTED=1 ", Schedule::contested);
}

#[test]
fn guests_are_served_as_all_others() {
    let (well, badly) = run_all(0..300, "V_NETWORK_GUESTS=1 ", Schedule::guests);
    assert!(well > 3_000 && badly > 50, "{well} requests ended well, {badly} did not");
}

#[test]
#[ignore = "soak"]
fn guests_are_served_as_all_others_in_many_schedules() {
    run_all(300..20_300, "V_NETWORK_GUESTS=1 ", Schedule::guests);
}

#[test]
fn everything_ends_well_for_guests_though_a_tenth_is_lost() {
    let (well, badly) = run_all(0..40, "V_NETWORK_GUESTS=1 V_NETWORK_LOSS=100 ", Schedule::lossy_guests);
    assert!(well > 500 && badly == 0, "{well} requests ended well, {badly} did not");
}

#[test]
fn guests_move_whatever_goes_wrong() {
    let (well, badly) = run_all(0..300, "V_NETWORK_MOVES=1 ", Schedule::moving);
    assert!(well > 3_000 && badly > 50, "{well} requests ended well, {badly} did not");
}

#[test]
#[ignore = "soak"]
fn guests_move_whatever_goes_wrong_in_many_schedules() {
    run_all(300..20_300, "V_NETWORK_MOVES=1 ", Schedule::moving);
}

#[test]
fn everything_ends_well_for_guests_that_move_though_a_tenth_is_lost() {
    let (well, badly) = run_all(0..60, "V_NETWORK_MOVES=1 V_NETWORK_LOSS=100 ", Schedule::lossy_moving);
    assert!(well > 500 && badly == 0, "{well} requests ended well, {badly} did not");
}

/// In each phase of a move each of its machines crashes, they lose each other, or a network server is started anew.
#[test]
fn moves_are_interrupted_in_each_way() {
    let (well, badly) = run_all(0..Interruption::COUNT, "V_NETWORK_INTERRUPTED=1 ", Schedule::interrupted);
    assert!(well > 5_000 && badly > 200, "{well} requests ended well, {badly} did not");
}

#[test]
#[ignore = "soak"]
fn moves_are_interrupted_in_each_way_in_many_schedules() {
    let seeds = Interruption::COUNT..200 * Interruption::COUNT;
    run_all(seeds, "V_NETWORK_INTERRUPTED=1 ", Schedule::interrupted);
}

#[test]
fn replay() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let Some(seed) = number("V_NETWORK_SEED") else { return };
    let schedule = if number("V_NETWORK_INTERRUPTED").is_some() {
        Schedule::interrupted(seed)
    } else if number("V_NETWORK_MOVES").is_some() {
        if number("V_NETWORK_LOSS").is_some() { Schedule::lossy_moving(seed) } else { Schedule::moving(seed) }
    } else if number("V_NETWORK_GUESTS").is_some() {
        if number("V_NETWORK_LOSS").is_some() { Schedule::lossy_guests(seed) } else { Schedule::guests(seed) }
    } else if let Some(loss) = number("V_NETWORK_LOSS") {
        Schedule::lossy(seed, loss)
    } else if number("V_NETWORK_FLOOD").is_some() {
        Schedule::flooded(seed)
    } else if number("V_NETWORK_CONTESTED").is_some() {
        Schedule::contested(seed)
    } else {
        Schedule::rough(seed)
    };
    let mut world = World::new(schedule, true);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    println!("{}", world.trace());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}
