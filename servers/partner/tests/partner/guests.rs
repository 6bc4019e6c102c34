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

/// What a guest has under way: a Send to a peer with its segment, a request of a peer that a server has, and an answer with
/// a segment that was not acknowledged.
fn busy_guest(net: &mut Net) -> (LogicalHost, Pid) {
    let guest = net.guest();
    net.pass(1_000_000_000);
    net.send(of(guest), there(0, 16), 512, Grant::new(3000, Access::READ_WRITE));
    net.ask(
        0,
        there(0, 20),
        crate::entity(Pid::process(guest, 1, 4)),
        crate::MESSAGE,
        &crate::prefix(Grant::NONE),
    );
    (guest, Pid::process(guest, 1, 0))
}

#[test]
fn a_state_goes_out_and_comes_in_again() {
    let mut net = net();
    let (guest, team) = busy_guest(&mut net);
    assert_eq!(net.export((OWN, here(0)), 1 << 20), Err(Error::NotFound), "not a guest's");
    assert_eq!(net.export((guest, here(0)), 1 << 20), Err(Error::BadArgument), "another's team");
    assert_eq!(net.export((guest, team), 400), Err(Error::TooLong));
    let state = net.export((guest, team), 1 << 20).unwrap();
    assert_eq!(net.export((guest, team), 1 << 20), Err(Error::NotFound), "it is gone");
    assert!(net.partner.under_way()[0].1 == 0 && net.partner.under_way()[1].1 == 0);
    // Who sends in its name here is left over.
    net.send(of(guest), there(0, 17), 1024, Grant::NONE);
    assert_eq!(net.kernel.failures, [(of(guest), Error::NoNetwork)]);
    assert_eq!(net.import((guest, team), &state), Ok(()));
    assert_eq!(net.import((guest, team), &state), Err(Error::Busy));
    assert_eq!((net.partner.under_way()[0].1, net.partner.under_way()[1].1), (1, 1));
    // Both go on: the server answers, and the client has its answer.
    net.answer(&[]);
    net.pass(1_000_000_000);
    assert_eq!(net.peers[0].outcomes.len(), 1);
    let request = net.peers[0].requests[0];
    let reply = vmtp::Reply { server: request.server, message: vmtp::Message::default(), segment: None };
    let first = net.peers[0].engine.reply(net.now_ns, request.id, &reply).unwrap();
    net.act(0, first);
    net.settle();
    assert_eq!(net.kernel.replies.last().map(|reply| reply.0), Some(of(guest)));
}

#[test]
fn a_state_that_is_cut_or_changed_is_refused_or_does_no_harm() {
    let mut net = net();
    let (guest, team) = busy_guest(&mut net);
    let state = net.export((guest, team), 1 << 20).unwrap();
    for end in 0..state.len() {
        assert_eq!(net.import((guest, team), &state[..end]), Err(Error::BadArgument), "{end} bytes");
    }
    let other = LogicalHost::from_bits(guest.to_bits() ^ 1);
    assert_eq!(net.import((other, Pid::process(other, 1, 0)), &state), Err(Error::BadArgument));
    // What the kernel refuses is as if it had not come.
    let mut unknown = state.clone();
    let at = unknown.windows(13).position(|bytes| bytes == b"its processes").unwrap();
    unknown[at] ^= 1;
    assert_eq!(net.import((guest, here(50)), &unknown), Err(Error::BadArgument));
    assert_eq!((net.partner.under_way()[0].1, net.partner.under_way()[1].1), (0, 0));
    for at in 0..state.len() {
        for bit in [0, 3, 7] {
            let mut changed = state.clone();
            changed[at] ^= 1 << bit;
            if net.import((guest, here(50)), &changed) == Ok(()) {
                net.pass(1_000_000);
                // It may have ended what it had.
                while net.export((guest, team), 1 << 20) == Err(Error::Busy) {
                    net.pass(1_000_000_000);
                }
            }
        }
    }
    assert_eq!(net.import((guest, team), &state), Ok(()));
}

/// What ends soon is waited for.
#[test]
fn a_guest_waits_with_its_move() {
    let mut net = net();
    let guest = net.guest();
    let team = Pid::process(guest, 1, 0);
    net.pass(1_000_000_000);
    let group = Pid::unrestricted_group(OWN, 0x2000);
    net.send(of(guest), group, 512, Grant::NONE);
    assert_eq!(net.export((guest, team), 1 << 20), Err(Error::Busy), "a message to a group");
    net.pass(20_000_000_000);
    net.kernel.members.push((group, of(guest)));
    net.ask(0, there(0, 20), crate::entity(group), crate::MESSAGE, &crate::prefix(Grant::NONE));
    assert_eq!(net.export((guest, team), 1 << 20), Err(Error::Busy), "a group's member");
    net.answer(&[]);
    net.send(of(guest), there(0, 16), 1024, Grant::new(0x10_0000, Access::WRITE));
    let server = crate::entity(Pid::kernel_server(guest, REMOTE));
    let copy = remote::MoveTo { client: of(guest), transaction: 1024, offset: 0 }.to_message();
    net.ask(
        0,
        there(0, 16),
        server,
        copy,
        &[&crate::prefix(Grant::new(9, Access::READ))[..], &[7; 9]].concat(),
    );
    assert_eq!(net.export((guest, team), 1 << 20).map(|_| ()), Ok(()), "the copy has ended");
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
