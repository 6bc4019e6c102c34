//! Files on their way: each block is sent until it is acknowledged, or the client is given up.
//!
//! What is late is sent again by this side's clock alone. A second acknowledgement of an earlier block is not answered,
//! or else every delayed packet would be sent twice to the end of the file.

use alloc::vec;
use alloc::vec::Vec;

use crate::tftp::{self, Request, Wishes};
use crate::wire::End;

/// The files that may be sent.
pub trait Files {
    /// An open file.
    type File;
    /// Opens a file by its name, and tells its bytes; none if there is none.
    fn open(&mut self, name: &str) -> Option<(Self::File, u64)>;
    /// Fills `buffer` from `position` on as far as the file has bytes, and tells how many; none if it cannot be read.
    fn read(&mut self, file: &mut Self::File, position: u64, buffer: &mut [u8]) -> Option<usize>;
}

/// Files on their way at a time. A request beyond is left unanswered, and made again.
const MOST: usize = 32;
/// After which a packet is sent again for the first time, in nanoseconds; then after twice that, and so on.
pub const PATIENCE_NS: u64 = 250_000_000;
/// But not longer than that.
const LONGEST_PATIENCE_NS: u64 = 4_000_000_000;
/// How many times a packet is sent.
pub const TRIES: u32 = 10;
/// Ports of this side, one for each file.
const FIRST_PORT: u16 = 49152;
/// Longest name of a file.
const MOST_NAME_BYTES: usize = 128;

#[derive(Debug)]
struct Transfer<F> {
    client: End,
    port: u16,
    file: F,
    block_bytes: usize,
    /// The block that was sent last; 0 is the answer to the client's wishes.
    block: u64,
    /// That was the last one.
    is_last: bool,
    /// The packet that was sent last.
    packet: Vec<u8>,
    tries: u32,
    resend_ns: u64,
}

impl<F> Transfer<F> {
    fn sent(&mut self, now_ns: u64) {
        let patience = PATIENCE_NS << self.tries.min(8);
        self.tries += 1;
        self.resend_ns = now_ns + patience.min(LONGEST_PATIENCE_NS);
    }
}

/// A packet to be sent: from which port, to whom, and what.
pub type Sent = (u16, End, Vec<u8>);

/// All files on their way.
#[derive(Debug)]
pub struct Transfers<F> {
    transfers: Vec<Transfer<F>>,
    next_port: u16,
}

impl<F> Default for Transfers<F> {
    fn default() -> Transfers<F> {
        Transfers { transfers: Vec::new(), next_port: FIRST_PORT }
    }
}

impl<F> Transfers<F> {
    /// Takes a packet that came to `port`, and returns what is to be sent.
    pub fn take(
        &mut self,
        now_ns: u64,
        client: End,
        port: u16,
        packet: &[u8],
        files: &mut impl Files<File = F>,
    ) -> Option<Sent> {
        match Request::parse(packet)? {
            Request::Read { name, wishes } if port == tftp::PORT => {
                self.begin(now_ns, client, name, wishes, files)
            }
            Request::Read { .. } => None,
            Request::Acknowledgement(block) => self.acknowledged(now_ns, client, port, block, files),
            Request::Error => {
                self.transfers.retain(|transfer| transfer.client != client || transfer.port != port);
                None
            }
        }
    }

    fn begin(
        &mut self,
        now_ns: u64,
        client: End,
        name: &str,
        wishes: Wishes,
        files: &mut impl Files<File = F>,
    ) -> Option<Sent> {
        // A client that asks again from the same port has not heard the answer, or begins anew.
        self.transfers.retain(|transfer| transfer.client != client);
        if self.transfers.len() >= MOST {
            return None;
        }
        let Some((file, bytes)) = path(name).and_then(|path| files.open(path)) else {
            return Some((tftp::PORT, client, tftp::error(tftp::NOT_FOUND, "no such file")));
        };
        let port = self.free_port();
        let mut transfer = Transfer {
            client,
            port,
            file,
            block_bytes: wishes.block_bytes(),
            block: 0,
            is_last: false,
            packet: Vec::new(),
            tries: 0,
            resend_ns: 0,
        };
        match wishes.answer(bytes) {
            Some(answer) => transfer.packet = answer,
            None => {
                if !next_block(&mut transfer, files) {
                    return Some((port, client, tftp::error(tftp::OTHER, "the file cannot be read")));
                }
            }
        }
        transfer.sent(now_ns);
        let packet = transfer.packet.clone();
        self.transfers.push(transfer);
        Some((port, client, packet))
    }

    fn acknowledged(
        &mut self,
        now_ns: u64,
        client: End,
        port: u16,
        block: u16,
        files: &mut impl Files<File = F>,
    ) -> Option<Sent> {
        let is_meant = |transfer: &Transfer<F>| {
            transfer.client == client && transfer.port == port && transfer.block as u16 == block
        };
        let place = self.transfers.iter().position(is_meant)?;
        let transfer = &mut self.transfers[place];
        if transfer.is_last {
            self.transfers.swap_remove(place);
            return None;
        }
        if !next_block(transfer, files) {
            self.transfers.swap_remove(place);
            return Some((port, client, tftp::error(tftp::OTHER, "the file cannot be read")));
        }
        transfer.tries = 0;
        transfer.sent(now_ns);
        Some((port, client, transfer.packet.clone()))
    }

    /// What is to be sent again now. Clients that have not answered for long are given up.
    pub fn late(&mut self, now_ns: u64) -> Vec<Sent> {
        let is_due = |transfer: &Transfer<F>| transfer.resend_ns <= now_ns;
        self.transfers.retain(|transfer| !is_due(transfer) || transfer.tries < TRIES);
        let mut sent = Vec::new();
        for transfer in self.transfers.iter_mut().filter(|transfer| is_due(transfer)) {
            transfer.sent(now_ns);
            sent.push((transfer.port, transfer.client, transfer.packet.clone()));
        }
        sent
    }

    /// When something is to be sent again; none if nothing is on its way.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.transfers.iter().map(|transfer| transfer.resend_ns).min()
    }

    /// How many files are on their way.
    pub fn count(&self) -> usize {
        self.transfers.len()
    }

    fn free_port(&mut self) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            if self.transfers.iter().all(|transfer| transfer.port != port) {
                return port;
            }
        }
    }
}

/// Makes the packet with the next block. Whether the file could be read.
fn next_block<F>(transfer: &mut Transfer<F>, files: &mut impl Files<File = F>) -> bool {
    let mut block = vec![0; transfer.block_bytes];
    let position = transfer.block * transfer.block_bytes as u64;
    let Some(bytes) = files.read(&mut transfer.file, position, &mut block) else { return false };
    transfer.block += 1;
    // A file that ends with a whole block has an empty one behind it.
    transfer.is_last = bytes < transfer.block_bytes;
    transfer.packet = tftp::data(transfer.block as u16, &block[..bytes.min(transfer.block_bytes)]);
    true
}

/// The path of a file that may be asked for, which never leads out of its folder.
fn path(name: &str) -> Option<&str> {
    let path = name.trim_start_matches('/');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let is_fine = path.len() <= MOST_NAME_BYTES
        && path.bytes().all(is_plain)
        && path.split('/').all(|part| !part.is_empty() && !part.bytes().all(|byte| byte == b'.'));
    is_fine.then_some(path)
}
