//! The protocols of the V servers, one short file each. The protocols are the system: servers are interchangeable
//! because they obey these.
//!
//! | file | who speaks it |
//! |---|---|
//! | `io` | whoever has something to read or write: files, pipes, terminals, devices |
//! | `names` | whoever names such things: directories, descriptors |
//! | `leases` | file servers, with caches on other nodes, beside `io` |
//! | `naming` | the naming server of each node: prefixes |
//! | `program` | program managers, and the block of facts that a program starts with |
//! | `moving` | program managers, when a program moves to another node |
//! | `terminal` | terminal servers, beside `io` |
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

pub mod block;
pub mod cache;
pub mod counting;
pub mod device;
pub mod host_channel;
pub mod io;
pub mod leases;
pub mod log;
pub mod moving;
pub mod names;
pub mod naming;
pub mod network;
pub mod pipe;
pub mod program;
pub mod storage;
pub mod supervisor;
pub mod terminal;

/// The name table of every protocol, the kernel's included, for tracers.
pub const NAME_TABLES: &[&[(u32, &str)]] = &[
    abi::kernel::process::NAMES,
    abi::kernel::memory::NAMES,
    abi::kernel::device::NAMES,
    abi::kernel::time::NAMES,
    abi::kernel::group::NAMES,
    abi::kernel::statistics::NAMES,
    abi::notice::notice::NAMES,
    io::io::NAMES,
    names::names::NAMES,
    naming::naming::NAMES,
    program::program::NAMES,
    moving::moving::NAMES,
    terminal::terminal::NAMES,
    pipe::pipe::NAMES,
    log::log::NAMES,
    supervisor::supervisor::NAMES,
    network::network::NAMES,
    block::block::NAMES,
    storage::storage::NAMES,
    leases::leases::NAMES,
    cache::cache::NAMES,
];

/// The operation that a request code stands for.
pub fn name_of(code: u32) -> Option<&'static str> {
    NAME_TABLES.iter().copied().flatten().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_distinct() {
        let mut codes = super::NAME_TABLES.iter().copied().flatten();
        while let Some((code, name)) = codes.next() {
            assert!(codes.clone().all(|(other, _)| other != code), "{name} shares its code {code:#x}");
        }
    }
}
