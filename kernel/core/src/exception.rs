//! Faults and exceptions of programs.
//!
//! A process that meets an exception stops and *sends* a notice to its team's exception server, with its whole
//! address space granted as at its birth, so that the server can read its stack or a debugger its memory. The reply resumes it
//! with all its registers. If no one is there to hear (no server, the server in trouble itself, or a part of the
//! same team) the team ends, and its status says why.

use abi::notice::{self, STATUS_EXCEPTION};
use abi::protocol::Request;
use abi::trace::Event;
use abi::{Access, Error, Grant, Pid, USER_ADDRESS_END};

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex, Protection};
use crate::process::{Flags, State};
use crate::{Result, ensure};

/// The processor's number of a page fault.
const PAGE_FAULT: u32 = 14;

impl<M: Machine> Kernel<M> {
    /// The current process touched a page that is not there, or not for this `access` (one of `READ`, `WRITE`,
    /// `EXECUTE`). `code` is the processor's error code, for the report.
    pub fn page_fault(&mut self, address: u64, access: Protection, code: u32) -> Next<M::Space> {
        self.interrupt_current();
        let current = self.cpu().current;
        let team = self.processes[current].team;
        if self.touch(team, address, access).is_ok() {
            self.counters.page_faults += 1;
            return self.leave();
        }
        self.exception(PAGE_FAULT, code, address)
    }

    /// The current process met an exception. `address` is what it touched, for a page fault.
    pub fn exception(&mut self, vector: u32, code: u32, address: u64) -> Next<M::Space> {
        self.interrupt_current();
        self.counters.exceptions += 1;
        let current = self.cpu().current;
        let pid = self.processes[current].pid;
        self.trace(Event::Fault, vector, pid, Pid::from_bits(address));
        match self.find_exception_server(current) {
            Err(_) => {
                let team = self.processes[current].team;
                self.destroy_team(team, STATUS_EXCEPTION + vector);
            }
            Ok(server) => {
                let instruction = self.machine.full_registers(current).rip;
                let notice = notice::notice::Exception { vector, code, address, instruction };
                self.block_current(State::Sending);
                let process = &mut self.processes[current];
                process.clear_results();
                process.registers.message = notice.to_message().to_registers();
                process.registers.extra[1] = Grant::new(USER_ADDRESS_END, Access::READ_WRITE).to_bits();
                process.flags.set(Flags::EXCEPTION);
                process.extra.value = vector;
                self.post(current, server);
            }
        }
        self.leave()
    }

    fn find_exception_server(&self, index: ProcessIndex) -> Result<ProcessIndex> {
        let team = self.processes[index].team;
        let server = self.find_receiver(self.team(team).exception_server)?;
        let process = &self.processes[server];
        // Nobody would ever answer.
        ensure(
            process.state != State::KernelServer
                && process.team != team
                && !process.flags.has(Flags::EXCEPTION),
            Error::NonexistentProcess,
        )?;
        Ok(server)
    }
}
