//! Whatever the network, the clocks and crashes do, programs see what they would see without caches: one register for
//! each file. And where part of the protocol is left out, they do not, so the test can tell.

mod world;

use world::linearizable::is_linearizable;
use world::{Broken, run};

/// Seeds of one test; each is a minute of three caches, six readers and two writers.
const SEEDS: u64 = 200;

fn is_good(seed: u64, broken: Broken) -> bool {
    run(seed, broken).histories.iter().all(|history| is_linearizable(history))
}

#[test]
fn no_read_is_stale() {
    let (mut reads, mut warm_reads, mut waits) = (0, 0, 0);
    for seed in 0..SEEDS {
        let world = run(seed, Broken::Nothing);
        for (file, history) in world.histories.iter().enumerate() {
            assert!(is_linearizable(history), "seed {seed}, file {file}: {history:#?}");
            reads += history.len();
        }
        warm_reads += world.warm_reads;
        waits += world.waits;
    }
    // The leases were of use, and in somebody's way.
    assert!(warm_reads as usize > reads / 4, "{warm_reads} of {reads} without a message");
    assert!(u64::from(waits) > SEEDS, "{waits} waits");
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..5 {
        let [first, second] = [0; 2].map(|_| run(seed, Broken::Nothing).histories);
        assert_eq!(first, second);
    }
}

#[test]
fn what_is_left_out_is_found() {
    for broken in [
        Broken::WritersDoNotWait,
        Broken::NothingIsWaitedOut,
        Broken::TermsCountFromTheAnswer,
        Broken::ClocksDifferTooMuch,
        Broken::LateGrantsAreTaken,
        Broken::LeasesWhileWriting,
    ] {
        let found = (0..SEEDS * 10).find(|seed| !is_good(*seed, broken));
        println!("{broken:?} is found by seed {found:?}");
        assert!(found.is_some(), "{broken:?} does no harm");
    }
}
