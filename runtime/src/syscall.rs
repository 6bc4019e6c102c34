//! The system calls, typed and safe: the only place where a program traps into the kernel.
//!
//! Every call goes through [`trap`], which is inlined with its registers known, so that a call is a few moves around
//! one `syscall` instruction. Nothing but the instruction pointer, the flags and the stack pointer survives a call.
//! The compiler is told so, rbx and rbp excepted, which it keeps for itself: those two are saved on the stack.
//!
//! What makes the wrappers safe: an address that goes to the kernel always comes from a slice, borrowed for the
//! length of the call, shared where the kernel only reads, exclusive where it writes. The borrow of a granted segment
//! ends with the call, as does the grant.
//!
//! On the host nothing calls these; what is tested there stays clear of them.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::call::{self, Deadline, FOREVER, Registers};
use abi::page::page;
use abi::protocol::Request as _;
use abi::{Access, Error, Grant, Message, Pid, UserId, remote};

/// The memory that a Send grants to whoever receives the message, until the reply.
#[derive(Debug)]
pub enum Segment<'a> {
    /// None.
    None,
    /// The receiver may read it.
    Read(&'a [u8]),
    /// The receiver, or its reply, may write it.
    Write(&'a mut [u8]),
    /// Both.
    ReadWrite(&'a mut [u8]),
}

impl Segment<'_> {
    /// The same memory for another Send, as long as this one is not used.
    #[must_use]
    pub fn reborrow(&mut self) -> Segment<'_> {
        match self {
            Segment::None => Segment::None,
            Segment::Read(data) => Segment::Read(data),
            Segment::Write(data) => Segment::Write(data),
            Segment::ReadWrite(data) => Segment::ReadWrite(data),
        }
    }

    /// Its address and grant, as registers.
    #[inline]
    fn registers(&mut self) -> (u64, u64) {
        let (address, bytes, access) = match self {
            Segment::None => return (0, Grant::NONE.to_bits()),
            Segment::Read(data) => (data.as_ptr().expose_provenance(), data.len(), Access::READ),
            Segment::Write(data) => (data.as_mut_ptr().expose_provenance(), data.len(), Access::WRITE),
            Segment::ReadWrite(data) => {
                (data.as_mut_ptr().expose_provenance(), data.len(), Access::READ_WRITE)
            }
        };
        (address as u64, Grant::new(bytes as u64, access).to_bits())
    }
}

/// What a Receive yields.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Who sent, and awaits the reply.
    pub sender: Sender,
    /// The message.
    pub message: Message,
}

/// Who sent a message. All of this was stamped by the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sender {
    /// The process that awaits the reply.
    pub pid: Pid,
    /// For whom it acts.
    pub user: UserId,
    /// Length and access of the segment that it granted.
    pub grant: Grant,
    /// Who forwarded the message, or none.
    pub forwarder: Pid,
    /// Of a [page request](abi::page) of this machine's kernel: the instance. A reply to it may [lend](reply_receive_lending)
    /// pages.
    pub page_of: Option<u32>,
}

impl Sender {
    /// Bytes that may be read from its segment; [`NoReadAccess`](Error::NoReadAccess) if it was not granted for that.
    /// The kernel drops a grant of no bytes, such as that of an empty name.
    pub fn readable_bytes(&self) -> Result<u64, Error> {
        if self.grant.bytes() == 0 || self.grant.access().contains(Access::READ) {
            Ok(self.grant.bytes())
        } else {
            Err(Error::NoReadAccess)
        }
    }

    /// Bytes that may be written into its segment; [`NoWriteAccess`](Error::NoWriteAccess) if it was not granted for
    /// that.
    pub fn writable_bytes(&self) -> Result<u64, Error> {
        if self.grant.access().contains(Access::WRITE) {
            Ok(self.grant.bytes())
        } else {
            Err(Error::NoWriteAccess)
        }
    }
}

impl Received {
    /// Bytes of the sender's segment that are in the buffer already.
    #[inline]
    pub fn segment_bytes(&self) -> usize {
        self.message.segment_bytes() as usize
    }

    #[inline]
    fn from_registers(registers: &Registers) -> Received {
        let message = Message::from_registers(registers.message);
        Received {
            sender: Sender {
                pid: Pid::from_bits(registers.pid),
                user: UserId(registers.extra[1] as u32),
                grant: Grant::from_bits(registers.extra[0]),
                forwarder: Pid::from_bits(registers.extra[2]),
                page_of: (registers.extra[3] == 1).then(|| page::Read::from_message(&message).instance),
            },
            message,
        }
    }
}

/// Sends a message and waits for the reply; returns who replied, and what. To a group: see [`send_group`].
#[inline]
pub fn send(to: Pid, message: &Message, segment: Segment<'_>) -> Result<(Pid, Message), Error> {
    send_by(to, message, segment, FOREVER)
}

/// Sends to groups that the program has made.
static GROUP_SENDS: AtomicU32 = AtomicU32::new(0);

/// How many Sends to groups the program has made.
pub fn group_sends() -> u32 {
    GROUP_SENDS.load(Ordering::Relaxed)
}

/// As [`send`], to a group: every member gets the message, and the first reply ends the wait. So does the deadline, which is
/// mandatory.
pub fn send_group(
    to: Pid,
    message: &Message,
    segment: Segment<'_>,
    deadline: Deadline,
) -> Result<(Pid, Message), Error> {
    GROUP_SENDS.fetch_add(1, Ordering::Relaxed);
    send_by(to, message, segment, deadline)
}

#[inline]
fn send_by(
    to: Pid,
    message: &Message,
    mut segment: Segment<'_>,
    deadline: Deadline,
) -> Result<(Pid, Message), Error> {
    let (segment_address, grant) = segment.registers();
    let mut registers = call::Send { to, message: *message, segment_address, grant, deadline }.encode();
    // SAFETY: the segment is borrowed until here, exclusively where the kernel may write it.
    unsafe { trap(&mut registers) };
    Error::check(registers.number as u32)?;
    Ok((Pid::from_bits(registers.pid), Message::from_registers(registers.message)))
}

/// Takes a further reply to the caller's last Send to a group; its data goes to `buffer`.
#[inline]
pub fn get_reply(buffer: &mut [u8], deadline: Deadline) -> Result<(Pid, Message), Error> {
    let mut registers = call::GetReply {
        buffer_address: buffer.as_mut_ptr().expose_provenance() as u64,
        buffer_bytes: buffer.len() as u64,
        deadline,
    }
    .encode();
    // SAFETY: the kernel writes to `buffer` alone, which is borrowed exclusively.
    unsafe { trap(&mut registers) };
    Error::check(registers.number as u32)?;
    Ok((Pid::from_bits(registers.pid), Message::from_registers(registers.message)))
}

/// Takes the most urgent waiting message, from anyone or from one process. The head of a readable segment is copied
/// to `buffer` at once.
#[inline]
pub fn receive(from: Option<Pid>, buffer: &mut [u8], deadline: Deadline) -> Result<Received, Error> {
    let mut registers = call::Receive {
        from: from.unwrap_or(Pid::NONE),
        buffer_address: buffer.as_mut_ptr().expose_provenance() as u64,
        buffer_bytes: buffer.len() as u64,
        deadline,
    }
    .encode();
    // SAFETY: the kernel writes to `buffer` alone, which is borrowed exclusively.
    unsafe { trap(&mut registers) };
    Error::check(registers.number as u32)?;
    Ok(Received::from_registers(&registers))
}

/// Answers a process that awaits the caller's reply; `data` goes to the beginning of its segment. Never waits.
#[inline]
pub fn reply(to: Pid, message: &Message, data: &[u8]) -> Result<(), Error> {
    let mut registers = call::Reply {
        to,
        message: *message,
        segment_address: data.as_ptr().expose_provenance() as u64,
        segment_bytes: data.len() as u64,
        replier: 0,
        error: 0,
    }
    .encode();
    // SAFETY: the kernel only reads `data`.
    unsafe { trap(&mut registers) };
    Error::check(registers.number as u32)
}

/// Replies, then receives from anyone. If the reply fails, so does the call, and nothing is received.
#[inline]
pub fn reply_receive(
    to: Pid,
    message: &Message,
    data: &[u8],
    buffer: &mut [u8],
    deadline: Deadline,
) -> Result<Received, Error> {
    reply_receive_lending(to, message, data, Access::NONE, buffer, deadline)
}

/// As [`reply_receive`]; to a [page request](abi::page), the kernel may use the very pages that `data` lies in, in that way,
/// until they are revoked or unmapped. `data` begins with a page. What others write there is for the caller to expect.
#[inline]
pub fn reply_receive_lending(
    to: Pid,
    message: &Message,
    data: &[u8],
    lend: Access,
    buffer: &mut [u8],
    deadline: Deadline,
) -> Result<Received, Error> {
    let mut registers = call::ReplyReceive {
        to,
        message: *message,
        segment_address: data.as_ptr().expose_provenance() as u64,
        segment_bytes: Grant::new(data.len() as u64, lend).to_bits(),
        deadline,
        buffer_address: buffer.as_mut_ptr().expose_provenance() as u64,
        buffer_bytes: buffer.len() as u64,
    }
    .encode();
    // SAFETY: the kernel only reads `data`, and writes to `buffer` alone, which is borrowed exclusively.
    unsafe { trap(&mut registers) };
    Error::check(registers.number as u32)?;
    Ok(Received::from_registers(&registers))
}

/// Hands a received message on to another process, which then answers the client.
#[inline]
pub fn forward(client: Pid, to: Pid, message: &Message) -> Result<(), Error> {
    let mut registers = call::Forward { client, message: *message, to: to.to_bits(), forwarder: 0 }.encode();
    // SAFETY: no address goes to the kernel.
    unsafe { trap(&mut registers) };
    Error::check(registers.number as u32)
}

/// Copies `data` into the segment of a process that awaits the caller's reply, `offset` bytes from its beginning.
#[inline]
pub fn move_to(client: Pid, offset: u64, data: &[u8]) -> Result<(), Error> {
    move_to_counted(client, offset, data).1
}

/// As [`move_to`]; says how many bytes were copied, also where it fails midway.
#[inline]
pub(crate) fn move_to_counted(client: Pid, offset: u64, data: &[u8]) -> (u64, Result<(), Error>) {
    let mut registers = call::MoveTo {
        client,
        segment_offset: offset,
        address: data.as_ptr().expose_provenance() as u64,
        bytes: data.len() as u64,
    }
    .encode();
    // SAFETY: the kernel only reads `data`.
    unsafe { trap(&mut registers) };
    (registers.extra[0], Error::check(registers.number as u32))
}

/// Copies out of the segment of a process that awaits the caller's reply, from `offset` on, until `buffer` is full.
#[inline]
pub fn move_from(client: Pid, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
    move_from_counted(client, offset, buffer).1
}

/// As [`move_from`]; says how many bytes were copied, also where it fails midway.
#[inline]
pub(crate) fn move_from_counted(client: Pid, offset: u64, buffer: &mut [u8]) -> (u64, Result<(), Error>) {
    let mut registers = call::MoveFrom {
        client,
        segment_offset: offset,
        address: buffer.as_mut_ptr().expose_provenance() as u64,
        bytes: buffer.len() as u64,
    }
    .encode();
    // SAFETY: the kernel writes to `buffer` alone, which is borrowed exclusively.
    unsafe { trap(&mut registers) };
    (registers.extra[0], Error::check(registers.number as u32))
}

/// As [`receive`] from anyone; tells what the network server is told.
#[inline]
pub(crate) fn receive_remote(buffer: &mut [u8], deadline: Deadline) -> Result<remote::Received, Error> {
    let mut registers = call::Receive {
        from: Pid::NONE,
        buffer_address: buffer.as_mut_ptr().expose_provenance() as u64,
        buffer_bytes: buffer.len() as u64,
        deadline,
    }
    .encode();
    // SAFETY: the kernel writes to `buffer` alone, which is borrowed exclusively; and to the buffers of aliens, which
    // their owner does not touch.
    unsafe { trap(&mut registers) };
    Error::check(registers.number as u32)?;
    Ok(remote::Received::decode(&registers))
}

/// As [`reply_receive`], of the network server to whoever awaits its reply, and [`receive_remote`].
#[inline]
pub(crate) fn reply_receive_remote(
    to: Pid,
    message: &Message,
    data: &[u8],
    buffer: &mut [u8],
    deadline: Deadline,
) -> Result<remote::Received, Error> {
    let mut registers = call::ReplyReceive {
        to,
        message: *message,
        segment_address: data.as_ptr().expose_provenance() as u64,
        segment_bytes: data.len() as u64,
        deadline,
        buffer_address: buffer.as_mut_ptr().expose_provenance() as u64,
        buffer_bytes: buffer.len() as u64,
    }
    .encode();
    // SAFETY: as in `receive_remote`.
    unsafe { trap(&mut registers) };
    Error::check(registers.number as u32)?;
    Ok(remote::Received::decode(&registers))
}

/// As [`reply`], of the network server to a process that sent to another machine.
#[inline]
pub(crate) fn reply_remote(
    to: Pid,
    message: &Message,
    data: &[u8],
    replier: Pid,
    error: Option<Error>,
) -> Result<(), Error> {
    let mut registers = call::Reply {
        to,
        message: *message,
        segment_address: data.as_ptr().expose_provenance() as u64,
        segment_bytes: data.len() as u64,
        replier: replier.to_bits(),
        error: u64::from(error.map_or(Error::OK_CODE, Error::code)),
    }
    .encode();
    // SAFETY: the kernel only reads `data`.
    unsafe { trap(&mut registers) };
    Error::check(registers.number as u32)
}

/// As [`forward`], of the network server, for a process that sent to another machine.
#[inline]
pub(crate) fn forward_remote(client: Pid, to: Pid, message: &Message, forwarder: Pid) -> Result<(), Error> {
    let mut registers =
        call::Forward { client, message: *message, to: to.to_bits(), forwarder: forwarder.to_bits() }
            .encode();
    // SAFETY: no address goes to the kernel.
    unsafe { trap(&mut registers) };
    Error::check(registers.number as u32)
}

/// Traps into the kernel with `registers`, and brings them back as the kernel left them.
///
/// # Safety
/// What the call makes the kernel (and a receiver) write must be the caller's to have written, and what it makes
/// them read must be readable, until the call returns.
#[inline(always)]
#[allow(clippy::inline_always)] // A register that is known must be known here, or each call pays for all of them.
unsafe fn trap(registers: &mut Registers) {
    let Registers { number, pid, message, extra, .. } = registers;
    // SAFETY: rbx and rbp are restored, the stack is left as it was, every other register is named as an output or
    // clobbered; memory is written only as the caller vouches for.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "syscall",
            "pop rbp",
            "pop rbx",
            inlateout("rax") *number,
            inlateout("rdi") *pid,
            inlateout("rsi") message[0],
            inlateout("rdx") message[1],
            inlateout("r8") message[2],
            inlateout("r9") message[3],
            inlateout("r10") extra[0],
            inlateout("r12") extra[1],
            inlateout("r13") extra[2],
            inlateout("r14") extra[3],
            inlateout("r15") extra[4],
            clobber_abi("sysv64"),
        );
    }
}
