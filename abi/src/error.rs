//! Every way in which an operation can fail, with one number and one sentence each.
//!
//! The number is word 0 of a refusing reply and the result register of a refused system call. Programs keep
//! numbers that they do not know, so an old program can show a new server's error.

use core::fmt;

macro_rules! errors {
    ($($(#[$doc:meta])* $Name:ident = $code:literal, $text:literal;)*) => {
        /// Why an operation failed.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$doc])* $Name,)*
            /// A code that this program was built without knowing.
            Unknown(u32),
        }

        impl Error {
            /// Every error known here, for tables and tests.
            pub const ALL: &[Error] = &[$(Error::$Name),*];

            /// The number in messages and registers; never 0.
            #[inline]
            pub const fn code(self) -> u32 {
                match self {
                    $(Error::$Name => $code,)*
                    Error::Unknown(code) => code,
                }
            }

            /// From a number that is not [`Error::OK_CODE`].
            #[inline]
            pub const fn from_code(code: u32) -> Error {
                match code {
                    $($code => Error::$Name,)*
                    _ => Error::Unknown(code),
                }
            }

            /// What went wrong, for a person.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Error::$Name => $text,)*
                    Error::Unknown(_) => "an error that this program does not know",
                }
            }
        }
    };
}

errors! {
    // Messages and processes: the kernel's.
    /// No process has or had this pid here.
    NonexistentProcess = 1, "no such process";
    /// The pid was a process's that has ended.
    StaleProcess = 2, "the process has ended";
    /// The process is not awaiting a reply from the caller.
    NotAwaitingReply = 3, "the process is not awaiting a reply from you";
    /// An address of the caller's own is not mapped, or not for this access.
    BadAddress = 4, "bad address";
    /// An address in the other process's segment is not mapped, or not for this access.
    BadAddressOfOther = 5, "bad address in the other process";
    /// The segment was not granted for reading.
    NoReadAccess = 6, "no read access was granted";
    /// The segment was not granted for writing.
    NoWriteAccess = 7, "no write access was granted";
    /// More bytes than the segment, or than the operation allows.
    TooLong = 8, "too long";
    /// The caller lacks a right, or is another user.
    NoPermission = 9, "permission denied";
    /// The team's or user's quota is used up.
    NoQuota = 10, "quota used up";
    /// The deadline passed first.
    DeadlinePassed = 11, "deadline passed";
    /// There is no system call or kernel request with this number.
    BadRequest = 12, "the server does not take this request";
    /// An argument is out of range.
    BadArgument = 13, "bad argument";
    /// The machine has no free memory.
    NoMemory = 14, "out of memory";
    /// A table of the kernel or a server is full.
    NoResources = 15, "no resources left";
    /// The group has no member.
    EmptyGroup = 16, "the group has no members";
    /// There is nothing to receive now.
    NothingWaiting = 17, "nothing is waiting";
    /// The other process died before it replied; the request may have been executed.
    DiedBeforeReply = 18, "the other process died before it replied";
    /// The operation was abandoned: by a suspension, an interruption from the terminal, or a shutdown.
    Aborted = 19, "interrupted";
    /// The range is mapped already.
    AlreadyMapped = 20, "address range in use";
    /// The range is not mapped.
    NotMapped = 21, "address range not mapped";
    /// Someone else has it.
    Busy = 22, "in use";
    /// Forwarding needs the client's user id or the right.
    NotForwardable = 23, "may not be forwarded";
    /// The page is not in memory; the count says how far the copy came.
    NotResident = 24, "not in memory";
    /// The other machine does not answer; the request may have been executed.
    HostUnreachable = 25, "the machine does not answer";
    /// The process is on another machine, and this one has no network server; certainly not executed.
    NoNetwork = 26, "this machine has no network";
    /// No machine answers for the process's logical host; certainly not executed.
    HostNotFound = 27, "no machine has this process";
    /// The pid is another machine's: its own kernel servers must be asked.
    ProcessElsewhere = 28, "the process is on another machine";
    /// The request was executed, but its reply could not be put into the sender's segment.
    ReplyLost = 29, "the reply could not be delivered";
    /// The code with which a member of a group says that it has nothing to say: its reply is left out.
    NothingToSay = 30, "it has nothing to say";
    /// The program is no guest, or has what cannot be moved: a device, memory of others, a part in something of this machine.
    NotMovable = 31, "it cannot move to another machine";

    // Names, files and streams: the servers'.
    /// No object has this name.
    NotFound = 64, "not found";
    /// The name is taken.
    AlreadyExists = 65, "already exists";
    /// The name is malformed.
    BadName = 66, "bad name";
    /// No server answers for the prefix.
    NoSuchPrefix = 67, "no such prefix";
    /// A directory was needed.
    NotADirectory = 68, "not a directory";
    /// A directory is not wanted here.
    IsADirectory = 69, "is a directory";
    /// A directory with names in it can't be removed.
    DirectoryNotEmpty = 70, "directory not empty";
    /// The instance was released, or never was.
    BadInstance = 71, "no such open instance";
    /// The instance cannot be read.
    NotReadable = 72, "not open for reading";
    /// The instance cannot be written.
    NotWritable = 73, "not open for writing";
    /// There is nothing beyond.
    EndOfFile = 74, "end of file";
    /// Nobody will ever read it.
    BrokenPipe = 75, "broken pipe";
    /// No room on the device or in the user's share of it.
    NoSpace = 76, "no space left";
    /// The server's objects cannot be changed.
    ReadOnly = 77, "read-only";
    /// The two names are not in one server.
    CrossServer = 78, "names of two different servers";
    /// The operation makes no sense for this object.
    NotSupported = 79, "not supported here";
    /// The device failed.
    DeviceError = 80, "device error";
    /// The context (directory) has gone.
    BadContext = 81, "the working directory has gone";
    /// A directory can't be moved into itself.
    InvalidMove = 82, "a directory cannot be moved into itself";
    /// What is on the disk is not what was written there.
    Damaged = 83, "damaged on the disk";

    // Programs.
    /// Not an executable image.
    BadImage = 96, "not a program";
    /// No service has this name.
    NoSuchService = 97, "no such service";
    /// The reply was not of the protocol.
    BadReply = 98, "unintelligible reply";
    /// No machine answers that it can run the program.
    NoOffer = 99, "no node offers to run it";
    /// No machine answers that it has this name.
    NoSuchNode = 100, "no node of this name answers";
}

impl Error {
    /// Word 0 of a reply, or the result register, when all went well.
    pub const OK_CODE: u32 = 0;

    /// `Ok` for [`Error::OK_CODE`], else the error.
    #[inline]
    pub const fn check(code: u32) -> Result<(), Error> {
        if code == Error::OK_CODE { Ok(()) } else { Err(Error::from_code(code)) }
    }

    /// Whether the request may have been executed although it failed.
    pub const fn may_have_been_executed(self) -> bool {
        matches!(
            self,
            Error::DiedBeforeReply
                | Error::HostUnreachable
                | Error::DeadlinePassed
                | Error::Aborted
                | Error::ReplyLost
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unknown(code) => write!(f, "unknown error {code}"),
            known => f.write_str(known.text()),
        }
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_come_back() {
        for (position, error) in Error::ALL.iter().enumerate() {
            assert_ne!(error.code(), Error::OK_CODE);
            assert_eq!(Error::from_code(error.code()), *error);
            assert!(Error::ALL[..position].iter().all(|earlier| earlier.code() != error.code()));
        }
        assert_eq!(Error::from_code(0x12_3456).code(), 0x12_3456);
    }
}
