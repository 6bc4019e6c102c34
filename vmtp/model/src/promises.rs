//! What must hold in every state, and at the end of every course.

use vmtp::Outcome;
use vmtp::packet::Header;

use crate::scenario::{Budget, Deed, Scenario};
use crate::world::{Fate, Step, World};

impl World {
    /// Which promise is broken, if one is.
    pub fn broken(&self, scenario: &Scenario) -> Option<&'static str> {
        if self.broken.is_some() {
            return self.broken;
        }
        if let Some(promise) = self.broken_by_owners(scenario) {
            return Some(promise);
        }
        for (fate, order) in self.fates.iter().zip(&scenario.orders) {
            let times: u32 = fate.executed.iter().map(|(_, times)| u32::from(*times)).sum();
            let twice = fate.executed.iter().any(|(_, times)| *times > 1);
            if twice && !order.idempotent {
                return Some("at most once: a request was executed twice");
            }
            if fate.outcomes > 1 {
                return Some("one outcome: a send has two");
            }
            match fate.outcome {
                Some(Outcome::Response(response)) => {
                    if !fate.executed.iter().any(|(by, _)| *by == response.server) {
                        return Some("true outcome: who responded has not executed the request");
                    }
                    if response.segment_bytes != order.response_bytes {
                        return Some("true outcome: the response has another length");
                    }
                }
                Some(Outcome::Failed { may_have_been_executed: false, .. }) if times > 0 => {
                    return Some("true outcome: what failed for certain was executed");
                }
                Some(Outcome::Batched { .. }) if times == 0 => {
                    return Some("true outcome: what was answered with another was not executed");
                }
                Some(Outcome::Sent) if !order.datagram => {
                    return Some("true outcome: a request is no datagram");
                }
                _ => {}
            }
        }
        None
    }

    /// Which promise is broken by this being the end, if one is.
    pub fn broken_at_end(&self, scenario: &Scenario) -> Option<&'static str> {
        if self.fates.iter().any(Fate::is_open) {
            return Some("one outcome: a send waits for nothing");
        }
        for host in self.hosts.iter().filter(|host| host.boots.is_some()) {
            if !host.engine.is_quiet() {
                return Some("quiet end: an engine holds something");
            }
        }
        if let Some(promise) = self.broken_by_claims_at_end(scenario) {
            return Some(promise);
        }
        let Budget { losses, delays, restarts, crashes, reboots, cancels, .. } = scenario.budget;
        let retries = scenario.configuration().retries;
        let harmless = restarts + crashes + reboots + cancels == 0 && losses + delays <= retries;
        let replies = scenario.deeds.iter().all(|deed| *deed != Deed::Refuse);
        for (fate, order) in self.fates.iter().zip(&scenario.orders) {
            let is_answered =
                matches!(fate.outcome, Some(Outcome::Response(_) | Outcome::Batched { .. } | Outcome::Sent));
            if harmless && replies && order.patience_ns.is_none() && !is_answered {
                return Some("no lost hope: a send failed without need");
            }
        }
        None
    }

    /// The outcomes, for a report.
    pub fn outcomes(&self) -> Vec<Option<Outcome>> {
        self.fates.iter().map(|fate| fate.outcome).collect()
    }

    /// What a step does, in words.
    ///
    /// # Panics
    /// If the step is not one of this world's.
    pub fn describe(&self, step: Step) -> String {
        let packet = |number: usize| {
            let flight = &self.flying[number];
            let header = Header::decode(&flight.header).expect("an engine's header");
            format!(
                "{} -> {}: {:?} of {:?} transaction {} code {:x} control {:08x} delivery {:x}{}",
                flight.from,
                flight.to,
                header.control.function(),
                header.client,
                header.transaction,
                header.message.words[0],
                header.control.0,
                header.delivery,
                if flight.copy { " (copy)" } else { "" }
            )
        };
        let what = match step {
            Step::Arrive(number) => format!("arrives {}", packet(number)),
            Step::Lose(number) => format!("lost    {}", packet(number)),
            Step::Copy(number) => format!("copied  {}", packet(number)),
            other => format!("{other:?}"),
        };
        format!("{:>10} us  {what}", self.now_ns / 1000)
    }
}
