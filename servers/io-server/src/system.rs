//! What a server needs of the kernel. The runtime gives the real one, [`testing`](crate::testing) one in memory.

use abi::{Error, Message, Pid, UserId};

/// The kernel as an I/O server sees it.
pub trait System {
    /// Replies to a client that was answered with `Later`, with data for the beginning of its segment.
    fn reply(&mut self, client: Pid, message: &Message, data: &[u8]) -> Result<(), Error>;

    /// Copies into the segment of a client that awaits the reply.
    fn move_to(&mut self, client: Pid, offset: u64, data: &[u8]) -> Result<(), Error>;

    /// Copies out of the segment of a client that awaits the reply.
    fn move_from(&mut self, client: Pid, offset: u64, buffer: &mut [u8]) -> Result<(), Error>;

    /// Whose a process is; [`StaleProcess`](Error::StaleProcess) or
    /// [`NonexistentProcess`](Error::NonexistentProcess) where it has ended.
    fn user_of(&mut self, process: Pid) -> Result<UserId, Error>;

    /// Whether a process is known to have ended. Never waits for another node: there it is known later.
    fn has_ended(&mut self, process: Pid) -> bool {
        matches!(self.user_of(process), Err(Error::StaleProcess | Error::NonexistentProcess))
    }

    /// What the kernel has of pages of an instance, from `position` on, is out of date: lent and copied ones.
    fn revoke(&mut self, instance: u32, position: u64, pages: u32) -> Result<(), Error>;

    /// Makes a page, which may have been lent, one of zeros that nobody else has. Those who have it mapped keep the one
    /// that it was. `page` is one of the machine's.
    fn discard(&mut self, page: &mut [u8]) -> Result<(), Error>;

    /// Gives frames to pages of the server's own memory that have none, `pages` from `address` on, but none of the reserve: so
    /// that what is written there next cannot be its end. An error if there are not enough.
    fn make_present(&mut self, address: usize, pages: u32) -> Result<(), Error>;

    /// Ends a program of a user. One on another node is ended some time later, if it is that user's.
    fn end(&mut self, program: Pid, user: UserId, status: u32) -> Result<(), Error>;

    /// Nanoseconds since boot.
    fn monotonic_ns(&self) -> u64;

    /// Nanoseconds since 1970.
    fn real_ns(&self) -> u64;
}
