//! Each call by the short path and by the plain one, in two copies of an engine: what comes of it must be the same, and
//! so must be what the engines are afterwards, down to their counters.

use crate::action::{Action, Received, RequestId, SendId};
use crate::client::Send;
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::outcome::{SendError, Stale};
use crate::packet::Header;
use crate::server::Reply;

/// The plain path gives an action out when it is asked for the next one.
fn compare(engine: &Engine, plain: &mut Engine, first: Option<Action>) {
    if first.is_some() {
        assert_eq!(plain.next_action(), first);
    }
    assert_eq!(engine, plain);
    assert!(engine.counters().list().eq(plain.counters().list()), "{engine:?} {plain:?}");
}

/// [`Engine::send`].
pub fn send(engine: &mut Engine, now_ns: u64, send: &Send) -> Result<(SendId, Option<Action>), SendError> {
    let mut plain = engine.clone();
    plain.advance(now_ns);
    let expected = plain.send_any(send);
    let sent = engine.send(now_ns, send);
    assert_eq!(sent.map(|sent| sent.0), expected);
    compare(engine, &mut plain, sent.ok().and_then(|sent| sent.1));
    sent
}

/// [`Engine::reply`].
pub fn reply(
    engine: &mut Engine,
    now_ns: u64,
    id: RequestId,
    reply: &Reply,
) -> Result<Option<Action>, Stale> {
    let mut plain = engine.clone();
    plain.advance(now_ns);
    let expected = plain.processing(id).and_then(|index| plain.reply_any(index, reply));
    let replied = engine.reply(now_ns, id, reply);
    assert_eq!(replied.map(|_| ()), expected);
    compare(engine, &mut plain, replied.ok().flatten());
    replied
}

/// [`Engine::receive`].
pub fn receive(engine: &mut Engine, now_ns: u64, from: Address, header: &Header) -> Received {
    let mut plain = engine.clone();
    plain.advance(now_ns);
    let store = plain.receive_any(from, header);
    let received = engine.receive(now_ns, from, header);
    assert_eq!(received.store, store);
    compare(engine, &mut plain, received.action);
    received
}
