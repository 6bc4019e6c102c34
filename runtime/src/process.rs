//! Processes and programs: ending this one.

use abi::{Error, Pid, kernel};

/// What a program's `main` may return.
pub trait Termination {
    /// The program's exit status.
    fn status(self) -> i32;
}

impl Termination for () {
    fn status(self) -> i32 {
        0
    }
}

impl Termination for i32 {
    fn status(self) -> i32 {
        self
    }
}

impl Termination for core::convert::Infallible {
    fn status(self) -> i32 {
        match self {}
    }
}

/// Ends the program, which is to say this team, with `status`.
pub fn exit(status: i32) -> ! {
    abort(status)
}

/// As [`exit`], but nothing that is buffered is written.
pub fn abort(status: i32) -> ! {
    let request = kernel::process::Destroy {
        process: team(),
        status: status.cast_unsigned(),
    };
    loop {
        // The kernel does not refuse this; and there is nothing else to be done.
        let _ = crate::message::kernel(kernel::PROCESS, &request);
    }
}

/// The root process of this team.
pub fn team() -> Pid {
    static TEAM: crate::sync::Once<Pid> = crate::sync::Once::new();
    TEAM.try_call_once(|| Ok::<_, Error>(identify(Pid::NONE)?.team))
        .copied()
        .unwrap_or(Pid::NONE)
}

/// The team, owner, user and rights of a process; [`Pid::NONE`]: the caller.
pub fn identify(process: Pid) -> Result<kernel::process::Identified, Error> {
    crate::message::kernel(kernel::PROCESS, &kernel::process::Identify { process })
}
