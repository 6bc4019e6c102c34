//! Messages: to send, to receive, to reply.
//!
//! Most programs need [`call`] alone, and most servers [`crate::server`]. The rest are V's primitives as they are,
//! from [`crate::syscall`].
//!
//! **When a network server dies** on the way to another node, it is there again a moment later, and who waited is told
//! whether the request may have been executed. [`again`] repeats what may be repeated.

use abi::protocol::{Reply, Request};
use abi::{Error, Pid};

use crate::time::{self, Duration};

pub(crate) use crate::syscall::group_sends;
pub use crate::syscall::{
    Received, Segment, Sender, forward, get_reply, move_from, move_to, receive, reply, reply_receive,
    reply_receive_lending, send, send_group,
};

/// Asks `to` for something and waits for the answer, whose code is checked.
///
/// ```no_run
/// use v::{Segment, abi::kernel};
/// let clocks = v::call(kernel::server(kernel::TIME), &kernel::time::Now {}, Segment::None)?;
/// assert!(clocks.real_ns >= clocks.monotonic_ns);
/// # Ok::<(), v::Error>(())
/// ```
#[inline]
pub fn call<R: Request>(to: Pid, request: &R, segment: Segment<'_>) -> Result<R::Reply, Error> {
    let (_, reply) = send(to, &request.to_message(), segment)?;
    Error::check(reply.code())?;
    Ok(R::Reply::from_message(&reply))
}

/// How long a network server may take to come back.
const NETWORK_PATIENCE_NS: u64 = 5_000_000_000;
const NETWORK_PAUSE: Duration = Duration::from_millis(20);

/// Does what sends to another process, and if a network server ended meanwhile, again: what was not executed, and if
/// it is `idempotent` also what may have been. A node that fell silent is so tried once more.
///
/// ```no_run
/// # let server = v::Pid::NONE;
/// use v::protocols::io::io;
/// let query = io::QueryInstance { instance: 1 };
/// let found = v::message::again(true, || v::call(server, &query, v::Segment::None))?;
/// # Ok::<(), v::Error>(())
/// ```
#[inline]
pub fn again<T>(idempotent: bool, mut operation: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    match operation() {
        Err(error) if is_networks(error, idempotent) => repeat(idempotent, operation),
        outcome => outcome,
    }
}

/// Whether an error is that of a network server that ended, and the request may be made again.
const fn is_networks(error: Error, idempotent: bool) -> bool {
    match error {
        Error::NoNetwork => true,
        Error::HostUnreachable => idempotent,
        _ => false,
    }
}

#[cold]
fn repeat<T>(idempotent: bool, mut operation: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let end_ns = time::now_ns() + NETWORK_PATIENCE_NS;
    loop {
        time::sleep(NETWORK_PAUSE)?;
        match operation() {
            Err(error) if is_networks(error, idempotent) && time::now_ns() < end_ns => {}
            outcome => return outcome,
        }
    }
}

/// As [`call`], to every member of a group; the first reply counts. Also says who gave it.
#[inline]
pub fn call_group<R: Request>(
    group: Pid,
    request: &R,
    segment: Segment<'_>,
    deadline: abi::call::Deadline,
) -> Result<(Pid, R::Reply), Error> {
    let (replier, reply) = send_group(group, &request.to_message(), segment, deadline)?;
    Error::check(reply.code())?;
    Ok((replier, R::Reply::from_message(&reply)))
}

/// A request to the kernel server with this index on the caller's own host, without a segment.
#[inline]
pub(crate) fn kernel<R: Request>(index: u16, request: &R) -> Result<R::Reply, Error> {
    call(abi::kernel::server(index), request, Segment::None)
}
