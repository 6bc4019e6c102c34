//! MoveTo and MoveFrom: copies between the caller's memory and the segment of a client that awaits its reply.
//!
//! The first 64 KiB are copied at once. What is left goes on as long work of the caller, a step at a time, with
//! interrupts taken and more urgent processes run in between; before each step the client is looked up again.
//! While the copy goes on, its arguments stay in the caller's registers and `extra.count` says how far it is. Where the
//! client is on another node and what is wanted of its segment is not here, `remote` goes on.

use abi::call::MoveTo;
use abi::{Access, Error, Pid};

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex, Side};
use crate::paging::{PAGE_MISSING, Wait};
use crate::process::{Kind, State};
use crate::transfer::HEAD_BYTES;
use crate::{Result, ensure};

/// What became of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The call is done.
    Done,
    /// More is to be copied.
    More,
    /// A page of the caller's own was asked for.
    Missing,
    /// The segment is on the node of this alien's client.
    Elsewhere(ProcessIndex),
}

impl<M: Machine> Kernel<M> {
    /// System calls MoveTo and MoveFrom.
    #[inline(never)]
    pub(crate) fn begin_long_copy(&mut self, caller: ProcessIndex) -> Result<Next<M::Space>> {
        self.processes[caller].extra.count = 0;
        match self.copy_step(caller) {
            Step::Done => Ok(self.leave()),
            Step::Elsewhere(alien) => self.begin_move(caller, alien),
            Step::More => {
                self.begin_work(caller);
                Ok(Next::Work)
            }
            Step::Missing => {
                self.block_current(State::Working);
                self.await_page(caller, Wait::Work);
                Ok(self.leave())
            }
        }
    }

    /// A further step, for a process that is `Working`.
    pub(crate) fn continue_long_copy(&mut self, index: ProcessIndex) {
        match self.copy_step(index) {
            Step::More => {}
            Step::Missing => self.pause_work(index),
            Step::Done | Step::Elsewhere(_) => self.end_work(index),
        }
    }

    /// Copies up to 64 KiB. When the call is done, well or not, its results are in the registers.
    fn copy_step(&mut self, caller: ProcessIndex) -> Step {
        match self.copy_some(caller) {
            Ok(Step::Done) => self.processes[caller].clear_results(),
            Ok(step) => return step,
            Err(PAGE_MISSING) => return Step::Missing,
            Err(error) => self.processes[caller].set_error(error),
        }
        let process = &mut self.processes[caller];
        process.registers.extra[0] = process.extra.count;
        Step::Done
    }

    /// Copies, or says for which alien the network server must.
    fn copy_some(&mut self, caller: ProcessIndex) -> Result<Step> {
        let process = &self.processes[caller];
        let [offset, address, total, ..] = process.registers.extra;
        let done = process.extra.count;
        let into_segment = process.registers.number == MoveTo::NUMBER;

        let client = self.find_client(caller, Pid::from_bits(process.registers.pid))?;
        let other = &self.processes[client];
        let grant = other.grant();
        let (wanted, refusal) = if into_segment {
            (Access::WRITE, Error::NoWriteAccess)
        } else {
            (Access::READ, Error::NoReadAccess)
        };
        // A copy's replies carry what is to be written; and each sender has several.
        let one_way = other.kind == Kind::Copy && into_segment;
        ensure(grant.access().contains(wanted) && !one_way, refusal)?;
        ensure(offset.checked_add(total).is_some_and(|end| end <= grant.bytes()), Error::TooLong)?;
        let bytes = (total - done).min(HEAD_BYTES);
        if other.kind == Kind::Copy {
            // Its segment, of a page at most, is kept by the kernel.
            self.move_from_copy(client, offset, caller, address, bytes)?;
            self.processes[caller].extra.count = bytes;
            return Ok(Step::Done);
        }
        if other.kind == Kind::Alien && total > 0 && (into_segment || offset + total > other.bytes_here()) {
            // If some is done, its client has sent anew in the meantime.
            ensure(done == 0, Error::NotAwaitingReply)?;
            return Ok(Step::Elsewhere(client));
        }
        let here = address.checked_add(done).ok_or(Error::BadAddress)?;
        let there = other.segment_address() + offset + done;
        let (from, from_address, to, to_address) =
            if into_segment { (caller, here, client, there) } else { (client, there, caller, here) };
        let result = self.copy(from, from_address, to, to_address, bytes);
        self.processes[caller].extra.count += match result {
            Ok(()) => bytes,
            Err(stop) => stop.done,
        };
        let own_side = if into_segment { Side::Source } else { Side::Destination };
        result.map_err(|stop| stop.blame(own_side))?;
        Ok(if done + bytes < total { Step::More } else { Step::Done })
    }
}
