//! Runs of transactions, in calm and in bad weather.

use crate::net::*;
use crate::users::ask;
use proptest::prelude::*;
use vmtp::packet::Control;
use vmtp::packet::message::DATAGRAM;
use vmtp::{Configuration, EntityId, Failure, Outcome, SendError, transaction_step};

const CAPACITY: u32 = 65_560;

fn quick() -> Configuration {
    Configuration { host_idle_ns: 20 * SECOND, ..Configuration::default() }
}

/// The flags of the `place`th of `count` transactions.
fn flags(place: usize, count: usize) -> u32 {
    let start = if place == 0 { 0 } else { Control::NOT_START_OF_RUN };
    let end = if place + 1 == count { 0 } else { Control::NOT_END_OF_RUN };
    start | end
}

/// A run of requests: their codes, with segments of so many bytes there and back, or for so many milliseconds.
struct Run {
    from: usize,
    index: u64,
    server: EntityId,
    transaction: u32,
}

impl Run {
    /// Sends them as fast as the engine takes them.
    fn send(&mut self, net: &mut Net, requests: &[(u32, usize, u32)]) {
        for (place, (code, request, response)) in requests.iter().enumerate() {
            self.send_one(net, (*code, *request, *response), flags(place, requests.len()));
        }
    }

    /// Sends one when the engine takes it.
    fn send_one(&mut self, net: &mut Net, (code, request, response): (u32, usize, u32), flags: u32) {
        // Whoever forwards does so with a segment to the third host.
        let third = 103u32.wrapping_sub(self.from as u32 + self.server.host().to_bits());
        let forwarded = if code == ask::FORWARD { 1000 } else { response };
        let words = [code, response, forwarded, third, 0, 0, 0, 0];
        let capacity = if response > 0 && code != ask::DELAY { CAPACITY } else { 0 };
        let start_ns = net.now_ns;
        loop {
            let name = (self.index, self.transaction);
            match net.try_send(self.from, name, self.server, words, (request, capacity), flags) {
                Ok(_) => break,
                Err(error) => assert_eq!(error, SendError::ClientBusy),
            }
            assert!(net.step() && net.now_ns - start_ns < 600 * SECOND, "the engine never takes it");
        }
        self.transaction = self.transaction.wrapping_add(transaction_step(request as u32, capacity));
    }
}

fn run(net: &Net) -> Run {
    Run { from: 0, index: 1, server: process(net.hosts[1].number, 2), transaction: 1 }
}

fn sent(net: &Net) -> u64 {
    net.hosts.iter().map(|host| host.engine.counters().packets_sent).sum()
}

fn responses(net: &Net) -> usize {
    net.hosts[0].outcomes.iter().filter(|ended| matches!(ended.1, Outcome::Response(_))).count()
}

#[test]
fn a_run_takes_two_packets_each_and_one_way_of_time() {
    let mut net = Net::new(2, CALM, 1, quick());
    net.run_until(2 * SECOND);
    let mut run = run(&net);
    run.send(&mut net, &[(ask::SEGMENT, 0, 0)]);
    net.run_until_done();
    let (before, start_ns) = (sent(&net), net.now_ns);
    run.send(&mut net, &[(ask::SEGMENT, 0, 0); 8]);
    net.run_until_done();
    assert_eq!(sent(&net) - before, 16);
    assert_eq!(net.now_ns - start_ns, 2 * CALM.delay_ns);
    assert_eq!(responses(&net), 9);
    net.run_until_quiet();
}

#[test]
fn one_response_may_stand_for_many() {
    let mut net = Net::new(2, CALM, 1, quick());
    net.run_until(2 * SECOND);
    let mut run = run(&net);
    run.send(&mut net, &[(ask::SEGMENT, 0, 0)]);
    net.run_until_done();
    let before = sent(&net);
    run.send(&mut net, &[(ask::BATCH, 0, 0); 5]);
    net.run_until_done();
    assert_eq!(sent(&net) - before, 6);
    let by = run.transaction - 1;
    let batched = net.hosts[0].outcomes.iter().filter(|ended| ended.1 == Outcome::Batched { by }).count();
    assert_eq!((batched, responses(&net)), (4, 2));
    net.run_until_quiet();
}

/// A run whose end never comes: its client asks, and is answered.
#[test]
fn what_was_to_be_batched_with_nothing_is_answered_when_asked_for() {
    let mut net = Net::new(2, CALM, 1, quick());
    net.run_until(2 * SECOND);
    let mut run = run(&net);
    run.send_one(&mut net, (ask::BATCH, 0, 0), Control::NOT_END_OF_RUN);
    net.run_until(net.now_ns + SECOND);
    // Not one of ours: it has no transaction in it.
    let outcome = net.hosts[0].outcomes[0].1;
    assert!(
        matches!(outcome, Outcome::Response(response) if response.message.words == [0; 8]),
        "{outcome:?}"
    );
    net.run_until_quiet();
}

#[test]
fn long_segments_go_in_a_run() {
    let mut net = Net::new(2, CALM, 1, quick());
    net.run_until(2 * SECOND);
    let mut run = run(&net);
    let long = (ask::SEGMENT, 60_000, 60_000);
    run.send(&mut net, &[long, (ask::SEGMENT, 0, 0), long, (ask::DELAY, 100, 50), long]);
    net.run_until_done();
    assert_eq!(responses(&net), 5);
    assert_eq!(net.hosts[0].engine.counters().retransmissions, 0);
    net.run_until_quiet();
}

/// The server's user takes its time; more than its engine remembers are sent.
#[test]
fn too_many_are_sent_later() {
    for run_length in 1..4 {
        let mut net = Net::new(2, CALM, 1, quick());
        net.set_run_length(1, run_length);
        net.run_until(2 * SECOND);
        let mut run = run(&net);
        run.send(&mut net, &[(ask::DELAY, 0, 300); 12]);
        net.run_until_done();
        assert_eq!(responses(&net), 12, "{run_length}");
        assert!(net.hosts[1].engine.counters().overflows > 0);
        net.run_until_quiet();
    }
}

#[test]
fn a_host_that_takes_no_runs_gets_one_after_the_other() {
    let mut net = Net::new(2, CALM, 1, quick());
    net.set_run_length(1, 0);
    net.run_until(2 * SECOND);
    let mut run = run(&net);
    run.send(&mut net, &[(ask::SEGMENT, 100, 100); 12]);
    net.run_until_done();
    assert_eq!(responses(&net), 12);
    net.run_until_quiet();
}

#[test]
fn a_user_without_room_gets_them_again() {
    let mut net = Net::new(2, CALM, 1, quick());
    net.run_until(2 * SECOND);
    run(&net).send(&mut net, &[(ask::BUSY, 0, 0); 6]);
    net.run_until_done();
    assert_eq!(responses(&net), 6);
    net.run_until_quiet();
}

#[test]
fn what_fails_does_not_end_the_rest() {
    let mut net = Net::new(2, CALM, 1, quick());
    net.run_until(2 * SECOND);
    run(&net).send(&mut net, &[(ask::SEGMENT, 0, 0), (ask::NOBODY, 0, 0), (ask::SEGMENT, 0, 0)]);
    net.run_until_done();
    let expected = Outcome::Failed { failure: Failure::NonexistentEntity, may_have_been_executed: false };
    assert_eq!((responses(&net), net.hosts[0].outcomes[1].1), (2, expected));
    net.run_until_quiet();
}

/// One that never left is taken back: those behind it start the run anew.
#[test]
fn what_is_taken_back_leaves_no_gap() {
    let mut net = Net::new(2, CALM, 1, quick());
    net.run_until(2 * SECOND);
    net.hosts[1].connected = false;
    let mut run = run(&net);
    for place in 0..4 {
        run.send_one(&mut net, (ask::DELAY, 0, 500), flags(place, 4));
        if place == 1 {
            let id = vmtp::SendId { index: 1, client: process(net.hosts[0].number, 1), transaction: 2 };
            let now_ns = net.now_ns;
            net.hosts[0].engine.cancel(now_ns, id);
        }
    }
    net.hosts[1].connected = true;
    net.run_until_done();
    assert_eq!(responses(&net), 3, "{:?}", net.hosts[0].outcomes);
    net.run_until_quiet();
}

/// The last of a run may be forwarded; those before it, only by a nested call.
#[test]
fn the_last_of_a_run_is_forwarded() {
    for seed in 1..100 {
        let mut net = Net::new(3, Weather { loss: 100, repeat: 100, ..CALM }, seed, quick());
        net.run_until(2 * SECOND);
        run(&net).send(&mut net, &[(ask::SEGMENT, 0, 0), (ask::FORWARD, 0, 100), (ask::FORWARD, 2000, 3000)]);
        net.run_until_done();
        assert_eq!(responses(&net), 3, "{:?}", net.hosts[0].outcomes);
        net.run_until_quiet();
    }
}

/// A client that gives up its run and starts another: the server's user is told.
#[test]
fn a_new_run_ends_the_one_before() {
    let mut net = Net::new(2, CALM, 1, quick());
    net.run_until(2 * SECOND);
    let mut run = run(&net);
    run.send(&mut net, &[(ask::DELAY, 0, 50_000); 3]);
    net.run_until(net.now_ns + SECOND);
    let ids: Vec<_> = (0..3)
        .map(|index| vmtp::SendId { index, client: process(net.hosts[0].number, 1), transaction: index + 1 })
        .collect();
    let now_ns = net.now_ns;
    for id in ids {
        net.hosts[0].engine.cancel(now_ns, id);
    }
    net.settle();
    run.send(&mut net, &[(ask::SEGMENT, 0, 0); 3]);
    net.run_until_done();
    assert_eq!((responses(&net), net.hosts[1].abandoned.len()), (3, 1));
    assert_eq!(net.executed.len(), 4, "two of the first run never began");
    net.run_until_quiet();
}

/// Datagrams of a run are executed in order, those that are lost not at all.
#[test]
fn datagrams_of_a_run_are_not_asked_for() {
    let mut net = Net::new(2, Weather { loss: 200, ..CALM }, 7, quick());
    net.run_until(2 * SECOND);
    let mut run = run(&net);
    run.send(&mut net, &[(ask::SEGMENT, 0, 0)]);
    net.run_until_done();
    let flags = |place| flags(place, 40) | Control::NO_RETRANSMISSION;
    for place in 0..40 {
        run.send_one(&mut net, (ask::SEGMENT | DATAGRAM, 0, 0), flags(place));
    }
    net.run_until(net.now_ns + 5 * SECOND);
    let executed = net.executed.len();
    assert!((20..41).contains(&executed), "{executed} were executed");
    net.run_until_quiet();
}

#[test]
fn an_engine_that_lost_its_state_goes_on() {
    for restarted in 0..2 {
        let mut net = Net::new(2, CALM, 1, quick());
        net.run_until(2 * SECOND);
        let mut run = run(&net);
        run.send(&mut net, &[(ask::DELAY, 0, 20_000); 4]);
        net.run_until(net.now_ns + 100 * MILLISECOND);
        net.restart_engine(restarted);
        net.run_until_done();
        // The server's new engine cannot know what its user had.
        assert_eq!(responses(&net), if restarted == 0 { 4 } else { 0 }, "{:?}", net.hosts[0].outcomes);
        run.send(&mut net, &[(ask::SEGMENT, 0, 0); 4]);
        net.run_until_done();
        assert_eq!(responses(&net), if restarted == 0 { 8 } else { 4 });
        net.run_until_quiet();
    }
}

#[derive(Clone, Debug)]
struct Planned {
    from: usize,
    ahead: usize,
    index: u64,
    /// Code, bytes there, bytes back, pause.
    requests: Vec<(u32, usize, u32, u64)>,
    cancel: Option<usize>,
}

fn planned() -> impl Strategy<Value = Planned> {
    let code = prop_oneof![
        5 => Just(ask::SEGMENT),
        2 => Just(ask::BATCH),
        1 => Just(ask::DELAY),
        1 => Just(ask::IDEMPOTENT),
        1 => Just(ask::NOBODY),
        1 => Just(ask::BUSY),
    ];
    let bytes = || prop_oneof![4 => Just(0usize), 2 => 1..2000usize, 1 => 1..65_560usize];
    let response = prop_oneof![4 => Just(0u32), 2 => 1..2000u32, 1 => 1..65_560u32];
    let request = (code, bytes(), response, prop_oneof![3 => Just(0u64), 1 => 0..300u64]);
    let requests = prop::collection::vec(request, 1..14);
    let cancel = prop_oneof![6 => Just(None), 1 => (0..14usize).prop_map(Some)];
    (0..3usize, 1..3usize, 0..2u64, requests, cancel)
        .prop_map(|(from, ahead, index, requests, cancel)| Planned { from, ahead, index, requests, cancel })
}

#[derive(Clone, Copy, Debug)]
struct Faults {
    seed: u64,
    weather: (u64, u64, u64),
    run_lengths: [usize; 3],
}

fn faults() -> impl Strategy<Value = Faults> {
    let weather = (
        prop_oneof![Just(0u64), Just(20), Just(200)],
        prop_oneof![Just(0u64), Just(100)],
        prop_oneof![Just(0u64), Just(300_000), Just(30 * MILLISECOND)],
    );
    let run_lengths = prop_oneof![3 => Just([8; 3]), 1 => prop::array::uniform3(0..9usize)];
    (1..u64::MAX / 4, weather, run_lengths).prop_map(|(seed, weather, run_lengths)| Faults {
        seed,
        weather,
        run_lengths,
    })
}

/// Sends all runs, each when its client's last is over. `at` is called before each of them.
fn runs(faults: Faults, plans: Vec<Planned>, mut at: impl FnMut(&mut Net, usize)) -> Net {
    let (loss, repeat, jitter_ns) = faults.weather;
    let weather = Weather { loss, repeat, delay_ns: 50_000, jitter_ns };
    let mut net = Net::new(4, weather, faults.seed, Configuration { buffers: 6, ..quick() });
    for (host, run_length) in faults.run_lengths.into_iter().enumerate() {
        net.set_run_length(host, run_length);
    }
    let idle = net.hosts[3].number;
    net.hosts[3].engine.remove_local_host(0, idle);
    net.run_until(2 * SECOND);
    let mut transactions = std::collections::BTreeMap::new();
    for (number, plan) in plans.into_iter().enumerate() {
        at(&mut net, number);
        let place = |number: usize| {
            let is_it = |host: &Host| host.engine.is_local(vmtp::LogicalHost::from_bits(100 + number as u32));
            net.hosts.iter().position(is_it).expect("it is somewhere")
        };
        let (from, to) = (place(plan.from), place((plan.from + plan.ahead) % 3));
        let client = process(net.hosts[from].number, plan.index);
        if net.is_waiting(from, client) {
            net.run_until_done();
        }
        let streams = net.hosts[from].engine.configuration().run_length > 0;
        let transaction = transactions.entry(client).or_insert(0xffff_f000u32);
        *transaction = transaction.wrapping_add(256);
        let server = process(net.hosts[to].number, 100 + plan.index);
        let mut run = Run { from, index: plan.index, server, transaction: *transaction };
        let count = plan.requests.len();
        for (place, (code, request, response, pause)) in plan.requests.into_iter().enumerate() {
            let response = if code == ask::DELAY { response % 3000 } else { response };
            let flags = if streams { flags(place, count) } else { 0 };
            run.send_one(&mut net, (code, request, response), flags);
            if plan.cancel == Some(place) {
                net.cancel_first(from, client);
            }
            net.run_until(net.now_ns + pause * MILLISECOND);
        }
        *transaction = run.transaction;
    }
    net.run_until_quiet();
    net
}

proptest! {
    #![proptest_config(cases(300))]

    /// Whatever the weather, and while engines lose their state: in order, one outcome each, at most one execution, whole
    /// segments, nothing left.
    #[test]
    fn runs_in_any_weather(
        faults in faults(),
        plans in prop::collection::vec(planned(), 1..5),
        restarts in prop::collection::vec((0..3usize, 0..5usize), 0..3),
    ) {
        let is_harmless = restarts.is_empty()
            && faults.run_lengths == [8; 3]
            && plans.iter().all(|plan| plan.cancel.is_none());
        let net = runs(faults, plans, |net, number| {
            for (host, _) in restarts.iter().filter(|(_, at)| *at == number) {
                net.restart_engine(*host);
            }
        });
        let is_lost = |outcome: &Outcome| {
            matches!(outcome, Outcome::Failed { failure, .. } if *failure != Failure::NonexistentEntity)
        };
        let outcomes = net.hosts.iter().flat_map(|host| &host.outcomes);
        let lost: Vec<_> = outcomes.filter(|ended| is_lost(&ended.1)).collect();
        prop_assert!(!is_harmless || lost.is_empty(), "without need: {lost:?}");
    }

    /// The same while logical hosts move.
    #[test]
    fn runs_among_hosts_that_move(
        faults in faults(),
        plans in prop::collection::vec(planned(), 1..5),
        moves in prop::collection::vec((0..3usize, 0..5usize), 1..4),
    ) {
        let mut places = [0, 1, 2, 3];
        let net = runs(faults, plans, |net, number| {
            for (host, _) in moves.iter().filter(|(_, at)| *at == number) {
                net.migrate(places[*host], places[3]);
                places.swap(*host, 3);
            }
        });
        for (executed, times) in &net.executed {
            prop_assert!(*times <= 1 || net.idempotent.contains(executed), "{executed:?}: {times} times");
        }
    }
}
