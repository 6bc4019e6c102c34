//! A node with a pager and those who bind pages of its instance.

use abi::call::{self, FOREVER, NOW};
use abi::kernel::memory::Bind;
use abi::kernel::process::Destroy;
use abi::kernel::record::BindingRecord;
use abi::kernel::{MEMORY, PROCESS};
use abi::page::page;
use abi::protocol::{Reply as _, Request as _, refusal};
use abi::{Access, Error, Grant, Message, PAGE_BYTES, Pid};
use kernel_core::process::State;
use simulator::node::{receive, receive_from, reply, send};
use simulator::{Node, Outcome};

pub const PLACE: u64 = 0x3000_0000;
pub const INSTANCE: u32 = 5;
/// Where the pager has what it writes back to, and reads from.
pub const BUFFER: u64 = 0x1000;

/// A node with a pager and who binds pages of its instance.
pub struct Fixture {
    /// The node.
    pub node: Node,
    /// The pager.
    pub pager: Pid,
}

impl Fixture {
    pub fn new() -> Fixture {
        let mut node = Node::new();
        let pager = node.team(1, 8, 40);
        node.poke(pager, Node::data(BUFFER), &[0]);
        node.poke(pager, Node::data(0), &[0]);
        let waits = node.call(pager, receive_into(BUFFER));
        assert_eq!(waits, Outcome::Waits);
        Fixture { node, pager }
    }

    pub fn program(&mut self) -> Pid {
        self.node.team(100, 12, 8)
    }

    pub fn bind(&mut self, pid: Pid, pages: u32, protection: u32) {
        let binding = BindingRecord { pager: self.pager.to_bits(), instance: INSTANCE.into(), position: 0 };
        self.node.poke(pid, Node::data(0), &binding.to_bytes());
        let request = Bind { team: Pid::NONE, address: PLACE, pages, protection };
        let grant = Grant::new(BindingRecord::BYTES as u64, Access::READ);
        let bound = self.node.request_with(pid, MEMORY, &request, Node::data(0), grant).unwrap();
        assert_eq!(bound.address, PLACE);
    }

    /// A process touches its page `page` of the region.
    pub fn touch(&mut self, pid: Pid, page: u64, access: u32) {
        self.node.run(pid);
        let next = self.node.kernel.page_fault(PLACE + page * PAGE_BYTES, access, 4);
        self.node.settle(next);
    }

    /// The request that the pager has now.
    pub fn request(&mut self) -> (Pid, Message) {
        let registers = self.node.results(self.pager);
        assert_eq!(registers.number, 0);
        (Pid::from_bits(registers.pid), Message::from_registers(registers.message))
    }

    pub fn asked(&mut self) -> (Pid, u64) {
        let (sender, message) = self.request();
        let read = page::Read::from_message(&message);
        assert_eq!((message.code(), read.instance), (page::Read::CODE, INSTANCE));
        (sender, read.position / PAGE_BYTES)
    }

    pub fn reply(&mut self, to: Pid, message: Message, bytes: u64, lend: Access) -> Result<(), Error> {
        let reply = call::Reply {
            to,
            message,
            segment_address: Node::data(0),
            segment_bytes: Grant::new(bytes, lend).to_bits(),
            replier: 0,
            error: 0,
        };
        match self.node.call(self.pager, reply.encode()) {
            Outcome::Done(registers) => Error::check(registers.number as u32),
            Outcome::Waits => panic!("a reply waits"),
        }
    }

    /// The pager gives the page that it was asked for, filled with `byte`, and waits for more.
    pub fn give(&mut self, byte: u8, bytes: u64, lend: Access) {
        let (sender, _) = self.asked();
        self.node.poke(self.pager, Node::data(0), &vec![byte; bytes as usize]);
        let count = bytes as u32;
        self.reply(sender, page::PageRead { count }.to_message(), bytes, lend).unwrap();
        self.node.call(self.pager, receive_into(BUFFER));
    }

    pub fn refuse(&mut self, error: Error) {
        let (sender, _) = self.request();
        self.reply(sender, refusal(error), 0, Access::NONE).unwrap();
        self.node.call(self.pager, receive_into(BUFFER));
    }

    /// The pager, in no call.
    pub fn pager_free(&mut self) -> Pid {
        if self.node.state(self.pager) == State::Receiving {
            let to = self.pager;
            let helper = self.program();
            self.node.call(helper, send(to, Message::with_code(0x7fff)));
        }
        self.pager
    }

    /// The pager, which has received other requests since, answers a client with data.
    pub fn reply_later(&mut self, client: Pid, bytes: u64) -> Result<(), Error> {
        self.pager_free();
        self.reply(client, Message::default(), bytes, Access::NONE)
    }

    pub fn see(&mut self, pid: Pid, page: u64) -> u8 {
        self.node.peek(pid, PLACE + page * PAGE_BYTES, 1)[0]
    }

    /// The same of a page that is in the cache, but may not be mapped.
    pub fn see_touched(&mut self, pid: Pid, page: u64) -> u8 {
        self.node.peek_touched(pid, PLACE + page * PAGE_BYTES, 1)[0]
    }

    /// Ends all, and looks whether all was given back.
    pub fn end(mut self, pids: &[Pid]) {
        let root = self.node.root;
        for pid in pids.iter().copied().chain([self.pager]) {
            self.node.request(root, PROCESS, &Destroy { process: pid, status: 0 }).unwrap();
            self.node.settle_idle();
        }
        self.node.pass(1);
        while let Outcome::Done(received) = self.node.call(root, receive_from(Pid::NONE, NOW))
            && received.number == 0
        {
            self.node.call(root, reply(Pid::from_bits(received.pid), Message::default()));
        }
        let helpers = self.node.kernel.processes.iter().filter(|(_, process)| process.pid != root).count();
        if helpers == 0 {
            self.node.call(root, receive());
            self.node.settle_idle();
            assert_eq!(self.node.kernel.cache.used(), 0, "pages are kept of what is bound to nothing");
            let objects = &self.node.kernel.regions.objects;
            assert!((0..objects.count()).all(|object| objects.get(object).pager.is_none()));
        }
    }
}

pub fn receive_into(offset: u64) -> abi::call::Registers {
    call::Receive {
        from: Pid::NONE,
        buffer_address: Node::data(offset),
        buffer_bytes: PAGE_BYTES,
        deadline: FOREVER,
    }
    .encode()
}
