//! A kernel on a simulated machine, driven by a test.

use abi::call::{self, Registers};
use abi::kernel::{memory, process, protection};
use abi::protocol::{Reply as _, Request};
use abi::{Error, Grant, LogicalHost, Message, Pid, Rights, UserId};
use kernel_core::frame::{Frame, Frames};
use kernel_core::kernel::{Configuration, Kernel};
use kernel_core::machine::{Machine, Next, Place, ProcessIndex, Resume};
use kernel_core::process::{Flags, State};
use kernel_core::short_path::ShortCall;

use crate::{SimulatedMachine, Space, check};

/// Where test programs have their memory.
const DATA_ADDRESS: u64 = 0x40_0000;

/// What became of a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is done; these are the results.
    Done(Registers),
    /// The process waits, or is no more.
    Waits,
}

/// A kernel on a simulated machine.
pub struct Node {
    /// The kernel.
    pub kernel: Kernel<SimulatedMachine>,
    /// What it wanted done last.
    pub next: Next<Space>,
    /// The first team's root, which has every right and is the least urgent process of all.
    pub root: Pid,
    /// Whether the invariants are checked after every step.
    pub checked: bool,
    free_at_start: u32,
}

/// The current process made a system call; its registers are in its descriptor.
pub fn system_call<M: Machine>(kernel: &mut Kernel<M>) -> Next<M::Space> {
    let done = match kernel.short_call() {
        ShortCall::Segment => kernel.short_call_with_segment(),
        done => done,
    };
    let process = match done {
        ShortCall::Run { process, .. } => process,
        ShortCall::Stay => kernel.cpu().current,
        ShortCall::Choose => return kernel.choose(),
        ShortCall::Segment | ShortCall::General => return kernel.general_call(),
    };
    Next::Run { process, space: kernel.processes[process].space, resume: Resume::Results }
}

impl Node {
    /// A node with 16 MiB and a first team, as large as a test needs.
    pub fn new() -> Node {
        Node::with_slots(240, 100)
    }

    /// A node with tables of a given size.
    ///
    /// # Panics
    /// If they leave no room for the first team.
    pub fn with_slots(process_slots: u16, team_slots: u16) -> Node {
        Node::booted(LogicalHost::from_bits(0x123), process_slots, team_slots, 0)
    }

    /// A node that boots at a time, with its logical host and tables of a given size.
    ///
    /// # Panics
    /// If they leave no room for the first team.
    pub fn booted(logical_host: LogicalHost, process_slots: u16, team_slots: u16, now_ns: u64) -> Node {
        let mut frames = Frames::new(4096);
        frames.add(Frame(1), Frame(4096));
        let configuration = Configuration {
            logical_host,
            process_slots,
            team_slots,
            region_slots: 1000,
            trace_records: 1024,
            kernel_frames: 0,
        };
        let mut kernel = Kernel::new(SimulatedMachine::booted(now_ns), frames, &configuration);
        let free_at_start = kernel.frames.free_count();
        let team = kernel.create_first_team(abi::kernel::priority::COUNT - 1).expect("a first team");
        kernel.start_first(team, 0x1000, 0x2000, &Message::with_code(0));
        let root = kernel.processes[kernel.team(team).root].pid;
        let next = kernel.step();
        Node { kernel, next, root, checked: true, free_at_start }
    }

    /// The slot of a process.
    ///
    /// # Panics
    /// If it has ended.
    pub fn index(&self, pid: Pid) -> ProcessIndex {
        self.kernel.processes.find(pid).expect("a live process")
    }

    /// What a process is doing.
    pub fn state(&self, pid: Pid) -> State {
        self.kernel.processes[self.index(pid)].state
    }

    /// The priority in force.
    pub fn priority(&self, pid: Pid) -> u8 {
        self.kernel.processes[self.index(pid)].priority
    }

    /// Who runs.
    pub fn running(&self) -> Option<Pid> {
        match self.next {
            Next::Run { process, .. } => Some(self.kernel.processes[process].pid),
            Next::Idle | Next::Work => None,
        }
    }

    /// Makes a ready process the running one, whatever its priority.
    ///
    /// # Panics
    /// If it is not ready.
    pub fn run(&mut self, pid: Pid) {
        let index = self.index(pid);
        let kernel = &mut self.kernel;
        if kernel.cpu().current == index {
            return;
        }
        assert_eq!(kernel.processes[index].state, State::Ready, "{pid} is not ready");
        assert!(!kernel.processes[index].flags.has(Flags::SUSPENDED), "{pid} is suspended");
        let current = kernel.cpu().current;
        if current != kernel_core::process::NOBODY {
            kernel.ready.push_front(&mut kernel.processes, current);
        }
        kernel.ready.remove(&mut kernel.processes, index);
        kernel.cpu_mut().current = index;
        kernel.trace.note_running(pid);
        kernel.processes[index].resume = Resume::Results;
    }

    /// A process makes a system call. Long work is done to its end.
    pub fn call(&mut self, pid: Pid, registers: Registers) -> Outcome {
        self.run(pid);
        let index = self.index(pid);
        let own = &mut self.kernel.processes[index].registers;
        *own = Registers { instruction: own.instruction, stack: own.stack, flags: own.flags, ..registers };
        let next = system_call(&mut self.kernel);
        self.settle(next);
        match self.kernel.processes.find(pid) {
            Ok(index) if self.kernel.processes[index].state == State::Ready => {
                Outcome::Done(self.kernel.processes[index].registers)
            }
            _ => Outcome::Waits,
        }
    }

    /// Takes what the kernel wants, and has it finish long work.
    ///
    /// # Panics
    /// If that has no end.
    pub fn settle(&mut self, next: Next<Space>) {
        self.next = next;
        let mut steps = 0;
        while self.next == Next::Work {
            self.check();
            self.next = self.kernel.step();
            steps += 1;
            assert!(steps < 100_000, "long work has no end");
        }
        self.check();
    }

    /// Has the processor do what is left to do when nobody runs.
    pub fn settle_idle(&mut self) {
        let next = self.kernel.step();
        self.settle(next);
    }

    fn check(&self) {
        if self.checked {
            check::invariants(&self.kernel);
        }
    }

    /// The results that a process finds in its registers; it must be ready.
    ///
    /// # Panics
    /// If it is not.
    pub fn results(&mut self, pid: Pid) -> Registers {
        assert_eq!(self.state(pid), State::Ready, "{pid} has no results yet");
        let index = self.index(pid);
        self.kernel.processes[index].registers
    }

    /// The error that a call of a process ended with.
    pub fn error(&mut self, pid: Pid) -> Error {
        Error::check(self.results(pid).number as u32).expect_err("an error")
    }

    /// Moves the clock, and lets the timer come if it is due.
    pub fn pass(&mut self, ns: u64) {
        let end = self.kernel.machine.now_ns + ns;
        while let Some(at) = self.kernel.machine.timer_ns
            && at <= end
        {
            let machine = &mut self.kernel.machine;
            machine.now_ns = machine.now_ns.max(at);
            machine.timer_ns = None;
            let next = self.kernel.timer();
            self.settle(next);
        }
        self.kernel.machine.now_ns = end;
    }

    /// A device interrupt, if its line is let through.
    pub fn interrupt(&mut self, line: u32) -> bool {
        if !self.kernel.machine.unmasked.contains(&line) {
            return false;
        }
        let next = self.kernel.interrupt(line);
        self.settle(next);
        true
    }

    /// A request to a kernel server.
    pub fn request<R: Request>(&mut self, caller: Pid, server: u16, request: &R) -> Result<R::Reply, Error> {
        self.request_with(caller, server, request, 0, Grant::NONE)
    }

    /// A request to a kernel server with a segment.
    ///
    /// # Panics
    /// If the caller is left waiting.
    pub fn request_with<R: Request>(
        &mut self,
        caller: Pid,
        server: u16,
        request: &R,
        segment_address: u64,
        grant: Grant,
    ) -> Result<R::Reply, Error> {
        let outcome = self.call(
            caller,
            send_with(abi::kernel::server(server), request.to_message(), segment_address, grant),
        );
        let Outcome::Done(registers) = outcome else {
            panic!("{} left {caller} waiting", R::NAME);
        };
        Error::check(registers.number as u32)?;
        let message = Message::from_registers(registers.message);
        Error::check(message.code())?;
        Ok(R::Reply::from_message(&message))
    }

    /// A new team of a user, whose root runs at `priority`, with `pages` of memory at [`Node::data`].
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn team(&mut self, user: u32, priority: u8, pages: u32) -> Pid {
        self.team_as(self.root, &team_of(user, priority), pages).expect("a team")
    }

    /// A new team made by `creator`, started.
    ///
    /// # Panics
    /// If the kernel refuses what a creator may do.
    pub fn team_as(&mut self, creator: Pid, create: &process::CreateTeam, pages: u32) -> Result<Pid, Error> {
        let team = self.request(creator, abi::kernel::PROCESS, create)?.team;
        self.fill(creator, team, pages)?;
        Ok(team)
    }

    /// A guest of a user with a logical host, whose root runs at `priority`, with `pages` of memory.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn guest(&mut self, user: u32, priority: u8, pages: u32, host: LogicalHost) -> Pid {
        let create = team_of(user, priority);
        let team = self.request(self.root, abi::kernel::PROCESS, &create).expect("a team").team;
        let set = process::SetHost { team, host: host.to_bits(), first_number: Pid::FIRST_GUEST_NUMBER };
        let guest = self.request(self.root, abi::kernel::PROCESS, &set).expect("a free logical host").team;
        self.fill(self.root, guest, pages).expect("a start");
        guest
    }

    /// A newborn team of a user, with `pages` of memory.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn newborn(&mut self, user: u32, priority: u8, pages: u32) -> Pid {
        let team =
            self.request(self.root, abi::kernel::PROCESS, &team_of(user, priority)).expect("a team").team;
        self.map_data(self.root, team, pages);
        team
    }

    fn map_data(&mut self, creator: Pid, team: Pid, pages: u32) {
        if pages > 0 {
            let map = memory::Map {
                team,
                address: DATA_ADDRESS,
                pages,
                protection: protection::READ | protection::WRITE,
            };
            self.request(creator, abi::kernel::MEMORY, &map).expect("memory for a newborn");
        }
    }

    /// Gives a newborn team memory and starts it.
    fn fill(&mut self, creator: Pid, team: Pid, pages: u32) -> Result<(), Error> {
        self.map_data(creator, team, pages);
        let prepare = process::Prepare { process: team, instruction: 0x1000, stack: 0x2000 };
        self.request(creator, abi::kernel::PROCESS, &prepare)?;
        self.start(creator, team);
        Ok(())
    }

    /// A further process in a team, started.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn process(&mut self, creator: Pid, priority: u8) -> Pid {
        let create =
            process::CreateProcess { instruction: 0x1000, stack: 0x2000, priority: u32::from(priority) };
        let process = self.request(creator, abi::kernel::PROCESS, &create).expect("a process").process;
        self.start(creator, process);
        process
    }

    fn start(&mut self, creator: Pid, newborn: Pid) {
        let outcome = self.call(creator, reply(newborn, Message::with_code(0)));
        assert!(matches!(outcome, Outcome::Done(registers) if registers.number == 0));
    }

    /// Address of byte `offset` of a test program's memory.
    pub fn data(offset: u64) -> u64 {
        DATA_ADDRESS + offset
    }

    /// Writes into a process's memory.
    ///
    /// # Panics
    /// If it is not mapped.
    pub fn poke(&mut self, pid: Pid, address: u64, bytes: &[u8]) {
        let index = self.index(pid);
        let team = self.kernel.processes[index].team;
        for page in (address & !4095..address + bytes.len() as u64).step_by(4096) {
            self.kernel.touch(team, page, protection::WRITE).expect("memory to poke");
        }
        let space = self.kernel.processes[index].space;
        let place = Place { space, address };
        self.kernel.machine.write(place, bytes).expect("memory to poke");
    }

    /// Reads a process's memory.
    ///
    /// # Panics
    /// If it is not mapped.
    pub fn peek(&mut self, pid: Pid, address: u64, bytes: usize) -> Vec<u8> {
        let space = self.kernel.processes[self.index(pid)].space;
        let mut content = vec![0; bytes];
        self.kernel.machine.read(Place { space, address }, &mut content).expect("memory to peek");
        content
    }

    /// As `peek`, of memory that may never have been touched.
    ///
    /// # Panics
    /// If it is not mapped.
    pub fn peek_touched(&mut self, pid: Pid, address: u64, bytes: usize) -> Vec<u8> {
        let team = self.kernel.processes[self.index(pid)].team;
        for page in (address & !4095..address + bytes as u64).step_by(4096) {
            self.kernel.touch(team, page, protection::READ).expect("memory to peek");
        }
        self.peek(pid, address, bytes)
    }

    /// Checks that, with every team gone, the node has what it had at the start.
    ///
    /// # Panics
    /// If it hasn't.
    pub fn assert_empty(&mut self) {
        self.kernel.empty_windows();
        self.pass(abi::page::DEADLINE_NS);
        assert_eq!(self.kernel.teams_used, 0, "teams are left");
        assert_eq!(self.kernel.processes.used(), 0, "slots are left");
        assert_eq!(self.kernel.frames.free_count(), self.free_at_start, "frames are lost");
        assert!(self.kernel.deadlines.first().is_none(), "deadlines are left");
        // The one with nothing in it, and that of the page requests.
        assert_eq!(self.kernel.machine.space_count(), 2, "spaces are left");
    }
}

impl Default for Node {
    fn default() -> Node {
        Node::new()
    }
}

/// The request for a team without rights that may have what its creator may.
fn team_of(user: u32, priority: u8) -> process::CreateTeam {
    process::CreateTeam {
        user: UserId(user),
        rights: Rights::NONE,
        priority: u32::from(priority),
        quota_pages: 0,
        quota_processes: 0,
    }
}

/// A Send without a segment.
pub fn send(to: Pid, message: Message) -> Registers {
    send_with(to, message, 0, Grant::NONE)
}

/// A Send with a segment.
pub fn send_with(to: Pid, message: Message, segment_address: u64, grant: Grant) -> Registers {
    call::Send { to, message, segment_address, grant: grant.to_bits(), deadline: call::FOREVER }.encode()
}

/// A Receive from anyone.
pub fn receive() -> Registers {
    receive_from(Pid::NONE, call::FOREVER)
}

/// A Receive from one process, until a deadline.
pub fn receive_from(from: Pid, deadline: u64) -> Registers {
    call::Receive { from, buffer_address: 0, buffer_bytes: 0, deadline }.encode()
}

/// A Reply without data.
pub fn reply(to: Pid, message: Message) -> Registers {
    call::Reply { to, message, segment_address: 0, segment_bytes: 0, replier: 0, error: 0 }.encode()
}

/// A ReplyReceive without data.
pub fn reply_receive(to: Pid, message: Message) -> Registers {
    call::ReplyReceive {
        to,
        message,
        segment_address: 0,
        segment_bytes: 0,
        deadline: call::FOREVER,
        buffer_address: 0,
        buffer_bytes: 0,
    }
    .encode()
}
