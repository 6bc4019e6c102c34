//! Guests: logical hosts beside the node's own, and messages among them that never leave the node.

use std::collections::BTreeSet;

use abi::kernel::{REMOTE, remote};
use abi::protocol::{Reply as _, Request as _};
use abi::remote::{Arrival, Received};
use abi::{Access, Error, Grant, LogicalHost, Pid};
use network_partner::{Configuration, Partner};

use crate::fixture::{Net, OWN, USER, here, there};

fn net() -> Net {
    Net::new(&Configuration::default(), 1)
}

fn of(host: LogicalHost) -> Pid {
    Pid::process(host, 1, 3)
}

#[test]
fn some_are_claimed_in_advance_and_as_many_as_are_wanted_in_the_end() {
    let mut net = net();
    let spare = Configuration::default().spare_hosts;
    let mut hosts: BTreeSet<_> = (0..spare).map(|_| net.guest().to_bits()).collect();
    assert_eq!(net.partner.take_host(net.now_ns, 5), Ok(None), "all others are being claimed");
    net.settle();
    net.pass(1_000_000_000);
    for more in (0..5).rev() {
        let host = net.partner.take_host(net.now_ns, more).unwrap().expect("it was wanted");
        assert!(hosts.insert(host.to_bits()), "each has its own");
    }
    assert!(!hosts.contains(&OWN.to_bits()));
    // What is given up is nobody's any more.
    for host in hosts {
        let host = LogicalHost::from_bits(host);
        assert_eq!(net.partner.release_host(net.now_ns, host), Ok(()));
        assert_eq!(net.partner.release_host(net.now_ns, host), Err(Error::NotFound));
    }
    net.pass(1_000_000_000);
    assert!(net.partner.is_quiet());
}

#[test]
fn there_are_no_more_than_can_be() {
    let mut configuration = Configuration::default();
    configuration.engine.local_hosts = 4;
    let mut net = Net::new(&configuration, 1);
    for _ in 0..3 {
        net.pass(1_000_000_000);
        net.guest();
    }
    net.pass(1_000_000_000);
    assert_eq!(net.partner.take_host(net.now_ns, 1), Err(Error::NoResources));
}

/// From a guest to the node's own process, back, and between guests: no packet leaves.
#[test]
fn messages_between_logical_hosts_stay_on_the_node() {
    let mut net = net();
    let (one, other) = (net.guest(), net.guest());
    net.pass(1_000_000_000);
    let before = net.sent;
    let pairs = [(of(one), here(16)), (here(16), of(one)), (of(one), of(other)), (of(other), of(one))];
    for (round, (from, to)) in pairs.into_iter().enumerate() {
        net.send(from, to, 512 * (round as u32 + 1), Grant::new(3000, Access::READ_WRITE));
        let alien = *net.kernel.aliens.last().unwrap();
        assert_eq!((net.kernel.aliens.len(), alien.client, alien.to), (round + 1, from, to));
        assert_eq!(alien.user, USER);
        net.answer(&[9; 2500]);
        let (replied, message, data) = net.kernel.replies.last().unwrap();
        assert_eq!((*replied, message.words[7], data.len()), (from, 2500, 2500));
        assert!(data.iter().all(|byte| *byte == 9));
    }
    assert_eq!(net.sent, before);
    assert!(net.kernel.failures.is_empty());
    net.pass(20_000_000_000);
    assert!(net.partner.is_quiet());
}

/// A server's MoveTo into the segment of a guest on the same node.
#[test]
fn a_copy_between_logical_hosts_stays_on_the_node() {
    let mut net = net();
    let guest = net.guest();
    net.pass(1_000_000_000);
    let (client, server, before) = (of(guest), here(16), net.sent);
    net.send(client, server, 512, Grant::new(0x10_0000, Access::WRITE));
    let copy = remote::MoveTo { client, transaction: 512, offset: 100 };
    net.take(&Received {
        sender: server,
        message: copy.to_message(),
        grant: Grant::new(0x1_0000, Access::READ),
        user: USER,
        forwarder: Pid::NONE,
        arrival: Arrival::Elsewhere { to: Pid::kernel_server(guest, REMOTE), transaction: 256 },
    });
    let moved: usize = net.kernel.moved.iter().map(|(_, _, data)| data.len()).sum();
    assert_eq!(moved, 0x1_0000);
    let (replied, message, _) = net.kernel.replies.last().unwrap();
    assert_eq!((*replied, remote::Moved::from_message(message).count), (server, 0x1_0000));
    net.answer(&[]);
    assert_eq!(net.kernel.replies.len(), 2);
    assert_eq!(net.sent, before);
    net.pass(20_000_000_000);
    assert!(net.partner.is_quiet());
}

/// A partner's next life knows the guests that it is told, and those that send.
#[test]
fn guests_survive_the_partner() {
    let mut net = net();
    let (told, sends) = (net.guest(), net.guest());
    net.partner = Partner::new(&Configuration::default(), OWN, 1, net.now_ns, 2);
    assert_eq!(net.partner.resume_host(told), Ok(()));
    net.settle();
    net.pass(2_000_000_000);
    for (client, server) in [(there(0, 20), of(told)), (there(0, 21), of(sends))] {
        if server == of(sends) {
            net.send(server, there(0, 16), 512, Grant::NONE);
        }
        net.ask(0, client, crate::entity(server), crate::MESSAGE, &crate::prefix(Grant::NONE));
        // What came before is not known: the client is asked whether its request is new.
        net.pass(1_000_000_000);
        assert_eq!(net.kernel.aliens.last().map(|alien| alien.to), Some(server));
    }
}
