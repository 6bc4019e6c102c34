//! Interrupts. A claimed line's interrupts come to the claiming process as messages from a process that has no code;
//! the line stays masked until such a message is replied to. Those of message lines want no reply.

use v::abi::kernel::{self, device, message_line};
use v::abi::notice::notice;
use v::abi::protocol::{Reply, Request};
use v::server::Outcome;
use v::{Error, Message, Pid, Segment, call, message};

/// A claimed interrupt line. It stays claimed as long as the team lives, or until it is [released](Self::release).
#[derive(Debug)]
pub struct InterruptLine {
    sender: Pid,
    message: (u64, u32),
}

impl InterruptLine {
    /// Claims a line (a global system interrupt; legacy lines follow the machine's overrides) for the calling process.
    pub fn claim(line: u32) -> Result<InterruptLine, Error> {
        let claimed = call(kernel::server(kernel::DEVICE), &device::ClaimInterrupt { line }, Segment::None)?;
        Ok(InterruptLine { sender: claimed.interrupt, message: (claimed.address, claimed.data) })
    }

    /// Of a message line: the address to which the device writes to interrupt, and the data.
    pub const fn message(&self) -> (u64, u32) {
        self.message
    }

    /// Who sends this line's interrupts.
    pub const fn sender(&self) -> Pid {
        self.sender
    }

    /// Whether a message that was received is this line's interrupt.
    pub fn is_from(&self, sender: Pid, message: &Message) -> bool {
        sender == self.sender && message.code() == notice::Interrupt::CODE
    }

    /// What becomes of an interrupt's message once the device no longer asks for attention: the reply that unmasks its
    /// line, where it wants one.
    #[inline]
    pub fn attended(message: &Message) -> Outcome<'static> {
        match notice::Notice::from_message(message) {
            Some(notice::Notice::Interrupt(interrupt)) if message_line::contains(interrupt.line) => {
                Outcome::Later
            }
            _ => Outcome::Reply(notice::InterruptHandled {}.to_message()),
        }
    }

    /// Waits for an interrupt, and for nothing else.
    pub fn wait(&self) -> Result<(), Error> {
        message::receive(Some(self.sender), &mut [], v::abi::call::FOREVER)?;
        Ok(())
    }

    /// Unmasks the line, a wired one, after [`wait`](InterruptLine::wait).
    pub fn acknowledge(&self) -> Result<(), Error> {
        message::reply(self.sender, &notice::InterruptHandled {}.to_message(), &[])
    }

    /// Gives the line back.
    pub fn release(self) -> Result<(), Error> {
        let interrupt = self.sender;
        call(kernel::server(kernel::DEVICE), &device::ReleaseInterrupt { interrupt }, Segment::None)?;
        Ok(())
    }
}
