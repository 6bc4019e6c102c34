//! The calls of a storm: system calls and requests, sound and unsound, out of a few numbers.

use abi::call::{self, FOREVER, NOW, Registers};
use abi::kernel::{
    GROUP, MEMORY, PROCESS, STATISTICS, TIME, group, memory, process, protection, statistics, time,
};
use abi::protocol::Request;
use abi::{Access, Grant, Message, Pid, Rights, UserId};

use crate::Node;

/// What a call is made of.
pub(crate) struct Draft {
    /// Whom it concerns, mostly someone alive.
    pub pid: Pid,
    /// Another one.
    pub other: Pid,
    /// Someone who awaits the caller's reply, if there is one.
    pub client: Pid,
    /// A process of another node.
    pub elsewhere: Pid,
    /// A time that will come.
    pub later: u64,
    /// The step's second number.
    pub whom: u8,
    /// Its third.
    pub how: u8,
    /// Its fourth.
    pub number: u16,
    /// A logical host for a guest, which no other had.
    pub guest_host: u32,
    /// Whether the keeper calls, which must not wait.
    pub keeper: bool,
}

impl Draft {
    /// The call that `operation` stands for.
    pub(crate) fn registers(&self, operation: u8) -> Registers {
        match operation {
            6 if !self.keeper => self.send(self.pid),
            8 if !self.keeper => self.send(self.elsewhere),
            6 | 8 | 10 => call::Receive {
                from: if self.how < 200 { Pid::NONE } else { self.pid },
                buffer_address: self.address(),
                buffer_bytes: u64::from(self.whom),
                deadline: self.wait(),
            }
            .encode(),
            9 => self.move_little(),
            12 if self.number.is_multiple_of(4) => call::Reply {
                to: self.client,
                message: Message::default(),
                segment_address: Node::data(u64::from(self.number % 24) * 4096),
                segment_bytes: Grant::new(u64::from(self.whom) * 32, Access(self.how % 4)).to_bits(),
                replier: 0,
                error: 0,
            }
            .encode(),
            12 => call::Reply {
                to: self.client,
                message: self.message(),
                segment_address: self.address(),
                segment_bytes: u64::from(self.how.saturating_sub(100)),
                replier: if self.how.is_multiple_of(3) { self.other.to_bits() } else { 0 },
                error: if self.how < 20 { u64::from(self.how) } else { 0 },
            }
            .encode(),
            13 => call::ReplyReceive {
                to: self.client,
                message: self.message(),
                segment_address: self.address(),
                segment_bytes: u64::from(self.how.saturating_sub(200)),
                deadline: self.wait(),
                buffer_address: self.address(),
                buffer_bytes: u64::from(self.whom),
            }
            .encode(),
            14 | 15 => call::Forward {
                client: self.client,
                message: self.message(),
                to: if operation == 14 { self.elsewhere } else { self.other }.to_bits(),
                forwarder: self.pid.to_bits(),
            }
            .encode(),
            16 => call::MoveTo {
                client: self.client,
                segment_offset: u64::from(self.how),
                address: self.address(),
                bytes: u64::from(self.number) * 8,
            }
            .encode(),
            17 => call::MoveFrom {
                client: self.client,
                segment_offset: u64::from(self.how),
                address: self.address(),
                bytes: u64::from(self.number) * 8,
            }
            .encode(),
            18 => call::GetReply {
                buffer_address: self.address(),
                buffer_bytes: u64::from(self.whom),
                deadline: if self.keeper { NOW } else { self.later },
            }
            .encode(),
            31 => self.nonsense(),
            _ => {
                let (server, message) = self.request(operation);
                call::Send {
                    to: abi::kernel::server(server),
                    message,
                    segment_address: self.address(),
                    grant: self.grant(),
                    deadline: FOREVER,
                }
                .encode()
            }
        }
    }

    fn send(&self, to: Pid) -> Registers {
        call::Send {
            to,
            message: self.message(),
            segment_address: self.address(),
            grant: self.grant(),
            deadline: if self.pid.is_group() { self.later } else { FOREVER },
        }
        .encode()
    }

    /// A copy that fits most segments.
    fn move_little(&self) -> Registers {
        let (client, address) = (self.client, self.address());
        let (segment_offset, bytes) = (u64::from(self.how % 16), u64::from(self.whom % 16));
        if self.how.is_multiple_of(2) {
            call::MoveTo { client, segment_offset, address, bytes }.encode()
        } else {
            call::MoveFrom { client, segment_offset, address, bytes }.encode()
        }
    }

    fn nonsense(&self) -> Registers {
        Registers {
            number: u64::from(self.whom % 10),
            pid: self.pid.to_bits(),
            message: [u64::from(self.number) << 40; 4],
            extra: [
                self.address(),
                u64::MAX - u64::from(self.how),
                if self.keeper { NOW } else { self.later },
                self.address(),
                u64::MAX,
            ],
            ..Registers::default()
        }
    }

    fn message(&self) -> Message {
        Message { words: [u32::from(self.number); 8] }
    }

    fn address(&self) -> u64 {
        Node::data(u64::from(self.number) * 2)
    }

    fn grant(&self) -> u64 {
        let access = Access(if self.how < 100 { self.how % 4 } else { 0 });
        Grant::new(u64::from(self.number) / 4, access).to_bits()
    }

    fn wait(&self) -> u64 {
        if self.keeper {
            return NOW;
        }
        [FOREVER, NOW, self.later, self.later][usize::from(self.number % 4)]
    }

    /// A request for a part of moving a guest's processes.
    fn guest_move(&self) -> Message {
        let team = self.pid;
        match self.how % 8 {
            0..3 => process::ThawTeam { team }.to_message(),
            3 | 4 => process::FreezeTeam { team }.to_message(),
            5 | 6 => process::ReadTeam { team }.to_message(),
            _ => process::WriteTeam { team: self.client }.to_message(),
        }
    }

    /// A request for a part of moving a guest's memory.
    fn guest_memory(&self) -> Message {
        let (team, address) = (self.pid, Node::data(u64::from(self.number % 64) * 4096));
        match self.how % 3 {
            0 => memory::TakeWritten { team, address, all: u32::from(self.whom % 2) }.to_message(),
            1 => memory::ReadMemory { team, address }.to_message(),
            _ => memory::WriteMemory { team: self.client, address }.to_message(),
        }
    }

    /// A request to a kernel server.
    fn request(&self, operation: u8) -> (u16, Message) {
        let priority = u32::from(self.how % 31);
        match operation {
            1 => (PROCESS, process::BecomeNetworkServer {}.to_message()),
            7 => (PROCESS, process::DestroyAlien { alien: self.other }.to_message()),
            19 => {
                let create = process::CreateTeam {
                    user: if self.keeper { UserId(100 + u32::from(self.how % 2)) } else { UserId(100) },
                    rights: if self.keeper && self.how > 200 { Rights::FORWARD } else { Rights::NONE },
                    priority: 12 + u32::from(self.how % 17),
                    quota_pages: 40,
                    quota_processes: u32::from(self.how % 8),
                };
                (PROCESS, create.to_message())
            }
            20 if self.keeper || self.how > 220 => {
                let set = process::SetHost {
                    team: self.client,
                    host: self.guest_host,
                    first_number: Pid::FIRST_GUEST_NUMBER << (self.how % 17),
                };
                (PROCESS, set.to_message())
            }
            20 => {
                let create = process::CreateProcess { instruction: 0, stack: 0, priority };
                (PROCESS, create.to_message())
            }
            21 if self.how < 100 || self.keeper => {
                let destroy = process::Destroy { process: self.pid, status: u32::from(self.number) };
                (PROCESS, destroy.to_message())
            }
            22 => (PROCESS, process::Suspend { process: self.pid }.to_message()),
            23 => (PROCESS, process::Resume { process: self.pid }.to_message()),
            24 if self.keeper || self.how > 180 => (PROCESS, self.guest_move()),
            24 => (PROCESS, process::Identify { process: self.pid }.to_message()),
            25 => {
                let set = process::SetExceptionServer { team: self.pid, server: self.other };
                (PROCESS, set.to_message())
            }
            26 => {
                let alarm = time::SetAlarm { at_ns: if self.how < 30 { 0 } else { self.later }, tag: 1 };
                (TIME, alarm.to_message())
            }
            27 => (TIME, time::Delay { until_ns: self.later }.to_message()),
            11 if self.how.is_multiple_of(2) => {
                let flush = memory::Flush {
                    team: Pid::NONE,
                    address: Node::data(u64::from(20 + self.number % 10) * 4096),
                    pages: 1 + u32::from(self.whom % 4),
                };
                (MEMORY, flush.to_message())
            }
            11 => {
                let revoke = memory::Revoke {
                    instance: u32::from(self.whom % 2),
                    position: u64::from(self.number % 4) * 4096,
                    pages: u32::from(self.how % 4),
                };
                (MEMORY, revoke.to_message())
            }
            28 if self.keeper || self.how > 200 => (MEMORY, self.guest_memory()),
            28 => {
                let map = memory::Map {
                    team: if self.how < 180 { Pid::NONE } else { self.pid },
                    address: Node::data(u64::from(self.number % 64) * 4096),
                    pages: u32::from(self.how % 16),
                    protection: protection::READ | protection::WRITE,
                };
                (MEMORY, map.to_message())
            }
            29 => {
                let unmap = memory::Unmap {
                    team: Pid::NONE,
                    address: Node::data(u64::from(self.number % 64) * 4096),
                    pages: u32::from(self.how % 16),
                };
                (MEMORY, unmap.to_message())
            }
            30 if self.how < 60 => {
                let create = group::Create { restricted: u32::from(self.how % 2) };
                (GROUP, create.to_message())
            }
            30 if self.how < 200 => {
                let join = group::Join {
                    group: self.pid,
                    process: if self.how < 120 { Pid::NONE } else { self.other },
                };
                (GROUP, join.to_message())
            }
            30 => {
                let leave = group::Leave { group: self.pid, process: Pid::NONE };
                (GROUP, leave.to_message())
            }
            _ => (STATISTICS, statistics::Null {}.to_message()),
        }
    }
}
