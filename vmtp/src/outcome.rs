//! How transactions end, and why calls are refused.

use crate::action::Response;

/// The one outcome of a send.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// The server responded.
    Response(Response),
    /// The time for responses of a group's members is over; so many came, each with an
    /// [`Action::Collect`](crate::Action::Collect).
    Collected {
        /// How many.
        responses: u32,
    },
    /// The server responded to it and to a later one of its run at once: the response is that one's.
    Batched {
        /// The later one.
        by: u32,
    },
    /// A datagram was sent; nobody knows more.
    Sent,
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether the request may have been executed: false is certain.
        may_have_been_executed: bool,
    },
}

/// Why a send failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// No host answers for the server's logical host.
    HostUnreachable,
    /// The server's host has fallen silent.
    HostSilent,
    /// There is no such server.
    NonexistentEntity,
    /// The server does not serve this client.
    NoPermission,
    /// The send was conditional and the server was not waiting.
    NotAwaiting,
    /// The server's host no longer knows what became of the request.
    Forgotten,
    /// The time given by the user is over.
    Timeout,
    /// The user took it back.
    Cancelled,
    /// The response's segment did not arrive whole: this many bytes did, from its start.
    BadReplySegment {
        /// Bytes that arrived.
        bytes: u32,
    },
    /// The server's side has withdrawn the response ([`Engine::withdraw`](crate::Engine::withdraw)) after this many bytes
    /// of its segment had arrived.
    Withdrawn {
        /// Bytes that arrived.
        bytes: u32,
    },
    /// One side broke the protocol, or the message is too large for the other.
    Protocol,
}

/// Why a send was not begun. Nothing was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError {
    /// All records are in use: try again when a transaction is over.
    TooManyTransactions,
    /// All records of hosts are in use by transactions.
    TooManyHosts,
    /// The client has a transaction under way, or as many of a run as may be.
    ClientBusy,
    /// The client does not belong to a local logical host.
    NotLocal,
    /// The server belongs to the client's own logical host: the engine is for others.
    SameHost,
    /// A length or combination of flags that the protocol does not have, or what does not go on with the client's run.
    BadMessage,
}

/// The id of a request that is not, or no longer, waiting for this call: its client gave up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stale;

/// Why a request was not forwarded. Nothing was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForwardError {
    /// The client gave up: see [`Stale`].
    Stale,
    /// The server is local: hand the request to it.
    ServerLocal,
    /// The protocol cannot: to or from a group, for the sixteenth time, back to the client's own host, or in the middle
    /// of a run.
    Nested,
    /// All records of hosts are in use by transactions.
    TooManyHosts,
}

/// Why a request's response cannot be batched with the next one's. Nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchError {
    /// The client gave up: see [`Stale`].
    Stale,
    /// It ends its run, or is in none, or the client's next transaction number is not the next: reply.
    Alone,
}

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// There is no such server; the request was not executed.
    NonexistentEntity,
    /// The server does not serve this client; the request was not executed.
    NoPermission,
    /// The request is conditional and the server is not waiting; it was not executed.
    NotAwaiting,
    /// The server died over it: it may have been executed.
    Died,
    /// There is no room for it now; it was not executed. The client waits, and sends it again as a new one.
    Busy,
}
