//! When to look after the owners of instances: now and then while anything is open, and soon and more often while
//! somebody waits whom another team's end would free.

/// How often while something is open.
const INTERVAL_NS: u64 = 1_000_000_000;
/// How soon after somebody began to wait; and after twice as long each time. Many wait for what happens at once, such as
/// the end of the program before them in a pipeline; who waits long can wait a little longer.
const FIRST_URGENT_NS: u64 = 500_000;
/// The longest such time.
const LAST_URGENT_NS: u64 = 32_000_000;

/// The times, in nanoseconds since boot.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_field_names)] // They all end in their unit.
pub(crate) struct Sweeps {
    last_ns: u64,
    urgent_at_ns: u64,
    urgent_interval_ns: u64,
}

impl Sweeps {
    pub(crate) const fn new() -> Sweeps {
        Sweeps { last_ns: 0, urgent_at_ns: 0, urgent_interval_ns: FIRST_URGENT_NS }
    }

    /// Somebody begins to wait. What is due earlier stays so: whoever keeps coming puts nothing off.
    pub(crate) fn note_wait(&mut self, now_ns: u64) {
        let soon_ns = now_ns + FIRST_URGENT_NS;
        if self.urgent_at_ns <= now_ns || self.urgent_at_ns > soon_ns {
            self.urgent_at_ns = soon_ns;
        }
        self.urgent_interval_ns = FIRST_URGENT_NS;
    }

    /// When the next one is due.
    pub(crate) const fn next_ns(&self, is_urgent: bool) -> u64 {
        if is_urgent { self.urgent_at_ns } else { self.last_ns + INTERVAL_NS }
    }

    /// One is made now.
    pub(crate) fn note_sweep(&mut self, now_ns: u64) {
        self.last_ns = now_ns;
        self.urgent_interval_ns = (self.urgent_interval_ns * 2).min(LAST_URGENT_NS);
        self.urgent_at_ns = now_ns + self.urgent_interval_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_brings_the_next_one_forward_and_never_puts_it_off() {
        let mut sweeps = Sweeps::new();
        sweeps.note_sweep(1_000);
        assert_eq!(sweeps.next_ns(false), 1_000 + INTERVAL_NS);
        let late = 10 * INTERVAL_NS;
        sweeps.note_wait(late);
        let due = late + FIRST_URGENT_NS;
        assert_eq!(sweeps.next_ns(true), due);
        sweeps.note_wait(due - 1);
        assert_eq!(sweeps.next_ns(true), due);
        for _ in 0..20 {
            sweeps.note_sweep(late);
        }
        assert_eq!(sweeps.next_ns(true), late + LAST_URGENT_NS);
        sweeps.note_wait(late + 1);
        assert_eq!(sweeps.next_ns(true), late + 1 + FIRST_URGENT_NS);
    }
}
