//! The storage server: `[storage]`, files on a disk; and `[volume]`, which the commands about it speak to.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use io_server::{IoServer, Limits};
use protocols::block::ALL;
use protocols::storage::{CONFIGURATION, CONTROL, FILES, OWN_CONFIGURATION_WORD};
use protocols::supervisor::supervisor::{Configure, Configured};
use storage_server::device::Device;
use storage_server::server::CONTROL_CONTEXT;
use storage_server::{Disks, FileServer, to_be_formatted};
use v::log;
use v::prelude::*;
use v::time::Duration;
use volume::{Options, ROOT};

v_start::program!(main);

/// Of the machine's memory, the part for pages of files.
const CACHE_SHARE: u64 = 8;
/// How long a disk may be in use, and how often that is looked at.
const PATIENCE_NS: u64 = 5_000_000_000;
const PAUSE: Duration = Duration::from_millis(20);

fn main() -> Result<Infallible, Error> {
    let disks = v::disk::names()?;
    if disks.is_empty() {
        // Nor will there be one before the machine starts again.
        v::server::ready();
        v::process::exit(0);
    }
    let pages = v::entry::information().total_frames / CACHE_SHARE;
    let mut server = FileServer::new(Drivers, Options { pages: pages as usize });
    if !disks.iter().any(|name| take(&mut server, name)) {
        format_new(&mut server, &disks);
    }
    if !server.has_volume() {
        log::notice!("no disk has a volume: `format-disk` makes one");
    }
    configure(&mut server);
    let now_ns = v::time::now_ns();
    let may_be_leased = server.may_be_leased(now_ns);
    let mut server = IoServer::new(server, Limits::default());
    if may_be_leased {
        server.wait_out_leases(now_ns);
    }
    io_server::serve_prefixes(server, &[(CONTROL, CONTROL_CONTEXT)])
}

/// Takes the volume on a disk, if there is one. What an earlier life of this server had open is free a moment later.
fn take(server: &mut FileServer<Drivers>, name: &str) -> bool {
    let end_ns = v::time::now_ns() + PATIENCE_NS;
    loop {
        match server.mount(name, v::time::real_ns()) {
            Ok(()) => return true,
            Err(Error::NotFound) => return false,
            Err(Error::Busy) if v::time::now_ns() < end_ns => {}
            Err(error) => {
                log::error!("{name}: {error}");
                return false;
            }
        }
        if v::time::sleep(PAUSE).is_err() {
            return false;
        }
    }
}

/// Makes a volume of the disk that the boot command line says.
fn format_new(server: &mut FileServer<Drivers>, disks: &[String]) {
    let Some(serial) = to_be_formatted(v::entry::boot_command_line()) else { return };
    let is_whole = |name: &&String| name.strip_suffix(ALL).is_some_and(|prefix| prefix.ends_with(']'));
    let has_serial = |name: &&String| Device::open(name).is_ok_and(|disk| disk.serial() == serial);
    let Some(name) = disks.iter().filter(is_whole).find(has_serial) else {
        log::error!("there is no disk {serial} to make a volume of");
        return;
    };
    if let Err(error) = server.format(name, false, v::time::real_ns()) {
        log::error!("{name} is not made a volume: {error}");
    }
}

/// Tells the supervisor the services that the volume adds, if only that there are none any more. Those that wait for this one
/// have not been started yet.
fn configure(server: &mut FileServer<Drivers>) {
    if v::entry::boot_command_line().split_ascii_whitespace().any(|word| word == OWN_CONFIGURATION_WORD) {
        return;
    }
    let text = server.configuration().unwrap_or_default();
    let told = v::name::resolve("[supervisor]")
        .and_then(|supervisor| call(supervisor.server, &Configure {}, Segment::Read(text.as_bytes())));
    match told {
        Ok(Configured { changed: 0 }) => {}
        Ok(done) => log::notice!("[storage]{CONFIGURATION}: {} services are configured anew", done.changed),
        Err(error) => {
            log::error!("[storage]{CONFIGURATION} is left out: {error}; the supervisor says why in the log");
        }
    }
}

struct Drivers;

impl Disks for Drivers {
    type Disk = Device;

    fn open(&mut self, name: &str) -> Result<Device, Error> {
        Device::open(name)
    }

    fn unique(&mut self) -> [u8; 16] {
        // By the time and the machine's number it is told from others.
        let mut id = [0; 16];
        id[..8].copy_from_slice(&v::time::real_ns().to_le_bytes());
        let host = v::node::host().to_bits();
        id[8..12].copy_from_slice(&host.to_le_bytes());
        let counter = v::entry::time_stamp_counter() as u32;
        id[12..].copy_from_slice(&counter.to_le_bytes());
        id
    }

    fn announce(&mut self) -> Result<(), Error> {
        v::server::register_prefix(FILES, ROOT)
    }

    fn tell(&mut self, what: &str) {
        log::notice!("{what}");
    }
}
