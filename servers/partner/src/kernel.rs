//! What the partner needs of the kernel: system calls and requests of the process that is the network server.

use alloc::vec::Vec;

use abi::remote::Alien;
use abi::{Error, Message, Pid};

/// The calls of the network server. None of them waits.
pub trait Kernel {
    /// Replies to a process that sent to another machine, in the name of `replier`, or of whom it addressed. Without
    /// data the reply may be made later: then nothing is said of a client that has gone.
    fn reply(&mut self, client: Pid, message: &Message, data: &[u8], replier: Pid) -> Result<(), Error>;

    /// Ends the call of such a process with an error.
    fn fail(&mut self, client: Pid, error: Error) -> Result<(), Error>;

    /// Forwards such a process to another one, of any machine, in the name of `forwarder`.
    fn forward(&mut self, client: Pid, to: Pid, message: &Message, forwarder: Pid) -> Result<(), Error>;

    /// Copies into such a process's segment; says how much, also where it fails midway.
    fn move_to(&mut self, client: Pid, offset: u64, data: &[u8]) -> (u64, Result<(), Error>);

    /// Copies out of it.
    fn move_from(&mut self, client: Pid, offset: u64, buffer: &mut [u8]) -> (u64, Result<(), Error>);

    /// Sends for a client on another machine; the cookie is the number of a serve that has nothing else under way.
    /// `buffer` is the kernel's, behind the prefix, until [`Kernel::take_back`]: if this fails, if the alien's answer or
    /// Forward has been received, or if it is to end. It may fail later: then the answer says so.
    fn send_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error>;

    /// The processes of this machine in a group.
    fn members(&mut self, group: Pid) -> Vec<Pid>;

    /// Takes the buffer of an alien back, which ends if it is not back.
    fn take_back(&mut self, cookie: u64) -> Vec<u8>;

    /// No alien is away, and none was needed lately.
    fn end_aliens(&mut self) {}

    /// Whether a process still awaits the network server's reply.
    fn awaits_reply(&mut self, client: Pid) -> bool {
        // Where it grants nothing, that is found out only once it is known to wait.
        matches!(self.move_from(client, 0, &mut []).1, Ok(()) | Err(Error::NoReadAccess))
    }
}
