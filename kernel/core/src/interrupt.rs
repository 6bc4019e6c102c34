//! Device interrupts as messages.
//!
//! A claimed line is a pseudo-sender that belongs to the claiming process. When the device wants attention the line is
//! masked and a notice sent; the reply unmasks it. A message line cannot be masked, so its notice wants no reply: once
//! it is received the next may be sent. Who may claim which line is the device server's business.

use abi::kernel::message_line;
use abi::notice;
use abi::protocol::Request;
use abi::trace::Event;
use abi::{Error, Pid};

use crate::kernel::{INTERRUPT_LINES, Kernel};
use crate::machine::{Machine, Next, ProcessIndex};
use crate::process::{Kind, NOBODY, State};
use crate::{Result, ensure};

impl<M: Machine> Kernel<M> {
    /// A device interrupt on `line`, which the machine has acknowledged.
    pub fn interrupt(&mut self, line: u32) -> Next<M::Space> {
        self.interrupt_current();
        self.counters.interrupts += 1;
        if !message_line::contains(line) {
            self.machine.mask_interrupt(line);
        }
        let slot = self.interrupt_slots.get(line as usize).copied().unwrap_or(NOBODY);
        if slot != NOBODY {
            self.processes[slot].extra.count += 1;
            if self.processes[slot].state == State::Idle {
                if let Some(next) = self.short_interrupt(slot) {
                    return next;
                }
                self.send_interrupt(slot);
            }
        }
        self.leave()
    }

    fn send_interrupt(&mut self, slot: ProcessIndex) {
        let process = &mut self.processes[slot];
        let count = core::mem::take(&mut process.extra.count);
        let notice = notice::notice::Interrupt { line: process.extra.value, count: count as u32 };
        process.registers.message = notice.to_message().to_registers();
        let (pid, owner) = (process.pid, process.owner);
        let to = self.processes[owner].pid;
        self.trace(Event::Interrupt, notice.line, pid, to);
        self.post(slot, owner);
    }

    /// The driver has replied.
    pub(crate) fn interrupt_answered(&mut self, slot: ProcessIndex) {
        if self.processes[slot].extra.count > 0 {
            self.send_interrupt(slot);
        } else {
            let line = self.processes[slot].extra.value;
            self.machine.unmask_interrupt(line);
        }
    }

    /// Makes `caller`, which may, the receiver of a line's interrupts. The pid is the notices' sender.
    pub fn claim_interrupt(&mut self, caller: ProcessIndex, line: u32) -> Result<Pid> {
        let claimed_by = self.interrupt_slots.get(line as usize).ok_or(Error::BadArgument)?;
        ensure(*claimed_by == NOBODY, Error::Busy)?;
        let owner = &self.processes[caller];
        let (team, priority) = (owner.team, owner.own_priority);
        let slot = self.create_slot(team, Kind::Interrupt, priority)?;
        let process = &mut self.processes[slot];
        process.owner = caller;
        process.extra.value = line;
        if !self.machine.unmask_interrupt(line) {
            self.release_pseudo(slot);
            return Err(Error::BadArgument);
        }
        self.interrupt_slots[line as usize] = slot;
        self.processes[caller].interrupts += 1;
        Ok(self.processes[slot].pid)
    }

    /// Gives a line back that `caller` has claimed.
    pub fn release_interrupt(&mut self, caller: ProcessIndex, interrupt: Pid) -> Result<()> {
        let slot = self.processes.find(interrupt)?;
        let process = &self.processes[slot];
        ensure(process.kind == Kind::Interrupt && process.owner == caller, Error::NoPermission)?;
        self.free_interrupt(slot);
        Ok(())
    }

    /// Gives all lines of a process back.
    pub(crate) fn release_interrupts(&mut self, owner: ProcessIndex) {
        if self.processes[owner].interrupts == 0 {
            return;
        }
        for line in 0..INTERRUPT_LINES {
            let slot = self.interrupt_slots[line];
            if slot != NOBODY && self.processes[slot].owner == owner {
                self.free_interrupt(slot);
            }
        }
    }

    fn free_interrupt(&mut self, slot: ProcessIndex) {
        let (line, owner) = (self.processes[slot].extra.value, self.processes[slot].owner);
        self.machine.mask_interrupt(line);
        self.interrupt_slots[line as usize] = NOBODY;
        self.processes[owner].interrupts -= 1;
        self.release_pseudo(slot);
    }
}
