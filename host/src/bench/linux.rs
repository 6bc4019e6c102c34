//! The peer that can be measured here and now: Debian's Linux, in the same QEMU.
//!
//! The kernel is that of the package `linux-image-cloud-amd64`, fetched by apt and taken apart in the build folder,
//! without being installed. Its only program is `host/peer/init.c`, linked statically by the host's C compiler. What it
//! measures it writes to its console, a line each, by V's names of the rows.

mod initrd;
mod package;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use protocols::counting::{BEGIN, END, FIGURE};
use tempfile::TempDir;

use super::figure::Figure;
use super::nodes::{counted, counting_folder};
use super::one::smallest_memory;
use super::rows::SMALLEST_MEMORY;
use super::{MEMORY_MIB, PATIENCE};
use crate::counting::{Counting, Plugin};
use crate::guest::checkout;
use crate::machine::{COUNTED, COUNTED_CLOCK, Card};
use crate::package::find_or_install;
use crate::progress::Progress;
use crate::wiring::CardKind;
use ethernet::Network;
use ethernet::impairment::Impairments;
use initrd::Initrd;

/// How long a Linux may take that has too little memory, in real time.
const SMALL_PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether a machine has ended.
const LOOK: Duration = Duration::from_millis(20);
/// Words for every kernel.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 nokaslr tsc=reliable no_timer_check";
/// What begins a line with a figure.
const FIGURE_LINE: &str = "figure\t";
/// The drivers of card and disk, and what they need.
const MODULES: [&str; 10] = [
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "net/core/failover.ko",
    "drivers/net/net_failover.ko",
    "drivers/net/virtio_net.ko",
    "arch/x86/crypto/crc32c-intel.ko",
    "drivers/block/virtio_blk.ko",
];

/// Linux, ready to be booted.
#[derive(Debug)]
pub struct Linux {
    qemu: PathBuf,
    kernel: PathBuf,
    /// Holds the programs and the initial file system.
    folder: TempDir,
}

/// What it measured, by the rows' names.
pub type Figures = BTreeMap<String, f64>;

impl Linux {
    /// Fetches the kernel and builds the program.
    pub fn prepare(qemu: &Path) -> Result<Linux> {
        let progress = Progress::new("fetching Linux");
        let package = package::fetch()?;
        progress.show("building Linux's program");
        let folder = tempfile::Builder::new().prefix("v-linux-").tempdir()?;
        let compile = |name: &str, sources: &[&str], words: &[&str]| -> Result<Vec<u8>> {
            let program = folder.path().join(name);
            let sources = sources.iter().map(|source| checkout().join("host/peer").join(source));
            let marks = [("BEGIN", BEGIN), ("END", END), ("FIGURE", FIGURE)];
            let output = Command::new(find_or_install("cc", "gcc")?)
                .args(["-O2", "-static"])
                .args(marks.map(|(name, number)| format!("-D{name}={number}")))
                .args(words)
                .arg("-o")
                .arg(&program)
                .args(sources)
                .output()
                .context("cannot run cc")?;
            let complaint = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.success(),
                "Linux's program does not build (the package libc6-dev is needed):\n{}",
                complaint.trim_end()
            );
            std::fs::read(&program).with_context(|| format!("cannot read {}", program.display()))
        };
        let mut archive = Initrd::new();
        archive.put("init", &compile("init", &["init.c", "one.c", "two.c", "disk.c"], &["-pthread"])?);
        archive.put("tiny", &compile("tiny", &["tiny.c"], &["-nostdlib"])?);
        for path in MODULES {
            let file = package.modules.join(path);
            let content = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            archive.put(path.rsplit('/').next().unwrap_or(path), &content);
        }
        std::fs::write(folder.path().join("initrd"), archive.finish()).context("cannot write the archive")?;
        Ok(Linux { qemu: qemu.to_owned(), kernel: package.kernel, folder })
    }

    /// The kernel that is measured.
    pub fn kernel(&self) -> &Path {
        &self.kernel
    }

    /// What one node measures by itself, and the least memory that it comes up with.
    pub fn measure_one(&self) -> Result<Figures> {
        let mut figures = self.operations()?;
        let memory = smallest_memory(|mib| {
            let up = self.boot("up", mib, &[])?.finish(SMALL_PATIENCE);
            Ok(up.is_ok_and(|said| said.contains(FIGURE_LINE)))
        })?;
        figures.insert(SMALLEST_MEMORY.to_owned(), f64::from(memory));
        Ok(figures)
    }

    fn operations(&self) -> Result<Figures> {
        values(&self.boot("one", MEMORY_MIB, &COUNTED_CLOCK.map(Into::into))?.finish(PATIENCE)?)
    }

    /// Instructions of two nodes.
    pub fn count_two(&self) -> Result<Figures> {
        let folder = counting_folder()?;
        let counting = Plugin::build(folder.path())?.machines(folder.path(), 2);
        let said = self.boot_two("count", &counting)?;
        let figures = counted(lines(&said), &counting[0].marks()?)?;
        Ok(figures.into_iter().map(|figure| (figure.name, figure.value)).collect())
    }

    /// Times between two nodes.
    pub fn time_two(&self) -> Result<Figures> {
        values(&self.boot_two("time", &[])?)
    }

    /// Instructions of one node that uses a disk, whose arguments for QEMU these are.
    pub fn count_disk(&self, disk: &[OsString]) -> Result<Figures> {
        let folder = counting_folder()?;
        let counting = Plugin::build(folder.path())?.machines(folder.path(), 1);
        let arguments: Vec<OsString> = disk.iter().cloned().chain(counting[0].arguments()).collect();
        let said = self.boot("disk-count", MEMORY_MIB, &arguments)?.finish(PATIENCE)?;
        let figures = counted(lines(&said), &counting[0].marks()?)?;
        Ok(figures.into_iter().map(|figure| (figure.name, figure.value)).collect())
    }

    /// Times of one node that uses a disk.
    pub fn time_disk(&self, disk: &[OsString]) -> Result<Figures> {
        values(&self.boot("disk-time", MEMORY_MIB, disk)?.finish(PATIENCE)?)
    }

    fn boot_two(&self, what: &str, counting: &[Counting]) -> Result<String> {
        let network = Network::start(2, Impairments::default(), None)?;
        let boot = |node: usize, what: &str| {
            let mut arguments =
                Card::new(CardKind::Virtio, node, network.socket(node)).arguments(None).to_vec();
            arguments.extend(counting.get(node).iter().flat_map(|counting| counting.arguments()));
            self.boot(what, MEMORY_MIB, &arguments)
        };
        let _server = boot(1, "serve")?;
        boot(0, what)?.finish(PATIENCE)
    }

    fn boot(&self, what: &str, memory_mib: u32, arguments: &[OsString]) -> Result<Machine> {
        let mut child = Command::new(&self.qemu)
            .args(["-machine", "q35", "-smp", "1", "-m", &format!("{memory_mib}M")])
            .args(["-accel", "tcg", "-cpu", COUNTED, "-no-user-config", "-nodefaults", "-no-reboot"])
            .args(["-display", "none", "-vga", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-append", &format!("{COMMAND_LINE} measure={what}"), "-kernel"])
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(self.folder.path().join("initrd"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run QEMU")?;
        let mut console = child.stdout.take().context("QEMU has no output")?;
        let said = thread::spawn(move || {
            let mut said = Vec::new();
            // What cannot be read is missing below.
            let _ = console.read_to_end(&mut said);
            String::from_utf8_lossy(&said).replace('\r', "")
        });
        Ok(Machine { child, said: Some(said) })
    }
}

/// A Linux that runs. It ends when this is dropped.
struct Machine {
    child: Child,
    said: Option<thread::JoinHandle<String>>,
}

impl Machine {
    /// Waits until it is off, and returns what its console said.
    fn finish(mut self, patience: Duration) -> Result<String> {
        let deadline = Instant::now() + patience;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.stop();
                bail!("Linux has not finished within {} seconds:\n{}", patience.as_secs(), self.said());
            }
            thread::sleep(LOOK);
        }
        Ok(self.said())
    }

    fn said(&mut self) -> String {
        self.said.take().and_then(|said| said.join().ok()).unwrap_or_default()
    }

    fn stop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The lines with figures.
fn lines(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter_map(|line| line.strip_prefix(FIGURE_LINE))
}

fn values(said: &str) -> Result<Figures> {
    let figures: Result<Figures> =
        lines(said).map(|line| Figure::read(line).map(|figure| (figure.name, figure.value))).collect();
    let figures = figures?;
    ensure!(!figures.is_empty(), "Linux has measured nothing:\n{}", said.trim_end());
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::{LINUX, ROWS};
    use crate::package::in_path;
    use crate::qemu;

    #[test]
    #[ignore = "soak"]
    fn linux_measures_every_row_that_it_has_a_figure_in() {
        if in_path("apt-get").is_none() {
            eprintln!("skipped: the package can't be had without apt");
            return;
        }
        let linux = Linux::prepare(&qemu::find_or_install().unwrap()).unwrap();
        let mut figures = linux.operations().unwrap();
        figures.extend(linux.count_two().unwrap());
        figures.extend(linux.time_two().unwrap());
        let rows = ROWS.iter().filter(|row| row.peers.iter().any(|(peer, _)| *peer == LINUX));
        for row in rows.filter(|row| row.name != SMALLEST_MEMORY) {
            assert!(figures.get(row.name).is_some_and(|value| *value > 0.0), "{}: {figures:?}", row.name);
        }
    }
}
