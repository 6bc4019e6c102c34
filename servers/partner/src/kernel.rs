//! What the partner needs of the kernel: system calls and requests of the process that is the network server.

use alloc::vec::Vec;

use abi::kernel::record::{ProcessRecord, ProcessState};
use abi::remote::Alien;
use abi::{Error, Message, Pid};

/// Where an alien's message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlienPlace {
    /// In the queue of this process.
    Queued(Pid),
    /// This process has received it, and is to reply.
    Received(Pid),
}

impl AlienPlace {
    /// Out of what the kernel knows of the alien of a client. [`Busy`](Error::Busy) if it is back: then it waits on behalf of
    /// the client.
    pub fn of(record: &ProcessRecord, client: Pid) -> Result<AlienPlace, Error> {
        let with = Pid::from_bits(record.waits_on);
        let state = record.state & !ProcessState::SUSPENDED_BIT;
        if with.is_none() || with == client {
            Err(Error::Busy)
        } else if state == ProcessState::SendBlocked as u64 {
            Ok(AlienPlace::Queued(with))
        } else {
            Ok(AlienPlace::Received(with))
        }
    }
}

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

/// What moving a guest takes beside.
pub trait MovingKernel: Kernel {
    /// Where the message of an alien is that was sent for a client. [`Busy`](Error::Busy) if it is back, which the next
    /// messages tell.
    fn look_at_alien(&mut self, cookie: u64, client: Pid) -> Result<AlienPlace, Error>;

    /// As [`Kernel::send_alien`], for an alien whose message a process has received already, on the machine where that was
    /// before: it awaits that one's reply at once. The process is whom it addresses, and frozen.
    fn restore_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error>;

    /// The state of a frozen guest's processes, in at most so many bytes. From then on the kernel takes its logical host for
    /// another machine's, until it is thawed. If it fails, nothing has been done.
    fn read_team(&mut self, team: Pid, most_bytes: usize) -> Result<Vec<u8>, Error>;

    /// Makes a newborn team that guest, frozen; or if `team` is the guest itself, which is still there, frozen, takes back that
    /// its state was read. If it fails, a newborn team is of no use; nothing else has been done.
    fn write_team(&mut self, team: Pid, state: &[u8]) -> Result<(), Error>;
}
