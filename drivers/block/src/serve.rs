//! A driver's main program, over the real kernel.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;

use abi::Error;
use hardware::device::Device;
use io_server::serve::Kernel;
use io_server::{IoServer, Limits};
use protocols::block::{PREFIX, number_of};
use protocols::supervisor::{MAX_STATE_BYTES, supervisor};
use v::time::{self, Duration};
use v::{Segment, call, entry, env, log, server};

use crate::Disk;
use crate::numbers::{self, Key};
use crate::server::DiskServer;
use crate::unit::Unit;

/// How long the search for partitions may take before the disks are there without.
const SEARCH_PATIENCE_NS: u64 = 10_000_000_000;
/// Between two looks at whether it has ended.
const SEARCH_PAUSE: Duration = Duration::from_micros(100);

/// A disk that a device has, and which of its disks it is.
pub type Found = (u32, Box<dyn Disk>);

/// Starts the service's devices, each by `start`, and serves their disks. A service without a disk ends, and well.
pub fn serve(start: impl Fn(&Device) -> Result<Vec<Found>, Error>) -> Result<Infallible, Error> {
    // The log may one day be on a disk.
    log::use_kernel_log();
    let service = env::program_name();
    let mut disks = Vec::new();
    for device in Device::all_of(service)? {
        match start(&device) {
            Ok(found) => {
                let key = |part| Key { device: device.address().to_bits().into(), part };
                disks.extend(found.into_iter().map(|(part, disk)| (key(part), disk)));
            }
            Err(error) => log::error!("{}: cannot start the device: {error}", device.address()),
        }
    }
    if disks.is_empty() {
        server::ready();
        v::process::exit(0);
    }
    let keys: Vec<Key> = disks.iter().map(|(key, _)| *key).collect();
    let numbers = numbers(&keys)?;
    let units =
        disks.into_iter().zip(&numbers).map(|((_, disk), (_, number))| Unit::new(disk, *number, &mut Kernel));
    let mut disks = DiskServer::new(service, units.collect());
    wait_for_partitions(&mut disks)?;
    for (context, (_, number)) in (0..).zip(&numbers) {
        server::register_prefix(&format!("{PREFIX}{number}"), context)?;
    }
    server::ready();
    io_server::serve(IoServer::new(disks, Limits::default()))
}

/// The number of each disk, which the supervisor keeps from now on.
fn numbers(keys: &[Key]) -> Result<Vec<(Key, u32)>, Error> {
    let supervisor = entry::creator();
    let mut saved = vec![0; MAX_STATE_BYTES];
    let count = call(supervisor, &supervisor::LoadState {}, Segment::Write(&mut saved))?.count;
    let saved = numbers::decode(saved.get(..count as usize).unwrap_or_default());
    let prefixes = v::name::global_prefixes()?;
    let taken: Vec<u32> = prefixes.iter().filter_map(|(prefix, ..)| number_of(prefix)).collect();
    let numbers = numbers::assign(keys, &saved, &taken);
    let state = numbers::encode(&saved, &numbers);
    call(supervisor, &supervisor::SaveState {}, Segment::Read(&state))?;
    Ok(numbers)
}

/// Nobody knows the server yet, so nobody is kept waiting by this. Interrupts wait.
fn wait_for_partitions(disks: &mut DiskServer) -> Result<(), Error> {
    let end_ns = time::now_ns() + SEARCH_PATIENCE_NS;
    while disks.units().iter().any(Unit::is_searching) {
        if time::now_ns() > end_ns {
            log::error!("the search for partitions takes too long; it goes on");
            return Ok(());
        }
        disks.attend(&mut Kernel);
        time::sleep(SEARCH_PAUSE)?;
    }
    Ok(())
}
