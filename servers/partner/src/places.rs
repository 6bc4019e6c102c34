//! Where the segments of copies are: in the memory of the process here that asked for the copy or is copied for.
//!
//! The partner has nothing of such a segment but its prefix. The data behind it is read from the process's own segment
//! when a packet with it is written, and written there when one has come: each byte is copied once on either side, and
//! a copy of any length goes on as its packets do. Each time it is looked whether the process still waits for what the
//! copy belongs to. What cannot be read or written stops the copy there.

use alloc::vec::Vec;

use abi::wire::PREFIX_BYTES;
use abi::{Error, LogicalHost, Pid};
use vmtp::{Buffer, Store};

use crate::kernel::Kernel;
use crate::memory::Memory;
use crate::sends::Sends;

/// Where the data of one segment is.
#[derive(Debug)]
pub struct Place {
    /// The segment's number.
    pub buffer: Buffer,
    /// Whose memory it is in, and which of its transactions it waits for.
    pub process: Pid,
    pub transaction: u32,
    /// The slot of that.
    pub slot: usize,
    /// Where in what the process has granted.
    pub offset: u64,
    /// Whether data comes into it, or is read from it.
    pub is_written: bool,
    /// Behind how many bytes the copy has stopped, and why.
    pub stop: Option<(u64, Error)>,
}

/// All of them: a few at a time.
#[derive(Debug, Default)]
pub struct Places(Vec<Place>);

impl Places {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any is of a process of a logical host.
    pub fn is_any_of(&self, host: LogicalHost) -> bool {
        self.0.iter().any(|place| place.process.host() == host)
    }

    /// Adds one, for a buffer that has none.
    pub fn put(&mut self, place: Place) {
        self.0.push(place);
    }

    /// The place of a buffer's data, if it is a copy's.
    pub fn get(&mut self, buffer: Buffer) -> Option<&mut Place> {
        self.0.iter_mut().find(|place| place.buffer == buffer)
    }

    /// Takes it out.
    pub fn take(&mut self, buffer: Buffer) -> Option<Place> {
        let at = self.0.iter().position(|place| place.buffer == buffer)?;
        Some(self.0.swap_remove(at))
    }

    /// Drops those of the buffers that `is_over` says it of.
    pub fn drop_where(&mut self, is_over: impl Fn(Buffer) -> bool) {
        self.0.retain(|place| !is_over(place.buffer));
    }
}

impl Place {
    /// How much of `bytes` was copied, and why no more.
    pub fn outcome(&self, bytes: usize) -> (u64, Result<(), Error>) {
        self.stop.map_or((bytes as u64, Ok(())), |(count, error)| (count, Err(error)))
    }

    /// Reads the segment from `at` on, the prefix from `prefix`. False if it cannot be read.
    pub fn read<K: Kernel>(
        &mut self,
        at: usize,
        out: &mut [u8],
        prefix: &[u8],
        sends: &Sends,
        kernel: &mut K,
    ) -> bool {
        let before = PREFIX_BYTES.saturating_sub(at).min(out.len());
        let (head, data) = out.split_at_mut(before);
        head.copy_from_slice(&prefix[at.min(PREFIX_BYTES)..][..before]);
        let position = (at + before - PREFIX_BYTES) as u64;
        data.is_empty()
            || self.go_on(position, sends, |process, offset| kernel.move_from(process, offset, data))
    }

    /// Stores the data of a packet; the prefix goes to `memory`.
    pub fn store<K: Kernel>(
        &mut self,
        store: &Store,
        packet: &[u8],
        memory: &mut Memory,
        sends: &Sends,
        kernel: &mut K,
    ) {
        for (at, piece) in store.pieces(packet) {
            let (head, data) = piece.split_at(PREFIX_BYTES.saturating_sub(at).min(piece.len()));
            if !head.is_empty() {
                memory.at_least(self.buffer, PREFIX_BYTES)[at..at + head.len()].copy_from_slice(head);
            }
            let position = (at + head.len() - PREFIX_BYTES) as u64;
            if !data.is_empty() {
                self.go_on(position, sends, |process, offset| kernel.move_to(process, offset, data));
            }
        }
    }

    /// Copies what is at `position` behind the prefix, unless the copy has stopped before. Whether all was copied.
    fn go_on(
        &mut self,
        position: u64,
        sends: &Sends,
        copy: impl FnOnce(Pid, u64) -> (u64, Result<(), Error>),
    ) -> bool {
        if self.stop.is_some_and(|(stop, _)| position >= stop) {
            return false;
        }
        let (done, outcome) = if sends.awaits(self.slot, self.process, self.transaction) {
            copy(self.process, self.offset + position)
        } else {
            (0, Err(Error::NotAwaitingReply))
        };
        if let Err(error) = outcome {
            self.stop = Some((position + done, error));
        }
        outcome.is_ok()
    }
}
