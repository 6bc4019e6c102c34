//! The file server as its clients see it, case by case.

extern crate std;
use std::boxed::Box;
use std::string::String;
use std::vec;
use std::vec::Vec;

use abi::{Access, Error, Pid, UserId};
use io_server::testing::{KernelPage, TestSystem};
use io_server::{IoServer, Limits};
use protocols::io::{io, mode};
use protocols::names::{Descriptor, kind, names};
use protocols::permissions::Permissions;

use crate::quota::{Holding, OBJECT_BYTES};
use crate::{FileServer, Quota};

pub const USER: UserId = UserId(100);
pub const QUOTA: Quota =
    Quota { user_bytes: 100_000, user_objects: 8, total_bytes: 150_000, total_objects: 12 };

/// A file server, one client, and what the client does in few words.
pub struct Files {
    pub server: IoServer<FileServer>,
    pub system: TestSystem,
    pub client: Pid,
}

impl Files {
    pub fn new(quota: Quota) -> Files {
        let mut system = TestSystem::new();
        let client = system.process(USER);
        let server = IoServer::new(FileServer::new(quota, 0), Limits::default());
        Files { server, system, client }
    }

    pub fn open(&mut self, path: &str, mode: u32) -> Result<u32, Error> {
        self.open_at(0, path, mode)
    }

    pub fn open_at(&mut self, context: u32, path: &str, mode: u32) -> Result<u32, Error> {
        let open = io::Open { context, mode, owner: Pid::NONE };
        let opened = self.system.say(&mut self.server, self.client, &open, path.as_bytes());
        opened.map(|opened| opened.instance)
    }

    pub fn close(&mut self, instance: u32) {
        let release = io::Release { instance, owner: Pid::NONE };
        self.system.say(&mut self.server, self.client, &release, b"").unwrap();
    }

    pub fn write(&mut self, instance: u32, position: u64, data: &[u8]) -> Result<u32, Error> {
        let write = io::Write { instance, position };
        let written = self.system.say(&mut self.server, self.client, &write, data);
        written.map(|written| written.count)
    }

    pub fn read(&mut self, instance: u32, position: u64, room: usize) -> Result<Vec<u8>, Error> {
        let read = io::Read { instance, position };
        let (done, mut segment) = self.system.ask(&mut self.server, self.client, &read, room)?;
        segment.truncate(done.count as usize);
        Ok(segment)
    }

    pub fn set_size(&mut self, instance: u32, size: u64) -> Result<(), Error> {
        let set = io::SetSize { instance, size };
        self.system.say(&mut self.server, self.client, &set, b"").map(drop)
    }

    pub fn make(&mut self, path: &str, content: &[u8]) {
        let instance = self.open(path, mode::WRITE | mode::CREATE | mode::TRUNCATE).unwrap();
        let mut done = 0;
        while done < content.len() {
            done += self.write(instance, done as u64, &content[done..]).unwrap() as usize;
        }
        self.close(instance);
    }

    pub fn content(&mut self, path: &str) -> Result<Vec<u8>, Error> {
        let instance = self.open(path, mode::READ)?;
        let mut content = Vec::new();
        while let piece @ [_, ..] = &self.read(instance, content.len() as u64, 10_000)?[..] {
            content.extend_from_slice(piece);
        }
        self.close(instance);
        Ok(content)
    }

    pub fn make_directory(&mut self, path: &str) -> Result<(), Error> {
        let create = names::CreateDirectory { context: 0 };
        self.system.say(&mut self.server, self.client, &create, path.as_bytes()).map(drop)
    }

    pub fn remove(&mut self, path: &str) -> Result<(), Error> {
        let remove = names::Remove { context: 0 };
        self.system.say(&mut self.server, self.client, &remove, path.as_bytes()).map(drop)
    }

    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), Error> {
        let rename = names::Rename { old_context: 0, old_bytes: old.len() as u32, new_context: 0 };
        let both = [old, new].concat();
        self.system.say(&mut self.server, self.client, &rename, both.as_bytes()).map(drop)
    }

    pub fn context(&mut self, path: &str) -> Result<u32, Error> {
        let get = names::GetContext { context: 0 };
        let found = self.system.say(&mut self.server, self.client, &get, path.as_bytes());
        found.map(|found| found.found)
    }

    pub fn list(&mut self, path: &str) -> Result<Vec<(String, u32, u64)>, Error> {
        let instance = self.open(path, mode::READ | mode::DIRECTORY)?;
        let bytes = self.read(instance, 0, 1 << 16)?;
        self.close(instance);
        let mut rest = &bytes[..];
        let mut entries = Vec::new();
        while let Some((descriptor, bytes)) = Descriptor::decode(rest) {
            entries.push((descriptor.name.into(), descriptor.kind, descriptor.size));
            rest = &rest[bytes..];
        }
        assert!(rest.is_empty());
        Ok(entries)
    }

    pub fn describe(&mut self, context: u32, path: &str) -> Result<(String, u64, u64), Error> {
        let describe = names::Describe { context, name_bytes: path.len() as u32 };
        let mut segment = path.as_bytes().to_vec();
        segment.resize(Descriptor::MAX_BYTES, 0);
        let (_, segment) =
            self.system.call(&mut self.server, self.client, &describe, segment, Access::READ_WRITE)?;
        let (descriptor, _) = Descriptor::decode(&segment).unwrap();
        Ok((descriptor.name.into(), descriptor.size, descriptor.modified_ns))
    }

    pub fn set_permissions(&mut self, context: u32, path: &str, bits: u32) -> Result<(), Error> {
        let set = names::SetPermissions { context, permissions: bits };
        self.system.say(&mut self.server, self.client, &set, path.as_bytes()).map(drop)
    }

    pub fn set_owner(&mut self, path: &str, owner: UserId) -> Result<(), Error> {
        let set = names::SetOwner { context: 0, owner };
        self.system.say(&mut self.server, self.client, &set, path.as_bytes()).map(drop)
    }

    pub fn permissions(&mut self, context: u32, path: &str) -> Permissions {
        let service = &mut self.server.service;
        let descriptor = io_server::Service::describe(service, context, path.as_bytes()).unwrap();
        Permissions::of_attributes(descriptor.attributes).unwrap()
    }

    pub fn usage(&self) -> Holding {
        self.server.service.tree().usage.of(USER)
    }
}

const READ_WRITE: u32 = mode::READ | mode::WRITE | mode::CREATE;

#[test]
fn files_grow_with_holes_and_shrink() {
    let mut files = Files::new(QUOTA);
    let file = files.open("f", READ_WRITE).unwrap();
    files.write(file, 10_000, b"end").unwrap();
    assert_eq!(files.read(file, 9_998, 100).unwrap(), b"\0\0end");
    assert_eq!(files.read(file, 0, 20_000).unwrap().len(), 10_003);
    assert_eq!(files.usage().bytes, OBJECT_BYTES + 4096 + 3 * 4);
    files.set_size(file, 10_001).unwrap();
    files.set_size(file, 20_000).unwrap();
    assert_eq!(files.read(file, 9_999, 4).unwrap(), b"\0e\0\0");
    assert_eq!(files.read(file, 19_999, 4).unwrap(), b"\0");
    assert_eq!(files.read(file, 20_000, 4).unwrap(), b"");
    files.set_size(file, 1 << 46).unwrap();
    assert_eq!(files.read(file, (1 << 46) - 1, 9).unwrap(), b"\0");
    assert_eq!(files.set_size(file, (1 << 46) + 1), Err(Error::NoSpace));
    assert_eq!(files.write(file, 1 << 45, b"x"), Err(Error::NoSpace));
    assert_eq!(files.write(file, u64::MAX, b"x"), Err(Error::NoSpace));
    assert_eq!(files.read(file, u64::MAX, 5).unwrap(), b"");
    files.set_size(file, 0).unwrap();
    assert_eq!(files.usage().bytes, OBJECT_BYTES);
}

#[test]
fn appending_goes_to_the_end() {
    let mut files = Files::new(QUOTA);
    files.make("log", b"one ");
    let first = files.open("log", mode::APPEND | mode::READ).unwrap();
    let second = files.open("log", mode::APPEND).unwrap();
    files.write(first, 0, b"two ").unwrap();
    files.write(second, 0, b"three").unwrap();
    assert_eq!(files.read(first, 0, 100).unwrap(), b"one two three");
}

#[test]
fn what_is_removed_lives_while_it_is_open() {
    let mut files = Files::new(QUOTA);
    files.make("f", b"old");
    let file = files.open("f", mode::READ).unwrap();
    files.remove("f").unwrap();
    assert_eq!(files.open("f", mode::READ), Err(Error::NotFound));
    files.make("f", b"new");
    assert_eq!(files.read(file, 0, 9).unwrap(), b"old");
    assert_eq!(files.usage().objects, 2);
    files.close(file);
    assert_eq!(files.usage().objects, 1);
    assert_eq!(files.content("f").unwrap(), b"new");
}

#[test]
fn renaming_replaces_files_at_once_and_never_loses_a_directory() {
    let mut files = Files::new(QUOTA);
    files.make("a", b"A");
    files.make("b", b"B");
    files.make_directory("d").unwrap();
    files.make_directory("d/e").unwrap();
    files.rename("a", "b").unwrap();
    assert_eq!(files.content("b").unwrap(), b"A");
    assert_eq!(files.rename("a", "c"), Err(Error::NotFound));
    assert_eq!(files.rename("d", "d/e/f"), Err(Error::BadArgument));
    assert_eq!(files.rename("d", "d"), Ok(()));
    assert_eq!(files.rename("b", "d"), Err(Error::IsADirectory));
    assert_eq!(files.rename("d/e", "b"), Err(Error::NotADirectory));
    assert_eq!(files.rename("b", "x/"), Err(Error::NotADirectory));
    files.rename("b", "b").unwrap();
    files.rename("b", "./d/../d/e//g").unwrap();
    let context = files.context("d/e").unwrap();
    files.rename("d/e", "moved").unwrap();
    let file = files.open_at(context, "g", mode::READ).unwrap();
    assert_eq!(files.read(file, 0, 9).unwrap(), b"A");
    assert!(files.open_at(context, "../d", mode::DIRECTORY).is_ok());
    assert_eq!(files.describe(context, "").unwrap().0, "moved");
}

#[test]
fn directories_are_removed_only_when_empty_and_their_contexts_end() {
    let mut files = Files::new(QUOTA);
    files.make_directory("d").unwrap();
    assert_eq!(files.make_directory("d/"), Err(Error::AlreadyExists));
    assert_eq!(files.make_directory("x/y"), Err(Error::NotFound));
    assert_eq!(files.make_directory("."), Err(Error::AlreadyExists));
    files.make("d/f", b"");
    let context = files.context("d").unwrap();
    assert_eq!(files.remove("d"), Err(Error::DirectoryNotEmpty));
    assert_eq!(files.remove("d/f/"), Err(Error::NotADirectory));
    files.remove("d/f").unwrap();
    files.remove("d").unwrap();
    assert_eq!(files.open_at(context, "f", READ_WRITE), Err(Error::NotFound));
    files.make_directory("d").unwrap();
    assert_eq!(files.open_at(context, "f", READ_WRITE), Err(Error::NotFound));
    for path in ["", "/", ".", "..", "d/..", "d/."] {
        assert_eq!(files.remove(path), Err(Error::BadName), "{path}");
    }
}

#[test]
fn hostile_names_and_modes() {
    let mut files = Files::new(QUOTA);
    files.make("f", b"x");
    assert_eq!(files.open("f/g", READ_WRITE), Err(Error::NotADirectory));
    assert_eq!(files.open("f/", mode::READ), Err(Error::NotADirectory));
    assert_eq!(files.open("f/..", mode::READ), Err(Error::NotADirectory));
    assert_eq!(files.open("new/", READ_WRITE), Err(Error::IsADirectory));
    assert_eq!(files.open("..", READ_WRITE), Err(Error::IsADirectory));
    assert_eq!(files.open("", mode::READ), Err(Error::IsADirectory));
    assert_eq!(files.open("a\0b", READ_WRITE), Err(Error::BadName));
    assert_eq!(files.open(&"n".repeat(256), READ_WRITE), Err(Error::TooLong));
    assert_eq!(files.open("f", READ_WRITE | mode::NEW), Err(Error::AlreadyExists));
    assert_eq!(files.open("f", mode::DIRECTORY), Err(Error::NotADirectory));
    assert!(files.open("../../f", mode::READ).is_ok());
    let unreadable = files.open("f", mode::WRITE).unwrap();
    assert_eq!(files.read(unreadable, 0, 1), Err(Error::NotReadable));
    assert_eq!(files.open_at(77, "f", mode::READ), Err(Error::NotFound));
    // A prefix's context and 0 are the same directory.
    let root = files.server.service.temporary_context();
    assert!(files.open_at(root, "f", mode::READ).is_ok());
}

#[test]
fn users_change_only_what_is_theirs() {
    let mut files = Files::new(QUOTA);
    files.make("f", b"mine");
    files.make_directory("d").unwrap();
    let other = files.system.process(UserId(101));
    let owner = core::mem::replace(&mut files.client, other);
    assert_eq!(files.content("f").unwrap(), b"mine");
    for mode in [mode::WRITE, mode::APPEND, mode::READ | mode::TRUNCATE] {
        assert_eq!(files.open("f", mode), Err(Error::NoPermission));
    }
    assert_eq!(files.open("d/g", READ_WRITE), Err(Error::NoPermission));
    assert_eq!(files.remove("f"), Err(Error::NoPermission));
    assert_eq!(files.rename("f", "g"), Err(Error::NoPermission));
    files.make("theirs", b"");
    assert_eq!(files.rename("theirs", "f"), Err(Error::NoPermission));
    assert_eq!(files.rename("theirs", "d/f"), Err(Error::NoPermission));
    files.client = files.system.process(UserId::SYSTEM);
    files.remove("theirs").unwrap();
    files.client = owner;
    assert_eq!(files.content("f").unwrap(), b"mine");
}

#[test]
fn quotas_hold_and_come_back() {
    let mut files = Files::new(QUOTA);
    let file = files.open("f", READ_WRITE).unwrap();
    assert_eq!(files.write(file, 0, &vec![1; 100_000]), Err(Error::NoSpace));
    assert_eq!(files.read(file, 0, 1).unwrap(), b"");
    files.write(file, 0, &vec![1; 90_000]).unwrap();
    assert_eq!(files.write(file, 90_112, b"x").err(), None);
    assert_eq!(files.write(file, 94_208, &[1; 5000]), Err(Error::NoSpace));
    for number in 1..QUOTA.user_objects {
        files
            .open(&std::format!("{number}"), mode::CREATE)
            .unwrap_or_else(|error| panic!("{number}: {error}"));
    }
    assert_eq!(files.open("more", mode::CREATE), Err(Error::NoSpace));
    assert_eq!(files.make_directory("more"), Err(Error::NoSpace));
    let client = core::mem::replace(&mut files.client, files.system.process(UserId(101)));
    let theirs = files.open("theirs", READ_WRITE).unwrap();
    assert_eq!(files.write(theirs, 0, &vec![1; 60_000]), Err(Error::NoSpace));
    files.client = client;
    files.remove("f").unwrap();
    files.system.kill(client);
    files.server.tick(&mut files.system);
    assert_eq!(files.usage().objects, QUOTA.user_objects - 1);
}

#[test]
fn without_memory_there_is_no_space_for_names_either() {
    let quota = Quota { user_bytes: 1 << 20, user_objects: 1000, total_bytes: 1 << 20, total_objects: 1000 };
    let mut files = Files::new(quota);
    let make = |files: &mut Files, number: u32| {
        let instance = files.open(&std::format!("a file with a long name, {number}"), mode::CREATE)?;
        files.close(instance);
        Ok::<(), Error>(())
    };
    (0..100).for_each(|number| make(&mut files, number).unwrap());
    files.system.is_exhausted = true;
    let refused = (100..1000).map(|number| make(&mut files, number)).find(Result::is_err);
    assert_eq!(refused, Some(Err(Error::NoSpace)));
    assert!(files.usage().objects < 200, "it is found out soon");
    let directory = files.open("", mode::READ | mode::DIRECTORY);
    assert_eq!(directory, Err(Error::NoMemory), "what would be long is not begun");
    files.system.is_exhausted = false;
    make(&mut files, 1000).unwrap();
    assert!(files.list("").unwrap().len() > 100);
}

#[test]
fn a_write_whose_data_cannot_be_had_leaves_no_trace() {
    let mut files = Files::new(QUOTA);
    files.make("f", b"abc");
    let file = files.open("f", READ_WRITE).unwrap();
    let before = files.usage();
    // The segment is granted longer than the system can copy: the head comes along, the rest fails.
    let write = io::Write { instance: file, position: 3 };
    let message = abi::Request::to_message(&write);
    files.system.break_segments = true;
    files.system.send(&mut files.server, files.client, &message, vec![7; 9000], Access::READ);
    let (reply, _) = files.system.take_reply(files.client).unwrap();
    assert_eq!(reply.code(), Error::BadAddressOfOther.code());
    files.system.break_segments = false;
    assert_eq!(files.content("f").unwrap(), b"abc");
    assert_eq!(files.usage(), before);
    files.set_size(file, 4096).unwrap();
    assert!(files.read(file, 3, 4096).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn times_are_kept() {
    let mut files = Files::new(QUOTA);
    files.make("f", b"");
    assert_eq!(files.describe(0, "f").unwrap(), ("f".into(), 0, 1_000_000_000));
    files.system.now_ns = 5;
    let file = files.open("f", mode::WRITE).unwrap();
    files.write(file, 0, b"x").unwrap();
    assert_eq!(files.describe(0, "f").unwrap(), ("f".into(), 1, 1_000_000_005));
    let set = names::SetModified { context: 0, modified_ns: 7 };
    files.system.say(&mut files.server, files.client, &set, b"f").unwrap();
    assert_eq!(files.describe(0, "/./f").unwrap().2, 7);
    files.system.now_ns = 9;
    files.remove("f").unwrap();
    assert_eq!(files.describe(0, "").unwrap(), (String::new(), 0, 1_000_000_009));
}

/// A tar header with its content after it; of a link, the content is its target's name.
fn tar_entry(name: &str, type_flag: u8, content: &[u8]) -> Vec<u8> {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    let (target, content) = if type_flag == b'1' { (content, &[][..]) } else { (&[][..], content) };
    header[157..157 + target.len()].copy_from_slice(target);
    header[124..135].copy_from_slice(std::format!("{:011o}", content.len()).as_bytes());
    header[136..147].copy_from_slice(b"00000000012");
    header[148..156].fill(b' ');
    header[156] = type_flag;
    header[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(std::format!("{sum:06o}\0").as_bytes());
    let mut entry = header.to_vec();
    entry.extend_from_slice(content);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

#[test]
fn the_archive_is_shown_in_place_and_read_only() {
    let big: Vec<u8> = (0..10_000u32).map(|number| number as u8).collect();
    let archive = [
        tar_entry("bin/supervisor", b'0', b"first"),
        tar_entry("bin/supervisor", b'0', &big),
        tar_entry("empty/", b'5', b""),
        tar_entry("bin", b'0', b"a file where a directory is"),
        tar_entry("bin/supervisor/below", b'0', b"below a file"),
        tar_entry("top", b'0', b"x"),
        tar_entry("bin/other", b'1', b"bin/supervisor"),
        tar_entry("bin/dangling", b'1', b"nothing"),
        tar_entry("bin/directory", b'1', b"empty"),
    ]
    .concat();
    let mut files = Files::new(QUOTA);
    let added = files.server.service.add_archive(Box::leak(archive.into_boxed_slice()));
    assert_eq!(added, Ok(()));
    let boot = files.server.service.boot_context();
    let directory = files.open_at(boot, "", mode::DIRECTORY).unwrap();
    assert_eq!(files.read(directory, 0, 4096).unwrap().len(), 3 * 56);
    let file = files.open_at(boot, "bin/supervisor", mode::READ).unwrap();
    assert_eq!(files.read(file, 0, 20_000).unwrap(), big);
    assert_eq!(files.read(file, 9_999, 20_000).unwrap(), big[9_999..]);
    let link = files.open_at(boot, "bin/other", mode::READ).unwrap();
    assert_eq!(files.read(link, 0, 20_000).unwrap(), big);
    for dangling in ["bin/dangling", "bin/directory"] {
        assert_eq!(files.open_at(boot, dangling, mode::READ), Err(Error::NotFound));
    }
    assert_eq!(files.write(file, 0, b"x"), Err(Error::NotWritable));
    assert_eq!(files.open_at(boot, "bin/supervisor", mode::WRITE), Err(Error::ReadOnly));
    assert_eq!(files.open_at(boot, "new", READ_WRITE), Err(Error::ReadOnly));
    files.client = files.system.process(UserId::SYSTEM);
    let remove = names::Remove { context: boot };
    let removed = files.system.say(&mut files.server, files.client, &remove, b"top");
    assert_eq!(removed, Err(Error::ReadOnly));
    assert_eq!(files.set_permissions(boot, "top", 0o66), Err(Error::ReadOnly));
    assert_eq!(files.permissions(boot, "top"), Permissions::READ_ONLY);
    assert_eq!(files.describe(boot, "top").unwrap().2, 10_000_000_000);
    assert_eq!(files.describe(boot, "bin/..").unwrap().0, "");
    let bin = names::GetContext { context: boot };
    let bin = files.system.say(&mut files.server, files.client, &bin, b"bin").unwrap().found;
    let name = names::GetContextName { context: bin };
    let (named, text) = files.system.ask(&mut files.server, files.client, &name, 100).unwrap();
    assert_eq!(&text[..named.count as usize], b"bin");
    let top = files.list("").unwrap();
    assert!(top.iter().all(|(_, entry_kind, _)| *entry_kind == kind::FILE));
}

#[test]
fn the_room_that_is_left_is_told() {
    let mut files = Files::new(QUOTA);
    let ask = |files: &mut Files, context| {
        files.system.say(&mut files.server, files.client, &names::QuerySpace { context }, b"")
    };
    let before = ask(&mut files, 0).unwrap();
    assert_eq!((before.total_bytes, before.available_bytes), (150_000, 100_000));
    let file = files.open("f", READ_WRITE).unwrap();
    files.write(file, 0, &[1; 5000]).unwrap();
    let after = ask(&mut files, 0).unwrap();
    let taken = files.usage().bytes;
    assert_eq!(before.free_bytes - after.free_bytes, taken);
    assert_eq!(after.available_bytes, 100_000 - taken);
    let boot = files.server.service.boot_context();
    assert_eq!(ask(&mut files, boot), Err(Error::NotSupported));
    assert!(ask(&mut files, 12_345).is_err());
}

#[test]
fn a_damaged_archive_shows_what_comes_before_the_damage() {
    let mut archive = [tar_entry("good", b'0', b"x"), tar_entry("bad", b'0', b"y")].concat();
    archive[1024 + 148] = b'9';
    let mut files = Files::new(QUOTA);
    let damage = files.server.service.add_archive(Box::leak(archive.into_boxed_slice()));
    assert_eq!(damage.unwrap_err().offset, 1024);
    let boot = files.server.service.boot_context();
    assert!(files.open_at(boot, "good", mode::READ).is_ok());
    assert_eq!(files.open_at(boot, "bad", mode::READ), Err(Error::NotFound));
}

#[test]
fn what_was_written_in_memory_behind_the_end_goes_when_the_file_grows() {
    let mut files = Files::new(QUOTA);
    files.make("f", b"0123456789");
    for grows_by_write in [false, true] {
        let file = files.open("f", mode::READ | mode::WRITE).unwrap();
        files.set_size(file, 10).unwrap();
        let page = files.system.want_page(&mut files.server, USER, (file, 0)).unwrap();
        let &KernelPage::Lent { address, access: Access::READ_WRITE } = page else { panic!("{page:?}") };
        files.server.service.page_at(address).unwrap()[8..100].fill(b'x');
        assert_eq!(files.read(file, 0, 200).unwrap(), b"01234567xx");
        if grows_by_write {
            files.write(file, 199, b"\0").unwrap();
        } else {
            files.set_size(file, 200).unwrap();
        }
        let content = files.read(file, 0, 200).unwrap();
        assert_eq!((&content[..10], &content[10..]), (&b"01234567xx"[..], &[0; 190][..]));
        files.close(file);
        files.system.pages.clear();
    }
}

#[test]
fn a_page_beyond_the_end_is_the_files_when_that_has_grown_over_it() {
    let mut files = Files::new(QUOTA);
    let file = files.open("grows", mode::READ | mode::WRITE | mode::CREATE).unwrap();
    let place = (file, 1);
    // Nothing can be lent there, so the kernel makes a page of zeros, which it would never write back.
    assert!(matches!(files.system.want_page(&mut files.server, USER, place), Ok(KernelPage::Own(_))));
    files.set_size(file, 4097).unwrap();
    assert!(matches!(files.system.want_page(&mut files.server, USER, place), Ok(KernelPage::Lent { .. })));
}
