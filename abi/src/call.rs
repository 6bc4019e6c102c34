//! The system calls: number, registers, encode and decode, one line each.
//!
//! A call has eleven registers, named here by what they carry. The kernel and the runtime both use [`Registers`],
//! so no pair of encoder and decoder can diverge.
//!
//! | slot | register | on the way in | on the way out |
//! |---|---|---|---|
//! | `number` | rax | which call | 0, or the code of an [`Error`](crate::Error) |
//! | `pid` | rdi | whom it concerns | who sent or replied |
//! | `message` | rsi, rdx, r8, r9 | the message | the message |
//! | `extra` | r10, r12, r13, r14, r15 | addresses, lengths, a deadline | grant, user id, forwarder |
//!
//! Everything but the instruction pointer (rcx), flags (r11) and stack pointer is volatile across a call, rbx, rbp,
//! the vector registers, MXCSR and the x87 state included: the kernel clears what carries no result, so nothing leaks.

use crate::kernel::record::RegisterRecord;
use crate::{Message, Pid};

/// The registers of a program at a system call. The kernel keeps them in the process's descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Registers {
    /// rax: number of the call; then its outcome.
    pub number: u64,
    /// rdi.
    pub pid: u64,
    /// rsi, rdx, r8, r9.
    pub message: [u64; 4],
    /// r10, r12, r13, r14, r15.
    pub extra: [u64; 5],
    /// Where the program goes on (rcx after the call).
    pub instruction: u64,
    /// rsp.
    pub stack: u64,
    /// The flags (r11 after the call).
    pub flags: u64,
}

impl Registers {
    /// Has the program go on there, with that stack and those flags, when it returns from its call.
    pub const fn set_place(&mut self, registers: &RegisterRecord) {
        self.instruction = registers.rip;
        self.stack = registers.rsp;
        self.flags = registers.rflags;
    }
}

/// As if the process had been interrupted where its call returns.
impl From<&Registers> for RegisterRecord {
    fn from(call: &Registers) -> RegisterRecord {
        let [rsi, rdx, r8, r9] = call.message;
        let [r10, r12, r13, r14, r15] = call.extra;
        RegisterRecord {
            rax: call.number,
            rdi: call.pid,
            rip: call.instruction,
            rsp: call.stack,
            rflags: call.flags,
            rdx,
            rsi,
            r8,
            r9,
            r10,
            r12,
            r13,
            r14,
            r15,
            ..RegisterRecord::default()
        }
    }
}

/// A deadline: nanoseconds on the monotonic clock, or one of the two values below.
pub type Deadline = u64;
/// Wait as long as it takes.
pub const FOREVER: Deadline = 0;
/// Don't wait.
pub const NOW: Deadline = 1;

macro_rules! calls {
    ($(
        $(#[$doc:meta])*
        $Name:ident = $number:literal {
            $(pid $pid:ident;)?
            $(message $message:ident;)?
            $($(#[$field_doc:meta])* extra[$slot:literal] $field:ident;)*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $Name {
                $(/// Whom the call concerns.
                pub $pid: Pid,)?
                $(/// The message.
                pub $message: Message,)?
                $($(#[$field_doc])* pub $field: u64,)*
            }

            impl $Name {
                /// The call's number.
                pub const NUMBER: u64 = $number;

                /// As registers; instruction, stack and flags are left zero.
                #[inline]
                pub fn encode(&self) -> Registers {
                    #[allow(unused_mut)]
                    let mut registers = Registers { number: $number, ..Registers::default() };
                    $(registers.pid = self.$pid.to_bits();)?
                    $(registers.message = self.$message.to_registers();)?
                    $(registers.extra[$slot] = self.$field;)*
                    registers
                }

                /// Out of registers whose number is `NUMBER`. Every field is an allegation.
                #[inline]
                #[allow(unused_variables)]
                pub fn decode(registers: &Registers) -> $Name {
                    $Name {
                        $($pid: Pid::from_bits(registers.pid),)?
                        $($message: Message::from_registers(registers.message),)?
                        $($field: registers.extra[$slot],)*
                    }
                }
            }
        )*

        /// Number and name of every call, for tracers and tests.
        pub const NAMES: &[(u64, &str)] = &[$(($number, stringify!($Name))),*];
    };
}

calls! {
    /// Sends a message and waits for the reply. To a group: to every member, and the first reply ends the wait.
    ///
    /// Results: `pid` who replied, `message` the reply, its word 7 the bytes that the reply wrote into the segment.
    Send = 1 {
        pid to;
        message message;
        /// Where the granted segment begins; 0 without one.
        extra[0] segment_address;
        /// Its length and access: a [`Grant`](crate::Grant).
        extra[1] grant;
        /// For a group a deadline is mandatory; for a single process it must be [`FOREVER`].
        extra[2] deadline;
    }

    /// Takes the most urgent waiting message, from anyone or from one process.
    ///
    /// The head of a readable segment is copied to the buffer at once; word 7 of the message says how much.
    /// Results: `pid` the sender, `message`, `extra[0]` the grant, `extra[1]` the sender's user id,
    /// `extra[2]` who forwarded it, or none, `extra[3]` 1 if it is a [page request](crate::page) of this machine's kernel.
    /// What else the network server is told: see [`remote`](crate::remote).
    Receive = 2 {
        pid from;
        /// Where the head of the sender's segment goes.
        extra[0] buffer_address;
        /// At most so many bytes of it.
        extra[1] buffer_bytes;
        /// [`FOREVER`], [`NOW`], or a time.
        extra[2] deadline;
    }

    /// Answers a process that awaits the caller's reply, and optionally writes into its segment. Never waits.
    Reply = 3 {
        pid to;
        message message;
        /// Data for the client's segment, from its beginning.
        extra[0] segment_address;
        /// How many bytes. As a [`Grant`](crate::Grant) with an access: to a [page request](crate::page) the pages that the
        /// data lie in are lent, for the kernel to use so; to anyone else the access means nothing.
        extra[1] segment_bytes;
        /// Of the network server, to a process that sent to another machine: who replied; whom the process
        /// addressed, if this is none.
        extra[2] replier;
        /// Likewise: the [`Error`](crate::Error) with which the Send ends, or 0.
        extra[3] error;
    }

    /// Reply, then Receive from anyone. If the Reply fails, so does the call, and nothing is received.
    ReplyReceive = 4 {
        pid to;
        message message;
        /// As for Reply.
        extra[0] segment_address;
        /// As for Reply.
        extra[1] segment_bytes;
        /// As for Receive.
        extra[2] deadline;
        /// As for Receive.
        extra[3] buffer_address;
        /// As for Receive.
        extra[4] buffer_bytes;
    }

    /// Hands a received message on to another process, which then answers the client directly.
    ///
    /// The client's grant goes with it. Needs the client's user id, or the right to forward.
    Forward = 5 {
        pid client;
        message message;
        /// Pid of the new receiver.
        extra[0] to;
        /// Of the network server, for a process that sent to another machine: who forwarded its message there.
        extra[1] forwarder;
    }

    /// Copies into the segment of a process that awaits the caller's reply.
    ///
    /// Results: `extra[0]` the bytes copied, also when it fails midway.
    MoveTo = 6 {
        pid client;
        /// Where in the client's segment, in bytes from its beginning.
        extra[0] segment_offset;
        /// The caller's own data.
        extra[1] address;
        /// How many.
        extra[2] bytes;
    }

    /// Copies out of the segment of a process that awaits the caller's reply. Results as for `MoveTo`.
    MoveFrom = 7 {
        pid client;
        /// Where in the client's segment, in bytes from its beginning.
        extra[0] segment_offset;
        /// The caller's own buffer.
        extra[1] address;
        /// How many.
        extra[2] bytes;
    }

    /// Takes a further reply to the caller's last Send to a group.
    ///
    /// Results as for Send; the reply's segment data goes to the buffer given here. The error is
    /// [`DeadlinePassed`](crate::Error::DeadlinePassed) or, when every member has answered or died,
    /// [`NothingWaiting`](crate::Error::NothingWaiting).
    GetReply = 8 {
        /// Where the reply's data goes.
        extra[0] buffer_address;
        /// At most so many bytes of it.
        extra[1] buffer_bytes;
        /// [`NOW`], or a time; [`FOREVER`] is refused.
        extra[2] deadline;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_back_from_registers() {
        let send = Send {
            to: Pid::from_bits(0x2000_0001_0002_0003),
            message: Message { words: [1, 2, 3, 4, 5, 6, 7, 8] },
            segment_address: 9,
            grant: 10,
            deadline: 11,
        };
        let registers = send.encode();
        assert_eq!((registers.number, registers.pid), (1, 0x2000_0001_0002_0003));
        assert_eq!(registers.extra, [9, 10, 11, 0, 0]);
        assert_eq!(Send::decode(&registers), send);
    }

    #[test]
    fn numbers_are_distinct() {
        for (position, (number, _)) in NAMES.iter().enumerate() {
            assert!(NAMES[..position].iter().all(|(earlier, _)| earlier != number));
        }
    }
}
