//! Faults and exceptions of programs.
//!
//! A process that meets an exception stops and *sends* a notice to its team's exception server, with its whole
//! address space granted as at its birth, so that the server can read its stack or a debugger its memory. The reply resumes it
//! with all its registers. If no one is there to hear (no server, the server in trouble itself, or a part of the
//! same team) the team ends, and its status says why.

use abi::notice::{self, REASON_SHIFT, STATUS_EXCEPTION};
use abi::protocol::Request;
use abi::trace::Event;
use abi::{Access, Error, Grant, Pid, USER_ADDRESS_END};

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex, Protection};
use crate::paging::PAGE_MISSING;
use crate::process::{Flags, NOBODY, State};
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
        self.page_requests.may_switch = true;
        let touched = self.touch(team, address, access);
        self.page_requests.may_switch = false;
        let gives_page = u64::from(matches!(touched, Ok(()) | Err(PAGE_MISSING)));
        self.counters.page_faults += gives_page;
        self.processes[current].usage.page_faults += gives_page;
        match touched {
            Ok(()) => {}
            Err(PAGE_MISSING) => {
                self.processes[current].usage.page_reads += 1;
                self.await_touched(address, access, code);
                let woken = core::mem::replace(&mut self.page_requests.woken, NOBODY);
                if woken != NOBODY {
                    return self.switch_to(woken);
                }
            }
            Err(error) => {
                self.block_current(State::Sending);
                self.page_exception(current, address, code, error);
            }
        }
        self.leave()
    }

    /// A process, which does not run, cannot have the page that it touched.
    pub(crate) fn page_exception(&mut self, index: ProcessIndex, address: u64, code: u32, error: Error) {
        self.raise(index, PAGE_FAULT, code | error.code() << REASON_SHIFT, address);
    }

    /// The current process met an exception. `address` is what it touched, for a page fault.
    pub fn exception(&mut self, vector: u32, code: u32, address: u64) -> Next<M::Space> {
        self.interrupt_current();
        let current = self.cpu().current;
        self.block_current(State::Sending);
        self.raise(current, vector, code, address);
        self.leave()
    }

    /// Sends the notice of an exception for a process, which does not run.
    fn raise(&mut self, index: ProcessIndex, vector: u32, code: u32, address: u64) {
        self.counters.exceptions += 1;
        let pid = self.processes[index].pid;
        self.trace(Event::Fault, vector, pid, Pid::from_bits(address));
        match self.find_exception_server(index) {
            Err(_) => {
                self.processes[index].state = State::Idle;
                let team = self.processes[index].team;
                self.destroy_team(team, STATUS_EXCEPTION + vector);
            }
            Ok(server) => {
                let instruction = self.machine.full_registers(index).rip;
                let notice = notice::notice::Exception { vector, code, address, instruction };
                let process = &mut self.processes[index];
                process.clear_results();
                process.registers.message = notice.to_message().to_registers();
                process.registers.extra[1] = Grant::new(USER_ADDRESS_END, Access::READ_WRITE).to_bits();
                process.flags.set(Flags::EXCEPTION);
                process.extra.value = vector;
                self.post(index, server);
            }
        }
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
