//! The other team: a server that answers the requests which are measured.

use abi::call::FOREVER;
use abi::protocol::{Reply, refusal};
use abi::{Error, PAGE_BYTES};
use alloc::boxed::Box;
use alloc::vec;
use v::message::{move_from, move_to, receive, reply_receive};

abi::protocol! {
    /// What `bench` asks of its peer.
    pub mod peer = 0x71, enum Peer {
        /// Nothing.
        Nothing = 1 {} => NothingDone {};
        /// A page, with the reply.
        Page = 2 {} => PageDone {};
        /// 64 KiB, moved so many times before the reply.
        Bulk = 3 { times: u32 } => BulkDone {};
        /// To end.
        End = 4 {} => Ended {};
        /// So many bytes of the client's segment, moved there.
        MoveTo = 5 { bytes: u32 } => MovedTo {};
        /// So many bytes of the client's segment, moved from there.
        MoveFrom = 6 { bytes: u32 } => MovedFrom {};
    }
}

/// The most that is moved at a time.
pub const MOST_MOVED_BYTES: usize = 1 << 20;

/// Serves until told to end.
#[expect(clippy::large_stack_arrays, reason = "the pages are aligned, and the stack has room for them")]
pub fn serve() -> i32 {
    let page = Box::new(super::Page([1; PAGE_BYTES as usize]));
    let bulk = Box::new(super::Bulk([2; super::BULK_BYTES]));
    let mut moved = vec![3; MOST_MOVED_BYTES];
    let Ok(mut received) = receive(None, &mut [], FOREVER) else {
        return 1;
    };
    loop {
        let mut data: &[u8] = &[];
        let message = match peer::Peer::from_message(&received.message) {
            Some(peer::Peer::Nothing(_)) => peer::NothingDone {}.to_message(),
            Some(peer::Peer::Page(_)) => {
                data = &page.0;
                peer::PageDone {}.to_message()
            }
            Some(peer::Peer::Bulk(request)) => {
                match (0..request.times).try_for_each(|_| move_to(received.sender.pid, 0, &bulk.0)) {
                    Ok(()) => peer::BulkDone {}.to_message(),
                    Err(error) => refusal(error),
                }
            }
            Some(peer::Peer::MoveTo(request)) => match moved.get(..request.bytes as usize) {
                Some(data) => match move_to(received.sender.pid, 0, data) {
                    Ok(()) => peer::MovedTo {}.to_message(),
                    Err(error) => refusal(error),
                },
                None => refusal(Error::TooLong),
            },
            Some(peer::Peer::MoveFrom(request)) => match moved.get_mut(..request.bytes as usize) {
                Some(buffer) => match move_from(received.sender.pid, 0, buffer) {
                    Ok(()) => peer::MovedFrom {}.to_message(),
                    Err(error) => refusal(error),
                },
                None => refusal(Error::TooLong),
            },
            Some(peer::Peer::End(_)) => {
                return i32::from(
                    v::message::reply(received.sender.pid, &peer::Ended {}.to_message(), &[]).is_err(),
                );
            }
            None => refusal(Error::BadRequest),
        };
        match reply_receive(received.sender.pid, &message, data, &mut [], FOREVER) {
            Ok(next) => received = next,
            Err(_) => return 1,
        }
    }
}
