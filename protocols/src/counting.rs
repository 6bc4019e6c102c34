//! The marks of programs that are measured in instructions, where a plugin of QEMU's counts these (`host/src/counting.rs`).
//! A measured program passes them, and the tool makes figures of what was counted between them.

/// A batch of operations begins.
pub const BEGIN: u16 = 1;
/// It ends.
pub const END: u16 = 2;
/// All batches of a figure have been executed.
pub const FIGURE: u16 = 3;

/// The unit of a figure's line where its value is how many operations a batch has: what counts is what all machines
/// execute,
pub const COUNTED: &str = "counted";
/// or that machine which executes most of all in the batch.
pub const COUNTED_MOST: &str = "counted-most";
