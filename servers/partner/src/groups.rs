//! Groups with members on several machines: a message to one goes to all other machines in one packet group, each member
//! there gets an alien, and each answer is a reply of its own. Who has members nobody knows: those who have answer.

use alloc::vec::Vec;

use abi::Pid;
use abi::kernel::well_known_group;
use abi::wire::RequestPrefix;
use vmtp::{Refusal, Request, Response, SendId};

use crate::kernel::Kernel;
use crate::sends::take_apart;
use crate::{Link, Partner, from_wire, pid};

/// How long answers to a message to a group are taken.
pub const COLLECT_NS: u64 = 10_000_000_000;
/// Members of a group on one machine; no more get a message from another one.
const MOST_MEMBERS: usize = 16;

impl Partner {
    /// A request has come for a group.
    pub(crate) fn serve_group<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        request: &Request,
        prefix: &RequestPrefix,
        segment: &[u8],
        kernel: &mut K,
        link: &mut L,
    ) {
        let group = pid(request.server);
        if group == well_known_group::NETWORK_SERVERS {
            return self.answer_host(now_ns, request);
        }
        let members = kernel.members(group);
        if members.len() == 1 {
            // It has just come.
            let _ = self.engine.expect_one(request.id);
        }
        let has_members = !members.is_empty();
        let mut is_served = false;
        for member in members.into_iter().take(MOST_MEMBERS) {
            let Some(slot) = self.free_serve(pid(request.id.client), segment.len()) else { break };
            self.begin_serve(now_ns, request, member, prefix, segment.to_vec(), slot, kernel, link);
            is_served = true;
        }
        if !is_served {
            // Nobody is told of it; but where there is no room, the request may come again.
            let refusal = if has_members { Refusal::Busy } else { Refusal::NonexistentEntity };
            let _ = self.engine.refuse(now_ns, request.id, refusal);
        }
    }

    /// A member elsewhere has answered.
    pub(crate) fn collect_reply<K: Kernel>(
        &mut self,
        id: SendId,
        response: &Response,
        data: &[u8],
        kernel: &mut K,
    ) {
        let Some(client) = self.sends.client_of(id) else { return };
        // One that could not answer is as one that does not exist.
        let Ok((prefix, data)) = take_apart(response, data) else { return };
        if prefix.is_none_or(|prefix| prefix.outcome.is_ok() && prefix.forward_to.is_none()) {
            let message = from_wire(&response.message, data.len());
            // The sender may have lost interest, or have no room for more.
            let _ = kernel.reply(client, &message, data, pid(response.server));
        }
    }
}

/// The members that `at` tells one by one, each with how many there are.
pub fn members(mut at: impl FnMut(u32) -> Option<(Pid, u32)>) -> Vec<Pid> {
    let mut members = Vec::new();
    while members.len() < MOST_MEMBERS
        && let Some((member, count)) = at(members.len() as u32).filter(|(member, _)| !member.is_none())
    {
        members.push(member);
        if members.len() >= count as usize {
            break;
        }
    }
    members
}
