//! The server in terms of its protocols, over a disk in memory.

use abi::protocol::Request as _;
use abi::{Access, Error, Pid, UserId};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use io_server::testing::{KernelPage, TestSystem};
use io_server::{IoServer, Limits};
use leases::TERM_NS;
use protocols::io::{io, mode};
use protocols::leases::leases::Lease;
use protocols::names::{Descriptor, names};
use protocols::permissions::Permissions;
use protocols::storage::{VolumeRecord, format_flag, storage};
use volume::testing::TestDisk;
use volume::{Disk as _, Options};

use crate::server::COMMIT_AFTER_NS;
use crate::{Disks, FileServer, to_be_formatted};

const PAGE: usize = abi::PAGE_BYTES as usize;
const OPTIONS: Options = Options { pages: 128 };
const USER: UserId = UserId(100);

/// Disks by name, each to be opened once.
struct TestDisks {
    disks: Vec<(String, TestDisk)>,
    announced: usize,
}

impl Disks for TestDisks {
    type Disk = TestDisk;

    fn open(&mut self, name: &str) -> Result<TestDisk, Error> {
        let at = self.disks.iter().position(|(other, _)| other == name).ok_or(Error::NotFound)?;
        Ok(self.disks.remove(at).1)
    }

    fn unique(&mut self) -> [u8; 16] {
        [9; 16]
    }

    fn announce(&mut self) -> Result<(), Error> {
        self.announced += 1;
        Ok(())
    }

    fn tell(&mut self, _what: &str) {}
}

struct Node {
    system: TestSystem,
    server: IoServer<FileServer<TestDisks>>,
    user: Pid,
    other: Pid,
    operator: Pid,
}

impl Node {
    fn with(disk: TestDisk) -> Node {
        let disks = TestDisks { disks: vec![("[disk0]all".to_string(), disk)], announced: 0 };
        let mut system = TestSystem::new();
        let user = system.process(USER);
        let other = system.process(UserId(101));
        let operator = system.process(UserId::OPERATOR);
        let server = IoServer::new(FileServer::new(disks, OPTIONS), Limits::default());
        Node { system, server, user, other, operator }
    }

    /// One with a volume.
    fn new(blocks: u64) -> Node {
        let mut node = Node::with(TestDisk::new(blocks));
        node.server.service.format("[disk0]all", false, 1).unwrap();
        node
    }

    /// The same disk in another life; what was not committed is lost.
    fn again(self) -> Node {
        let mut disk = self.server.service.volume.unwrap().into_disk();
        disk.cut_power(|| u64::MAX);
        let mut node = Node::with(disk);
        node.server.service.mount("[disk0]all", 2).unwrap();
        node
    }

    fn open_for(&mut self, pid: Pid, path: &str, mode: u32) -> Result<io::Opened, Error> {
        let request = io::Open { context: 0, mode, owner: Pid::NONE };
        self.system.say(&mut self.server, pid, &request, path.as_bytes())
    }

    fn open(&mut self, path: &str, mode: u32) -> Result<u32, Error> {
        Ok(self.open_for(self.user, path, mode)?.instance)
    }

    fn write(&mut self, instance: u32, position: u64, data: &[u8]) -> Result<u32, Error> {
        let request = io::Write { instance, position };
        Ok(self.system.say(&mut self.server, self.user, &request, data)?.count)
    }

    fn read(&mut self, instance: u32, position: u64, room: usize) -> Result<Vec<u8>, Error> {
        let request = io::Read { instance, position };
        let (done, mut data) = self.system.ask(&mut self.server, self.user, &request, room)?;
        data.truncate(done.count as usize);
        Ok(data)
    }

    fn release(&mut self, instance: u32) {
        let request = io::Release { instance, owner: Pid::NONE };
        self.system.say(&mut self.server, self.user, &request, &[]).unwrap();
    }

    fn put(&mut self, path: &str, data: &[u8]) {
        let instance = self.open(path, mode::WRITE | mode::CREATE | mode::TRUNCATE).unwrap();
        let mut done = 0;
        while done < data.len() {
            done += self.write(instance, done as u64, &data[done..]).unwrap() as usize;
        }
        self.release(instance);
    }

    fn get(&mut self, path: &str) -> Result<Vec<u8>, Error> {
        let instance = self.open(path, mode::READ)?;
        let mut whole = Vec::new();
        loop {
            match self.read(instance, whole.len() as u64, 50_000)? {
                piece if piece.is_empty() => break,
                piece => whole.extend(piece),
            }
        }
        self.release(instance);
        Ok(whole)
    }

    fn remove(&mut self, pid: Pid, path: &str) -> Result<(), Error> {
        self.system.say(&mut self.server, pid, &names::Remove { context: 0 }, path.as_bytes()).map(|_| ())
    }

    fn make_directory(&mut self, pid: Pid, path: &str) -> Result<(), Error> {
        let request = names::CreateDirectory { context: 0 };
        self.system.say(&mut self.server, pid, &request, path.as_bytes()).map(|_| ())
    }

    fn rename(&mut self, pid: Pid, old: &str, new: &str) -> Result<(), Error> {
        let request = names::Rename { old_context: 0, old_bytes: old.len() as u32, new_context: 0 };
        let both = [old.as_bytes(), new.as_bytes()].concat();
        self.system.say(&mut self.server, pid, &request, &both).map(|_| ())
    }

    fn set_permissions(&mut self, pid: Pid, path: &str, bits: u32) -> Result<(), Error> {
        let request = names::SetPermissions { context: 0, permissions: bits };
        self.system.say(&mut self.server, pid, &request, path.as_bytes()).map(|_| ())
    }

    fn set_owner(&mut self, pid: Pid, path: &str, owner: UserId) -> Result<(), Error> {
        let request = names::SetOwner { context: 0, owner };
        self.system.say(&mut self.server, pid, &request, path.as_bytes()).map(|_| ())
    }

    /// Permissions and owner.
    fn access(&mut self, path: &str) -> (Permissions, UserId) {
        let service = &mut self.server.service;
        let descriptor = io_server::Service::describe(service, 0, path.as_bytes()).unwrap();
        (Permissions::of_attributes(descriptor.attributes).unwrap(), UserId(descriptor.owner))
    }

    fn synchronize(&mut self) {
        self.system.say(&mut self.server, self.user, &storage::Synchronize {}, &[]).unwrap();
    }

    fn check(&mut self) -> (u32, String) {
        let (reply, text) =
            self.system.ask(&mut self.server, self.operator, &storage::Check {}, 8192).unwrap();
        (reply.findings, String::from_utf8(text[..reply.count as usize].to_vec()).unwrap())
    }
}

fn numbers(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 5 + at / 1000) as u8).collect()
}

#[test]
fn what_is_synchronized_is_there_in_the_next_life() {
    let mut node = Node::new(2000);
    let data = numbers(200_000);
    node.make_directory(node.user, "d").unwrap();
    node.put("d/f", &data);
    node.put("g", b"short");
    node.synchronize();
    node.put("late", b"not yet safe");
    assert_eq!(node.get("late").unwrap(), b"not yet safe");
    let mut node = node.again();
    assert_eq!(node.get("d/f").unwrap(), data);
    assert_eq!(node.get("g").unwrap(), b"short");
    assert_eq!(node.get("late"), Err(Error::NotFound));
    let (findings, text) = node.check();
    assert_eq!(findings, 0, "{text}");
    assert!(text.starts_with("[disk0]all: commit "), "{text}");
    assert!(text.contains("2 files, 3 directories"), "{text}");
}

#[test]
fn changes_are_committed_after_a_while() {
    let mut node = Node::new(2000);
    assert_eq!(node.server.next_tick_ns(), None);
    node.put("f", b"data");
    let due_ns = node.server.next_tick_ns().unwrap();
    assert!(due_ns <= node.system.now_ns + COMMIT_AFTER_NS);
    node.system.now_ns += COMMIT_AFTER_NS;
    node.server.tick(&mut node.system);
    assert_eq!(node.server.next_tick_ns(), None);
    assert_eq!(node.again().get("f").unwrap(), b"data");
}

#[test]
fn a_disk_that_fails_for_a_while_is_tried_again() {
    let mut node = Node::new(2000);
    node.put("f", b"data");
    node.server.service.volume.as_mut().unwrap().disk().patience = Some(1);
    let synchronize = storage::Synchronize {};
    let said = node.system.say(&mut node.server, node.user, &synchronize, &[]);
    assert_eq!(said.err(), Some(Error::DeviceError));
    assert!(node.server.next_tick_ns().is_some());
    node.server.service.volume.as_mut().unwrap().disk().patience = None;
    node.system.now_ns += COMMIT_AFTER_NS;
    node.server.tick(&mut node.system);
    assert_eq!(node.again().get("f").unwrap(), b"data");
}

#[test]
fn who_may_do_what() {
    let mut node = Node::new(2000);
    node.make_directory(node.user, "mine").unwrap();
    node.put("mine/f", b"1");
    let other = node.other;
    assert_eq!(node.open_for(other, "mine/f", mode::WRITE).err(), Some(Error::NoPermission));
    assert!(node.open_for(other, "mine/f", mode::READ).is_ok());
    assert_eq!(node.make_directory(other, "mine/theirs"), Err(Error::NoPermission));
    assert_eq!(node.remove(other, "mine/f"), Err(Error::NoPermission));
    assert_eq!(node.rename(other, "mine/f", "theirs"), Err(Error::NoPermission));
    node.make_directory(other, "theirs").unwrap();
    assert_eq!(node.remove(node.user, "theirs"), Err(Error::NoPermission));
    assert_eq!(node.make_directory(node.user, "home/x"), Err(Error::NoPermission));
    node.make_directory(node.operator, "home/x").unwrap();
    let request = storage::Format { flags: format_flag::FORCE };
    let said = node.system.say(&mut node.server, other, &request, b"[disk0]all");
    assert_eq!(said.err(), Some(Error::NoPermission));
}

#[test]
fn permissions_are_checked_and_survive() {
    let mut node = Node::new(2000);
    node.make_directory(node.user, "d").unwrap();
    node.put("d/f", b"1");
    // What an inode of before has, a zero, is what a new file has.
    let object = node.server.service.volume().unwrap().look_up(volume::ROOT, b"d").unwrap();
    assert_eq!(node.server.service.volume().unwrap().inode(object).unwrap().permissions, 0);
    assert_eq!(node.access("d/f"), (Permissions::USUAL, USER));
    assert_eq!(node.access(""), (Permissions::EVERYTHING, UserId::SYSTEM));
    let (user, other, operator) = (node.user, node.other, node.operator);
    for stranger in [other, operator] {
        assert_eq!(node.set_permissions(stranger, "d/f", 0o66), Err(Error::NoPermission));
        assert_eq!(node.set_owner(stranger, "d/f", UserId(101)), Err(Error::NoPermission));
    }
    assert_eq!(node.set_permissions(user, "d/f", 0o100), Err(Error::BadArgument));
    assert_eq!(node.set_permissions(user, "", 0o60), Err(Error::NotSupported));
    node.set_permissions(user, "d/f", 0o62).unwrap();
    node.set_permissions(user, "d", 0o06).unwrap();
    assert!(node.server.next_tick_ns().is_some(), "it will be safe without more");
    node.synchronize();

    let mut node = node.again();
    let (user, other) = (node.user, node.other);
    let system = node.system.process(UserId::SYSTEM);
    assert_eq!(node.access("d/f").0, Permissions::from_bits(0o62).unwrap());
    assert_eq!(node.open_for(other, "d/f", mode::READ).err(), Some(Error::NoPermission));
    assert_eq!(node.open_for(other, "d/f", mode::READ | mode::TRUNCATE).err(), Some(Error::NoPermission));
    assert!(node.open_for(other, "d/f", mode::WRITE).is_ok());
    assert_eq!(node.get("d/f").unwrap(), b"1", "nothing was emptied");
    let list = mode::READ | mode::DIRECTORY;
    assert_eq!(node.open_for(user, "d", list).err(), Some(Error::NoPermission));
    assert!(node.open_for(other, "d", list).is_ok() && node.open_for(system, "d", list).is_ok());
    assert_eq!(node.make_directory(user, "d/e"), Err(Error::NoPermission));
    node.make_directory(other, "d/e").unwrap();
    node.set_permissions(user, "d/f", 0).unwrap();
    assert_eq!(node.get("d/f"), Err(Error::NoPermission));
    assert!(node.open_for(system, "d/f", mode::READ | mode::WRITE).is_ok());

    node.set_owner(system, "d/f", UserId(101)).unwrap();
    assert_eq!(node.set_owner(system, "", UserId(101)), Err(Error::NotSupported));
    node.set_permissions(other, "d/f", 0o60).unwrap();
    node.synchronize();
    let mut node = node.again();
    assert_eq!(node.access("d/f"), (Permissions::from_bits(0o60).unwrap(), UserId(101)));
    assert_eq!(node.get("d/f"), Err(Error::NoPermission));
    node.remove(node.other, "d/f").unwrap();
    assert_eq!(node.check().0, 0);
}

#[test]
fn a_configuration_that_others_may_write_does_not_count() {
    let mut node = Node::new(2000);
    let operator = node.operator;
    node.make_directory(operator, "configuration").unwrap();
    node.open_for(operator, "configuration/services", mode::WRITE | mode::CREATE).unwrap();
    assert_eq!(node.server.service.configuration(), Some(String::new()));
    node.set_permissions(operator, "configuration/services", 0o66).unwrap();
    assert_eq!(node.server.service.configuration(), None);
}

#[test]
fn names_are_moved_at_once_and_never_into_themselves() {
    let mut node = Node::new(2000);
    let user = node.user;
    for directory in ["a", "a/b", "c"] {
        node.make_directory(user, directory).unwrap();
    }
    node.put("a/f", b"old");
    node.put("g", b"new");
    assert_eq!(node.rename(user, "a", "a/b/a"), Err(Error::BadArgument));
    assert_eq!(node.rename(user, "a", "c"), Err(Error::AlreadyExists));
    assert_eq!(node.rename(user, "a", "g"), Err(Error::NotADirectory));
    assert_eq!(node.rename(user, "g", "c"), Err(Error::IsADirectory));
    assert_eq!(node.rename(user, "none", "x"), Err(Error::NotFound));
    node.rename(user, "g", "a/f").unwrap();
    node.rename(user, "a", "c/a").unwrap();
    node.synchronize();
    let mut node = node.again();
    assert_eq!(node.get("c/a/f").unwrap(), b"new");
    assert_eq!(node.get("c/a/b/../f").unwrap(), b"new");
    assert_eq!(node.remove(node.user, "c"), Err(Error::DirectoryNotEmpty));
    assert_eq!(node.get("g"), Err(Error::NotFound));
    assert_eq!(node.check().0, 0);
}

#[test]
fn a_removed_file_lives_while_it_is_open() {
    let mut node = Node::new(2000);
    let data = numbers(100_000);
    node.put("f", &data);
    node.synchronize();
    let instance = node.open("f", mode::READ | mode::WRITE).unwrap();
    let free = node.server.service.volume.as_ref().unwrap().space().free_bytes;
    node.remove(node.user, "f").unwrap();
    node.put("f", b"another");
    assert_eq!(node.read(instance, 99_000, 5000).unwrap(), data[99_000..]);
    node.write(instance, 0, b"still").unwrap();
    node.release(instance);
    node.synchronize();
    assert!(node.server.service.volume.as_ref().unwrap().space().free_bytes > free + 90_000);
    assert_eq!(node.get("f").unwrap(), b"another");
    assert_eq!(node.check().0, 0);
}

#[test]
fn a_full_disk_says_so_and_has_room_again() {
    let mut node = Node::new(600);
    let mut written = 0;
    let instance = node.open("f", mode::WRITE | mode::CREATE).unwrap();
    let data = numbers(30_000);
    let refused = loop {
        match node.write(instance, written, &data) {
            Ok(count) => written += u64::from(count),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, Error::NoSpace);
    assert!(written > 400 * PAGE as u64);
    node.synchronize();
    node.release(instance);
    let mut node = node.again();
    let whole = node.get("f").unwrap();
    assert_eq!(whole.len() as u64, written);
    assert!(whole.chunks(30_000).all(|part| part == &data[..part.len()]));
    // Whoever has it open ended without closing it, and nobody has looked after that yet.
    node.open_for(node.other, "f", mode::READ).unwrap();
    node.remove(node.user, "f").unwrap();
    let other = node.open("h", mode::WRITE | mode::CREATE).unwrap();
    let mut written = 0;
    while let Ok(count) = node.write(other, written, &data) {
        written += u64::from(count);
    }
    assert!(written < 100_000, "{written}");
    node.release(other);
    node.system.kill(node.other);
    node.put("g", &numbers(1_000_000));
    assert_eq!(node.get("g").unwrap(), numbers(1_000_000));
    assert_eq!(node.check().0, 0);
}

#[test]
fn the_kernel_has_pages_as_they_are() {
    let mut node = Node::new(2000);
    let data = numbers(5 * PAGE + 100);
    node.put("f", &data);
    let reader = node.open("f", mode::READ).unwrap();
    for page in [0, 2, 5] {
        let end = data.len().min((page + 1) * PAGE);
        let found = page_of(&mut node, reader, page as u64);
        assert!(
            found.starts_with(&data[page * PAGE..end])
                && found[end - page * PAGE..].iter().all(|byte| *byte == 0)
        );
    }
    // What is written is seen where it is mapped, and so is what was a hole.
    let writer = node.open("f", mode::WRITE).unwrap();
    node.write(writer, 10, b"new").unwrap();
    assert_eq!(&page_of(&mut node, reader, 0)[10..13], b"new");
    node.write(writer, 8 * PAGE as u64, b"far").unwrap();
    assert_eq!(page_of(&mut node, reader, 6)[0], 0);
    node.write(writer, 6 * PAGE as u64, b"hole").unwrap();
    assert_eq!(&page_of(&mut node, reader, 6)[..4], b"hole");
    // Also when the page was given up in between.
    node.put("big", &numbers(300 * PAGE));
    node.get("big").unwrap();
    node.write(writer, 20, b"again").unwrap();
    assert_eq!(&page_of(&mut node, reader, 0)[20..25], b"again");
    let size = io::SetSize { instance: writer, size: 15 };
    node.system.say(&mut node.server, node.user, &size, &[]).unwrap();
    assert_eq!(page_of(&mut node, reader, 0)[20..25], [0; 5]);
}

fn page_of(node: &mut Node, instance: u32, page: u64) -> Vec<u8> {
    match node.system.want_page(&mut node.server, USER, (instance, page)).unwrap() {
        KernelPage::Own(page) | KernelPage::Kept(page) => page.clone(),
        KernelPage::Lent { address, .. } => {
            let address = *address;
            node.server.service.volume.as_mut().unwrap().page_at(address).unwrap().to_vec()
        }
    }
}

#[test]
fn damage_is_told_and_never_read() {
    let mut node = Node::new(2000);
    let data = numbers(100_000);
    node.put("f", &data);
    node.put("g", b"whole");
    node.synchronize();
    let mut disk = node.server.service.volume.take().unwrap().into_disk();
    let mut block = vec![0; PAGE];
    let marked = (0..2000).find(|number| {
        disk.read(*number, &mut block).unwrap();
        block == data[8 * PAGE..9 * PAGE]
    });
    disk.flip(marked.unwrap(), 77);
    let mut node = Node::with(disk);
    node.server.service.mount("[disk0]all", 3).unwrap();
    let instance = node.open("f", mode::READ).unwrap();
    assert_eq!(node.read(instance, 0, 50_000).unwrap(), data[..8 * PAGE]);
    assert_eq!(node.read(instance, 8 * PAGE as u64, 10), Err(Error::Damaged));
    assert_eq!(node.read(instance, 9 * PAGE as u64, 10).unwrap(), data[9 * PAGE..][..10]);
    assert_eq!(node.get("g").unwrap(), b"whole");
    let (findings, text) = node.check();
    assert!(findings == 1 && text.contains("f: page 8 of level 0"), "{text}");
}

#[test]
fn a_disk_of_others_is_left_alone() {
    let mut disk = TestDisk::new(1000);
    disk.write(200, &[1; PAGE]).unwrap();
    disk.flush().unwrap();
    let mut node = Node::with(disk.clone());
    assert_eq!(node.server.service.mount("[disk0]all", 1), Err(Error::NotFound));
    assert_eq!(node.get("f"), Err(Error::NotFound));
    let mut node = Node::with(disk.clone());
    let operator = node.operator;
    let format = |flags| storage::Format { flags };
    let said = node.system.say(&mut node.server, operator, &format(0), b"[disk0]all");
    assert_eq!(said.err(), Some(Error::AlreadyExists));
    let mut node = Node::with(disk);
    let force = format(format_flag::FORCE);
    node.system.say(&mut node.server, operator, &force, b"[disk0]all").unwrap();
    assert_eq!(node.server.service.disks.announced, 1);
    let said = node.system.say(&mut node.server, operator, &force, b"[disk0]all");
    assert_eq!(said.err(), Some(Error::Busy));
    node.put("f", b"data");
    let (reply, bytes) =
        node.system.ask(&mut node.server, node.user, &storage::Query {}, VolumeRecord::MAX_BYTES).unwrap();
    let record = VolumeRecord::decode(&bytes[..reply.count as usize]).unwrap();
    assert_eq!((record.total_bytes, record.disk), (1000 * PAGE as u64, "[disk0]all"));
}

#[test]
fn the_boot_command_line_says_what_may_be_formatted() {
    assert_eq!(to_be_formatted("node=1 format=V2 x"), Some("V2"));
    assert_eq!(to_be_formatted("node=1"), None);
}

#[test]
fn directories_are_listed_and_described() {
    let mut node = Node::new(2000);
    for at in 0..40 {
        node.put(&alloc::format!("{at}"), b"x");
    }
    let instance = node.open("", mode::READ | mode::DIRECTORY).unwrap();
    let mut bytes = Vec::new();
    loop {
        match node.read(instance, bytes.len() as u64, 700).unwrap() {
            piece if piece.is_empty() => break,
            piece => bytes.extend(piece),
        }
    }
    let (mut rest, mut count) = (&bytes[..], 0);
    while let Some((descriptor, length)) = Descriptor::decode(rest) {
        assert!(descriptor.name == "home" || descriptor.size == 1 && descriptor.owner == USER.0);
        (rest, count) = (&rest[length..], count + 1);
    }
    assert_eq!(count, 41);
    let describe = names::Describe { context: 0, name_bytes: 2 };
    let mut place = vec![0; Descriptor::MAX_BYTES];
    place[..2].copy_from_slice(b"17");
    let (reply, place) =
        node.system.call(&mut node.server, node.user, &describe, place, Access::READ_WRITE).unwrap();
    let (descriptor, _) = Descriptor::decode(&place[..reply.count as usize]).unwrap();
    assert_eq!((descriptor.name, descriptor.size), ("17", 1));
}

#[test]
fn that_files_are_leased_is_known_in_the_next_life() {
    let mut node = Node::new(2000);
    node.put("f", b"old");
    node.synchronize();
    assert!(!node.server.service.may_be_leased(0));
    let lease = |node: &mut Node| {
        let cache = node.system.process_elsewhere(UserId::SYSTEM);
        let lease = Lease { instance: node.open("f", mode::READ).unwrap(), user: USER.0, holder: cache };
        node.system.say(&mut node.server, cache, &lease, b"").unwrap().content
    };
    assert_ne!(lease(&mut node), 0);
    let mut node = node.again();
    assert!(node.server.service.may_be_leased(0));
    node.server.wait_out_leases(0);
    let open = io::Open { context: 0, mode: mode::WRITE, owner: Pid::NONE }.to_message();
    let writer = node.system.process(USER);
    node.system.send(&mut node.server, writer, &open, b"f".to_vec(), Access::READ);
    // A commit in between takes nothing back.
    node.put("g", b"");
    node.synchronize();
    node.system.now_ns = TERM_NS - 1;
    node.server.tick(&mut node.system);
    assert!(node.system.take_reply(writer).is_none());
    node.system.now_ns = TERM_NS;
    node.server.tick(&mut node.system);
    assert!(node.system.take_reply(writer).is_some());
    node.put("g", b"more");
    node.synchronize();
    assert!(!node.again().server.service.may_be_leased(0));
}
