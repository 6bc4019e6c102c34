//! Seams of the skeleton; each goes to its own module.

use abi::{Error, Pid};

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex};

#[allow(missing_docs, clippy::unused_self, clippy::needless_pass_by_ref_mut)]
impl<M: Machine> Kernel<M> {
    pub(crate) fn kernel_request(&mut self, caller: ProcessIndex, _server: ProcessIndex) -> Next<M::Space> {
        self.counters.kernel_requests += 1;
        self.processes[caller].clear_results();
        self.processes[caller].registers.message[0] = u64::from(Error::BadRequest.code());
        self.leave()
    }
    pub(crate) fn send_to_group(&mut self, caller: ProcessIndex, _to: Pid) -> Next<M::Space> {
        self.refuse(caller, Error::EmptyGroup)
    }
    pub(crate) fn answer_copy(
        &mut self,
        _: ProcessIndex,
        _: ProcessIndex,
        _: u64,
        _: u64,
    ) -> Result<(), Error> {
        Err(Error::NotAwaitingReply)
    }
    pub(crate) fn pseudo_answered(&mut self, _: ProcessIndex) {}
    pub(crate) fn forget_team(&mut self, _: ProcessIndex) {}
    pub(crate) fn move_to(&mut self, caller: ProcessIndex) -> Next<M::Space> {
        self.refuse(caller, Error::BadRequest)
    }
    pub(crate) fn move_from(&mut self, caller: ProcessIndex) -> Next<M::Space> {
        self.refuse(caller, Error::BadRequest)
    }
    pub(crate) fn get_reply(&mut self, caller: ProcessIndex) -> Next<M::Space> {
        self.refuse(caller, Error::NothingWaiting)
    }
    pub(crate) fn alarm_due(&mut self, _: ProcessIndex) {}
    pub(crate) fn group_deadline(&mut self, _: ProcessIndex) {}
    pub(crate) fn end_delay(&mut self, _: ProcessIndex) {}
    pub(crate) fn work(&mut self, _: ProcessIndex) {}
}
