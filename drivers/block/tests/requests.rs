//! Requests of clients to disks in memory, which end when and in the order that a test says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use abi::protocol::{Reply as _, Request as _};
use abi::{Access, Error, Pid, UserId};
use block_device::testing::{Medium, MemoryDisk};
use block_device::unit::PATIENCE_NS;
use block_device::{DiskServer, Facts, Finished, Operation, Unit};
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits};
use proptest::prelude::*;
use protocols::block::{Geometry, block, flag};
use protocols::io::{attribute, io, mode};
use protocols::names::{Descriptor, names};

const BLOCKS: u64 = 64;
const BOTH: u32 = mode::READ | mode::WRITE;

struct Machine {
    system: TestSystem,
    server: IoServer<DiskServer>,
    medium: Rc<RefCell<Medium>>,
    operator: Pid,
}

impl Machine {
    /// A disk with two partitions: blocks 8 to 15, and 16 to 47.
    fn new(slots: usize) -> Machine {
        Machine::with(slots, |_| ())
    }

    fn with(slots: usize, change: impl FnOnce(&mut Facts)) -> Machine {
        let (disk, medium) = MemoryDisk::new(BLOCKS, slots);
        put_table(&mut medium.borrow_mut().bytes, &[(8, 8), (16, 32)]);
        let mut system = TestSystem::new();
        let mut unit = Unit::new(Box::new(disk.with(change)), 3, &mut system);
        while unit.is_searching() {
            medium.borrow_mut().end_all();
            unit.attend(&mut system);
        }
        let server = IoServer::new(DiskServer::new("memory", vec![unit]), Limits::default());
        let operator = system.process(UserId::OPERATOR);
        Machine { system, server, medium, operator }
    }

    fn open(&mut self, name: &str, mode: u32) -> Result<io::Opened, Error> {
        let open = io::Open { context: 0, mode, owner: Pid::NONE };
        self.system.say(&mut self.server, self.operator, &open, name.as_bytes())
    }

    fn attend(&mut self) {
        self.server.service.attend(&mut self.system);
    }

    /// Has the device end all that it has, and what comes up then.
    fn run(&mut self) {
        while !self.medium.borrow().at_work.is_empty() {
            self.medium.borrow_mut().end_all();
            self.attend();
        }
    }

    fn send(&mut self, client: Pid, message: &abi::Message, segment: Vec<u8>, access: Access) {
        self.system.send(&mut self.server, client, message, segment, access);
    }

    /// Sends a request and has the device do its part.
    fn ask<R: abi::Request>(
        &mut self,
        request: &R,
        segment: Vec<u8>,
        access: Access,
    ) -> Result<(R::Reply, Vec<u8>), Error> {
        self.send(self.operator, &request.to_message(), segment, access);
        self.run();
        let (reply, segment) = self.system.take_reply(self.operator).expect("it is answered");
        Error::check(reply.code())?;
        Ok((R::Reply::from_message(&reply), segment))
    }

    fn read(&mut self, instance: u32, position: u64, room: usize) -> Result<Vec<u8>, Error> {
        let read = io::Read { instance, position };
        let (done, mut segment) = self.ask(&read, vec![0xee; room], Access::WRITE)?;
        assert!(segment[done.count as usize..].iter().all(|byte| *byte == 0xee));
        segment.truncate(done.count as usize);
        Ok(segment)
    }

    fn write(&mut self, instance: u32, position: u64, data: Vec<u8>) -> Result<u32, Error> {
        self.ask(&io::Write { instance, position }, data, Access::READ).map(|(written, _)| written.count)
    }

    fn release(&mut self, instance: u32) {
        let release = io::Release { instance, owner: Pid::NONE };
        self.system.say(&mut self.server, self.operator, &release, b"").unwrap();
    }

    fn names(&mut self) -> Vec<(String, u64)> {
        let instance = self.open("", mode::READ | mode::DIRECTORY).unwrap().instance;
        let read = io::Read { instance, position: 0 };
        let (done, segment) =
            self.system.call(&mut self.server, self.operator, &read, vec![0; 4096], Access::WRITE).unwrap();
        let mut rest = &segment[..done.count as usize];
        let mut found = Vec::new();
        while let Some((descriptor, bytes)) = Descriptor::decode(rest) {
            found.push((descriptor.name.to_string(), descriptor.size));
            rest = &rest[bytes..];
        }
        self.release(instance);
        found
    }
}

fn put_table(disk: &mut [u8], partitions: &[(u32, u32)]) {
    disk[..512].fill(0);
    for (at, (first, count)) in partitions.iter().enumerate() {
        let record = &mut disk[446 + 16 * at..][..16];
        record[4] = 0x83;
        record[8..12].copy_from_slice(&first.to_le_bytes());
        record[12..].copy_from_slice(&count.to_le_bytes());
    }
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
}

#[test]
fn a_partition_is_a_piece_of_the_disk() {
    let mut machine = Machine::new(2);
    let names = ["all", "1", "2"].map(str::to_string).into_iter().zip([BLOCKS * 512, 8 * 512, 32 * 512]);
    assert_eq!(machine.names(), names.collect::<Vec<_>>());
    let opened = machine.open("1", BOTH).unwrap();
    assert_eq!((opened.size, opened.block_bytes), (8 * 512, 512));
    assert_eq!(opened.attributes, attribute::READABLE | attribute::WRITABLE);
    let data: Vec<u8> = (0..1024_u32).map(|at| at as u8).collect();
    assert_eq!(machine.write(opened.instance, 6 * 512, data.clone()), Ok(1024));
    assert_eq!(machine.medium.borrow().bytes[14 * 512..16 * 512], data);
    // Reads may begin and end anywhere, and end with the partition.
    assert_eq!(machine.read(opened.instance, 6 * 512 + 100, 50).unwrap(), &data[100..150]);
    assert_eq!(machine.read(opened.instance, 6 * 512 + 500, 9000).unwrap(), &data[500..]);
    assert_eq!(machine.read(opened.instance, 8 * 512, 10).unwrap(), []);
    assert_eq!(machine.read(opened.instance, u64::MAX, 10).unwrap(), []);
}

#[test]
fn long_transfers_are_done_in_part() {
    let mut machine = Machine::new(1);
    let instance = machine.open("all", BOTH).unwrap().instance;
    assert_eq!(machine.write(instance, 20 * 512, vec![7; 4096]), Ok(2048));
    assert_eq!(machine.read(instance, 20 * 512 + 1, 4096).unwrap(), [7; 2047]);
}

#[test]
fn a_transfer_longer_than_a_replys_share_arrives_whole() {
    let mut machine = Machine::new(1);
    let (disk, medium) = MemoryDisk::new(512, 1);
    let mut unit = Unit::new(Box::new(disk.with_buffer(128 * 1024)), 0, &mut machine.system);
    while unit.is_searching() {
        medium.borrow_mut().end_all();
        unit.attend(&mut machine.system);
    }
    let data: Vec<u8> = (0..128 * 1024_u32).map(|at| (at / 251) as u8).collect();
    medium.borrow_mut().bytes[512..][..data.len()].copy_from_slice(&data);
    machine.server = IoServer::new(DiskServer::new("memory", vec![unit]), Limits::default());
    machine.medium = medium;
    let instance = machine.open("all", mode::READ).unwrap().instance;
    assert!(machine.read(instance, 512, 200 * 1024).unwrap() == data);
}

#[test]
fn what_makes_no_sense_is_refused_wholly() {
    let mut machine = Machine::new(2);
    let instance = machine.open("2", BOTH).unwrap().instance;
    for (position, bytes, error) in [
        (31 * 512 + 1, 512, Error::NoSpace),
        (31 * 512, 1024, Error::NoSpace),
        (32 * 512, 512, Error::NoSpace),
        (u64::MAX - 511, 1024, Error::NoSpace),
        // Longer than is written at once, and only its end is beyond.
        (0, 33 * 512, Error::NoSpace),
    ] {
        assert_eq!(machine.write(instance, position, vec![1; bytes]), Err(error), "{position} {bytes}");
    }
    assert!(machine.medium.borrow().bytes[512..].iter().all(|byte| *byte == 0), "nothing was written");
    for (name, mode, error) in [
        ("3", mode::READ, Error::NotFound),
        ("01", mode::READ, Error::NotFound),
        ("1/x", mode::READ, Error::NotADirectory),
        ("", mode::READ, Error::IsADirectory),
        ("all", mode::READ | mode::DIRECTORY, Error::NotADirectory),
        ("1", mode::WRITE | mode::APPEND, Error::NotSupported),
        ("1", mode::WRITE | mode::CREATE | mode::NEW, Error::AlreadyExists),
        ("new", mode::WRITE | mode::CREATE, Error::NotFound),
    ] {
        assert_eq!(machine.open(name, mode), Err(error), "{name}");
    }
    let ordinary = machine.system.process(UserId(100));
    let open = io::Open { context: 0, mode: mode::READ, owner: Pid::NONE };
    assert_eq!(machine.system.say(&mut machine.server, ordinary, &open, b"1"), Err(Error::NoPermission));
    let open = io::Open { context: 1, ..open };
    assert_eq!(machine.system.say(&mut machine.server, ordinary, &open, b"1"), Err(Error::BadContext));
}

#[test]
fn overlapping_objects_have_one_writer() {
    let mut machine = Machine::new(2);
    let first = machine.open("1", BOTH).unwrap().instance;
    machine.open("2", mode::WRITE).unwrap();
    for name in ["1", "2", "all"] {
        assert_eq!(machine.open(name, BOTH), Err(Error::Busy), "{name}");
        machine.open(name, mode::READ).unwrap();
    }
    machine.release(first);
    machine.open("1", mode::WRITE).unwrap();
    assert_eq!(machine.open("all", mode::WRITE), Err(Error::Busy));
}

#[test]
fn new_tables_are_read_when_their_writer_has_closed() {
    let mut machine = Machine::new(2);
    let open = machine.open("2", mode::READ).unwrap();
    let all = machine.open("all", BOTH).unwrap().instance;
    let mut table = vec![0; 512];
    put_table(&mut table, &[(40, 4)]);
    assert_eq!(machine.write(all, 0, table), Ok(512));
    assert_eq!(machine.names().len(), 3, "it could still change");
    machine.release(all);
    machine.run();
    assert_eq!(machine.names(), [("all".to_string(), BLOCKS * 512), ("1".to_string(), 4 * 512)]);
    // What is open stays what it is.
    assert_eq!(machine.read(open.instance, 31 * 512, 1024).unwrap().len(), 512);
    // Tables that are changed while they are being read are read again.
    for partitions in [&[(8, 1), (9, 1)][..], &[(8, 2)]] {
        let all = machine.open("all", BOTH).unwrap().instance;
        machine.send(
            machine.operator,
            &io::Write { instance: all, position: 0 }.to_message(),
            {
                let mut table = vec![0; 512];
                put_table(&mut table, partitions);
                table
            },
            Access::READ,
        );
        let write = machine.medium.borrow().at_work.len() - 1;
        machine.medium.borrow_mut().end(write);
        machine.attend();
        machine.system.take_reply(machine.operator).unwrap();
        machine.release(all);
    }
    machine.run();
    assert_eq!(machine.names().len(), 2);
}

#[test]
fn requests_are_at_the_device_together_and_end_in_any_order() {
    let mut machine = Machine::new(2);
    let instance = machine.open("all", BOTH).unwrap().instance;
    let clients: Vec<Pid> = (0..3).map(|_| machine.system.process(UserId::OPERATOR)).collect();
    for (at, client) in clients.iter().enumerate() {
        let write = io::Write { instance, position: 512 * (20 + at as u64) };
        machine.send(*client, &write.to_message(), vec![1 + at as u8; 512], Access::READ);
    }
    let first = |at: usize| Operation::Write { first: 20 + at as u64, count: 1 };
    let at_work = |machine: &Machine| {
        machine.medium.borrow().at_work.iter().map(|(_, operation)| *operation).collect::<Vec<_>>()
    };
    assert_eq!(at_work(&machine), [first(0), first(1)], "the third waits");
    machine.medium.borrow_mut().end(1);
    machine.attend();
    assert!(machine.system.is_waiting(clients[0]) && machine.system.take_reply(clients[1]).is_some());
    assert_eq!(at_work(&machine), [first(0), first(2)]);
    // Who has died is not in the way.
    machine.system.kill(clients[0]);
    machine.run();
    assert!(machine.system.take_reply(clients[2]).is_some());
    assert_eq!(
        machine.medium.borrow().bytes[20 * 512..23 * 512].to_vec(),
        [[1; 512], [2; 512], [3; 512]].concat()
    );
}

#[test]
fn a_write_whose_data_cannot_be_had_is_refused_and_leaves_its_slot() {
    let mut machine = Machine::new(1);
    let instance = machine.open("all", BOTH).unwrap().instance;
    machine.system.break_segments = true;
    assert_eq!(machine.write(instance, 512, vec![1; 2048 + 512]), Ok(2048), "this much came along");
    let waiting = machine.system.process(UserId::OPERATOR);
    let read = io::Read { instance, position: 0 }.to_message();
    machine.send(machine.operator, &read, vec![0; 512], Access::WRITE);
    machine.send(waiting, &io::Write { instance, position: 0 }.to_message(), vec![1; 512], Access::READ);
    machine.run();
    machine.system.take_reply(machine.operator).unwrap();
    assert_eq!(machine.system.take_reply(waiting).unwrap().0.code(), Error::BadAddressOfOther.code());
    machine.system.break_segments = false;
    assert_eq!(machine.write(instance, 512, vec![2; 512]), Ok(512));
}

#[test]
fn what_is_written_in_part_keeps_the_rest_of_its_blocks() {
    let mut machine = Machine::new(2);
    let instance = machine.open("all", BOTH).unwrap().instance;
    let mut expected = vec![9; 4 * 512];
    assert_eq!(machine.write(instance, 20 * 512, expected.clone()), Ok(2048));
    // Within a block, from one into the next, and with a whole one between two.
    for (position, bytes) in [(3, 5), (510, 4), (500, 1000), (512, 7), (1000, 1048)] {
        let value = position as u8;
        assert_eq!(machine.write(instance, 20 * 512 + position, vec![value; bytes]), Ok(bytes as u32));
        expected[position as usize..][..bytes].fill(value);
        assert_eq!(machine.read(instance, 20 * 512, 4096).unwrap(), expected, "{bytes} at {position}");
    }
    // One that its blocks make longer than a transfer is done in part.
    assert_eq!(machine.write(instance, 30 * 512 + 1, vec![1; 2048]), Ok(2047));
    assert_eq!(machine.read(instance, 30 * 512, 2048).unwrap(), [vec![0], vec![1; 2047]].concat());
    machine.medium.borrow_mut().is_broken = true;
    assert_eq!(machine.write(instance, 1, vec![1; 2]), Err(Error::DeviceError));
    machine.medium.borrow_mut().is_broken = false;
    machine.system.break_segments = true;
    assert_eq!(machine.write(instance, 1, vec![1; 2]), Err(Error::BadAddressOfOther));
    machine.system.break_segments = false;
    assert_eq!(machine.write(instance, 512, vec![2; 512]), Ok(512), "all slots are free again");
}

#[test]
fn two_parts_of_a_block_are_written_one_after_the_other() {
    let mut machine = Machine::new(4);
    let instance = machine.open("all", BOTH).unwrap().instance;
    let clients: Vec<Pid> = (0..4).map(|_| machine.system.process(UserId::OPERATOR)).collect();
    let block = 20 * 512;
    for (client, (position, bytes)) in
        clients.iter().zip([(block + 1, 10), (block + 100, 10), (block, 512), (block + 5, 1)])
    {
        let value = (position - block + 1) as u8;
        let write = io::Write { instance, position }.to_message();
        machine.send(*client, &write, vec![value; bytes], Access::READ);
    }
    assert_eq!(machine.medium.borrow().at_work.len(), 1, "the others wait for the first");
    machine.run();
    assert!(clients.iter().all(|client| machine.system.take_reply(*client).is_some()));
    let mut expected = [1; 512];
    expected[5] = 6;
    assert_eq!(machine.read(instance, block, 512).unwrap(), expected);
}

impl Machine {
    fn expect(&mut self, instance: u32, position: u64, bytes: u64) {
        let ahead = block::ReadAhead { instance, position, bytes };
        self.system.call(&mut self.server, self.operator, &ahead, Vec::new(), Access::READ).unwrap();
    }

    fn at_work(&self) -> Vec<Operation> {
        self.medium.borrow().at_work.iter().map(|(_, operation)| *operation).collect()
    }

    /// Fills blocks of the medium, each with its number.
    fn number_blocks(&self) {
        for (number, block) in self.medium.borrow_mut().bytes.chunks_exact_mut(512).enumerate().skip(1) {
            block.fill(number as u8);
        }
    }
}

#[test]
fn what_is_expected_is_read_before_it_is_asked_for() {
    let mut machine = Machine::new(3);
    let instance = machine.open("2", mode::READ).unwrap().instance;
    machine.number_blocks();
    machine.expect(instance, 512, 1 << 40);
    assert_eq!(machine.at_work(), [Operation::Read { first: 17, count: 4 }], "as much as a transfer has");
    machine.expect(instance, 512, 2048);
    assert_eq!(machine.at_work().len(), 1, "it is known");
    machine.run();
    // Twice a part of it, each without the device.
    for (position, bytes, value) in [(512, 1024, 17), (1536 + 1, 1023, 19)] {
        let read = io::Read { instance, position }.to_message();
        machine.send(machine.operator, &read, vec![0; bytes], Access::WRITE);
        assert!(machine.at_work().is_empty());
        let (reply, segment) = machine.system.take_reply(machine.operator).unwrap();
        assert_eq!((io::ReadDone::from_message(&reply).count, segment[0]), (bytes as u32, value));
    }
    // The last byte was asked for, so it is read again.
    let read = io::Read { instance, position: 512 }.to_message();
    machine.send(machine.operator, &read, vec![0; 512], Access::WRITE);
    assert_eq!(machine.at_work().len(), 1);
    machine.run();
    machine.system.take_reply(machine.operator).unwrap();
    // Who asks while it is being read waits for that.
    machine.expect(instance, 0, 512);
    let read = io::Read { instance, position: 0 }.to_message();
    machine.send(machine.operator, &read, vec![0; 512], Access::WRITE);
    assert_eq!(machine.at_work().len(), 1);
    machine.run();
    assert_eq!(machine.system.take_reply(machine.operator).unwrap().1, [16; 512]);
}

#[test]
fn what_is_expected_is_in_nobodys_way() {
    let mut machine = Machine::new(2);
    let instance = machine.open("all", BOTH).unwrap().instance;
    for position in 0..8 {
        machine.expect(instance, 512 * position, 512);
    }
    assert_eq!(machine.at_work().len(), 1, "a slot is left");
    machine.run();
    // Both slots are to be had for two who ask.
    let other = machine.system.process(UserId::OPERATOR);
    for client in [machine.operator, other] {
        let read = io::Read { instance, position: 10 * 512 }.to_message();
        machine.send(client, &read, vec![0; 512], Access::WRITE);
    }
    assert_eq!(machine.at_work().len(), 2);
    machine.run();
    assert!([machine.operator, other].iter().all(|client| machine.system.take_reply(*client).is_some()));
    // One that fails is nobody's failure.
    machine.medium.borrow_mut().is_broken = true;
    machine.expect(instance, 512, 512);
    machine.run();
    machine.medium.borrow_mut().is_broken = false;
    assert_eq!(machine.read(instance, 512, 512).unwrap().len(), 512);
    let mut none = Machine::new(1);
    let instance = none.open("all", mode::READ).unwrap().instance;
    none.expect(instance, 0, 512);
    none.expect(instance, u64::MAX, 512);
    assert!(none.at_work().is_empty(), "the only slot is for who asks");
}

proptest! {
    /// Whatever is expected, written and read in whatever order: what was written is what is read.
    #[test]
    fn what_was_read_ahead_is_never_older_than_what_was_written(
        steps in prop::collection::vec((0..5_u8, 0..16 * 512_u64, 1..2048_u64, 0..4_usize), 1..40),
    ) {
        let mut machine = Machine::new(4);
        let instance = machine.open("2", BOTH).unwrap().instance;
        let mut model = vec![0; 32 * 512];
        for (number, (what, position, bytes, ended)) in (1..).zip(steps) {
            match what {
                0 | 1 => machine.expect(instance, position, bytes),
                2 => {
                    let written = machine.write(instance, position, vec![number; bytes as usize]).unwrap();
                    model[position as usize..][..written as usize].fill(number);
                }
                3 => {
                    let read = machine.read(instance, position, bytes as usize).unwrap();
                    prop_assert!(!read.is_empty() && read == model[position as usize..][..read.len()]);
                }
                _ => {
                    machine.medium.borrow_mut().end(ended);
                    machine.attend();
                }
            }
        }
    }
}

#[test]
fn flush_discard_and_geometry() {
    let mut machine = Machine::new(2);
    let instance = machine.open("2", BOTH).unwrap().instance;
    machine.ask(&io::Synchronize { instance }, Vec::new(), Access::READ).unwrap();
    assert_eq!(machine.medium.borrow().flushes, 1);
    // More blocks than the device takes at once.
    let discard = block::Discard { instance, position: 512, bytes: 20 * 512 };
    machine.ask(&discard, Vec::new(), Access::READ).unwrap();
    let bytes = machine.medium.borrow().bytes.clone();
    assert!(bytes[17 * 512..37 * 512].iter().all(|byte| *byte == 0xdd));
    assert!(bytes[16 * 512..17 * 512].iter().chain(&bytes[37 * 512..]).all(|byte| *byte == 0));
    for (position, bytes, error) in [(1, 512, Error::BadArgument), (0, 33 * 512, Error::NoSpace)] {
        let discard = block::Discard { instance, position, bytes };
        assert_eq!(machine.ask(&discard, Vec::new(), Access::READ).map(drop), Err(error));
    }
    let query = block::QueryGeometry { instance };
    let (queried, segment) = machine.ask(&query, vec![0; Geometry::MAX_BYTES], Access::WRITE).unwrap();
    let geometry = Geometry::decode(&segment[..queried.count as usize]).unwrap();
    assert_eq!(geometry.flags, flag::HAS_WRITE_CACHE | flag::DISCARDS | flag::IS_BEING_WRITTEN);
    assert_eq!((geometry.first_block, geometry.block_count, geometry.bytes()), (16, 32, 32 * 512));
    assert_eq!((geometry.kind, geometry.model, geometry.driver), ("83", "Memory", "memory"));
    assert_eq!(machine.ask(&query, vec![0; 9], Access::WRITE).map(drop), Err(Error::TooLong));
    let reader = machine.open("1", mode::READ).unwrap().instance;
    let discard = block::Discard { instance: reader, position: 0, bytes: 512 };
    assert_eq!(machine.ask(&discard, Vec::new(), Access::READ).map(drop), Err(Error::NotWritable));
    let describe = names::Describe { context: 0, name_bytes: 1 };
    let (_, segment) = machine.ask(&describe, [b"1", &[0; 200][..]].concat(), Access::READ_WRITE).unwrap();
    assert_eq!(Descriptor::decode(&segment).unwrap().0.size, 8 * 512);
}

#[test]
fn a_disk_may_lack_things() {
    let mut machine = Machine::with(1, |facts| {
        facts.has_write_cache = false;
        facts.largest_discard_blocks = 0;
    });
    let instance = machine.open("all", BOTH).unwrap().instance;
    machine.ask(&io::Synchronize { instance }, Vec::new(), Access::READ).unwrap();
    let discard = block::Discard { instance, position: 0, bytes: 512 };
    assert_eq!(machine.ask(&discard, Vec::new(), Access::READ).map(drop), Err(Error::NotSupported));
    let mut machine = Machine::with(1, |facts| facts.is_read_only = true);
    assert_eq!(machine.open("1", BOTH).map(drop), Err(Error::ReadOnly));
    assert_eq!(machine.open("1", mode::READ).unwrap().attributes, attribute::READABLE);
}

#[test]
fn what_fails_is_told() {
    let mut machine = Machine::new(1);
    let instance = machine.open("all", BOTH).unwrap().instance;
    machine.medium.borrow_mut().is_broken = true;
    assert_eq!(machine.read(instance, 0, 512), Err(Error::DeviceError));
    assert_eq!(machine.write(instance, 0, vec![0; 512]), Err(Error::DeviceError));
    machine.medium.borrow_mut().is_broken = false;
    assert_eq!(machine.read(instance, 0, 512).unwrap().len(), 512);
}

#[test]
#[should_panic(expected = "disk3: the device has not answered for 30 s")]
fn a_device_that_does_not_answer_is_reset_by_the_drivers_next_life() {
    let mut machine = Machine::new(1);
    let instance = machine.open("all", BOTH).unwrap().instance;
    let read = io::Read { instance, position: 0 }.to_message();
    machine.send(machine.operator, &read, vec![0; 512], Access::WRITE);
    machine.server.tick(&mut machine.system);
    machine.system.now_ns += PATIENCE_NS + 1;
    machine.server.tick(&mut machine.system);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever requests come and in whatever order they end, also where the device says that it has ended what it has
    /// not: each is answered once, and reads give what the last write before them wrote.
    #[test]
    fn all_are_answered_and_rightly(
        steps in prop::collection::vec((0..6_u8, 0..8_u64, any::<u8>(), 0..4_usize), 1..80),
        slots in 1..4_usize,
    ) {
        let mut machine = Machine::new(slots);
        let instance = machine.open("2", BOTH).unwrap().instance;
        let clients: Vec<Pid> = (0..8).map(|_| machine.system.process(UserId::OPERATOR)).collect();
        // Block of each client that waits, and what it has written there; each client has a block of its own.
        let mut model: BTreeMap<u64, u8> = BTreeMap::new();
        let mut waiting: BTreeMap<u64, (bool, u8)> = BTreeMap::new();
        for (kind, block, value, which) in steps {
            let client = clients[block as usize];
            let position = 512 * block;
            match kind {
                0 | 1 if !waiting.contains_key(&block) => {
                    let (message, segment, access) = if kind == 0 {
                        (io::Read { instance, position }.to_message(), vec![0; 512], Access::WRITE)
                    } else {
                        (io::Write { instance, position }.to_message(), vec![value; 512], Access::READ)
                    };
                    machine.send(client, &message, segment, access);
                    waiting.insert(block, (kind == 0, value));
                }
                2 => machine.medium.borrow_mut().end(which),
                3 => {
                    let nonsense = Finished { slot: usize::from(value), outcome: Ok(()) };
                    // A device that ends early what it has would be lying about data.
                    if usize::from(value) >= slots {
                        machine.medium.borrow_mut().ended.push(nonsense);
                    }
                }
                4 => {
                    machine.medium.borrow_mut().end(which);
                    machine.medium.borrow_mut().end(which);
                    machine.attend();
                }
                _ => machine.attend(),
            }
            for (block, client) in (0..).zip(&clients) {
                if let Some((reply, segment)) = machine.system.take_reply(*client) {
                    prop_assert_eq!(reply.code(), Error::OK_CODE);
                    let (is_read, value) = waiting.remove(&block).expect("it waited");
                    if is_read {
                        let known = model.get(&block).copied().unwrap_or(0);
                        prop_assert_eq!(segment, vec![known; 512]);
                    } else {
                        model.insert(block, value);
                    }
                }
            }
        }
        machine.run();
        for block in waiting.keys() {
            prop_assert!(machine.system.take_reply(clients[*block as usize]).is_some(), "block {block}");
        }
    }
}
