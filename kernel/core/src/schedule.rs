//! Who runs: strict priorities, round robin within one, and the way out of every entry to the kernel.
//!
//! The running process is in no ready list. Nobody ready is ever more urgent than it when the kernel is left, which is
//! why a Send may switch straight to its receiver without a look at the lists.

use abi::Pid;
use abi::call::Send;
use abi::kernel::priority;
use abi::trace::Event;

use crate::kernel::Kernel;
use crate::list::List;
use crate::machine::{Machine, Next, ProcessIndex};
use crate::paging::Wait;
use crate::process::{Flags, NOBODY, State};
use crate::table::Processes;

/// How long a process may run while others of its priority are ready.
pub const SLICE_NS: u64 = 10_000_000;

/// One list for each priority, and a bit for each that has anyone.
#[derive(Clone, Copy, Debug)]
pub struct ReadyLists {
    levels: u32,
    /// The lists.
    pub lists: [List; 32],
}

const _: () = assert!(priority::COUNT <= 32);

impl Default for ReadyLists {
    fn default() -> ReadyLists {
        ReadyLists { levels: 0, lists: [List::EMPTY; 32] }
    }
}

impl ReadyLists {
    /// The most urgent priority at which anyone is ready; beyond all priorities if nobody is.
    #[inline]
    pub const fn most_urgent(&self) -> u8 {
        self.levels.trailing_zeros() as u8
    }

    /// The process that should run next, or nobody.
    #[inline]
    pub fn first(&self) -> ProcessIndex {
        if self.levels == 0 { NOBODY } else { self.lists[(self.levels.trailing_zeros() & 31) as usize].head }
    }

    /// Adds a process behind the others of its priority.
    pub fn push_back<S>(&mut self, table: &mut Processes<S>, index: ProcessIndex) {
        let level = table[index].priority & 31;
        self.levels |= 1 << level;
        self.lists[usize::from(level)].push_back(table, index);
    }

    /// Adds a process before the others of its priority.
    pub fn push_front<S>(&mut self, table: &mut Processes<S>, index: ProcessIndex) {
        let level = table[index].priority & 31;
        self.levels |= 1 << level;
        self.lists[usize::from(level)].push_front(table, index);
    }

    /// Takes a listed process out.
    pub fn remove<S>(&mut self, table: &mut Processes<S>, index: ProcessIndex) {
        let level = table[index].priority & 31;
        let list = &mut self.lists[usize::from(level)];
        list.remove(table, index);
        if list.is_empty() {
            self.levels &= !(1 << level);
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// A process that is in no list may run again.
    pub(crate) fn make_ready(&mut self, index: ProcessIndex) {
        let now = self.coarse_now_ns;
        let process = &mut self.processes[index];
        process.state = State::Ready;
        process.since_ns = now;
        if !process.flags.has(Flags::SUSPENDED) {
            self.ready.push_back(&mut self.processes, index);
        }
    }

    /// Nobody is current any more. Returns who was.
    #[inline]
    pub(crate) fn forget_current(&mut self) -> ProcessIndex {
        let cpu = self.cpu_mut();
        cpu.last = core::mem::replace(&mut cpu.current, NOBODY);
        cpu.last
    }

    /// The current process stops running; the caller says by its state why.
    #[inline]
    pub(crate) fn block_current(&mut self, state: State) {
        let now = self.coarse_now_ns;
        let index = self.forget_current();
        let process = &mut self.processes[index];
        process.state = state;
        process.since_ns = now;
    }

    /// The current process goes on with long work, a step whenever it would run.
    pub(crate) fn begin_work(&mut self, caller: ProcessIndex) {
        self.block_current(State::Working);
        self.processes[caller].partner = NOBODY;
        self.ready.push_front(&mut self.processes, caller);
    }

    /// A process that is in no list goes on with long work.
    pub(crate) fn go_on_working(&mut self, index: ProcessIndex) {
        self.processes[index].state = State::Working;
        if !self.processes[index].flags.has(Flags::SUSPENDED) {
            self.ready.push_front(&mut self.processes, index);
        }
    }

    /// A process at long work has to wait for a page before the next step.
    pub(crate) fn pause_work(&mut self, index: ProcessIndex) {
        self.ready.remove(&mut self.processes, index);
        self.await_page(index, Wait::Work);
    }

    /// A process, the first of the ready ones, makes its system call anew: the page that it lacked has come.
    fn call_again(&mut self, index: ProcessIndex) -> Next<M::Space> {
        self.ready.remove(&mut self.processes, index);
        self.processes[index].wait = Wait::None;
        self.processes[index].state = State::Ready;
        self.begin_running(index);
        self.general_call()
    }

    /// A process's long work is done; its results are in its registers.
    pub(crate) fn end_work(&mut self, index: ProcessIndex) {
        self.ready.remove(&mut self.processes, index);
        self.processes[index].state = State::Ready;
        self.ready.push_front(&mut self.processes, index);
    }

    /// Runs `index`, which is ready and in no list, unless someone more urgent is.
    #[inline]
    pub(crate) fn switch_to(&mut self, index: ProcessIndex) -> Next<M::Space> {
        let process = &self.processes[index];
        if process.priority <= self.ready.most_urgent() && !process.flags.has(Flags::SUSPENDED) {
            self.begin_running(index);
            return self.run(index);
        }
        self.make_ready(index);
        self.choose()
    }

    /// The way out of the kernel where nothing shorter is known: the current process if it may go on, else the most
    /// urgent one that is ready.
    pub(crate) fn leave(&mut self) -> Next<M::Space> {
        let current = self.cpu().current;
        if current != NOBODY {
            if self.processes[current].priority <= self.ready.most_urgent() {
                return self.run(current);
            }
            // It keeps the rest of its slice: others of its priority come after it.
            self.ready.push_front(&mut self.processes, current);
            self.forget_current();
        }
        self.choose()
    }

    /// Nobody runs: picks the most urgent ready process.
    pub fn choose(&mut self) -> Next<M::Space> {
        let index = self.ready.first();
        if index == NOBODY {
            if self.regions.objects.unbound > 0 && self.release_unbound_step() || self.zero_ahead() {
                return Next::Work;
            }
            self.begin_idle();
            return Next::Idle;
        }
        if self.cpu().idle {
            self.end_idle();
        }
        if self.processes[index].state == State::Working {
            self.cpu_mut().last = index;
            if self.processes[index].wait == Wait::Call {
                return self.call_again(index);
            }
            if self.processes[index].flags.has(Flags::ENDED) {
                self.end_team_step(index);
            } else if self.processes[index].registers.number == Send::NUMBER {
                self.continue_request(index);
            } else {
                self.continue_long_copy(index);
            }
            return Next::Work;
        }
        self.ready.remove(&mut self.processes, index);
        self.begin_running(index);
        self.run(index)
    }

    fn begin_running(&mut self, index: ProcessIndex) {
        self.counters.switches += 1;
        self.trace.note_running(self.processes[index].pid);
        let last = core::mem::replace(&mut self.cpu_mut().current, index);
        if self.trace.wants(Event::Switch) {
            let last = if last == NOBODY { self.cpu().last } else { last };
            let from = if last == NOBODY { Pid::NONE } else { self.processes[last].pid };
            let to = self.processes[index].pid;
            self.trace(Event::Switch, 0, from, to);
        }
    }

    fn run(&mut self, index: ProcessIndex) -> Next<M::Space> {
        let process = &mut self.processes[index];
        Next::Run { process: index, space: process.space, resume: core::mem::take(&mut process.resume) }
    }

    /// The current process, interrupted, lets others of its priority run.
    pub(crate) fn rotate(&mut self) {
        let current = self.cpu().current;
        if current != NOBODY {
            self.forget_current();
            self.ready.push_back(&mut self.processes, current);
            return;
        }
        // Long work is under way for the first ready process.
        let first = self.ready.first();
        if first != NOBODY {
            self.ready.remove(&mut self.processes, first);
            self.ready.push_back(&mut self.processes, first);
        }
    }

    #[cold]
    fn begin_idle(&mut self) {
        if self.cpu().idle {
            return;
        }
        self.charge();
        self.cpu_mut().idle = true;
        self.set_timer();
    }

    #[cold]
    pub(crate) fn end_idle(&mut self) {
        let idle_since_ns = self.cpu().charged_ns;
        let now = self.read_clock();
        self.counters.idle_ns += now.saturating_sub(idle_since_ns);
        let cpu = self.cpu_mut();
        cpu.idle = false;
        cpu.charged_ns = now;
        cpu.slice_end_ns = now + SLICE_NS;
        self.set_timer();
    }

    /// Charges the time since the last charge to whoever runs, or ran last.
    ///
    /// Switches between messages don't read the clock: over many ticks each gets its share.
    pub(crate) fn charge(&mut self) {
        let now = self.read_clock();
        let cpu = self.cpu_mut();
        if cpu.idle {
            // Nobody's time; `end_idle` counts it.
            return;
        }
        let index = if cpu.current == NOBODY { cpu.last } else { cpu.current };
        let elapsed = now.saturating_sub(cpu.charged_ns);
        cpu.charged_ns = now;
        if index != NOBODY {
            self.processes[index].usage.run_ns += elapsed;
        }
    }

    /// Reads the monotonic clock.
    pub(crate) fn read_clock(&mut self) -> u64 {
        self.coarse_now_ns = self.machine.now_ns();
        self.coarse_now_ns
    }
}
