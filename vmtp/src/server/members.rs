//! Requests to groups, and the responses of their members.
//!
//! A request to a group is delivered once. Each member's response has a record of its own, on a list that hangs on the
//! request's: it is sent, kept and acknowledged like any other, and goes when the request's record goes.

use super::{ServerRecord, ServerState};
use crate::EntityId;
use crate::engine::Engine;
use crate::outcome::Stale;
use crate::table::NEVER;

impl Engine {
    /// The record for a response to request `index`: its own, or if it is to a group, a new one.
    pub(super) fn responding(&mut self, index: usize) -> Result<usize, Stale> {
        let record = &self.servers[index];
        if !record.server.is_group() {
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
        if !self.servers[index].server.is_group() {
            return self.transaction_of(index, transaction).map(|found| found.0);
        }
        self.members(index).find(|member| self.servers[*member].header.server == server)
    }

    fn members(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let next = |index: usize| self.servers[index].linked.map(|member| member as usize);
        core::iter::successors(next(index), move |index| next(*index))
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
