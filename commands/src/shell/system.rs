//! What the shell needs of the world. The real system is V's; tests use one of the host's.

use alloc::string::String;
use alloc::vec::Vec;

use abi::Error;

use super::ast::{Mode, Text};

/// What the shell needs of the world.
///
/// Names are V's: `[prefix]path`, or relative to the current context. Streams are handles that the shell
/// copies freely; the stream is released with its last handle.
pub trait System: 'static {
    /// An open file, pipe or terminal.
    type Stream: Clone;
    /// A program that was started. Dropping it leaves the program alone.
    type Child;
    /// Programs that are ended together, with all that they start.
    type Job: Copy;
    /// The current context and the prefix table, for going back to them when a subshell ends.
    type Names;

    /// Starts a program.
    fn start(&mut self, start: &Start<'_, Self::Stream, Self::Job>) -> Result<Self::Child, Error>;
    /// Waits until a program has ended, or was stopped if it [may be](Start::may_stop). `Error::Aborted` if the user
    /// interrupts first; a program in the foreground is ended by that, others go on.
    fn wait(&mut self, child: &mut Self::Child) -> Result<Waited, Error>;
    /// How a program has ended, if it has.
    fn poll(&mut self, child: &mut Self::Child) -> Result<Option<Ended>, Error>;
    /// Has the user's interruption end a program that was started in the background.
    fn bring_to_foreground(&mut self, child: &mut Self::Child);
    /// Ends a program.
    fn kill(&mut self, child: &mut Self::Child) -> Result<(), Error>;
    /// A job without a program as yet.
    fn new_job(&mut self) -> Self::Job;
    /// Ends the programs of a job, on whatever nodes they are.
    fn kill_job(&mut self, job: Self::Job) -> Result<(), Error>;
    /// From now on the user may stop the programs of this job, on whatever nodes they are; or nothing.
    fn allow_stop(&mut self, job: Option<Self::Job>);
    /// Lets the programs of a job go on that were stopped.
    fn continue_job(&mut self, job: Self::Job) -> Result<(), Error>;
    /// A program's process identifier as `$!` and `kill` have it.
    fn identity(&self, child: &Self::Child) -> Text;
    /// The shell's own process identifier, `$$`.
    fn own_identity(&self) -> Text;
    /// Whether the user interrupted since the last time this was asked. No program is in the foreground afterwards.
    fn interrupted(&mut self) -> bool;
    /// Whether this shell, at which no user types, learns of interruptions instead of being ended by them.
    fn catch_interruptions(&mut self, catches: bool);

    /// A pipe: its reading and its writing end.
    fn pipe(&mut self) -> Result<(Self::Stream, Self::Stream), Error>;
    /// Opens a file, or whatever has this name.
    fn open(&mut self, name: &[u8], mode: Mode) -> Result<Self::Stream, Error>;
    /// A stream that gives `text` and then ends.
    fn stream_of(&mut self, text: &[u8]) -> Result<Self::Stream, Error>;
    /// A stream that is empty when read and takes all that is written.
    fn null(&mut self) -> Result<Self::Stream, Error>;
    /// Writes bytes at the end of a file, which is made if need be, and returns its length when they are safe.
    fn append(&mut self, name: &[u8], bytes: &[u8]) -> Result<u64, Error>;
    /// Gives a file another name, in place of a file that has it.
    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), Error>;
    /// Removes a file.
    fn remove(&mut self, name: &[u8]) -> Result<(), Error>;
    /// Reads some bytes; 0 at the end. `Error::Aborted` if the user interrupted.
    fn read(&mut self, stream: &Self::Stream, buffer: &mut [u8]) -> Result<usize, Error>;
    /// As `read`, but nothing beyond the end of a line is taken from the stream.
    fn read_within_line(&mut self, stream: &Self::Stream, buffer: &mut [u8]) -> Result<usize, Error>;
    /// Writes all bytes.
    fn write(&mut self, stream: &Self::Stream, bytes: &[u8]) -> Result<(), Error>;
    /// Whether a person is at the other end.
    fn is_terminal(&mut self, stream: &Self::Stream) -> bool;
    /// Tells a terminal what to show when the next line is read from it; whether it remembers no lines, and wants some.
    fn set_prompt(&mut self, terminal: &Self::Stream, prompt: &[u8]) -> Result<bool, Error>;
    /// Tells a terminal lines to remember, the oldest first.
    fn add_history(&mut self, terminal: &Self::Stream, lines: &[u8]) -> Result<(), Error>;
    /// The line up to the end of a word that a terminal wants completed, which has just been read 0 bytes from, and where
    /// in it the word begins; `None` if it was the end.
    fn line_to_complete(&mut self, terminal: &Self::Stream) -> Option<(Text, usize)>;
    /// Tells a terminal, one in a line, the words that the one it asked about may be the beginning of.
    fn set_completions(&mut self, terminal: &Self::Stream, lines: &[u8]) -> Result<(), Error>;

    /// What has this name.
    fn look_up(&mut self, name: &[u8]) -> Result<Object, Error>;
    /// The names in a directory and what they stand for, in any order; empty for the current context.
    fn list(&mut self, directory: &[u8]) -> Result<Vec<(Text, ObjectKind)>, Error>;

    /// The name of this node.
    fn node(&self) -> Text;
    /// The names of the nodes that answer.
    fn nodes(&mut self) -> Vec<Text>;

    /// The name of the current context.
    fn context(&mut self) -> Result<Text, Error>;
    /// Changes the current context.
    fn set_context(&mut self, name: &[u8]) -> Result<(), Error>;
    /// The context and prefixes as they are now.
    fn names(&self) -> Self::Names;
    /// Goes back to such names.
    fn restore_names(&mut self, names: Self::Names);
    /// The prefixes and what each stands for.
    fn prefixes(&mut self) -> Vec<(Text, Text)>;
    /// Whether a prefix has this name.
    fn is_prefix(&mut self, name: &[u8]) -> bool;
    /// Makes a prefix stand for a name.
    fn set_prefix(&mut self, prefix: &[u8], target: &[u8]) -> Result<(), Error>;
    /// Removes a prefix.
    fn remove_prefix(&mut self, prefix: &[u8]) -> Result<(), Error>;

    /// Directories searched for programs when `PATH` is not set, separated by colons or blanks.
    fn default_path(&self) -> Text;
    /// How much stack the shell may use for nesting.
    fn stack_bytes(&self) -> usize;
    /// How much memory this process could still take, by its quota and by what is free.
    fn free_bytes(&mut self) -> usize;
}

/// A program to be started.
pub struct Start<'a, Stream, Job> {
    /// Which.
    pub program: Program<'a>,
    /// Its arguments; the first is its name.
    pub arguments: &'a [Text],
    /// Its environment.
    pub environment: &'a [(Text, Text)],
    /// Standard input, output and error; `None` is closed.
    pub streams: [Option<Stream>; 3],
    /// Where it runs.
    pub placement: Placement<'a>,
    /// What it is part of, beside what the shell is.
    pub job: Option<Job>,
    /// The user waits for it and may interrupt it.
    pub is_foreground: bool,
    /// Whoever waits for it is told when the user stops it.
    pub may_stop: bool,
    /// It is waited for next.
    pub is_awaited: bool,
}

/// Which program is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program<'a> {
    /// The file of this name.
    File(&'a [u8]),
    /// The shell itself, to run what cannot run in this process.
    Shell,
}

/// Where a program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement<'a> {
    /// On this node.
    Here,
    /// On the node of this name.
    Node(&'a [u8]),
    /// On the node that is idle most, of those that meet the constraints.
    Anywhere(Constraints),
}

/// What a node must have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Constraints {
    /// Free memory, in bytes.
    pub least_memory_bytes: u64,
    /// How much of its processor is idle, in percent.
    pub least_idle_percent: u32,
}

/// What a wait for a program comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Waited {
    /// It has ended.
    Ended(Ended),
    /// It was stopped, and may be let go on.
    Stopped,
}

/// How a program ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its exit status, as in `$?`.
    pub status: i32,
    /// What to tell the user, for a program that did not end by itself.
    pub reason: Option<String>,
}

impl Ended {
    /// Adds what there is to tell to a text; the status.
    pub(super) fn tell(self, text: &mut String) -> i32 {
        if let Some(reason) = self.reason {
            text.push_str(&reason);
            text.push('\n');
        }
        self.status
    }
}

/// What `test` can learn about a named object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Object {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// May be read.
    pub is_readable: bool,
    /// May be written.
    pub is_writable: bool,
    /// May be run, or searched.
    pub is_executable: bool,
    /// When it was last changed, in any unit that only grows.
    pub modified: u64,
}

/// The kinds of named objects that `test` tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectKind {
    /// Bytes at rest.
    File,
    /// A directory.
    Directory,
    /// A pipe, terminal, connection or device.
    Stream,
}
