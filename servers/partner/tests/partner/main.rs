//! The partner against peers that say what they like, a kernel that refuses, and limits that are reached.

mod fixture;
mod guests;

use abi::kernel::{REMOTE, remote};
use abi::protocol::Request as _;
use abi::remote::{Arrival, Received};
use abi::{Access, Error, Grant, Message, Pid};
use fixture::{Net, OWN, USER, entity, here, prefix, there};
use network_partner::{Configuration, Standing};
use vmtp::{Failure, Outcome};

const MESSAGE: Message = Message { words: [0x71, 2, 3, 4, 5, 6, 7, 0] };

fn net(peers: u32) -> Net {
    Net::new(&Configuration::default(), peers)
}

#[test]
fn what_no_kernel_sends_reaches_no_process() {
    let mut net = net(1);
    let sound = prefix(Grant::NONE);
    let mut reserved = sound.clone();
    reserved[15] = 1;
    for (number, segment) in (20..).zip([&sound[..1], &sound[..23], &reserved]) {
        net.ask(0, there(0, number), entity(here(16)), MESSAGE, segment);
    }
    assert!(net.kernel.aliens.is_empty());
    let failures: Vec<Failure> = net.peers[0]
        .outcomes
        .iter()
        .map(|(_, outcome)| match outcome {
            Outcome::Failed { failure, may_have_been_executed: false } => *failure,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(failures, [Failure::NonexistentEntity; 3]);
    // And what one does send.
    net.ask(0, there(0, 30), entity(here(16)), MESSAGE, &sound);
    assert_eq!(net.kernel.aliens.len(), 1);
    let alien = net.kernel.aliens[0];
    assert_eq!((alien.client, alien.to, alien.user, alien.head_bytes), (there(0, 30), here(16), USER, 0));
    assert_eq!(alien.message.words, MESSAGE.words);
}

/// The engine forgets a datagram when it has given it out, so the alien of one would stay for as long as its server takes:
/// for ever at a process that never receives.
#[test]
fn a_datagram_reaches_no_process() {
    let mut net = net(1);
    let mut message = MESSAGE;
    message.words[0] |= vmtp::packet::message::DATAGRAM;
    net.ask(0, there(0, 30), entity(here(16)), message, &prefix(Grant::NONE));
    net.ask(0, there(0, 31), entity(here(16)), message, &[]);
    assert!(net.kernel.aliens.is_empty());
    net.pass(20_000_000_000);
    assert!(net.partner.is_quiet(), "{:?}", net.partner);
}

#[test]
fn a_request_without_segment_has_its_user_in_word_7() {
    let mut net = net(1);
    let mut message = MESSAGE;
    message.words[7] = USER.0;
    net.ask(0, there(0, 30), entity(here(16)), message, &[]);
    let alien = net.kernel.aliens[0];
    assert_eq!((alien.client, alien.user, alien.head_bytes), (there(0, 30), USER, 0));
    assert_eq!((alien.grant, alien.message.words), (Grant::NONE, MESSAGE.words));
}

#[test]
fn only_who_has_a_message_may_copy_for_it() {
    let mut net = net(2);
    let (client, transaction) = (here(20), 512);
    net.send(client, there(0, 16), transaction, Grant::new(100, Access::WRITE));
    assert_eq!(net.peers[0].requests.len(), 1);
    let server = entity(Pid::kernel_server(OWN, REMOTE));
    let segment = [&prefix(Grant::new(3, Access::READ))[..], b"abc"].concat();
    let copy = |client, transaction| remote::MoveTo { client, transaction, offset: 5 }.to_message();
    // Another machine; another transaction; another process.
    net.ask(1, there(1, 16), server, copy(client, transaction), &segment);
    net.ask(0, there(0, 16), server, copy(client, transaction + 256), &segment);
    net.ask(0, there(0, 17), server, copy(here(21), transaction), &segment);
    assert!(net.kernel.moved.is_empty());
    let refused = |net: &Net, peer: usize| {
        let (_, Outcome::Response(response)) = net.peers[peer].outcomes.last().copied().expect("an outcome")
        else {
            panic!("no response");
        };
        response.message.words[0]
    };
    assert_eq!(refused(&net, 1), Error::NotAwaitingReply.code());
    assert_eq!(refused(&net, 0), Error::NotAwaitingReply.code());
    net.ask(0, there(0, 18), server, copy(client, transaction), &segment);
    assert_eq!(net.kernel.moved, [(client, 5, b"abc".to_vec())]);
    assert_eq!(refused(&net, 0), Error::OK_CODE);
    net.ask(0, there(0, 19), server, Message::with_code(0x799), &segment);
    assert_eq!(refused(&net, 0), Error::BadRequest.code());
}

/// A process of the partner's node that waits for peer 0's server 16, and a copy of that server for it.
fn waiting_client(net: &mut Net, access: Access) -> Pid {
    let client = here(20);
    net.send(client, there(0, 16), 512, Grant::new(0x10_0000, access));
    client
}

#[test]
fn a_long_copy_is_written_where_it_goes_as_it_comes() {
    let mut net = net(1);
    let client = waiting_client(&mut net, Access::WRITE);
    let data: Vec<u8> = (0..150_000u32).map(|at| (at % 251) as u8).collect();
    let segment = [&prefix(Grant::new(data.len() as u64, Access::READ))[..], &data].concat();
    let server = entity(Pid::kernel_server(OWN, REMOTE));
    let copy = remote::MoveTo { client, transaction: 512, offset: 5 }.to_message();
    net.ask(0, there(0, 16), server, copy, &segment);
    let mut written = vec![0; data.len()];
    assert!(net.kernel.moved.len() > 10, "piece by piece");
    for (to, offset, piece) in &net.kernel.moved {
        assert_eq!(*to, client);
        written[*offset as usize - 5..][..piece.len()].copy_from_slice(piece);
    }
    assert!(written == data);
    let Some((_, Outcome::Response(response))) = net.peers[0].outcomes.last() else { panic!("no response") };
    assert_eq!((response.message.words[0], response.message.words[1]), (Error::OK_CODE, 150_000));
}

#[test]
fn only_copies_are_longer_than_a_head() {
    let mut net = net(1);
    let segment = [&prefix(Grant::new(100_000, Access::READ))[..], &vec![1; 100_000]].concat();
    net.ask(0, there(0, 30), entity(here(16)), MESSAGE, &segment);
    assert!(net.kernel.aliens.is_empty() && net.kernel.moved.is_empty());
    let (_, outcome) = net.peers[0].outcomes[0];
    assert!(matches!(outcome, Outcome::Failed { failure: Failure::NonexistentEntity, .. }), "{outcome:?}");
}

#[test]
fn a_copy_of_what_cannot_be_read_ends_there() {
    // Of a client's segment, for a server elsewhere.
    let mut net = net(1);
    let client = waiting_client(&mut net, Access::READ);
    net.kernel.unreadable_from = Some(100_005);
    let server = entity(Pid::kernel_server(OWN, REMOTE));
    let copy = remote::MoveFrom { client, transaction: 512, offset: 5 }.to_message();
    net.ask(0, there(0, 16), server, copy, &prefix(Grant::new(150_000, Access::WRITE)));
    let (_, outcome) = *net.peers[0].outcomes.last().expect("an outcome");
    let Outcome::Failed { failure: Failure::Withdrawn { bytes }, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!((90_000..=100_024).contains(&bytes), "{bytes}");

    // Of a server's own memory, for a client elsewhere.
    let remote_server = Pid::kernel_server(there(0, 0).host(), REMOTE);
    net.send(here(21), remote_server, 256, Grant::new(150_000, Access::READ));
    assert_eq!(net.kernel.failures, [(here(21), Error::BadAddress)]);
    net.send(here(22), remote_server, 256, Grant::new(1 << 21, Access::READ));
    assert_eq!(net.kernel.failures.last(), Some(&(here(22), Error::TooLong)));
}

#[test]
fn one_machine_cannot_keep_the_others_out() {
    let configuration = Configuration { serves: 8, serves_per_host: 5, ..Configuration::default() };
    let mut net = Net::new(&configuration, 2);
    let sound = prefix(Grant::NONE);
    for number in 0..20 {
        net.ask(0, there(0, 100 + number), entity(here(16)), MESSAGE, &sound);
    }
    assert_eq!(net.kernel.aliens.len(), 5);
    assert!(net.peers[0].outcomes.is_empty(), "the others wait");
    net.ask(1, there(1, 100), entity(here(16)), MESSAGE, &sound);
    assert_eq!(net.kernel.aliens.len(), 6);
    // An answer makes room.
    let cookie = net.kernel.aliens[0].cookie;
    let arrival = Arrival::Answered { cookie, replier: here(16), outcome: Ok(()) };
    let message = Message::default();
    let sender = there(0, 100);
    let answer = Received { sender, message, grant: Grant::NONE, user: USER, forwarder: Pid::NONE, arrival };
    net.take(&answer);
    assert!(matches!(net.peers[0].outcomes[..], [(_, Outcome::Response(_))]));
    net.pass(5_000_000_000);
    assert_eq!(net.kernel.aliens.len(), 7, "one that waited");
    assert_eq!(net.peers[0].outcomes.len(), 1);
}

/// What was asked of a group is remembered no longer than what was asked of a process, whether its members answer or have
/// nothing to say: each time that a process asks, it is another client.
#[test]
fn who_asks_a_group_often_is_heard_each_time() {
    let mut net = net(1);
    let group = Pid::unrestricted_group(OWN, 0x2000);
    for members in [1, 2] {
        net.kernel.members.push((group, here(16 + members)));
        for number in 0..400 {
            let before = net.kernel.aliens.len();
            net.ask(0, there(0, 100 + 1000 * members + number), entity(group), MESSAGE, &prefix(Grant::NONE));
            let aliens = net.kernel.aliens[before..].to_vec();
            assert_eq!(aliens.len(), usize::from(members), "the {number}th time");
            for alien in aliens {
                let code = if number % 2 == 0 { 0 } else { Error::NothingToSay.code() };
                net.answer_for(&alien, code, &[]);
            }
            net.pass(25_000_000 * u64::from(members));
        }
        let answers =
            net.peers[0].outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Response(_)));
        assert_eq!(answers.count(), 200 * usize::from(members));
    }
    net.pass(20_000_000_000);
    assert!(net.partner.is_quiet(), "{:?}", net.partner);
}

#[test]
fn memory_is_bounded() {
    let configuration = Configuration { memory_bytes: 200_000, ..Configuration::default() };
    let mut net = Net::new(&configuration, 1);
    let grant = Grant::new(64 * 1024, Access::WRITE);
    for number in 0..4 {
        net.ask(0, there(0, 100 + number), entity(here(16)), MESSAGE, &prefix(grant));
    }
    assert_eq!(net.kernel.aliens.len(), 4, "each has room for the longest reply");
    net.ask(0, there(0, 200), entity(here(16)), MESSAGE, &prefix(grant));
    assert_eq!(net.kernel.aliens.len(), 4);
    net.send(here(20), there(0, 16), 256, grant);
    assert_eq!(net.kernel.failures, [(here(20), Error::NoResources)]);
}

#[test]
fn a_reply_that_does_not_fit_is_told_apart() {
    let mut net = net(1);
    net.send(here(20), there(0, 16), 256, Grant::NONE);
    net.kernel.reply_error = Some(Error::BadAddressOfOther);
    let id = net.peers[0].requests[0].id;
    let server = entity(there(0, 16));
    let reply = vmtp::Reply { server, message: vmtp::Message::default(), segment: None };
    let first = net.peers[0].engine.reply(net.now_ns, id, &reply).expect("a client that waits");
    net.act(0, first);
    net.settle();
    assert_eq!(net.kernel.replies.len(), 1);
    assert_eq!(net.kernel.failures, [(here(20), Error::ReplyLost)]);
}

#[test]
fn nobody_is_sent_for_who_has_ended() {
    let mut net = net(1);
    net.send(here(20), there(0, 16), 256, Grant::NONE);
    assert!(!net.partner.is_quiet());
    net.kernel.gone.push(here(20));
    net.pass(2_000_000_000);
    assert!(net.partner.is_quiet());
    assert!(net.kernel.replies.is_empty());
}

#[test]
fn what_is_sent_waits_for_the_logical_host() {
    let mut net = Net::claiming(&Configuration::default(), 1);
    net.send(here(20), there(0, 16), 256, Grant::NONE);
    assert_eq!((net.partner.standing(), net.peers[0].requests.len()), (Standing::Claiming, 0));
    net.pass(5_000_000_000);
    assert_eq!((net.partner.standing(), net.peers[0].requests.len()), (Standing::Owned, 1));

    // A peer has the same logical host, and had it first.
    let mut net = Net::claiming(&Configuration::default(), 1);
    net.peers[0].engine.add_new_local_host(vmtp::LogicalHost::from_bits(OWN.to_bits()));
    net.send(here(20), there(0, 16), 256, Grant::NONE);
    net.pass(5_000_000_000);
    assert_eq!(net.partner.standing(), Standing::Lost);
    assert_eq!(net.kernel.failures, [(here(20), Error::NoNetwork)]);
    net.send(here(21), there(0, 16), 256, Grant::NONE);
    assert_eq!(net.kernel.failures.last(), Some(&(here(21), Error::NoNetwork)));
}
