//! What the kernel and the network server do for a program with a logical host of its own.

use alloc::vec::Vec;

use abi::kernel::record::PagesRecord;
use abi::kernel::{self, memory, process};
use abi::notice::STATUS_KILLED;
use abi::{Error, LogicalHost, PAGE_BYTES, Pid};
use protocols::moving::MOST_STATE_BYTES;
use protocols::network::network;
use v::{Segment, call};

use crate::loader::with_network;
use crate::manage::destroy;

/// Bytes that most states have at most.
const FIRST_STATE_BYTES: usize = 64 * 1024;

/// Stops a program. [`Busy`](Error::Busy): not now, but soon.
pub fn freeze(program: Pid) -> Result<(), Error> {
    call(kernel::server(kernel::PROCESS), &process::FreezeTeam { team: program }, Segment::None)?;
    Ok(())
}

/// Lets a frozen program go on. One that has ended meanwhile does not.
pub fn thaw(program: Pid) {
    let _ = call(kernel::server(kernel::PROCESS), &process::ThawTeam { team: program }, Segment::None);
}

/// The pages of a program's own that it has written since this was asked last, or `all` that it has.
pub fn take_written(program: Pid, all: bool) -> Result<Vec<u64>, Error> {
    const AT_ONCE: usize = 64;
    let mut written = Vec::new();
    let mut bytes = [0; AT_ONCE * PagesRecord::BYTES];
    let mut address = 0;
    loop {
        let take = memory::TakeWritten { team: program, address, all: all.into() };
        let taken = call(kernel::server(kernel::MEMORY), &take, Segment::Write(&mut bytes))?;
        let (records, _) = bytes.as_chunks();
        for record in records.iter().take(taken.count as usize).map(PagesRecord::from_bytes) {
            written.extend((0..record.pages).map(|page| record.address + page * PAGE_BYTES));
        }
        if taken.next <= address {
            return Ok(written);
        }
        address = taken.next;
    }
}

/// Reads a page of a program's own; false if it is none.
pub fn read_page(program: Pid, address: u64, page: &mut [u8]) -> Result<bool, Error> {
    let read = memory::ReadMemory { team: program, address };
    Ok(call(kernel::server(kernel::MEMORY), &read, Segment::Write(page))?.pages > 0)
}

/// Writes whole pages of a program that does not run yet.
pub fn write_memory(team: Pid, address: u64, pages: &[u8]) -> Result<(), Error> {
    call(kernel::server(kernel::MEMORY), &memory::WriteMemory { team, address }, Segment::Read(pages))?;
    Ok(())
}

/// Ends what is left of a program that has moved. Nobody waits for it here.
pub fn end(program: Pid) {
    if let Err(error) = destroy(program, STATUS_KILLED) {
        v::log::error!("{program} has moved, and its former team does not end: {error}");
    }
}

/// Takes the state of a frozen program out of this node.
pub fn export(host: LogicalHost, team: Pid) -> Result<Vec<u8>, Error> {
    let request = network::ExportHost { logical_host: host.to_bits(), team };
    let mut state = alloc::vec![0; FIRST_STATE_BYTES];
    loop {
        match with_network(|server| call(server, &request, Segment::Write(&mut state))) {
            Ok(exported) => {
                state.truncate(exported.bytes as usize);
                return Ok(state);
            }
            Err(Error::TooLong) if state.len() < MOST_STATE_BYTES => {
                state = alloc::vec![0; (state.len() * 4).min(MOST_STATE_BYTES)];
            }
            Err(error) => return Err(error),
        }
    }
}

/// Puts a state into this node, and into a team that has none or that it came from. The program has the pid then that it
/// always had.
pub fn import(host: LogicalHost, team: Pid, state: &[u8]) -> Result<(), Error> {
    let request = network::ImportHost { logical_host: host.to_bits(), team };
    with_network(|server| call(server, &request, Segment::Read(state))).map(|_| ())
}
