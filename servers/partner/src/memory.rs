//! Segments on their way, by VMTP's numbers for buffers.
//!
//! A number's memory is there only while something is in it. The engine's own numbers come first, for requests that
//! come in; then two for each send, its request's and its response's; then one for each serve, for its reply.

use alloc::vec::Vec;

use vmtp::Buffer;

use crate::WIRE_SEGMENT_BYTES;

/// Buffers that are kept for the next time, at most.
const MOST_SPARE: usize = 16;
/// From how many bytes on a large buffer does, as long as not more than so much memory is used.
const LARGE_BYTES: usize = 4 * 1024;
const LARGE_UNTIL_BYTES: usize = 1024 * 1024;

/// See the module.
pub struct Memory {
    buffers: Vec<Vec<u8>>,
    first_send: usize,
    first_serve: usize,
    used_bytes: usize,
    /// Large buffers that nothing is in, of [`WIRE_SEGMENT_BYTES`] each. What was in them still is.
    spare: Vec<Vec<u8>>,
}

impl Memory {
    /// Empty, for so many requests that come in, sends and serves.
    pub fn new(incoming: usize, sends: usize, serves: usize) -> Memory {
        let first_serve = incoming + 2 * sends;
        let buffers = (0..first_serve + serves).map(|_| Vec::new()).collect();
        Memory { buffers, first_send: incoming, first_serve, used_bytes: 0, spare: Vec::new() }
    }

    /// The number for a send's request.
    pub fn request(&self, send: usize) -> Buffer {
        Buffer((self.first_send + 2 * send) as u32)
    }

    /// The number for a send's response.
    pub fn response(&self, send: usize) -> Buffer {
        Buffer((self.first_send + 2 * send + 1) as u32)
    }

    /// The number for a serve's reply.
    pub fn reply(&self, serve: usize) -> Buffer {
        Buffer((self.first_serve + serve) as u32)
    }

    /// The send whose request or response has this number.
    pub fn send_of(&self, buffer: Buffer) -> Option<usize> {
        let number = buffer.0 as usize;
        (self.first_send..self.first_serve).contains(&number).then(|| (number - self.first_send) / 2)
    }

    /// The serve whose reply has this number.
    pub fn serve_of(&self, buffer: Buffer) -> Option<usize> {
        (buffer.0 as usize).checked_sub(self.first_serve)
    }

    /// Empties those of the engine's buffers that `is_free` says it of: requests of which the rest never came.
    pub fn empty_incoming(&mut self, is_free: impl Fn(Buffer) -> bool) {
        for number in 0..self.first_send {
            let buffer = Buffer(number as u32);
            if !self.get(buffer).is_empty() && is_free(buffer) {
                drop(self.take(buffer));
            }
        }
    }

    /// How much memory is in use.
    #[inline]
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Counts memory that the kernel has.
    pub fn lend(&mut self, bytes: usize) {
        self.used_bytes += bytes;
    }

    /// It has it no more.
    pub fn give_back(&mut self, bytes: usize) {
        self.used_bytes -= bytes;
    }

    /// What is in a buffer.
    pub fn get(&self, buffer: Buffer) -> &[u8] {
        &self.buffers[buffer.0 as usize]
    }

    /// A buffer of at least `bytes` bytes; new ones are zero.
    pub fn at_least(&mut self, buffer: Buffer, bytes: usize) -> &mut [u8] {
        let content = &mut self.buffers[buffer.0 as usize];
        if content.len() < bytes {
            self.used_bytes += bytes - content.len();
            content.resize(bytes, 0);
        }
        content
    }

    /// Adds to a buffer, which will have `bytes` bytes in the end.
    pub fn append(&mut self, buffer: Buffer, data: &[u8], bytes: usize) {
        self.used_bytes += data.len();
        let content = &mut self.buffers[buffer.0 as usize];
        content.reserve_exact(bytes.saturating_sub(content.len()));
        content.extend_from_slice(data);
    }

    /// A large buffer, with anything in it: whoever takes it must write what is to be read.
    pub fn large(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| alloc::vec![0; WIRE_SEGMENT_BYTES])
    }

    /// A buffer of at least `bytes` bytes, with anything in it, as [`Memory::large`].
    pub fn room(&mut self, bytes: usize) -> Vec<u8> {
        if bytes >= LARGE_BYTES && self.used_bytes < LARGE_UNTIL_BYTES {
            self.large()
        } else {
            alloc::vec![0; bytes]
        }
    }

    /// Keeps memory for the next time if it is a large buffer.
    pub fn recycle(&mut self, content: Vec<u8>) {
        if content.len() == WIRE_SEGMENT_BYTES && self.spare.len() < MOST_SPARE {
            self.spare.push(content);
        }
    }

    /// Keeps none for the next time any more.
    pub fn drop_spare(&mut self) {
        self.spare = Vec::new();
    }

    /// Puts `content` into an empty buffer.
    pub fn put(&mut self, buffer: Buffer, content: Vec<u8>) {
        self.used_bytes += content.len();
        self.buffers[buffer.0 as usize] = content;
    }

    /// Empties a buffer.
    pub fn take(&mut self, buffer: Buffer) -> Vec<u8> {
        let content = core::mem::take(&mut self.buffers[buffer.0 as usize]);
        self.used_bytes -= content.len();
        content
    }
}
