//! A small service behind an `IoServer`: what the library checks for every server.

use abi::{Access, Error, Pid, UserId};
use io_server::listing::{Flat, flat_root, slice_at};
use io_server::testing::TestSystem;
use io_server::{Client, Incoming, IoServer, Limits, Listing, Opening, Reading, Service, System, Writing};
use protocols::io::{attribute, io, mode};
use protocols::names::{Descriptor, kind, names};

/// One object, `note`, that remembers what was written last, and how often it was closed.
#[derive(Default)]
struct Note {
    text: Vec<u8>,
    opened: u32,
    closed: u32,
}

const NAMES: [&str; 1] = ["note"];

impl Service for Note {
    type Open = ();

    fn open(
        &mut self,
        _client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<()>, Error> {
        match Flat::resolve(context, path, NAMES.into_iter())? {
            Flat::Root => {
                let mut listing = Listing::new();
                listing.push(&self.describe(0, b"note")?);
                Ok(Opening::Directory(listing))
            }
            Flat::Object(_) => {
                self.opened += 1;
                Ok(Opening::Object {
                    open: (),
                    attributes: mode & (attribute::READABLE | attribute::WRITABLE),
                    block_bytes: 512,
                    size: self.text.len() as u64,
                })
            }
        }
    }

    fn size(&mut self, (): &()) -> u64 {
        self.text.len() as u64
    }

    fn close(&mut self, (): (), _system: &mut dyn System) {
        self.closed += 1;
    }

    fn read<'a>(
        &'a mut self,
        _client: &Client,
        (): &'a mut (),
        position: u64,
        room: usize,
        _system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        Ok(Reading::Data(slice_at(&self.text, position, room)))
    }

    fn write(
        &mut self,
        _client: &Client,
        (): &mut (),
        _position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        self.text.resize(data.bytes(), 0);
        let mut text = std::mem::take(&mut self.text);
        data.copy_to(0, &mut text, system)?;
        self.text = text;
        Ok(Writing::Done(self.text.len() as u32))
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        match Flat::resolve(context, path, NAMES.into_iter())? {
            Flat::Root => Ok(flat_root(1)),
            Flat::Object(_) => Ok(Descriptor {
                kind: kind::FILE,
                size: self.text.len() as u64,
                name: "note",
                ..flat_root(0)
            }),
        }
    }

    fn describe_open<'a>(&'a mut self, (): &'a ()) -> Result<Descriptor<'a>, Error> {
        self.describe(0, b"note")
    }
}

const SMALL: Limits = Limits { owned_by_user: 4, instances: 6 };
const USER: UserId = UserId(100);
const OTHER: UserId = UserId(101);

fn open(mode: u32) -> io::Open {
    io::Open { context: 0, mode, owner: Pid::NONE }
}

fn setup() -> (IoServer<Note>, TestSystem, Pid) {
    let mut system = TestSystem::new();
    let client = system.process(USER);
    (IoServer::new(Note::default(), SMALL), system, client)
}

#[test]
fn what_is_written_is_read_back_long_and_short() {
    let (mut server, mut system, client) = setup();
    let opened = system.say(&mut server, client, &open(mode::READ | mode::WRITE), b"note").unwrap();
    let instance = opened.instance;
    let text: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
    let write = io::Write { instance, position: 0 };
    assert_eq!(system.say(&mut server, client, &write, &text).unwrap().count, 5000);
    let read = io::Read { instance, position: 4000 };
    let (done, segment) = system.ask(&mut server, client, &read, 2000).unwrap();
    assert_eq!((done.count, &segment[..1000]), (1000, &text[4000..]));
    let query = io::QueryInstance { instance };
    assert_eq!(system.say(&mut server, client, &query, b"").unwrap().size, 5000);
}

#[test]
fn modes_grants_and_users_are_checked() {
    let (mut server, mut system, client) = setup();
    let stranger = system.process(OTHER);
    let root = system.process(UserId::SYSTEM);
    let reading = system.say(&mut server, client, &open(mode::READ), b"note").unwrap().instance;
    let read = io::Read { instance: reading, position: 0 };
    let write = io::Write { instance: reading, position: 0 };
    assert_eq!(system.say(&mut server, client, &write, b"x"), Err(Error::NotWritable));
    assert_eq!(system.say(&mut server, client, &read, b""), Err(Error::NoWriteAccess));
    assert_eq!(system.ask(&mut server, stranger, &read, 1), Err(Error::NoPermission));
    assert!(system.ask(&mut server, root, &read, 1).is_ok());
    assert_eq!(system.say(&mut server, client, &open(1 << 20), b"note"), Err(Error::BadArgument));
    assert_eq!(system.ask(&mut server, client, &open(mode::READ), 4), Err(Error::NoReadAccess));
    let theirs = io::Open { owner: stranger, ..open(mode::READ) };
    assert_eq!(system.say(&mut server, client, &theirs, b"note"), Err(Error::NoPermission));
    let number = system.say(&mut server, root, &theirs, b"note").unwrap().instance;
    let theirs = io::Read { instance: number, position: 0 };
    assert!(system.ask(&mut server, stranger, &theirs, 1).is_ok());
    assert_eq!(system.ask(&mut server, client, &theirs, 1), Err(Error::NoPermission));
    // The system can ask whether another user may; others cannot pretend to be one.
    let describe = |user| names::DescribeInstance { instance: number, user };
    assert!(system.ask(&mut server, root, &describe(OTHER), 256).is_ok());
    assert_eq!(system.ask(&mut server, root, &describe(USER), 256), Err(Error::NoPermission));
    assert_eq!(system.ask(&mut server, client, &describe(OTHER), 256), Err(Error::NoPermission));
}

#[test]
fn an_owner_elsewhere_is_the_clients_affair() {
    let (mut server, mut system, here) = setup();
    let [parent, child, stranger] = [USER, OTHER, OTHER].map(|user| system.process_elsewhere(user));
    let theirs = |owner| io::Open { owner, ..open(mode::READ) };
    let instance = system.say(&mut server, parent, &theirs(child), b"note").unwrap().instance;
    assert_eq!(server.owned_by(USER), 1, "as the client says");
    let theirs_from_here = system.say(&mut server, here, &theirs(child), b"note").unwrap().instance;
    assert_eq!(server.owned_by(USER), 2);
    let read = io::Read { instance: theirs_from_here, position: 0 };
    assert_eq!(system.ask(&mut server, child, &read, 1), Err(Error::NoPermission), "it was not so");
    let release = io::Release { instance: theirs_from_here, owner: child };
    system.say(&mut server, here, &release, b"").unwrap();
    server.service.closed = 0;
    let another = system.process(OTHER);
    assert_eq!(system.say(&mut server, parent, &theirs(another), b"note"), Err(Error::NoPermission));
    let share = io::Share { instance, owner: stranger };
    system.say(&mut server, parent, &share, b"").unwrap();
    system.kill(child);
    server.tick(&mut system);
    assert_eq!((server.service.closed, server.owned_by(USER)), (0, 1));
    system.kill(stranger);
    server.tick(&mut system);
    assert_eq!((server.service.closed, server.owned_by(USER)), (1, 0));
}

#[test]
fn streams_are_released_together() {
    let (mut server, mut system, parent) = setup();
    let mut opened = || system.say(&mut server, parent, &open(mode::READ), b"note").unwrap().instance;
    let (input, output) = (opened(), opened());
    let stranger = system.process(OTHER);
    let release = |owner, error| io::ReleaseStreams { owner, input, output, error };
    system.say(&mut server, stranger, &release(parent, 0), b"").unwrap();
    assert_eq!(server.owned_by(USER), 2, "they are not a stranger's to release");
    system.say(&mut server, parent, &release(parent, 99), b"").unwrap();
    assert_eq!((server.service.closed, server.owned_by(USER)), (2, 0));
}

#[test]
fn an_instance_lives_as_long_as_an_owner() {
    let (mut server, mut system, parent) = setup();
    let child = system.process(USER);
    let instance = system.say(&mut server, parent, &open(mode::READ), b"note").unwrap().instance;
    let share = io::Share { instance, owner: child };
    system.say(&mut server, parent, &share, b"").unwrap();
    system.say(&mut server, parent, &share, b"").unwrap();
    assert_eq!(server.owned_by(USER), 3);
    let release = |owner| io::Release { instance, owner };
    system.say(&mut server, parent, &release(Pid::NONE), b"").unwrap();
    assert_eq!(system.say(&mut server, parent, &release(parent), b""), Err(Error::NotFound));
    system.say(&mut server, child, &release(child), b"").unwrap();
    assert_eq!(server.service.closed, 0);
    system.kill(child);
    server.tick(&mut system);
    assert_eq!((server.service.closed, server.owned_by(USER)), (1, 0));
    assert_eq!(server.next_tick_ns(), None);
    let query = io::QueryInstance { instance };
    assert_eq!(system.say(&mut server, parent, &query, b""), Err(Error::BadInstance));
    let again = system.say(&mut server, parent, &open(mode::READ), b"note").unwrap().instance;
    assert_ne!(again, instance);
    assert_eq!(system.say(&mut server, parent, &query, b""), Err(Error::BadInstance));
}

#[test]
fn a_user_and_the_table_are_limited() {
    let (mut server, mut system, client) = setup();
    let other = system.process(OTHER);
    let reading = open(mode::READ);
    for _ in 0..4 {
        system.say(&mut server, client, &reading, b"note").unwrap();
    }
    assert_eq!(system.say(&mut server, client, &reading, b"note"), Err(Error::NoQuota));
    for _ in 0..2 {
        system.say(&mut server, other, &reading, b"note").unwrap();
    }
    assert_eq!(system.say(&mut server, other, &reading, b"note"), Err(Error::NoResources));
    assert_eq!(server.service.opened, 6, "what could not be kept was never opened");
    system.kill(client);
    server.tick(&mut system);
    assert!(system.say(&mut server, other, &reading, b"note").is_ok());
}

#[test]
fn directories_and_descriptors() {
    let (mut server, mut system, client) = setup();
    let opened = system.say(&mut server, client, &open(mode::READ | mode::DIRECTORY), b"/").unwrap();
    assert_eq!(opened.attributes, attribute::READABLE | attribute::DIRECTORY);
    let read = io::Read { instance: opened.instance, position: 0 };
    let (done, segment) = system.ask(&mut server, client, &read, 4096).unwrap();
    let (entry, bytes) = Descriptor::decode(&segment).unwrap();
    assert_eq!((entry.name, bytes as u32), ("note", done.count));

    let describe = names::Describe { context: 0, name_bytes: 4 };
    let mut segment = b"note".to_vec();
    segment.resize(400, 0);
    let (done, segment) = system.call(&mut server, client, &describe, segment, Access::READ_WRITE).unwrap();
    assert_eq!(Descriptor::decode(&segment).unwrap().1 as u32, done.count);
    assert_eq!(system.say(&mut server, client, &names::Remove { context: 0 }, b"note"), Err(Error::ReadOnly));
    assert_eq!(system.say(&mut server, client, &names::GetContext { context: 0 }, b"..").unwrap().found, 0);
}

#[test]
fn permissions_are_not_supported_where_there_are_none() {
    let (mut server, mut system, client) = setup();
    let set = names::SetPermissions { context: 0, permissions: 0o60 };
    assert_eq!(system.say(&mut server, client, &set, b"note"), Err(Error::NotSupported));
    let set = names::SetPermissions { context: 0, permissions: 0o1 };
    assert_eq!(system.say(&mut server, client, &set, b"note"), Err(Error::BadArgument));
    let give = names::SetOwner { context: 0, owner: OTHER };
    assert_eq!(system.say(&mut server, client, &give, b"note"), Err(Error::NoPermission));
    let own = system.process(UserId::SYSTEM);
    assert_eq!(system.say(&mut server, own, &give, b"note"), Err(Error::NotSupported));
}

mod random {
    use super::*;
    use abi::Message;
    use proptest::prelude::*;

    proptest! {
        /// Any words, any segment: an answer comes and nothing panics.
        #[test]
        fn any_message_is_answered(
            requests in prop::collection::vec((0u32..13, any::<[u32; 7]>(), prop::collection::vec(any::<u8>(), 0..40), 0u8..4), 1..60)
        ) {
            let (mut server, mut system, client) = setup();
            system.say(&mut server, client, &open(mode::READ | mode::WRITE), b"note").unwrap();
            for (operation, fields, segment, access) in requests {
                let mut words = [0; 8];
                words[1..].copy_from_slice(&fields);
                let protocol = if fields[6] & 1 == 0 { 0x10 } else { 0x11 };
                words[0] = protocol << 8 | operation;
                if fields[6] & 2 == 0 {
                    words[1] = 1 << 16; // the instance that is open
                }
                let message = Message { words };
                system.send(&mut server, client, &message, segment, Access(access));
                prop_assert!(system.take_reply(client).is_some());
            }
        }
    }
}
