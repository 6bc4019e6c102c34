//! Leases of a server's files: who waits to open one for writing, and the caches that are to be told so.
//!
//! A file that is open for writing has no leases, and opening one so waits until those that it has are given up or have
//! ended. So nothing else changes: a write waits for nobody. What is not leased costs who opens it a look at an empty table.

use abi::protocol::Reply;
use abi::{Error, Message, Pid};
use alloc::vec::Vec;
use leases::{Grant, Grants, Permission, Recall};
use protocols::leases::leases::{Await, Recalled};

use crate::service::{Client, Request};
use crate::system::System;

/// Who may wait at a time.
const MOST_PUT_OFF: usize = 256;
/// Caches that are told of recalls.
const MOST_CHANNELS: usize = 64;
/// How often it is looked whether a cache has no lease left.
const LOOK_NS: u64 = 1_000_000_000;
/// The time of what is not due.
pub(crate) const NEVER: u64 = u64::MAX;

/// An open that has to wait.
#[derive(Debug)]
pub(crate) struct PutOff {
    pub(crate) client: Client,
    pub(crate) message: Message,
    pub(crate) path: Vec<u8>,
    until_ns: u64,
}

/// A cache that waits to be told.
#[derive(Debug)]
struct Channel {
    holder: Pid,
    /// Who awaits the reply.
    process: Pid,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Leasing {
    grants: Grants<Pid>,
    put_off: Vec<PutOff>,
    channels: Vec<Channel>,
    look_at_ns: u64,
}

impl Leasing {
    /// An earlier life of the server may have granted leases of the same files.
    pub(crate) fn wait_out(&mut self, now_ns: u64) {
        self.grants.wait_out(now_ns);
    }

    /// Whether no file can be leased.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.grants.is_idle()
    }

    /// A lease of a file that nobody has open for writing.
    pub(crate) fn grant(&mut self, file: u64, holder: Pid, now_ns: u64) -> Grant {
        self.grants.grant(file, holder, now_ns)
    }

    /// When a file may be opened for writing; if that is later, it has to be [put off](Leasing::put_off).
    pub(crate) fn begin_write(&mut self, file: u64, now_ns: u64) -> Permission {
        self.grants.begin_write(file, now_ns)
    }

    /// Lets an open wait until that time, or an approval, and recalls what it waits for.
    #[cold]
    pub(crate) fn put_off(
        &mut self,
        request: &Request<'_>,
        until_ns: u64,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        if self.put_off.len() == MOST_PUT_OFF {
            return Err(Error::NoResources);
        }
        let Request { client, message, head } = *request;
        self.put_off.push(PutOff { client: *client, message: *message, path: head.to_vec(), until_ns });
        self.recall(system);
        Ok(())
    }

    /// All who wait, to be tried again.
    pub(crate) fn take_put_off(&mut self) -> Vec<PutOff> {
        core::mem::take(&mut self.put_off)
    }

    /// A cache waits to be told, and gives up what it was told last.
    pub(crate) fn await_recall(&mut self, process: Pid, request: &Await) -> Result<(), Error> {
        self.channels.retain(|channel| channel.holder != request.holder);
        let done = Recall { content: request.content, grant: request.grant };
        self.grants.approve(request.holder, (done.content != 0).then_some(done));
        if self.channels.len() == MOST_CHANNELS {
            return Err(Error::NoResources);
        }
        self.channels.push(Channel { holder: request.holder, process });
        Ok(())
    }

    /// Tells caches of what is recalled.
    pub(crate) fn recall(&mut self, system: &mut dyn System) {
        let now_ns = system.monotonic_ns();
        self.channels.retain(|channel| {
            let Some(recall) = self.grants.next_recall(channel.holder, now_ns) else { return true };
            let reply = Recalled { content: recall.content, grant: recall.grant };
            // One that does not hear it is waited for until its lease has ended.
            let _ = system.reply(channel.process, &reply.to_message(), &[]);
            false
        });
    }

    /// Tells caches that they have no lease left, now and then.
    pub(crate) fn tick(&mut self, system: &mut dyn System) {
        let now_ns = system.monotonic_ns();
        if now_ns < self.look_at_ns {
            return;
        }
        self.look_at_ns = now_ns + LOOK_NS;
        self.channels.retain(|channel| {
            let has_lease = self.grants.has_lease(channel.holder, now_ns);
            if !has_lease {
                let _ = system.reply(channel.process, &Recalled { content: 0, grant: 0 }.to_message(), &[]);
            }
            has_lease
        });
    }

    /// When something is due, or [`NEVER`]: somebody has waited long enough, or a cache may have no lease left.
    #[inline]
    pub(crate) fn next_ns(&self) -> u64 {
        if self.put_off.is_empty() && self.channels.is_empty() { NEVER } else { self.first_ns() }
    }

    #[cold]
    fn first_ns(&self) -> u64 {
        let waiting_ns = self.put_off.iter().map(|put_off| put_off.until_ns).min();
        let look_ns = (!self.channels.is_empty()).then_some(self.look_at_ns);
        [waiting_ns, look_ns].into_iter().flatten().min().unwrap_or(NEVER)
    }
}
