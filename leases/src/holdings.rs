//! The cache's side: [`Holdings`].

use alloc::collections::BTreeMap;

use crate::{DRIFT_PARTS, Grant, Recall, term_ns};

/// What a cache holds of one server.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// Until when it may rely on each content.
    until_ns: BTreeMap<u32, u64>,
    /// The last grant that was recalled: what was granted before is void, whenever it comes.
    recalled: u64,
}

impl Holdings {
    /// Nothing.
    pub const fn new() -> Holdings {
        Holdings { until_ns: BTreeMap::new(), recalled: 0 }
    }

    /// The server's answer to what was asked `asked_ns`. Whether it may be relied on, as far as this says.
    pub fn take(&mut self, grant: Grant, asked_ns: u64) -> bool {
        let is_good = grant.is_lease() && grant.number > self.recalled;
        if is_good {
            let term_ns = term_ns(grant.term_ms);
            let until_ns = asked_ns.saturating_add(term_ns - term_ns.div_ceil(DRIFT_PARTS));
            let known = self.until_ns.entry(grant.content).or_default();
            *known = until_ns.max(*known);
        }
        is_good
    }

    /// Gives up what the server recalls.
    pub fn give_up(&mut self, recall: Recall) {
        self.until_ns.remove(&recall.content);
        self.recalled = self.recalled.max(recall.grant);
    }

    /// Until when a content may be relied on, unless it is given up before; 0 if it may not.
    pub fn until_ns(&self, content: u32) -> u64 {
        self.until_ns.get(&content).copied().unwrap_or(0)
    }

    /// Whether a content may be relied on.
    pub fn holds(&self, content: u32, now_ns: u64) -> bool {
        now_ns < self.until_ns(content)
    }

    /// Whether anything may be relied on. Forgets what has ended.
    pub fn holds_any(&mut self, now_ns: u64) -> bool {
        self.until_ns.retain(|_, until_ns| now_ns < *until_ns);
        !self.until_ns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn grant(content: u32, number: u64) -> Grant {
        Grant { content, number, term_ms: 2_000 }
    }

    #[test]
    fn a_term_counts_from_the_question_and_is_shortened_by_the_drift() {
        let mut holdings = Holdings::new();
        assert!(holdings.take(grant(3, 1), SECOND_NS));
        let end_ns = SECOND_NS + 2 * SECOND_NS - 2 * SECOND_NS / DRIFT_PARTS;
        assert!(holdings.holds(3, end_ns - 1) && !holdings.holds(3, end_ns) && !holdings.holds(4, 0));
        assert!(holdings.take(grant(3, 2), 2 * SECOND_NS) && holdings.holds(3, end_ns));
        // An answer that took its time does not shorten what is held.
        assert!(holdings.take(grant(3, 3), 0) && holdings.holds(3, end_ns));
        assert!(!holdings.holds_any(9 * SECOND_NS));
    }

    #[test]
    fn what_comes_after_its_recall_is_void() {
        let mut holdings = Holdings::new();
        holdings.take(grant(3, 5), 0);
        holdings.give_up(Recall { content: 3, grant: 6 });
        assert!(!holdings.holds(3, 1));
        assert!(!holdings.take(grant(3, 6), 0) && !holdings.holds(3, 1));
        assert!(holdings.take(grant(4, 7), 0) && holdings.holds(4, 1));
        assert!(!holdings.take(Grant::NONE, 0));
    }
}
