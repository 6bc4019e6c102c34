//! MoveTo and MoveFrom: copies between the caller's memory and the segment of a client that awaits its reply.
//!
//! The first 64 KiB are copied at once. What is left goes on as long work of the caller, a step at a time, with
//! interrupts taken and more urgent processes run in between; before each step the client is looked up again.
//! While the copy goes on, its arguments stay in the caller's registers and `extra.count` says how far it is.

use abi::call::MoveTo;
use abi::{Access, Error, Pid};

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex, Side};
use crate::process::{Kind, NOBODY, State};
use crate::transfer::HEAD_BYTES;

impl<M: Machine> Kernel<M> {
    /// System calls MoveTo and MoveFrom.
    #[inline(never)]
    pub(crate) fn begin_long_copy(&mut self, caller: ProcessIndex) -> Next<M::Space> {
        self.processes[caller].extra.count = 0;
        if self.copy_step(caller) {
            return self.leave();
        }
        self.block_current(State::Working);
        self.processes[caller].partner = NOBODY;
        self.ready.push_front(&mut self.processes, caller);
        Next::Work
    }

    /// A further step, for a process that is `Working`.
    pub(crate) fn continue_long_copy(&mut self, index: ProcessIndex) {
        self.cpu_mut().last = index;
        if self.copy_step(index) {
            self.ready.remove(&mut self.processes, index);
            self.processes[index].state = State::Ready;
            self.ready.push_front(&mut self.processes, index);
        }
    }

    /// Copies up to 64 KiB. True when the call is done, well or not, and its results are in the registers.
    fn copy_step(&mut self, caller: ProcessIndex) -> bool {
        let total = self.processes[caller].registers.extra[2];
        let result = self.copy_some(caller);
        let done = self.processes[caller].extra.count;
        match result {
            Ok(()) if done < total => return false,
            Ok(()) => self.processes[caller].clear_results(),
            Err(error) => self.processes[caller].set_error(error),
        }
        self.processes[caller].registers.extra[0] = done;
        true
    }

    fn copy_some(&mut self, caller: ProcessIndex) -> Result<(), Error> {
        let process = &self.processes[caller];
        let [offset, address, total, ..] = process.registers.extra;
        let done = process.extra.count;
        let into_segment = process.registers.number == MoveTo::NUMBER;

        let client = self.processes.find(Pid::from_bits(process.registers.pid))?;
        let other = &self.processes[client];
        if other.state != State::AwaitingReply || other.partner != caller {
            return Err(Error::NotAwaitingReply);
        }
        let grant = other.grant();
        let (wanted, refusal) = if into_segment {
            (Access::WRITE, Error::NoWriteAccess)
        } else {
            (Access::READ, Error::NoReadAccess)
        };
        // A copy's replies carry what is to be written; and each sender has several.
        let one_way = other.kind == Kind::Copy && into_segment;
        if !grant.access().contains(wanted) || one_way {
            return Err(refusal);
        }
        if offset.checked_add(total).is_none_or(|end| end > grant.bytes()) {
            return Err(Error::TooLong);
        }
        let bytes = (total - done).min(HEAD_BYTES);
        if other.kind == Kind::Copy {
            // Its segment, of a page at most, is kept by the kernel.
            self.move_from_copy(client, offset, caller, address, bytes)?;
            self.processes[caller].extra.count = bytes;
            return Ok(());
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
        result.map_err(|stop| stop.blame(own_side))
    }
}
