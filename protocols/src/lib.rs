//! The protocols of the V servers, one short file each. The protocols are the system: servers are interchangeable
//! because they obey these.
//!
//! | file | who speaks it |
//! |---|---|
//! | `io` | whoever has something to read or write: files, pipes, terminals, devices |
//! | `names` | whoever names such things: directories, descriptors |
//! | `permissions` | who may read and write what `names` describes |
//! | `leases` | file servers, with caches on other nodes, beside `io` |
//! | `naming` | the naming server of each node: prefixes |
//! | `program` | program managers, and the block of facts that a program starts with |
//! | `moving` | program managers, when a program moves to another node |
//! | `terminal` | terminal servers, beside `io` |
//! | `keyboard` | the display server, with drivers of keyboards |
//! | `pipe` | pipe servers, beside `io` |
//! | `host_channel` | the tool on the host and the guest, over a serial line |
//! | `log` | the log server, beside `io` |
//! | `supervisor` | the supervisor: services, devices, power |
//! | `network` | the network server of each node: cards and frames |
//! | `device` | how the supervisor describes a device |
//! | `block` | drivers of disks, beside `io` |
//! | `storage` | the storage server, beside `io` and `names` |
//! | `cache` | the cache of each node, beside `io`: files of other nodes |
//!
//! Numbers: 0x01–0x0f are the kernel's (see `abi`), these begin at 0x10.

#![no_std]
#![forbid(unsafe_code)]

use abi::protocol::Operation;

pub mod block;
pub mod cache;
pub mod counting;
pub mod device;
pub mod host_channel;
pub mod io;
pub mod keyboard;
pub mod leases;
pub mod log;
pub mod moving;
pub mod names;
pub mod naming;
pub mod network;
pub mod permissions;
pub mod pipe;
pub mod program;
pub mod storage;
pub mod supervisor;
pub mod terminal;

/// The operations of every protocol, the kernel's included, for tracers.
pub const OPERATIONS: &[&[Operation]] = &[
    abi::kernel::process::OPERATIONS,
    abi::kernel::memory::OPERATIONS,
    abi::kernel::device::OPERATIONS,
    abi::kernel::time::OPERATIONS,
    abi::kernel::group::OPERATIONS,
    abi::kernel::statistics::OPERATIONS,
    abi::notice::notice::OPERATIONS,
    io::io::OPERATIONS,
    names::names::OPERATIONS,
    naming::naming::OPERATIONS,
    program::program::OPERATIONS,
    moving::moving::OPERATIONS,
    terminal::terminal::OPERATIONS,
    keyboard::keyboard::OPERATIONS,
    pipe::pipe::OPERATIONS,
    log::log::OPERATIONS,
    supervisor::supervisor::OPERATIONS,
    network::network::OPERATIONS,
    block::block::OPERATIONS,
    storage::storage::OPERATIONS,
    leases::leases::OPERATIONS,
    cache::cache::OPERATIONS,
];

/// The operation that a request code stands for.
pub fn operation(code: u32) -> Option<&'static Operation> {
    OPERATIONS.iter().copied().flatten().find(|operation| operation.code == code)
}

/// Its name.
pub fn name_of(code: u32) -> Option<&'static str> {
    operation(code).map(|operation| operation.name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_distinct() {
        let mut operations = super::OPERATIONS.iter().copied().flatten();
        while let Some(operation) = operations.next() {
            let (name, code) = (operation.name, operation.code);
            assert!(operations.clone().all(|other| other.code != code), "{name} shares its code {code:#x}");
        }
    }
}
