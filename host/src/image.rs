//! `cargo v image`: the system as something that a real machine starts, with GRUB before it: an image for a CD or a USB
//! stick ([`medium`]), and a folder for a TFTP server ([`network`]).
//!
//! The same system always yields the same bytes: files bear one date, [`MADE`].

mod grub;
pub mod medium;
pub mod network;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

pub use grub::NEEDS;

use crate::archive::{self, Archive, STARTUP};
use crate::arguments::Image;
use crate::diskless;
use crate::guest;
use crate::output::ensure_writable;
use crate::package;
use crate::progress::Progress;
use crate::run::{SHOWS, put_added};

/// What the kernel and the boot archive are called.
const KERNEL: &str = "kernel";
const ARCHIVE: &str = "archive";
/// The date that files bear, in seconds since 1970: the first of 1980, before which FAT knows none.
const MADE: &str = "315532800";
/// The image where nothing is asked for.
const USUAL_OUTPUT: &str = "v.iso";
/// Memory that a machine is taken to have, so that the archive fits.
const MEMORY_MIB: u32 = 4096;
/// The word that has the session run the lines in [`STARTUP`].
const RUN_STARTUP: &str = "startup";
/// The word that has a node start others over the network.
pub const BOOT_SERVER: &str = "boot-server";
/// The folder in the archive with what the boot server serves.
const SERVED: &str = "netboot";

/// What is started.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The kernel's image on the host.
    pub kernel: &'a Path,
    /// The boot archive.
    pub archive: &'a Archive,
    /// Words for the kernel.
    pub command_line: &'a str,
}

impl Content<'_> {
    /// Writes kernel and archive into a folder.
    fn write(&self, folder: &Path) -> Result<()> {
        let kernel = archive::stripped(self.kernel, None)?;
        let path = folder.join(KERNEL);
        std::fs::write(&path, kernel).with_context(|| format!("cannot write {}", path.display()))?;
        let path = folder.join(ARCHIVE);
        let file = File::create(&path).map(BufWriter::new);
        let written = file.map_err(anyhow::Error::new).and_then(|file| self.archive.write(file));
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes it as an image for a CD or a USB stick to the file `to`.
    pub fn write_medium(&self, to: &Path) -> Result<()> {
        medium::write(self, work()?.path(), to)
    }

    /// Puts it into the archive `server` of a node, which then starts others with it.
    pub fn serve_from(&self, server: &mut Archive) -> Result<()> {
        let work = work()?;
        network::write(self, work.path())?;
        for entry in work.path().read_dir().context("cannot read a temporary folder")? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let data = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            server.put_file(&format!("{SERVED}/{name}"), data.into())?;
        }
        Ok(())
    }
}

/// Installs the programs that images are made with, where they are missing and this user may.
pub fn ensure_tools() -> Result<()> {
    package::ensure_all(&[&NEEDS[..], &medium::NEEDS].concat())
}

fn work() -> Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("v-image-").tempdir().context("cannot make a temporary folder")
}

/// `cargo v image`.
pub fn image(options: &Image) -> Result<u8> {
    options.check()?;
    let output = match (&options.output, &options.netboot) {
        (None, None) => Some(PathBuf::from(USUAL_OUTPUT)),
        (output, _) => output.clone(),
    };
    output.as_deref().map_or(Ok(()), ensure_writable)?;
    ensure_tools()?;
    let guest = guest::build()?;
    let progress = Progress::new("writing");
    let mut archive = Archive::new(MEMORY_MIB);
    archive.put_guest(&guest, options.test_programs)?;
    put_added(&mut archive, &options.add)?;
    archive.ensure_bootable()?;
    let mut words = format!("domain={} {SHOWS}", options.domain);
    let kernel = &guest.kernel;
    if let Some(from) = options.files_from.as_deref().or(options.boot_server.then_some(&*options.name)) {
        let mut reduced = archive.clone();
        diskless::reduce(&mut reduced, from)?;
        if options.boot_server {
            Content { kernel, archive: &reduced, command_line: &words }.serve_from(&mut archive)?;
        } else {
            archive = reduced;
        }
    }
    if let Some(lines) = &options.exec {
        archive.put_file(STARTUP, lines.as_bytes().into())?;
        words = format!("{words} {RUN_STARTUP}");
    }
    if let Some(folder) = &options.netboot {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        network::write(&Content { kernel, archive: &archive, command_line: &words }, folder)?;
    }
    if let Some(output) = &output {
        let server = if options.boot_server { format!(" node=1 {BOOT_SERVER}") } else { String::new() };
        let command_line = &format!("name={} {words}{server}", options.name);
        Content { kernel, archive: &archive, command_line }.write_medium(output)?;
    }
    drop(progress);
    for written in output.iter().chain(&options.netboot) {
        println!("{}", written.display());
    }
    Ok(0)
}

impl Image {
    /// Complains of what cannot be, before anything is built.
    fn check(&self) -> Result<()> {
        crate::arguments::check_added(&self.add)?;
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        for name in [Some(&self.name), self.files_from.as_ref()].into_iter().flatten() {
            ensure!(
                is_name(name),
                "`{name}` is no name for a node: letters, digits and hyphens can be in it"
            );
        }
        let Some(folder) = self.netboot.as_deref().filter(|folder| folder.exists()) else { return Ok(()) };
        let mut files =
            folder.read_dir().with_context(|| format!("cannot write into {}", folder.display()))?;
        let is_free = files.next().is_none() || folder.join(network::IPXE_FILE).is_file();
        ensure!(is_free, "{} has files in it that are no tree of this tool's", folder.display());
        Ok(())
    }
}
