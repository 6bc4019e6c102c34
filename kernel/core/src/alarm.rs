//! Alarms: a time that comes to a process as a message.
//!
//! An alarm is a pseudo-sender with a deadline. It keeps its slot from the first `SetAlarm` of its process until it is
//! cancelled. One that comes due while the last notice is still unanswered follows as soon as that is answered.

use abi::notice;
use abi::protocol::Request;

use crate::Result;
use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::{Kind, NOBODY, State};

impl<M: Machine> Kernel<M> {
    /// Sets, or sets anew, the alarm of a process.
    pub(crate) fn set_alarm(&mut self, owner: ProcessIndex, at_ns: u64, tag: u32) -> Result<()> {
        let process = &self.processes[owner];
        let mut slot = process.alarm;
        if slot == NOBODY {
            let (team, priority) = (process.team, process.own_priority);
            slot = self.create_slot(team, Kind::Alarm, priority)?;
            self.processes[slot].owner = owner;
            self.processes[owner].alarm = slot;
        }
        if self.processes[slot].state == State::Sending {
            self.leave_state(slot);
        }
        self.processes[slot].extra.value = tag;
        self.processes[slot].extra.due = false;
        self.set_own_deadline(slot, at_ns);
        Ok(())
    }

    /// Takes a process's alarm away, if it has one.
    pub(crate) fn cancel_alarm(&mut self, owner: ProcessIndex) {
        let slot = core::mem::replace(&mut self.processes[owner].alarm, NOBODY);
        if slot != NOBODY {
            self.release_pseudo(slot);
        }
    }

    /// An alarm's time has come.
    pub(crate) fn alarm_due(&mut self, slot: ProcessIndex) {
        let process = &mut self.processes[slot];
        if process.state != State::Idle {
            process.extra.due = true;
            return;
        }
        process.extra.due = false;
        let notice = notice::notice::Alarm { tag: process.extra.value };
        process.registers.message = notice.to_message().to_registers();
        let owner = process.owner;
        self.post(slot, owner);
    }

    /// Its owner has replied to the notice.
    pub(crate) fn alarm_answered(&mut self, slot: ProcessIndex) {
        if self.processes[slot].extra.due {
            self.alarm_due(slot);
        }
    }
}
