//! Moving programs: what a user asks of the program manager of a program that is to move, and what that asks of the
//! manager of the node where it goes. The book's chapter on migration has the protocol step by step.
//!
//! The manager that a program leaves offers it first, and gets a ticket for it; with that it puts the program's memory,
//! then its state, and has it installed, which is when it has moved. Until then it is where it was; what becomes of a
//! ticket that nobody uses any more, the other manager decides by itself, after [`TICKET_NS`].

use abi::segment::HEAD_BYTES;
use abi::{PAGE_BYTES, Pid, protocol};

/// How long a ticket is good after it was used last.
pub const TICKET_NS: u64 = 30_000_000_000;
/// How long it is known after that that a program was installed by it: longer than anyone asks again.
pub const INSTALLED_TICKET_NS: u64 = 120_000_000_000;
/// Most bytes that are put by one request: they come with it, so that nobody waits for them.
pub const MOST_PUT_BYTES: usize = HEAD_BYTES as usize;
/// Bytes that a page takes there: its address, with those of the others before the pages, and its content.
pub const PUT_PAGE_BYTES: usize = 8 + PAGE_BYTES as usize;
/// Most pages that are put by one request.
pub const MOST_PUT_PAGES: usize = MOST_PUT_BYTES / PUT_PAGE_BYTES;
/// Most bytes of a program's state.
pub const MOST_STATE_BYTES: usize = 2 * 1024 * 1024;
/// Most bytes of a description: it comes with its request as well.
pub const MOST_DESCRIPTION_BYTES: usize = MOST_PUT_BYTES;

protocol! {
    /// Moving programs between nodes.
    pub mod moving = 0x1a, enum Moving {
        /// Moves a program, which the server manages, to the node of another manager; replies when it runs there. The
        /// program's user may, and the system.
        MoveProgram = 1 { program: Pid, manager: Pid } => ProgramMoved {
            /// How long it did not run, in microseconds.
            frozen_us: u32,
            /// Pages that were copied while it ran, and while it did not.
            running_pages: u32,
            frozen_pages: u32,
            /// How often what it had written meanwhile was copied.
            rounds: u32,
            /// Bytes of what it had under way: its processes, and messages from and to it.
            state_bytes: u32,
        };
        /// Asks whether a program may come, of which the read segment is the description. It gets its address space.
        OfferProgram = 2 { program: Pid } => ProgramAwaited { ticket: u32 };
        /// Puts pages of the program: the read segment has their addresses, little-endian, and then their contents.
        PutPages = 3 { ticket: u32 } => PagesPut {};
        /// Puts a part of its state, the read segment; the parts come in order.
        PutState = 4 { ticket: u32 } => StatePut {};
        /// All is there: the program is to run from now on. Refused, nothing has happened, and the ticket ends;
        /// [`NotFound`](abi::Error::NotFound) if it has ended before. Asked again, it does nothing.
        InstallProgram = 5 { ticket: u32 } => ProgramInstalled {};
        /// It will not come.
        WithdrawProgram = 6 { ticket: u32 } => ProgramWithdrawn {};
        /// Of a manager's own process that moves programs, to the manager: one has left, for another manager's node.
        ProgramLeft = 7 { program: Pid, manager: Pid } => LeaveNoted {};
        /// Pages that were put are the program's no more: the read segment has their addresses, little-endian. What is under
        /// them is there again, zeros or a file.
        DropPages = 8 { ticket: u32 } => PagesDropped {};
    }
}
