//! What the kernel itself sends. Each comes as an ordinary message from a descriptor that has no code of its own,
//! and waits, like any sender, for a reply; but for one that says otherwise.

use crate::{Pid, protocol};

protocol! {
    /// Notices from the kernel.
    pub mod notice = 0x0f, enum Notice {
        /// A device wants attention. The sender is the claimed interrupt; the reply unmasks its line. From a
        /// [message line](crate::kernel::message_line), which is never masked, it wants no reply.
        Interrupt = 1 { line: u32, /// How often it came since the last notice.
            count: u32 } => InterruptHandled {};
        /// The time that `SetAlarm` named has come. The reply's content is dropped.
        Alarm = 2 { tag: u32 } => AlarmHandled {};
        /// A team that the receiver created has ended. The sender is its root, whose record tells until the reply, which frees
        /// the pid, what all of its processes have done.
        TeamEnded = 3 {
            team: Pid,
            /// What its Destroy said, or [`STATUS_EXCEPTION`](crate::notice::STATUS_EXCEPTION) plus a vector.
            status: u32,
            /// Of a guest: the number that its next process would have had, see [`Pid::guest`](crate::Pid::guest). 0 of others.
            next_number: u32,
        } => EndNoted {};
        /// The sender met an exception and has stopped. A reply resumes it where it stopped; to end it, destroy it.
        Exception = 4 {
            /// The processor's number of the exception.
            vector: u32,
            /// The processor's error code; for a page fault, from bit [`REASON_SHIFT`](crate::notice::REASON_SHIFT) on, the
            /// code of the [`Error`](crate::Error) that says why the page could not be had.
            code: u32,
            /// For a page fault, the address touched.
            address: u64,
            /// Where it was.
            instruction: u64,
        } => ExceptionHandled {};
    }
}

/// Where in the code of a page fault's `Exception` the reason begins.
pub const REASON_SHIFT: u32 = 16;

/// Added to the vector in a `TeamEnded` status when an exception ended a team that has no exception server.
pub const STATUS_EXCEPTION: u32 = 0x100;

/// The `TeamEnded` status of a team that another process destroyed without saying why.
pub const STATUS_KILLED: u32 = 137;

/// A program that panics says why, and then executes a breakpoint with this in rax. The exception server reports from
/// where, and ends the program with [`STATUS_PANIC`]; resumed, the program ends itself.
pub const PANIC_MARK: u64 = u64::from_be_bytes(*b"V panic!");

/// The `TeamEnded` status of a team that panicked.
pub const STATUS_PANIC: u32 = 101;
