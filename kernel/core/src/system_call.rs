//! System calls: which is which, and the results that all of them share.

use abi::Error;
use abi::call::{Forward, GetReply, MoveFrom, MoveTo, Receive, Reply, ReplyReceive, Send};

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex};
use crate::paging::{PAGE_MISSING, Wait};
use crate::process::{Process, State};

impl<M: Machine> Kernel<M> {
    /// The current process made a system call that the short path cannot do; its registers are in its descriptor.
    #[inline(never)]
    pub fn general_call(&mut self) -> Next<M::Space> {
        let caller = self.cpu().current;
        let outcome = match self.processes[caller].registers.number {
            Send::NUMBER => self.send(caller),
            Receive::NUMBER => self.receive(caller),
            Reply::NUMBER => self.reply(caller),
            ReplyReceive::NUMBER => self.reply_receive(caller),
            Forward::NUMBER => self.forward(caller),
            MoveTo::NUMBER | MoveFrom::NUMBER => self.begin_long_copy(caller),
            GetReply::NUMBER => self.get_reply(caller),
            _ => Err(Error::BadRequest),
        };
        outcome.unwrap_or_else(|error| {
            if error == PAGE_MISSING {
                self.block_current(State::Sending);
                self.await_page(caller, Wait::Call);
                return self.leave();
            }
            self.processes[caller].set_error(error);
            self.leave()
        })
    }

    /// The call of a process that waits, and is in no list, fails.
    #[cold]
    pub(crate) fn fail(&mut self, index: ProcessIndex, error: Error) {
        self.processes[index].set_error(error);
        self.make_ready(index);
    }
}

impl<Space> Process<Space> {
    /// Success, and nothing more to say.
    pub(crate) fn clear_results(&mut self) {
        self.registers.number = 0;
        self.registers.pid = 0;
        self.registers.message = [0; 4];
        self.registers.extra = [0; 5];
    }

    /// Failure, and nothing more to say.
    pub(crate) fn set_error(&mut self, error: Error) {
        self.clear_results();
        self.registers.number = u64::from(error.code());
        self.forwarder = abi::Pid::NONE;
    }
}
