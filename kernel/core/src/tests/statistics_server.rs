//! Counters, trace and log as a program reads them.

extern crate std;

use std::vec;

use abi::kernel::protection::{READ, WRITE};
use abi::kernel::statistics::{Null, QueryStatistics, ReadLog, ReadTrace, SetTrace, WriteLog};
use abi::trace::Event;
use abi::{Access, Grant, Pid};

use super::*;
use crate::region::Backing;
use crate::test_machine::{FakeMachine, ask, kernel, team};

const BUFFER: u64 = 0x10_0000;
const BUFFER_BYTES: u64 = 64 * 4096;

fn reader(rights: Rights) -> (Kernel<FakeMachine>, ProcessIndex) {
    let mut kernel = kernel(4096);
    let (team, root) = team(&mut kernel, 1000);
    kernel.team_mut(team).rights = rights;
    kernel.add_region(team, BUFFER, 64, READ | WRITE, Backing::Zero).unwrap();
    segment(&mut kernel, root, BUFFER_BYTES);
    (kernel, root)
}

fn segment(kernel: &mut Kernel<FakeMachine>, caller: ProcessIndex, bytes: u64) {
    let registers = &mut kernel.processes[caller].registers;
    registers.extra[0] = BUFFER;
    registers.extra[1] = Grant::new(bytes, Access::READ_WRITE).to_bits();
}

#[test]
fn statistics_say_what_there_is() {
    let (mut kernel, root) = reader(Rights::NONE);
    assert_eq!(ask(&mut kernel, Kernel::statistics_request, root, &Null {}), Ok(Nothing {}));
    ask(&mut kernel, Kernel::statistics_request, root, &QueryStatistics {}).unwrap();
    let mut bytes = [0; StatisticsRecord::BYTES];
    kernel.read_from(root, BUFFER, &mut bytes).unwrap();
    let record = StatisticsRecord::from_bytes(&bytes);
    assert_eq!((record.total_frames, record.teams, record.processes), (4096, 1, 1));
    assert_eq!((record.regions, record.processors), (1, 1));
    segment(&mut kernel, root, StatisticsRecord::BYTES as u64 - 1);
    assert_eq!(
        ask(&mut kernel, Kernel::statistics_request, root, &QueryStatistics {}).map(|_| ()),
        Err(Error::TooLong)
    );
}

#[test]
fn trace_and_log_need_the_right() {
    let (mut kernel, root) = reader(Rights::NONE);
    let refused = Err(Error::NoPermission);
    assert_eq!(
        ask(&mut kernel, Kernel::statistics_request, root, &SetTrace { events: 1 }).map(|_| ()),
        refused
    );
    assert_eq!(
        ask(&mut kernel, Kernel::statistics_request, root, &ReadTrace { from: 0 }).map(|_| ()),
        refused
    );
    assert_eq!(ask(&mut kernel, Kernel::statistics_request, root, &ReadLog { from: 0 }).map(|_| ()), refused);
    assert_eq!(ask(&mut kernel, Kernel::statistics_request, root, &WriteLog {}).map(|_| ()), refused);
}

#[test]
fn the_trace_is_read_in_pieces() {
    let (mut kernel, root) = reader(Rights::TRACE);
    let pid = |number| Pid::from_bits(number);
    kernel.trace(Event::Send, 0, pid(1), pid(2));
    let set = SetTrace { events: Event::Send.bit() };
    ask(&mut kernel, Kernel::statistics_request, root, &set).unwrap();
    for number in 0..500 {
        kernel.trace(Event::Send, number, pid(1), pid(2));
        kernel.trace(Event::Reply, number, pid(1), pid(2));
    }
    let mut from = 0;
    let mut seen = 0;
    loop {
        let read = ask(&mut kernel, Kernel::statistics_request, root, &ReadTrace { from }).unwrap();
        if read.count == 0 {
            break;
        }
        let mut bytes = vec![0; read.count as usize * TraceRecord::BYTES];
        kernel.read_from(root, BUFFER, &mut bytes).unwrap();
        for record in bytes.as_chunks().0 {
            let record = TraceRecord::from_bytes(record);
            assert_eq!((record.event(), record.code()), (Some(Event::Send), seen));
            seen += 1;
        }
        assert_eq!(read.next, u64::from(seen));
        from = read.next;
    }
    assert_eq!(seen, 500);
    segment(&mut kernel, root, 200);
    let read = ask(&mut kernel, Kernel::statistics_request, root, &ReadTrace { from: 490 }).unwrap();
    assert_eq!((read.count, read.next), (3, 493));
    let read = ask(&mut kernel, Kernel::statistics_request, root, &ReadTrace { from: u64::MAX }).unwrap();
    assert_eq!((read.count, read.next), (0, 500));
    assert_eq!(
        ask(&mut kernel, Kernel::statistics_request, root, &SetTrace { events: 0 }).map(|set| set.previous),
        Ok(Event::Send.bit())
    );
}

#[test]
fn the_log_is_written_and_read() {
    let (mut kernel, root) = reader(Rights::TRACE);
    kernel.log(b"kernel\n");
    kernel.write_to(root, BUFFER, b"server\n").unwrap();
    segment(&mut kernel, root, 7);
    ask(&mut kernel, Kernel::statistics_request, root, &WriteLog {}).unwrap();
    assert_eq!(kernel.machine.logged, "kernel\nserver\n");
    segment(&mut kernel, root, 257);
    assert_eq!(
        ask(&mut kernel, Kernel::statistics_request, root, &WriteLog {}).map(|_| ()),
        Err(Error::TooLong)
    );
    segment(&mut kernel, root, BUFFER_BYTES);
    let read = ask(&mut kernel, Kernel::statistics_request, root, &ReadLog { from: 3 }).unwrap();
    assert_eq!((read.count, read.next), (11, 14));
    let mut bytes = [0; 11];
    kernel.read_from(root, BUFFER, &mut bytes).unwrap();
    assert_eq!(&bytes, b"nel\nserver\n");
    // Around the end of the ring, and after a loss.
    for _ in 0..10_000 {
        kernel.log(b"0123456789");
    }
    let read = ask(&mut kernel, Kernel::statistics_request, root, &ReadLog { from: 0 }).unwrap();
    assert_eq!(u64::from(read.count), LOG_BYTES_AT_ONCE);
    let first = 100_014 - u64::from(crate::log::LOG_BYTES);
    assert_eq!(read.next, first + LOG_BYTES_AT_ONCE);
    let mut bytes = vec![0; read.count as usize];
    kernel.read_from(root, BUFFER, &mut bytes).unwrap();
    for (number, byte) in (first..).zip(bytes) {
        assert_eq!(byte, b'0' + ((number - 14) % 10) as u8);
    }
}
