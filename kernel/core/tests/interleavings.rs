//! Any interleaving of operations keeps the kernel's invariants, and leaves nothing when all teams have ended.

use proptest::collection::vec;
use proptest::prelude::*;
use simulator::storm::{Step, Storm};

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(any::<Step>(), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 3000, ..ProptestConfig::default() })]

    #[test]
    fn a_storm_breaks_nothing(steps in steps(300)) {
        let mut storm = Storm::new();
        for step in steps {
            storm.step(step);
        }
        storm.calm();
    }

    #[test]
    fn the_short_path_does_what_the_general_one_does(steps in steps(300)) {
        let mut short = Storm::new();
        let mut general = Storm::new();
        // While something is traced, the general path does all.
        general.node.kernel.trace.choose(u32::MAX);
        for step in steps {
            short.step(step);
            general.step(step);
            prop_assert_eq!(short.picture(), general.picture());
        }
    }
}
