//! Files that are leased to caches of other nodes, and who opens them for writing meanwhile.

extern crate std;
use std::vec;

use abi::protocol::Request as _;
use abi::{Access, Error, Pid, UserId};
use io_server::testing::KernelPage;
use leases::TERM_NS;
use protocols::io::{io, mode};
use protocols::leases::leases::{Await, Lease, Leased, Recalled};

use crate::tests::{Files, QUOTA, USER};

/// Files, one of which a cache elsewhere is reading.
struct Leasing {
    files: Files,
    instance: u32,
    cache: Pid,
    channel: Pid,
    writer: Pid,
}

impl Leasing {
    fn new() -> Leasing {
        let mut files = Files::new(QUOTA);
        files.make("a", b"old");
        let instance = files.open("a", mode::READ).unwrap();
        let cache = files.system.process_elsewhere(UserId::SYSTEM);
        let channel = files.system.process_elsewhere(UserId::SYSTEM);
        let writer = files.system.process(USER);
        Leasing { files, instance, cache, channel, writer }
    }

    fn lease(&mut self) -> Leased {
        let lease = Lease { instance: self.instance, user: USER.0, holder: self.cache };
        self.files.system.say(&mut self.files.server, self.cache, &lease, b"").unwrap()
    }

    fn await_recall(&mut self, done: Recalled) {
        let Recalled { content, grant } = done;
        let message = Await { holder: self.cache, content, grant }.to_message();
        let Files { server, system, .. } = &mut self.files;
        system.send(server, self.channel, &message, vec![], Access::NONE);
    }

    fn recalled(&mut self) -> Option<Recalled> {
        use abi::protocol::Reply;
        self.files.system.take_reply(self.channel).map(|(reply, _)| Recalled::from_message(&reply))
    }

    /// The writer opens the file for writing.
    fn open(&mut self, mode: u32) {
        let message = io::Open { context: 0, mode, owner: Pid::NONE }.to_message();
        let Files { server, system, .. } = &mut self.files;
        system.send(server, self.writer, &message, b"a".to_vec(), Access::READ);
    }

    fn opened(&mut self) -> Option<u32> {
        use abi::protocol::Reply;
        let (reply, _) = self.files.system.take_reply(self.writer)?;
        assert_eq!(reply.code(), Error::OK_CODE);
        Some(io::Opened::from_message(&reply).instance)
    }

    fn tick_at(&mut self, now_ns: u64) {
        self.files.system.now_ns = now_ns;
        self.files.server.tick(&mut self.files.system);
    }
}

const NOTHING: Recalled = Recalled { content: 0, grant: 0 };

#[test]
fn a_writer_waits_for_the_caches_approval() {
    let mut leasing = Leasing::new();
    let lease = leasing.lease();
    assert!(lease.content != 0 && lease.size == 3);
    leasing.await_recall(NOTHING);
    assert_eq!(leasing.recalled(), None);
    leasing.open(mode::WRITE | mode::TRUNCATE);
    assert_eq!((leasing.opened(), leasing.files.content("a").unwrap()), (None, b"old".to_vec()));
    let recalled = leasing.recalled().unwrap();
    assert_eq!(recalled, Recalled { content: lease.content, grant: lease.grant });
    assert_eq!(leasing.lease().content, 0);
    leasing.await_recall(recalled);
    let written = leasing.opened().unwrap();
    assert_eq!(leasing.files.content("a").unwrap(), b"");
    // As long as it is open so, nobody gets a lease; then one of another content.
    assert_eq!(leasing.lease().content, 0);
    leasing.files.write(written, 0, b"newer").unwrap();
    let release = io::Release { instance: written, owner: Pid::NONE };
    leasing.files.system.say(&mut leasing.files.server, leasing.writer, &release, b"").unwrap();
    let next = leasing.lease();
    assert!(next.content > lease.content && next.grant > lease.grant && next.size == 5);
    assert_eq!(leasing.lease().content, next.content);
}

#[test]
fn a_writer_waits_no_longer_than_the_lease() {
    let mut leasing = Leasing::new();
    leasing.lease();
    leasing.open(mode::WRITE);
    // Reading is for everyone meanwhile, and so are other files and names.
    assert_eq!(leasing.files.content("a").unwrap(), b"old");
    leasing.files.make("b", b"");
    assert_eq!(leasing.files.server.next_tick_ns().map(|at_ns| at_ns <= TERM_NS), Some(true));
    leasing.tick_at(TERM_NS - 1);
    assert_eq!(leasing.opened(), None);
    leasing.tick_at(TERM_NS);
    assert!(leasing.opened().is_some());
}

#[test]
fn who_has_gone_opens_nothing() {
    let mut leasing = Leasing::new();
    leasing.lease();
    leasing.open(mode::APPEND);
    leasing.files.system.kill(leasing.writer);
    leasing.tick_at(TERM_NS);
    // There would be no lease else.
    assert!(leasing.lease().content != 0);
}

#[test]
fn a_cache_without_a_lease_need_not_wait() {
    let mut leasing = Leasing::new();
    leasing.lease();
    leasing.await_recall(NOTHING);
    leasing.tick_at(TERM_NS - 1);
    assert_eq!(leasing.recalled(), None);
    leasing.tick_at(2 * TERM_NS);
    assert_eq!(leasing.recalled(), Some(NOTHING));
}

#[test]
fn leases_are_for_the_systems_caches_and_their_clients() {
    let mut leasing = Leasing::new();
    let refused = |leasing: &mut Leasing, who: Pid, lease: Lease| {
        leasing.files.system.say(&mut leasing.files.server, who, &lease, b"").unwrap_err()
    };
    let lease = Lease { instance: leasing.instance, user: USER.0, holder: leasing.cache };
    let (cache, writer) = (leasing.cache, leasing.writer);
    assert_eq!(refused(&mut leasing, writer, lease), Error::NoPermission);
    assert_eq!(refused(&mut leasing, cache, Lease { user: 7, ..lease }), Error::NoPermission);
    assert_eq!(refused(&mut leasing, cache, Lease { holder: writer, ..lease }), Error::BadArgument);
    assert_eq!(refused(&mut leasing, cache, Lease { instance: 1, ..lease }), Error::BadInstance);
    let write_only = leasing.files.open("a", mode::WRITE).unwrap();
    assert_eq!(refused(&mut leasing, cache, Lease { instance: write_only, ..lease }), Error::NotReadable);
}

#[test]
fn who_closes_what_it_has_mapped_for_writing_loses_the_pages() {
    let mut leasing = Leasing::new();
    let files = &mut leasing.files;
    let instance = files.open("a", mode::READ | mode::WRITE).unwrap();
    let page = files.system.want_page(&mut files.server, USER, (instance, 0)).unwrap();
    assert!(matches!(page, KernelPage::Lent { access: Access::READ_WRITE, .. }));
    files.close(instance);
    assert!(!files.system.pages.contains_key(&(instance, 0)));
}
