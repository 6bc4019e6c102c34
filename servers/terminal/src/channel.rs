//! What the processes of the terminal's team say to each other. The two that wait for the serial line send to the
//! first process, which never sends.

abi::protocol! {
    /// Between the serial line and the terminal.
    pub mod channel = 0x7f, enum Channel {
        /// The read segment was typed. The reply comes when there is room for more.
        Typed = 1 {} => TypedTaken {};
        /// Asks for what is to be shown, into the write segment; what was given before has left the line. The reply
        /// comes when there is something.
        TakeOutput = 2 {} => OutputTaken { count: u32 };
        /// The serial line was lost and is there again: what was on its way to the screen may stand there twice.
        Reconnected = 3 {} => ReconnectionNoted {};
    }
}

/// Most bytes that go at once.
pub const CHANNEL_BYTES: usize = 2048;
