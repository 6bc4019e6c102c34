//! Seams of the skeleton; each goes to its own module.

use abi::{Error, Pid};

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex, Protection};
use crate::team::TeamIndex;

#[allow(missing_docs, clippy::unused_self, clippy::needless_pass_by_ref_mut)]
impl<M: Machine> Kernel<M> {
    /// Space: makes the page at `address` resident if a region of the team allows `access`.
    pub(crate) fn touch(&mut self, _: TeamIndex, _address: u64, _access: Protection) -> Result<(), Error> {
        Err(Error::BadAddress)
    }
    /// Space: unmaps a bounded number of an ending team's pages and gives them back; true when none is left.
    pub(crate) fn release_regions_step(&mut self, _: TeamIndex) -> bool {
        true
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
    pub(crate) fn get_reply(&mut self, caller: ProcessIndex) -> Next<M::Space> {
        self.refuse(caller, Error::NothingWaiting)
    }
    pub(crate) fn group_deadline(&mut self, _: ProcessIndex) {}
    pub(crate) fn discard_group(&mut self, _: ProcessIndex) {}
    pub(crate) fn leave_groups(&mut self, _: ProcessIndex) {}
    pub(crate) fn copy_abandoned(&mut self, _: ProcessIndex) {}
    pub(crate) fn copy_kept_segment(
        &mut self,
        _: ProcessIndex,
        _: u64,
        _: ProcessIndex,
        _: u64,
        _: u64,
    ) -> Result<u64, Error> {
        Err(Error::NoReadAccess)
    }
}
