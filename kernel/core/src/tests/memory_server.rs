//! Requests to the memory server, with those that must be refused.

extern crate std;

use abi::kernel::memory::QueryTeam;
use abi::{Rights, UserId};

use super::*;
use crate::process::Flags;
use crate::test_machine::{FakeMachine, ask, kernel, release, team};

const READ_WRITE: u32 = READ | WRITE;

fn a_map(address: u64, pages: u32, protection: u32) -> Map {
    Map { team: Pid::NONE, address, pages, protection }
}

fn resident(kernel: &mut Kernel<FakeMachine>, caller: ProcessIndex, address: u64) -> RegionQueried {
    let team = Pid::NONE;
    ask(kernel, Kernel::memory_request, caller, &QueryRegion { team, address }).unwrap()
}

#[test]
fn regions_are_mapped_asked_for_changed_and_unmapped() {
    let mut kernel = kernel(2048);
    let (team, root) = team(&mut kernel, 1000);
    let mapped = ask(&mut kernel, Kernel::memory_request, root, &a_map(0, 200, READ_WRITE)).unwrap();
    assert_eq!(resident(&mut kernel, root, 0).resident, 0);
    for page in 0..150 {
        let address = mapped.address + page * abi::PAGE_BYTES;
        kernel.touch(team, address, WRITE).unwrap();
    }
    let region = resident(&mut kernel, root, mapped.address + 5);
    assert_eq!((region.pages, region.resident), (200, 150));
    let protect = Protect { team: Pid::NONE, address: mapped.address, pages: 100, protection: READ };
    ask(&mut kernel, Kernel::memory_request, root, &protect).unwrap();
    let region = resident(&mut kernel, root, 0);
    assert_eq!((region.pages, region.resident, region.protection), (100, 100, READ));
    let unmap = Unmap { team: Pid::NONE, address: mapped.address, pages: 200 };
    ask(&mut kernel, Kernel::memory_request, root, &unmap).unwrap();
    assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &unmap), Err(Error::NotMapped));
    let nothing = QueryRegion { team: Pid::NONE, address: 0 };
    assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &nothing).map(|_| ()), Err(Error::NotMapped));
    release(&mut kernel, team);
}

#[test]
fn wired_pages_are_there_at_once_or_not_at_all() {
    let mut kernel = kernel(400);
    let (team, root) = team(&mut kernel, 300);
    let used = kernel.team(team).pages.used;
    let wired = a_map(0x40_0000, 100, READ_WRITE | WIRED);
    assert_eq!(
        ask(&mut kernel, Kernel::memory_request, root, &wired).map(|mapped| mapped.address),
        Ok(0x40_0000)
    );
    assert_eq!(resident(&mut kernel, root, 0).resident, 100);
    assert_eq!(kernel.team(team).pages.used, used + 103);
    // Half of the quota is the share of a team without the right.
    let more = a_map(0, 51, READ_WRITE | WIRED);
    assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &more).map(|_| ()), Err(Error::NoQuota));
    kernel.team_mut(team).rights = Rights::WIRE_MEMORY;
    ask(&mut kernel, Kernel::memory_request, root, &more).unwrap();
    let beyond = a_map(0, 200, READ_WRITE | WIRED);
    assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &beyond).map(|_| ()), Err(Error::NoQuota));
    // Within the quota, but more than the machine has: nothing of it stays.
    kernel.team_mut(team).pages.limit = 5000;
    let regions = kernel.team(team).regions.count();
    let used = kernel.team(team).pages.used;
    let beyond = a_map(0x40_0000 + 200 * abi::PAGE_BYTES, 1000, READ_WRITE | WIRED);
    assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &beyond).map(|_| ()), Err(Error::NoMemory));
    assert_eq!(kernel.team(team).regions.count(), regions);
    // Page tables that were added stay.
    assert!(kernel.team(team).pages.used <= used + 3);
    release(&mut kernel, team);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut kernel = kernel(1024);
    let (_, root) = team(&mut kernel, 300);
    let end = abi::USER_ADDRESS_END;
    for (address, pages, protection, error) in [
        (1, 1, READ, Error::BadArgument),
        (0, 0, READ, Error::BadArgument),
        (0x1000, 0, READ, Error::BadArgument),
        (0x1000, 1, 0, Error::BadArgument),
        (0x1000, 1, READ_WRITE | EXECUTE, Error::BadArgument),
        (0x1000, 1, READ | DEVICE, Error::BadArgument),
        (end, 1, READ, Error::BadArgument),
        (end - 4096, 2, READ, Error::BadArgument),
        (u64::MAX - 4095, u32::MAX, READ, Error::BadArgument),
        (abi::information::ADDRESS, 1, READ, Error::AlreadyMapped),
    ] {
        let request = a_map(address, pages, protection);
        let result = ask(&mut kernel, Kernel::memory_request, root, &request).map(|_| ());
        assert_eq!(result, Err(error), "{request:?}");
    }
    ask(&mut kernel, Kernel::memory_request, root, &a_map(0x1_0000, 4, READ)).unwrap();
    let twice = ask(&mut kernel, Kernel::memory_request, root, &a_map(0x1_2000, 9, READ));
    assert_eq!(twice.map(|_| ()), Err(Error::AlreadyMapped));
    for (address, pages) in [(0x1_0000, 5), (0xf000, 2), (0x2_0000, 1)] {
        let team = Pid::NONE;
        let unmap = Unmap { team, address, pages };
        assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &unmap), Err(Error::NotMapped));
        let protect = Protect { team, address, pages, protection: READ };
        assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &protect), Err(Error::NotMapped));
    }
    let wired = Protect { team: Pid::NONE, address: 0x1_0000, pages: 1, protection: READ | WIRED };
    assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &wired), Err(Error::BadArgument));
}

#[test]
fn a_guard_page_keeps_its_frame_and_lets_nobody_in() {
    let mut kernel = kernel(1024);
    let (team, root) = team(&mut kernel, 300);
    ask(&mut kernel, Kernel::memory_request, root, &a_map(0x1_0000, 3, READ_WRITE)).unwrap();
    for page in 0..3 {
        kernel.write_to(root, 0x1_0000 + page * 4096, &[7]).unwrap();
    }
    let used = kernel.team(team).pages.used;
    let mut protect = Protect { team: Pid::NONE, address: 0x1_1000, pages: 1, protection: 0 };
    ask(&mut kernel, Kernel::memory_request, root, &protect).unwrap();
    let mut byte = [0];
    assert_eq!(kernel.read_from(root, 0x1_1000, &mut byte), Err(Error::BadAddress));
    assert_eq!(kernel.touch(team, 0x1_1000, WRITE), Err(Error::BadAddress));
    assert_eq!(kernel.team(team).pages.used, used);
    protect.protection = READ;
    ask(&mut kernel, Kernel::memory_request, root, &protect).unwrap();
    assert_eq!(kernel.read_from(root, 0x1_1000, &mut byte), Ok(()));
    assert_eq!(byte, [7]);
    release(&mut kernel, team);
}

#[test]
fn other_teams_are_closed_but_to_their_creators_and_controllers() {
    let mut kernel = kernel(1024);
    let (_, root) = team(&mut kernel, 300);
    let (other_team, other) = team(&mut kernel, 300);
    let pid = kernel.processes[other].pid;
    let map = Map { team: pid, ..a_map(0x1_0000, 1, READ) };
    assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &map).map(|_| ()), Err(Error::NoPermission));
    kernel.processes[other].flags.set(Flags::NEWBORN);
    kernel.processes[other].partner = root;
    ask(&mut kernel, Kernel::memory_request, root, &map).unwrap();
    kernel.processes[other].flags.clear(Flags::NEWBORN);
    // The same user may look, another one may not, unless by right.
    let query = QueryTeam { team: pid };
    assert_eq!(
        ask(&mut kernel, Kernel::memory_request, root, &query).map(|answer| answer.quota_pages),
        Ok(300)
    );
    kernel.processes[other].user = UserId(777);
    assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &query).map(|_| ()), Err(Error::NoPermission));
    let own = kernel.processes[root].team;
    kernel.team_mut(own).rights = Rights::CONTROL_OTHERS;
    assert!(ask(&mut kernel, Kernel::memory_request, root, &query).is_ok());
    assert_eq!(ask(&mut kernel, Kernel::memory_request, root, &map).map(|_| ()), Err(Error::NoPermission));
    assert_eq!(kernel.team(other_team).regions.count(), 1);
}

#[test]
fn unknown_requests_are_refused() {
    let mut kernel = kernel(1024);
    let (_, root) = team(&mut kernel, 300);
    for code in [0, 0x0200, 0x020f, 0x0301, 0xff_ffff] {
        let result = kernel.memory_request(root, &Message::with_code(code));
        assert!(matches!(result, Err(Error::BadRequest)), "{code:#x}");
    }
}
