//! Claims to logical hosts: never two owners for long.

use crate::net::*;
use proptest::prelude::*;
use vmtp::{Configuration, LogicalHost};

const NUMBER: LogicalHost = LogicalHost::from_bits(0x77);

fn net(weather: Weather, seed: u64, count: u32) -> Net {
    Net::new(
        count,
        weather,
        seed,
        Configuration { announce_ns: SECOND, host_idle_ns: SECOND, ..Configuration::default() },
    )
}

fn claim(net: &mut Net, host: usize) {
    let now_ns = net.now_ns;
    assert!(net.hosts[host].engine.claim(now_ns, NUMBER));
    net.settle();
}

fn owners(net: &Net) -> usize {
    net.hosts.iter().filter(|host| host.claimed.contains(&NUMBER)).count()
}

#[test]
fn an_owner_keeps_what_it_has() {
    for seed in 1..20 {
        let mut net = net(CALM, seed, 2);
        claim(&mut net, 0);
        net.run_until(SECOND);
        assert_eq!(owners(&net), 1);
        claim(&mut net, 1);
        net.run_until(3 * SECOND);
        assert_eq!((net.hosts[0].lost.len(), net.hosts[1].lost.len()), (0, 1));
        assert!(net.hosts[0].engine.is_local(NUMBER) && !net.hosts[1].engine.is_local(NUMBER));
    }
}

#[test]
fn a_partition_heals() {
    for seed in 1..20 {
        let mut net = net(CALM, seed, 2);
        net.hosts[1].connected = false;
        claim(&mut net, 0);
        claim(&mut net, 1);
        net.run_until(SECOND);
        assert_eq!(owners(&net), 2);
        net.hosts[1].connected = true;
        net.run_until(4 * SECOND);
        assert_eq!(owners(&net), 1);
    }
}

#[test]
fn a_number_is_claimed_or_added_not_both() {
    let mut net = net(CALM, 1, 2);
    claim(&mut net, 0);
    let engine = &mut net.hosts[0].engine;
    assert!(!engine.add_local_host(NUMBER) && !engine.add_new_local_host(NUMBER));
    assert!(!engine.is_local(NUMBER));
    net.run_until(SECOND);
    // The one claim was won; to give it up leaves none behind.
    assert_eq!(owners(&net), 1);
    let engine = &mut net.hosts[0].engine;
    assert!(engine.add_local_host(NUMBER), "what is local stays so");
    engine.remove_local_host(SECOND, NUMBER);
    assert!(!engine.is_local(NUMBER) && engine.claim(SECOND, NUMBER));
}

#[test]
fn a_probe_said_early_takes_the_place_of_none() {
    // Both probe; whoever has the stronger claim says so at once, and probes for as long as if it were alone.
    for seed in 1..20 {
        let mut net = net(CALM, seed, 2);
        claim(&mut net, 0);
        net.run_until(20 * MILLISECOND);
        claim(&mut net, 1);
        net.run_until(149 * MILLISECOND);
        assert_eq!(owners(&net), 0, "each probe has its time to be answered");
        net.run_until(SECOND);
        assert_eq!(owners(&net), 1);
    }
}

#[test]
fn engines_that_lost_their_claims_find_out() {
    for seed in 1..20 {
        let mut net = net(CALM, seed, 2);
        for host in 0..2 {
            assert!(net.hosts[host].engine.resume_claim(NUMBER));
            net.hosts[host].claimed.insert(NUMBER);
        }
        net.run_until(5 * SECOND);
        assert_eq!(owners(&net), 1);
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn one_of_many_claimants_is_left(seed in 1u64..1 << 60, loss in 0u64..400, pauses in prop::collection::vec(0..200u64, 4)) {
        let weather = Weather { loss, repeat: 100, delay_ns: 50_000, jitter_ns: 5 * MILLISECOND };
        let mut net = net(weather, seed, 4);
        for (host, pause) in pauses.into_iter().enumerate() {
            claim(&mut net, host);
            net.run_until(net.now_ns + pause * MILLISECOND);
        }
        net.run_until(net.now_ns + 60 * SECOND);
        prop_assert_eq!(owners(&net), 1);
        for host in &net.hosts {
            prop_assert_eq!(host.engine.is_local(NUMBER), host.claimed.contains(&NUMBER));
        }
    }
}
