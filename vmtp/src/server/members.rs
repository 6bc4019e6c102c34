//! Requests to groups, and the responses of their members.
//!
//! A request to a group is delivered once. Each member's response has a record of its own, on a list that hangs on the
//! request's: it is sent, kept and acknowledged like any other, and goes when the request's record goes. Where one member
//! is to answer, the request's own record does.

use super::{ServerRecord, ServerState};
use crate::EntityId;
use crate::action::RequestId;
use crate::engine::Engine;
use crate::outcome::Stale;
use crate::table::NEVER;

impl Engine {
    /// Of a delivered request to a group, which none has answered: that one member alone is to answer it: then [`Engine::reply`] voids its id, as
    /// that of a request to an individual.
    pub fn expect_one(&mut self, id: RequestId) -> Result<(), Stale> {
        let index = self.processing(id)?;
        debug_assert!(self.servers[index].linked.is_none(), "no member has answered");
        self.servers[index].is_for_one = true;
        Ok(())
    }

    /// The record for a response to request `index`: its own, or if several members answer it, a new one.
    pub(super) fn responding(&mut self, index: usize) -> Result<usize, Stale> {
        let record = &self.servers[index];
        if record.has_one_response() {
            return Ok(index);
        }
        let member = ServerRecord {
            state: ServerState::Processing,
            header: record.header,
            host: record.host,
            forwarder: record.forwarder,
            server: record.server,
            linked: record.linked,
            is_linked: true,
            ..ServerRecord::default()
        };
        let host = record.host as usize;
        let Some(member) = self.servers.take(member) else {
            self.counters.overflows += 1;
            return Err(Stale);
        };
        self.hold_host(host);
        self.hosts[host].served += 1;
        self.servers[index].linked = Some(member as u32);
        Ok(member)
    }

    /// The record of the response by `server` to the client's request of this transaction; `index` is the latest.
    pub(super) fn responder_of(&self, index: usize, transaction: u32, server: EntityId) -> Option<usize> {
        if self.servers[index].has_one_response() {
            return self.transaction_of(index, transaction).map(|found| found.0);
        }
        self.members(index).find(|member| self.servers[*member].header.server == server)
    }

    fn members(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let next = |index: usize| self.servers[index].linked.map(|member| member as usize);
        core::iter::successors(next(index), move |index| next(*index))
    }

    /// Whether responses to request `index` to a group have segments that its client has not said that it has.
    pub(super) fn has_members_to_be_heard(&self, index: usize) -> bool {
        self.servers[index].server.is_group()
            && self.members(index).any(|member| self.servers[member].response.is_some())
    }

    /// Sends the responses to a request to a group again.
    pub(super) fn repeat_members(&mut self, index: usize) {
        let mut next = self.servers[index].linked.filter(|_| self.servers[index].server.is_group());
        while let Some(member) = next {
            next = self.servers[member as usize].linked;
            let count = self.servers[index].header.control.retransmit_count();
            let control = &mut self.servers[member as usize].header.control;
            *control = control.with_retransmit_count(count);
            self.repeat_answer(member as usize);
        }
    }

    /// Frees the responses to request `index`, or what is before it in its run; those with something to give out as soon
    /// as that is done.
    pub(super) fn free_members(&mut self, index: usize) {
        let mut next = self.servers[index].linked.take();
        while let Some(member) = next {
            let member = member as usize;
            next = self.servers[member].linked.take();
            self.drop_request(member);
            self.detach(member);
        }
    }

    pub(super) fn free_member(&mut self, member: usize) {
        let node = self.server_node(member);
        let host = self.servers[member].host as usize;
        self.let_go_of_host(host);
        self.hosts[host].served -= 1;
        self.servers.release(member);
        self.timers.set(node, NEVER);
        self.ready.remove(node);
        self.ready.set_priority(node, 0);
    }
}
