//! Pipes: two instances, what is written to one is read from the other.

use abi::{Pid, protocol};

protocol! {
    /// Pipes.
    pub mod pipe = 0x15, enum Pipe {
        /// Makes a pipe. Reading gives 0 bytes when no owner is left for writing; writing fails with
        /// [`BrokenPipe`](abi::Error::BrokenPipe) when none is left for reading.
        CreatePipe = 1 { owner: Pid } => PipeCreated { reader: u32, writer: u32 };
    }
}
