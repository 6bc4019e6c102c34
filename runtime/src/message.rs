//! Messages: to send, to receive, to reply.
//!
//! Most programs need [`call`] alone, and most servers [`crate::server`]. The rest are V's primitives as they are,
//! from [`crate::syscall`].

use abi::protocol::{Reply, Request};
use abi::{Error, Pid};

pub use crate::syscall::{
    Received, Segment, forward, get_reply, move_from, move_to, receive, reply, reply_receive, send,
    send_until as send_group,
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
