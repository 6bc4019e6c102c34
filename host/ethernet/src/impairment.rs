//! What the network does to frames: loss, delay, jitter, reordering, duplication, partitions.
//!
//! What becomes of a frame on its way to a receiver is a function of the seed, the sender, the receiver and the
//! frame's number among the sender's, and for partitions of the time. So a run with the same seed makes the same
//! decisions, however the host schedules it. Each kind of decision draws its own number, so that changing one chance
//! leaves the others' decisions as they were.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use serde::Deserialize;

use super::partition::Partition;
use super::units::{Chance, milliseconds_written};

/// How long a frame that others shall overtake is held back.
pub const HOLD: Duration = Duration::from_millis(10);

/// Everything that is done to frames. In a file, chances, delays and partitions are written as for `cargo v run`.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Impairments {
    /// Decisions follow from this.
    pub seed: u64,
    /// How likely a frame is lost.
    pub loss: Chance,
    /// How likely it comes twice.
    pub duplicate: Chance,
    /// How likely it is held back, so that later ones overtake it.
    pub reorder: Chance,
    /// How long each frame is under way.
    #[serde(deserialize_with = "milliseconds_written")]
    pub delay: Duration,
    /// How much longer at most; frames stay in order.
    #[serde(deserialize_with = "milliseconds_written")]
    pub jitter: Duration,
    /// Who does not hear whom, and when.
    #[serde(rename = "partition")]
    pub partitions: Vec<Partition>,
}

/// What becomes of a frame on its way to one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is lost by chance.
    Lost,
    /// There is a partition between the sender and the receiver.
    Partitioned,
    /// It arrives.
    Arrives {
        /// After this time, not counting `held`.
        delay: Duration,
        /// Later ones overtake it: it takes [`HOLD`] longer.
        held: bool,
        /// It arrives again, after this time.
        again: Option<Duration>,
    },
}

impl Impairments {
    /// What becomes of the frame with that number among `sender`'s on its way to `receiver`, `now` being the time
    /// since the network's start.
    pub fn fate(&self, sender: usize, receiver: usize, number: u64, now: Duration) -> Fate {
        if self.partitions.iter().any(|partition| partition.separates(sender, receiver, now)) {
            return Fate::Partitioned;
        }
        let mut decisions = self.decisions(sender, receiver, number);
        let [lost, held, twice, jitter, jitter_again] = std::array::from_fn(|_| decisions.f64());
        if self.loss.comes_about(lost) {
            return Fate::Lost;
        }
        let delay = |drawn: f64| self.delay + self.jitter.mul_f64(drawn);
        Fate::Arrives {
            delay: delay(jitter),
            held: self.reorder.comes_about(held),
            again: self.duplicate.comes_about(twice).then(|| delay(jitter_again)),
        }
    }

    fn decisions(&self, sender: usize, receiver: usize, number: u64) -> Rng {
        let mut rng = Rng::with_seed(self.seed);
        for word in [sender as u64, receiver as u64, number] {
            rng = Rng::with_seed(rng.u64(..) ^ word);
        }
        rng
    }

    /// The highest number of a node that a partition names.
    pub fn nodes_named(&self) -> usize {
        self.partitions.iter().map(Partition::nodes).max().unwrap_or(0)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let milliseconds = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1000.0);
        match *self {
            Fate::Lost => write!(formatter, "lost"),
            Fate::Partitioned => write!(formatter, "partitioned"),
            Fate::Arrives { delay, held, again } => {
                write!(formatter, "after {}", milliseconds(if held { delay + HOLD } else { delay }))?;
                if held {
                    write!(formatter, ", held back")?;
                }
                again.map_or(Ok(()), |again| write!(formatter, ", again after {}", milliseconds(again)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn impairments(seed: u64) -> Impairments {
        Impairments {
            seed,
            loss: "10".parse().unwrap(),
            duplicate: "20".parse().unwrap(),
            reorder: "30".parse().unwrap(),
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(2),
            partitions: Vec::new(),
        }
    }

    fn fates(impairments: &Impairments, count: u64) -> Vec<Fate> {
        (0..count).map(|number| impairments.fate(0, 1, number, Duration::ZERO)).collect()
    }

    #[test]
    fn without_impairments_everything_arrives_at_once() {
        let at_once = Fate::Arrives { delay: Duration::ZERO, held: false, again: None };
        assert!(fates(&Impairments::default(), 1000).iter().all(|fate| *fate == at_once));
    }

    #[test]
    fn chances_are_kept_on_the_whole() {
        let fates = fates(&impairments(7), 10_000);
        let share = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
        // Five standard deviations of a binomial distribution are 150, 200 and 230.
        assert!(share(|fate| *fate == Fate::Lost).abs_diff(1000) < 150);
        assert!(share(|fate| matches!(fate, Fate::Arrives { again: Some(_), .. })).abs_diff(1800) < 200);
        assert!(share(|fate| matches!(fate, Fate::Arrives { held: true, .. })).abs_diff(2700) < 230);
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(fates(&impairments(1), 1000), fates(&impairments(1), 1000));
        assert_ne!(fates(&impairments(1), 1000), fates(&impairments(2), 1000));
        let other = |number| impairments(1).fate(1, 0, number, Duration::ZERO);
        assert_ne!(fates(&impairments(1), 1000), (0..1000).map(other).collect::<Vec<_>>());
    }

    #[test]
    fn other_chances_leave_losses_as_they_were() {
        let lost = |impairments: &Impairments| {
            fates(impairments, 1000).iter().map(|fate| *fate == Fate::Lost).collect::<Vec<_>>()
        };
        let mut others = impairments(3);
        others.duplicate = Chance::default();
        others.reorder = "90".parse().unwrap();
        assert_eq!(lost(&impairments(3)), lost(&others));
    }

    #[test]
    fn a_partition_comes_before_chance() {
        let partitions = vec!["1|2 after 1s".parse().unwrap()];
        let impairments = Impairments { partitions, ..Impairments::default() };
        assert!(matches!(impairments.fate(0, 1, 0, Duration::ZERO), Fate::Arrives { .. }));
        assert_eq!(impairments.fate(0, 1, 0, Duration::from_secs(1)), Fate::Partitioned);
    }

    proptest! {
        #[test]
        fn delays_stay_within_the_jitter(seed: u64, number: u64) {
            let impairments = impairments(seed);
            if let Fate::Arrives { delay, again, .. } = impairments.fate(2, 3, number, Duration::ZERO) {
                for delay in [Some(delay), again].into_iter().flatten() {
                    prop_assert!(delay >= impairments.delay && delay <= impairments.delay + impairments.jitter);
                }
            }
        }
    }
}
