//! Pages of other nodes' servers, and network servers that end on the way.

use abi::call::{self, Registers};
use abi::kernel::PROCESS;
use abi::kernel::process::{BecomeNetworkServer, CreateTeam, Destroy};
use abi::kernel::protection::READ;
use abi::page::page;
use abi::protocol::{Reply as _, Request as _};
use abi::{LogicalHost, Message, PAGE_BYTES, Pid, Rights, UserId};
use kernel_core::process::State;
use simulator::node::{receive, reply};
use simulator::{Node, Outcome};

use crate::fixture::Fixture;

/// A new team is the network server.
pub fn network_server(node: &mut Node) -> Pid {
    let create = CreateTeam {
        user: UserId::SYSTEM,
        rights: Rights::NETWORK_SERVER,
        priority: 6,
        quota_pages: 0,
        quota_processes: 0,
    };
    let server = node.team_as(node.root, &create, 40).unwrap();
    node.request(server, PROCESS, &BecomeNetworkServer {}).unwrap();
    server
}

fn end(node: &mut Node, process: Pid) {
    let root = node.root;
    node.request(root, PROCESS, &Destroy { process, status: 0 }).unwrap();
    let Outcome::Done(ended) = node.call(root, receive()) else { panic!("nobody has ended") };
    node.call(root, reply(Pid::from_bits(ended.pid), Message::default()));
}

/// The network server receives a page request, which was sent to nobody else: who asks, and for which page.
fn received(node: &mut Node, server: Pid) -> (Pid, u64) {
    let Outcome::Done(Registers { pid, message, .. }) = node.call(server, receive()) else {
        panic!("nothing was sent");
    };
    let read = page::Read::from_message(&Message::from_registers(message));
    (Pid::from_bits(pid), read.position / PAGE_BYTES)
}

#[test]
fn a_page_of_another_nodes_waits_for_the_next_network_server() {
    let mut at = Fixture::new();
    let local = core::mem::replace(&mut at.pager, Pid::process(LogicalHost::from_bits(0x77), 1, 20));
    let (pid, other) = (at.program(), at.program());
    let first = network_server(&mut at.node);
    at.bind(pid, 3, READ);
    at.touch(pid, 0, READ);
    assert_eq!(received(&mut at.node, first).1, 0);
    end(&mut at.node, first);
    assert_eq!(at.node.state(pid), State::Sending, "its page is still to come");
    // The next one ends before it receives anything.
    let second = network_server(&mut at.node);
    at.bind(other, 3, READ);
    end(&mut at.node, second);
    at.touch(other, 1, READ);
    assert_eq!(at.node.state(other), State::Sending, "what is asked for meanwhile is to come, too");
    let third = network_server(&mut at.node);
    for page in 0..2 {
        let (to, asked) = received(&mut at.node, third);
        assert_eq!(asked, page);
        at.node.poke(third, Node::data(0), &[9 + page as u8; PAGE_BYTES as usize]);
        let answer = call::Reply {
            to,
            message: page::PageRead { count: PAGE_BYTES as u32 }.to_message(),
            segment_address: Node::data(0),
            segment_bytes: PAGE_BYTES,
            replier: 0,
            error: 0,
        };
        let Outcome::Done(registers) = at.node.call(third, answer.encode()) else { panic!("a reply waits") };
        assert_eq!(registers.number, 0);
    }
    assert_eq!((at.node.state(pid), at.node.state(other)), (State::Ready, State::Ready));
    assert_eq!((at.see(pid, 0), at.see(other, 1)), (9, 10));
    // Without another one, the wait comes to an end.
    end(&mut at.node, third);
    at.touch(pid, 2, READ);
    at.node.pass(abi::page::DEADLINE_NS + 1);
    at.node.settle_idle();
    let team = at.node.kernel.processes[at.node.index(pid)].team;
    assert!(at.node.kernel.team(team).ending);
    at.pager = local;
    at.end(&[other]);
}

#[test]
fn where_one_page_follows_the_other_further_ones_are_on_their_way() {
    let mut at = Fixture::new();
    let local = core::mem::replace(&mut at.pager, Pid::process(LogicalHost::from_bits(0x77), 1, 20));
    let pid = at.program();
    let server = network_server(&mut at.node);
    at.bind(pid, 16, READ);
    let mut asked_for = Vec::new();
    let mut take = |node: &mut Node, count: usize| {
        for _ in 0..count {
            let (to, page) = received(node, server);
            asked_for.push(page);
            node.poke(server, Node::data(0), &[page as u8; PAGE_BYTES as usize]);
            let bytes = PAGE_BYTES;
            let reply = page::PageRead { count: bytes as u32 }.to_message();
            let (segment_address, replier, error) = (Node::data(0), 0, 0);
            let answer =
                call::Reply { to, message: reply, segment_address, segment_bytes: bytes, replier, error };
            assert!(matches!(node.call(server, answer.encode()), Outcome::Done(done) if done.number == 0));
        }
    };
    for page in [0, 1] {
        at.touch(pid, page, READ);
        take(&mut at.node, 1);
    }
    // With the third, seven behind it, of which the first is what the program waits for. None is beyond the region.
    at.touch(pid, 2, READ);
    take(&mut at.node, 8);
    assert_eq!(at.node.state(pid), State::Ready);
    at.touch(pid, 12, READ);
    take(&mut at.node, 1);
    at.touch(pid, 10, READ);
    take(&mut at.node, 2);
    at.touch(pid, 13, READ);
    take(&mut at.node, 3);
    assert_eq!(at.node.kernel.page_requests.under_way().count(), 0);
    assert_eq!(asked_for, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11, 13, 14, 15]);
    assert!((0..16).all(|page| at.see_touched(pid, page) == page as u8));
    end(&mut at.node, server);
    at.pager = local;
    at.end(&[pid]);
}
