//! Grants, and what they open.

extern crate std;

use abi::kernel::device::{
    ClaimInterrupt, ReadPort, ReadPortBytes, ReleaseDma, ReleaseInterrupt, WritePort, WritePortBytes,
};
use abi::kernel::message_line;
use abi::{Access, Grant, Rights, UserId};

use super::*;
use crate::region::PageRange;
use crate::team::{GRANTS_PER_TEAM, TeamIndex};
use crate::test_machine::{FakeMachine, MESSAGE_ADDRESS, ask, kernel, release, team};

fn a_grant(kind: u32, start: u64, count: u32) -> DeviceGrant {
    DeviceGrant { kind, count, start, cached: false }
}

/// A kernel with a driver's team that has some of everything.
fn driver() -> (Kernel<FakeMachine>, TeamIndex, ProcessIndex) {
    let mut kernel = kernel(2048);
    let (team, root) = team(&mut kernel, 1000);
    for grant in [
        a_grant(resource::PORTS, 0x3f8, 8),
        a_grant(resource::INTERRUPTS, 4, 1),
        a_grant(resource::MEMORY, 0xfed00, 4),
        a_grant(resource::DMA, 0, 100),
    ] {
        add_grant(kernel.team_mut(team), grant).unwrap();
    }
    (kernel, team, root)
}

fn segment(kernel: &mut Kernel<FakeMachine>, caller: ProcessIndex, address: u64, bytes: u64) {
    let registers = &mut kernel.processes[caller].registers;
    registers.extra[0] = address;
    registers.extra[1] = Grant::new(bytes, Access::READ_WRITE).to_bits();
}

#[test]
fn ports_are_open_only_within_the_grant() {
    let (mut kernel, _, root) = driver();
    for (port, width, error) in [
        (0x3f7, 1, Error::NoPermission),
        (0x3f7, 2, Error::NoPermission),
        (0x400, 1, Error::NoPermission),
        (0x3ff, 2, Error::NoPermission),
        (0x3fd, 4, Error::NoPermission),
        (0x3f8, 0, Error::BadArgument),
        (0x3f8, 3, Error::BadArgument),
        (0x3f8, u32::MAX, Error::BadArgument),
        (0xffff, 2, Error::BadArgument),
        (0x1_03f8, 1, Error::BadArgument),
        (u32::MAX, 4, Error::BadArgument),
    ] {
        let read = ReadPort { port, width };
        assert_eq!(ask(&mut kernel, Kernel::device_request, root, &read).map(|_| ()), Err(error), "{read:?}");
        let write = WritePort { port, width, value: 1 };
        assert_eq!(ask(&mut kernel, Kernel::device_request, root, &write), Err(error), "{write:?}");
    }
    let read = ReadPort { port: 0x3fc, width: 4 };
    assert_eq!(ask(&mut kernel, Kernel::device_request, root, &read).map(|read| read.value), Ok(0x3_fc04));
    let write = WritePort { port: 0x3ff, width: 1, value: 7 };
    ask(&mut kernel, Kernel::device_request, root, &write).unwrap();
    assert_eq!(kernel.machine.written, [(0x3ff, 1, 7)]);
}

#[test]
fn bytes_come_from_a_port_as_many_as_a_reply_holds() {
    let (mut kernel, _, root) = driver();
    let mut read = |port, count| {
        let read = ReadPortBytes { port, count };
        ask(&mut kernel, Kernel::device_request, root, &read).map(|read| (read.first_bytes, read.last_bytes))
    };
    assert_eq!(read(0x3f8, 0), Ok((0, 0)));
    assert_eq!(read(0x3f8, 9), Ok((0x0101_0101_0101_0101, 1)));
    assert_eq!(read(0x3ff, 16), Ok((0x0101_0101_0101_0101, 0x0101_0101_0101_0101)));
    assert_eq!(read(0x3f8, 17), Err(Error::TooLong));
    assert_eq!(read(0x3f7, 1), Err(Error::NoPermission));
    assert_eq!(read(u32::MAX, 1), Err(Error::BadArgument));
}

#[test]
fn bytes_go_to_a_port_in_their_order() {
    let (mut kernel, team, root) = driver();
    kernel.add_region(team, 0x1_0000, 1, READ | WRITE, Backing::Zero).unwrap();
    kernel.write_to(root, 0x1_0000, b"hi!").unwrap();
    segment(&mut kernel, root, 0x1_0000, 3);
    let write = WritePortBytes { port: 0x3f8 };
    assert_eq!(ask(&mut kernel, Kernel::device_request, root, &write).map(|answer| answer.count), Ok(3));
    let bytes: std::vec::Vec<u32> = kernel.machine.written.iter().map(|write| write.2).collect();
    assert_eq!(bytes, b"hi!".map(u32::from));
    segment(&mut kernel, root, 0x1_0000, 257);
    assert_eq!(ask(&mut kernel, Kernel::device_request, root, &write).map(|_| ()), Err(Error::TooLong));
    segment(&mut kernel, root, 0x1_1000, 1);
    assert_eq!(ask(&mut kernel, Kernel::device_request, root, &write).map(|_| ()), Err(Error::BadAddress));
    assert_eq!(kernel.machine.written.len(), 3);
}

#[test]
fn interrupts_are_claimed_within_the_grant() {
    let (mut kernel, _, root) = driver();
    let refused = ask(&mut kernel, Kernel::device_request, root, &ClaimInterrupt { line: 5 });
    assert_eq!(refused.map(|_| ()), Err(Error::NoPermission));
    let claimed = ask(&mut kernel, Kernel::device_request, root, &ClaimInterrupt { line: 4 }).unwrap();
    assert!(kernel.machine.unmasked.contains(&4));
    let again = ask(&mut kernel, Kernel::device_request, root, &ClaimInterrupt { line: 4 });
    assert_eq!(again.map(|_| ()), Err(Error::Busy));
    let release = ReleaseInterrupt { interrupt: claimed.interrupt };
    ask(&mut kernel, Kernel::device_request, root, &release).unwrap();
    assert!(kernel.machine.unmasked.is_empty());
    assert!(ask(&mut kernel, Kernel::device_request, root, &release).is_err());
    assert_eq!((claimed.address, claimed.data), (0, 0), "a wired line has no message");
}

#[test]
fn a_message_line_comes_with_its_message() {
    let (mut kernel, team, root) = driver();
    let request = ClaimInterrupt { line: message_line::FIRST + 5 };
    let refused = ask(&mut kernel, Kernel::device_request, root, &request);
    assert_eq!(refused.map(|_| ()), Err(Error::NoPermission));
    add_grant(kernel.team_mut(team), a_grant(resource::INTERRUPTS, request.line.into(), 1)).unwrap();
    let claimed = ask(&mut kernel, Kernel::device_request, root, &request).unwrap();
    assert_eq!((claimed.address, claimed.data), (MESSAGE_ADDRESS, 5));
}

#[test]
fn device_memory_is_mapped_within_the_grant() {
    let (mut kernel, team, root) = driver();
    let map = |physical, pages, protection| MapPhysical { physical, pages, protection, address: 0 };
    for (request, error) in [
        (map(0xfed0_0001, 1, READ), Error::BadArgument),
        (map(0xfed0_0000, 5, READ), Error::NoPermission),
        (map(0xfecf_f000, 1, READ), Error::NoPermission),
        (map(0xfed0_0000, 0, READ), Error::BadArgument),
        (map(0xfed0_0000, u32::MAX, READ), Error::BadArgument),
        (map(0xfed0_0000, 1, READ | 4), Error::BadArgument),
        (map(u64::MAX - 4095, 1, READ), Error::BadArgument),
    ] {
        let result = ask(&mut kernel, Kernel::device_request, root, &request).map(|_| ());
        assert_eq!(result, Err(error), "{request:?}");
    }
    let mapped = ask(&mut kernel, Kernel::device_request, root, &map(0xfed0_1000, 3, READ | WRITE)).unwrap();
    kernel.touch(team, mapped.address + 0x1000, WRITE).unwrap();
    let space = kernel.team(team).space;
    assert_eq!(
        kernel.machine.page(space, mapped.address + 0x1000),
        Some((Frame(0xfed02), READ | WRITE, Caching::Uncached))
    );
    let place = PageRange::new(mapped.address, 3).unwrap();
    assert_eq!(kernel.protect_regions(team, place, READ | 4), Err(Error::BadArgument));
    release(&mut kernel, team);
}

#[test]
fn dma_memory_is_counted_zeroed_and_released_after_a_reset() {
    let (mut kernel, team, root) = driver();
    let free = kernel.frames.free_count();
    let allocate = |pages| AllocateDma { pages, address: 0 };
    for (pages, error) in [
        (0, Error::BadArgument),
        (101, Error::NoPermission),
        (DMA_PAGES_AT_ONCE + 1, Error::TooLong),
        (u32::MAX, Error::TooLong),
    ] {
        let result = ask(&mut kernel, Kernel::device_request, root, &allocate(pages)).map(|_| ());
        assert_eq!(result, Err(error), "{pages}");
    }
    let used = kernel.team(team).pages.used;
    let first = ask(&mut kernel, Kernel::device_request, root, &allocate(60)).unwrap();
    let mut bytes = [1; 8];
    kernel.read_from(root, first.address + 4092, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 8]);
    let second = ask(&mut kernel, Kernel::device_request, root, &allocate(40)).unwrap();
    assert!(second.physical >= first.physical + 60 * 4096 || second.physical < first.physical);
    let third = ask(&mut kernel, Kernel::device_request, root, &allocate(1));
    assert_eq!(third.map(|_| ()), Err(Error::NoPermission));
    // Refusals after the frames were taken give them back.
    kernel.team_mut(team).pages.limit = used + 105;
    add_grant(kernel.team_mut(team), a_grant(resource::DMA, 0, 500)).unwrap();
    let no_quota = ask(&mut kernel, Kernel::device_request, root, &allocate(50));
    assert_eq!(no_quota.map(|_| ()), Err(Error::NoQuota));
    let occupied = AllocateDma { pages: 1, address: first.address };
    let occupied = ask(&mut kernel, Kernel::device_request, root, &occupied);
    assert_eq!(occupied.map(|_| ()), Err(Error::AlreadyMapped));
    assert_eq!(kernel.team(team).dma_pages, 100);

    let pid = kernel.processes[root].pid;
    release(&mut kernel, team);
    assert_eq!(kernel.held.count(), 2);
    let reset = ReleaseDma { team: pid };
    let (supervisor_team, supervisor) = crate::test_machine::team(&mut kernel, 100);
    assert_eq!(
        ask(&mut kernel, Kernel::device_request, supervisor, &reset).map(|_| ()),
        Err(Error::NoPermission)
    );
    kernel.team_mut(supervisor_team).rights = Rights::DEVICES;
    assert_eq!(
        ask(&mut kernel, Kernel::device_request, supervisor, &reset).map(|answer| answer.pages),
        Ok(100)
    );
    assert_eq!(
        ask(&mut kernel, Kernel::device_request, supervisor, &reset).map(|answer| answer.pages),
        Ok(0)
    );
    release(&mut kernel, supervisor_team);
    // The driver's own two tables were there before.
    assert_eq!(kernel.frames.free_count(), free + 2);
}

#[test]
fn only_what_one_has_can_be_handed_on() {
    let (mut kernel, own, root) = driver();
    let (other_team, other) = team(&mut kernel, 100);
    let pid = kernel.processes[other].pid;
    let hand = |kind, start, count| GrantDevice { team: pid, kind, start, count };
    let server = Kernel::process_request;
    let good = hand(resource::PORTS, 0x3fa, 2);
    assert_eq!(ask(&mut kernel, server, root, &good), Err(Error::NoPermission));
    kernel.team_mut(own).rights = Rights::DEVICES;
    for (request, error) in [
        (hand(resource::PORTS, 0x3f7, 2), Error::NoPermission),
        (hand(resource::PORTS, 0x3f8, 9), Error::NoPermission),
        (hand(resource::PORTS, u64::MAX, 1), Error::NoPermission),
        (hand(resource::PORTS, 0x3f8, 0), Error::BadArgument),
        (hand(resource::MEMORY, 0, 1), Error::NoPermission),
        (hand(resource::DMA, 0, 101), Error::NoPermission),
        (hand(0, 0, 1), Error::BadArgument),
        (hand(9, 0, 1), Error::BadArgument),
    ] {
        assert_eq!(ask(&mut kernel, server, root, &request), Err(error), "{request:?}");
    }
    ask(&mut kernel, server, root, &good).unwrap();
    ask(&mut kernel, server, root, &good).unwrap();
    let count = |kernel: &Kernel<FakeMachine>| {
        let grants = &kernel.team(other_team).grants;
        grants.iter().filter(|grant| grant.count > 0).count()
    };
    assert_eq!(count(&kernel), 1);
    for pages in [10, 90] {
        ask(&mut kernel, server, root, &hand(resource::DMA, 0, pages)).unwrap();
    }
    assert_eq!(count(&kernel), 2);
    let read = ReadPort { port: 0x3fb, width: 1 };
    assert!(ask(&mut kernel, Kernel::device_request, other, &read).is_ok());
    let read = ReadPort { port: 0x3fc, width: 1 };
    assert!(ask(&mut kernel, Kernel::device_request, other, &read).is_err());
    kernel.processes[other].user = UserId(9);
    assert_eq!(ask(&mut kernel, server, root, &good), Err(Error::NoPermission));
}

#[test]
fn a_team_has_room_for_so_many_grants() {
    let (mut kernel, team, _) = driver();
    let team = kernel.team_mut(team);
    for line in 4..GRANTS_PER_TEAM as u64 {
        add_grant(team, a_grant(resource::PORTS, line * 16, 1)).unwrap();
    }
    assert_eq!(add_grant(team, a_grant(resource::PORTS, 1, 1)), Err(Error::NoResources));
}
