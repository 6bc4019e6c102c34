//! What is measured of files on a disk: 64 MiB written and made safe, read again, and read here and there.
//!
//! V's file system and Linux's, ext4, have a blank disk each time, of the same kind, with the same settings. What was written is
//! not in memory any more when it is read: V's storage server has been restarted meanwhile, and Linux has dropped its caches.
//! The host has the file in its memory, so it is the systems that are measured and not the host's disk. A node is counted once;
//! times are medians of rounds, V's and Linux's by turns.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::figure::{Figure, medians, medians_beside};
use super::linux::{Figures, Linux};
use super::nodes::Bench;
use crate::disk::{Becomes, Bus, Wanted, arguments};
use crate::package::find_or_install;
use crate::progress::Progress;
use ethernet::impairment::Impairments;

/// How often times are taken.
const ROUNDS: usize = 5;
const DISK_BYTES: u64 = 256 << 20;
/// Nothing is left for Linux to do in the background once it has the disk.
const EXT4: [&str; 4] = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"];

/// All figures of a node with a disk, and Linux's if it is there.
pub fn measure(
    bench: &Bench<'_>,
    linux: Option<&Linux>,
    progress: &Progress,
) -> Result<(Vec<Figure>, Option<Figures>)> {
    progress.show("counting a disk's instructions");
    let mut figures = with_disk(|disk| Bench { disk: Some(disk), ..*bench }.count(&[&lines("disk-count")]))?;
    let mut beside = linux.map(|linux| with_ext4(|disk| linux.count_disk(disk))).transpose()?;
    let (mut rounds, mut rounds_beside) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        progress.show(&format!("timing a disk, {round} of {ROUNDS}"));
        rounds.push(with_disk(|disk| {
            Bench { disk: Some(disk), ..*bench }.times(&[&lines("disk-time")], Impairments::default())
        })?);
        rounds_beside.extend(linux.map(|linux| with_ext4(|disk| linux.time_disk(disk))).transpose()?);
    }
    figures.extend(medians(&rounds));
    if let Some(beside) = &mut beside {
        beside.extend(medians_beside(&rounds_beside));
    }
    Ok((figures, beside))
}

/// What a node runs. Its storage server forgets between two parts what it has in memory.
fn lines(what: &str) -> String {
    let parts = ["write", "read", "random"].map(|part| format!("bench {what} {part}"));
    parts.join(" && kill -s storage && ")
}

/// Does something with a blank disk.
fn with_disk<T>(what: impl FnOnce(&Wanted) -> Result<T>) -> Result<T> {
    let folder = tempfile::Builder::new().prefix("v-disk-").tempdir();
    let folder = folder.context("cannot make a temporary folder")?;
    let path = folder.path().join("disk");
    what(&Wanted { path, size: Some(DISK_BYTES), bus: Bus::Virtio, node: 0, becomes: Becomes::Volume })
}

/// Does something with a disk that has an empty ext4, given as arguments for QEMU.
fn with_ext4<T>(what: impl FnOnce(&[OsString]) -> Result<T>) -> Result<T> {
    with_disk(|disk| {
        let attached = disk.attach()?;
        let mut command = Command::new(find_or_install("mkfs.ext4", "e2fsprogs")?);
        let output = command.args(EXT4).arg(&disk.path).output().context("cannot run mkfs.ext4")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "mkfs.ext4 failed:\n{}", complaint.trim_end());
        what(&arguments(&[attached]))
    })
}
