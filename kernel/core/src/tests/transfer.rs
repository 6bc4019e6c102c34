//! Copies that cross pages and meet untouched, unmapped and read-only pages on either side, at every offset.

extern crate std;

use std::vec::Vec;

use abi::{Grant, PAGE_BYTES};

use super::*;
use crate::machine::Protection;
use crate::region::Backing;
use crate::test_machine::{FakeMachine, kernel, team};

const READ_WRITE: Protection = READ | WRITE;
const SOURCE: u64 = 0x40_0000;
const DESTINATION: u64 = 0x7f_e000;

/// Two teams with regions of pages at the two places; 0 for a page that is missing.
fn two_teams(
    source: &[Protection],
    destination: &[Protection],
) -> (Kernel<FakeMachine>, ProcessIndex, ProcessIndex) {
    let mut kernel = kernel(1024);
    let (from_team, from) = team(&mut kernel, 200);
    let (to_team, to) = team(&mut kernel, 200);
    for (team, start, pages) in [(from_team, SOURCE, source), (to_team, DESTINATION, destination)] {
        for (page, protection) in (0..).zip(pages).filter(|(_, protection)| **protection != 0) {
            let address = start + page * PAGE_BYTES;
            kernel.add_region(team, address, 1, *protection, Backing::Zero).unwrap();
        }
    }
    (kernel, from, to)
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at as u8).wrapping_mul(7) ^ (at >> 8) as u8).collect()
}

#[test]
fn copies_cross_pages_at_every_offset() {
    let pages = [READ_WRITE; 3];
    let bytes = pattern(5000);
    for (source_offset, destination_offset) in
        [(0, 0), (1, 0), (0, 4095), (4095, 1), (2000, 3000), (4090, 4090), (7, 13)]
    {
        let (mut kernel, from, to) = two_teams(&pages, &pages);
        kernel.write_to(from, SOURCE + source_offset, &bytes).unwrap();
        let moved = kernel.counters.bytes_moved;
        kernel
            .copy(from, SOURCE + source_offset, to, DESTINATION + destination_offset, bytes.len() as u64)
            .unwrap();
        assert_eq!(kernel.counters.bytes_moved - moved, bytes.len() as u64);
        let mut all = std::vec![0xff; 3 * PAGE_BYTES as usize];
        kernel.read_from(to, DESTINATION, &mut all).unwrap();
        let start = destination_offset as usize;
        assert_eq!(all[start..start + bytes.len()], bytes);
        assert!(all[..start].iter().all(|byte| *byte == 0));
        assert!(all[start + bytes.len()..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_missing_or_forbidden_page_stops_a_copy_where_it_begins() {
    for missing_page in 0..3_usize {
        for own in [Side::Source, Side::Destination] {
            for forbidden in [0, if own == Side::Source { 0 } else { READ }] {
                let mut pages = [[READ_WRITE; 3]; 2];
                let side = usize::from(own == Side::Destination);
                pages[side][missing_page] = forbidden;
                for (source_offset, destination_offset) in [(0_u64, 0_u64), (1, 4000), (4095, 17), (100, 100)]
                {
                    let (mut kernel, from, to) = two_teams(&pages[0], &pages[1]);
                    let offset = [source_offset, destination_offset][side];
                    let bytes = 2 * PAGE_BYTES + 1;
                    let result = kernel.copy(
                        from,
                        SOURCE + source_offset,
                        to,
                        DESTINATION + destination_offset,
                        bytes,
                    );
                    let reach = missing_page as u64 * PAGE_BYTES;
                    let expected = if offset + bytes <= reach {
                        Ok(())
                    } else {
                        Err(Stop { done: reach.saturating_sub(offset), side: own, error: Error::BadAddress })
                    };
                    assert_eq!(result, expected, "{missing_page} {own:?} {offset}");
                    if let Err(stop) = result {
                        assert_eq!(stop.blame(own), Error::BadAddress);
                        let other = if own == Side::Source { Side::Destination } else { Side::Source };
                        assert_eq!(stop.blame(other), Error::BadAddressOfOther);
                    }
                }
            }
        }
    }
}

#[test]
fn addresses_beyond_the_end_are_bad_and_nothing_overflows() {
    let (mut kernel, from, to) = two_teams(&[READ_WRITE], &[READ_WRITE]);
    for bad in [USER_ADDRESS_END, u64::MAX, u64::MAX - 4095, 1 << 63, 0, 4095] {
        let stop = |side| Stop { done: 0, side, error: Error::BadAddress };
        assert_eq!(kernel.copy(from, bad, to, DESTINATION, 1), Err(stop(Side::Source)));
        assert_eq!(kernel.copy(from, SOURCE, to, bad, 4096), Err(stop(Side::Destination)));
        let mut bytes = [0; 8192];
        assert_eq!(kernel.read_from(from, bad, &mut bytes), Err(Error::BadAddress));
        assert_eq!(kernel.write_to(from, bad, &bytes), Err(Error::BadAddress));
    }
    let edge = crate::memory::RESERVED.start - PAGE_BYTES;
    let team = kernel.processes[from].team;
    kernel.add_region(team, edge, 1, READ_WRITE, Backing::Zero).unwrap();
    assert_eq!(kernel.copy(from, edge + 1, to, DESTINATION, 4096).map_err(|stop| stop.done), Err(4095));
}

#[test]
fn a_copy_onto_itself_is_refused() {
    let (mut kernel, from, _) = two_teams(&[READ_WRITE; 3], &[]);
    kernel.write_to(from, SOURCE, &pattern(8192)).unwrap();
    for (here, there, bytes) in [(0, 1, 2), (1, 0, 2), (0, 0, 1), (0, 4095, 4096)] {
        assert!(kernel.copy(from, SOURCE + here, from, SOURCE + there, bytes).is_err());
    }
    assert_eq!(kernel.copy(from, SOURCE, from, SOURCE + 4096, 4096), Ok(()));
    assert_eq!(kernel.copy(from, SOURCE, from, SOURCE, 0), Ok(()));
}

#[test]
fn whoever_cannot_be_given_a_page_is_blamed() {
    let (mut kernel, from, to) = two_teams(&[READ_WRITE; 2], &[READ_WRITE; 2]);
    let team = kernel.processes[to].team;
    let used = kernel.team(team).pages.used;
    kernel.team_mut(team).pages.limit = used + 1;
    let stop = kernel.copy(from, SOURCE, to, DESTINATION, 8192).unwrap_err();
    assert_eq!((stop.done, stop.side, stop.error), (4096, Side::Destination, Error::NoQuota));
    assert_eq!(stop.blame(Side::Source), Error::BadAddressOfOther);
    assert_eq!(stop.blame(Side::Destination), Error::NoQuota);
}

#[test]
fn kernel_servers_stay_within_the_grant() {
    let (mut kernel, from, _) = two_teams(&[READ_WRITE; 2], &[]);
    let mut grant = |address: u64, bytes, access| {
        let registers = &mut kernel.processes[from].registers;
        registers.extra[0] = address;
        registers.extra[1] = Grant::new(bytes, access).to_bits();
        let mut read = [0; 16];
        (kernel.write_reply_segment(from, 4, &pattern(16)), kernel.read_request_segment(from, &mut read))
    };
    let both = Access::READ_WRITE;
    assert_eq!(grant(SOURCE + 4090, 20, both), (Ok(()), Ok(())));
    assert_eq!(grant(SOURCE, 19, both), (Err(Error::TooLong), Ok(())));
    assert_eq!(grant(SOURCE, 15, both), (Err(Error::TooLong), Err(Error::TooLong)));
    assert_eq!(grant(SOURCE, 20, Access::READ), (Err(Error::NoWriteAccess), Ok(())));
    assert_eq!(grant(SOURCE, 20, Access::WRITE), (Ok(()), Err(Error::NoReadAccess)));
    assert_eq!(grant(SOURCE + 8190, 20, both), (Err(Error::BadAddress), Err(Error::BadAddress)));
}
