//! Disks of nodes: files of the host, as `--disk FILE[,size=SIZE][,bus=BUS][,node=NUMBER][,fat|raw]` says it.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use protocols::storage::FORMAT_WORD;
use serde::Deserialize;

use crate::fat;
use crate::machine::comma_twice;
use ethernet::partition::node_place;

/// What a file's length has to be a multiple of.
const SECTOR_BYTES: u64 = 512;
/// Disks that the AHCI controller of QEMU's machine has place for.
const AHCI_PORTS: usize = 6;

/// How a disk is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bus {
    /// A virtio disk.
    #[default]
    Virtio,
    /// An NVMe controller of its own.
    Nvme,
    /// A SATA disk at the machine's AHCI controller.
    Ahci,
}

/// The words for them.
const BUSES: [(&str, Bus); 3] = [("virtio", Bus::Virtio), ("nvme", Bus::Nvme), ("ahci", Bus::Ahci)];

impl FromStr for Bus {
    type Err = String;

    fn from_str(text: &str) -> Result<Bus, String> {
        let found = BUSES.iter().find(|(name, _)| *name == text).map(|(_, bus)| *bus);
        found.ok_or_else(|| format!("`{text}` is no bus of a disk: there are virtio, nvme and ahci"))
    }
}

/// What a new disk becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Becomes {
    /// A volume, which the node makes of it.
    #[default]
    Volume,
    /// A FAT volume, which the tool makes of it.
    Fat,
    /// Nothing: it is left blank.
    Blank,
}

/// A disk that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes; none if that of the file, which is there then.
    pub size: Option<u64>,
    /// How it is connected.
    pub bus: Bus,
    /// The place of the node that it is for.
    pub node: usize,
    /// What becomes of one that is made now.
    pub becomes: Becomes,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Wanted, String> {
        let (path, options) = text.split_once(',').map_or((text, None), |(path, rest)| (path, Some(rest)));
        if path.is_empty() {
            return Err(
                "a disk is FILE[,size=SIZE][,bus=BUS][,node=NUMBER][,fat|raw]; there is no file".to_owned()
            );
        }
        let mut wanted =
            Wanted { path: path.into(), size: None, bus: Bus::default(), node: 0, becomes: Becomes::Volume };
        options.map_or(Ok(()), |options| wanted.set(options))?;
        Ok(wanted)
    }
}

impl Wanted {
    /// Reads what stands behind the file.
    fn set(&mut self, options: &str) -> Result<(), String> {
        for option in options.split(',') {
            match option.split_once('=') {
                Some(("size", size)) => self.size = Some(bytes(size)?),
                Some(("bus", bus)) => self.bus = bus.parse()?,
                Some(("node", node)) => self.node = node_place(node)?,
                None if option == "raw" => self.becomes = Becomes::Blank,
                None if option == "fat" => self.becomes = Becomes::Fat,
                _ => {
                    return Err(format!(
                        "`{option}` says nothing of a disk: there are size=, bus=, node=, fat and raw"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Complains of a file that cannot be a disk. What is missing is made only by [`attach`](Wanted::attach).
    fn check(&self) -> Result<()> {
        let name = self.path.display();
        match (self.path.metadata(), self.size) {
            (Err(_), None) => bail!("there is no {name}; with ,size=SIZE, such as size=256M, it is made"),
            (Err(_), Some(_)) => {
                let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new("."));
                ensure!(folder.is_dir(), "cannot make {name}: there is no folder {}", folder.display());
            }
            (Ok(file), size) => {
                ensure!(file.is_file(), "{name} is no file");
                let length = file.len();
                ensure!(
                    length > 0 && length.is_multiple_of(SECTOR_BYTES),
                    "{name} has {length} bytes: a disk is a multiple of {SECTOR_BYTES}"
                );
                ensure!(
                    size.is_none_or(|size| size == length),
                    "{name} is there already and has {length} bytes, not {}; leave size= out",
                    size.unwrap_or_default()
                );
                drop(self.open()?);
            }
        }
        Ok(())
    }

    /// Opens the file and keeps others from using it.
    fn open(&self) -> Result<File> {
        let name = self.path.display();
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        let file = file.with_context(|| format!("cannot open {name}"))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!("{name} is in use by another node"),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {name}")),
        }
    }

    /// Opens the file, which is made if it is not there: without taking up room before something is written.
    pub fn attach(&self) -> Result<Attached> {
        let mut is_new = false;
        if let (Some(size), false) = (self.size, self.path.exists()) {
            is_new = true;
            let made = File::create_new(&self.path).and_then(|file| file.set_len(size));
            made.with_context(|| format!("cannot make {}", self.path.display()))?;
        }
        let path =
            self.path.canonicalize().with_context(|| format!("cannot find {}", self.path.display()))?;
        if is_new && self.becomes == Becomes::Fat {
            fat::format(&path)?;
        }
        let becomes_volume = is_new && self.becomes == Becomes::Volume;
        Ok(Attached { path, bus: self.bus, becomes_volume, _lock: Arc::new(self.open()?) })
    }
}

/// Complains of disks that cannot be, before anything is built.
pub fn check(disks: &[Wanted], nodes: usize) -> Result<()> {
    for (at, disk) in disks.iter().enumerate() {
        let name = disk.path.display();
        let node = disk.node + 1;
        ensure!(node <= nodes, "--disk {name} is for node {node}, but there are only {nodes}; see --nodes");
        disk.check()?;
        let earlier = &disks[..at];
        ensure!(!earlier.iter().any(|other| other.path == disk.path), "--disk {name} is there twice");
        let here = |other: &&Wanted| other.node == disk.node && other.bus == Bus::Ahci;
        ensure!(
            disk.bus != Bus::Ahci || earlier.iter().filter(here).count() < AHCI_PORTS,
            "a node has place for {AHCI_PORTS} disks with bus=ahci"
        );
    }
    Ok(())
}

/// A disk of a node. Nobody else of this host uses the file while it lives.
#[derive(Clone, Debug)]
pub struct Attached {
    path: PathBuf,
    bus: Bus,
    /// Whether it was made now, and the node is to make a volume of it.
    becomes_volume: bool,
    /// Dropped with the last copy.
    _lock: Arc<File>,
}

impl Attached {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The word of a node's boot command line that lets it make a volume of its first disk that was made now, which it knows by its
/// serial number. It makes none of a disk that has anything on it.
pub fn boot_word(disks: &[Attached]) -> Option<String> {
    let number = disks.iter().position(|disk| disk.becomes_volume)?;
    Some(format!("{FORMAT_WORD}{}", serial(number)))
}

fn serial(number: usize) -> String {
    format!("V{number}")
}

/// QEMU's arguments for a node's disks. What the guest has flushed is on the host's disk; what it has not may be lost, as on
/// a real disk with a write cache.
pub fn arguments(disks: &[Attached]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut ahci_ports = 0..;
    for (number, disk) in disks.iter().enumerate() {
        let path = comma_twice(&disk.path);
        let drive = format!("if=none,id=disk{number},format=raw,cache=writeback,discard=unmap,file={path}");
        let serial = format!("drive=disk{number},serial={}", serial(number));
        let device = match disk.bus {
            Bus::Virtio => format!("virtio-blk-pci,{serial}"),
            Bus::Nvme => format!("nvme,{serial}"),
            Bus::Ahci => format!("ide-hd,{serial},bus=ide.{}", ahci_ports.next().unwrap_or(0)),
        };
        arguments.extend(["-drive".into(), drive.into(), "-device".into(), device.into()]);
    }
    arguments
}

/// A size as people write it: `512`, `64K`, `256M`, `4G`, `1T`.
fn bytes(text: &str) -> Result<u64, String> {
    let complaint = || format!("`{text}` is no size, such as 256M or 4G: a multiple of {SECTOR_BYTES} bytes");
    let (number, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        Some(b'T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: u64 = number.parse().map_err(|_| complaint())?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.filter(|bytes| *bytes > 0 && bytes.is_multiple_of(SECTOR_BYTES)).ok_or_else(complaint)
}

/// A scenario's disk: as an option says it, without the file, which is a new one.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct New(Wanted);

impl TryFrom<String> for New {
    type Error = String;

    fn try_from(text: String) -> Result<New, String> {
        let mut wanted = Wanted {
            path: PathBuf::new(),
            size: None,
            bus: Bus::default(),
            node: 0,
            becomes: Becomes::Volume,
        };
        wanted.set(&text)?;
        if wanted.size.is_none() { Err(format!("`{text}` has no size=")) } else { Ok(New(wanted)) }
    }
}

impl New {
    /// The disk, in a file of that folder.
    pub fn within(&self, folder: &Path, number: usize) -> Wanted {
        Wanted { path: folder.join(format!("disk{number}")), ..self.0.clone() }
    }

    /// Whether it becomes a FAT volume.
    pub fn is_fat(&self) -> bool {
        self.0.becomes == Becomes::Fat
    }

    /// The place of the node that it is for.
    pub const fn node(&self) -> usize {
        self.0.node
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let name = BUSES.iter().find(|(_, bus)| bus == self).map_or("", |(name, _)| name);
        formatter.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Wanted {
        text.parse().unwrap()
    }

    #[test]
    fn a_disk_has_a_file_and_perhaps_more() {
        let disk =
            Wanted { path: "d.img".into(), size: None, bus: Bus::Virtio, node: 0, becomes: Becomes::Volume };
        assert_eq!(wanted("d.img"), disk);
        let all = Wanted { size: Some(256 << 20), bus: Bus::Nvme, node: 1, ..disk };
        assert_eq!(wanted("d.img,node=2,size=256M,bus=nvme"), all);
        assert_eq!(wanted("d,size=512").size, Some(512));
        assert_eq!(Bus::Ahci.to_string().parse(), Ok(Bus::Ahci));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, complaint) in [
            ("", "there is no file"),
            (",size=1M", "there is no file"),
            ("d,size=", "`` is no size"),
            ("d,size=100", "multiple of 512"),
            ("d,size=0", "`0` is no size"),
            ("d,size=-1M", "`-1M` is no size"),
            ("d,size=9999999T", "is no size"),
            ("d,size=1.5G", "is no size"),
            ("d,bus=scsi", "there are virtio, nvme and ahci"),
            ("d,node=0", "`0` is no node"),
            ("d,cache=none", "`cache=none` says nothing"),
            ("d,,", "`` says nothing"),
        ] {
            let said = text.parse::<Wanted>().unwrap_err();
            assert!(said.contains(complaint), "{text}: {said}");
        }
    }

    #[test]
    fn files_are_made_sparse_and_used_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a,b");
        let disk = Wanted {
            path: path.clone(),
            size: Some(1 << 30),
            bus: Bus::Ahci,
            node: 0,
            becomes: Becomes::Volume,
        };
        check(std::slice::from_ref(&disk), 1).unwrap();
        assert!(!path.exists(), "a check makes nothing");
        let attached = disk.attach().unwrap();
        assert_eq!(path.metadata().unwrap().len(), 1 << 30);
        let said = |disks: &[Wanted]| check(disks, 1).unwrap_err().to_string();
        assert!(said(std::slice::from_ref(&disk)).contains("in use by another node"));
        drop(attached.clone());
        assert!(disk.attach().is_err(), "a copy does not count");
        let line = arguments(&[attached]);
        let line: Vec<_> = line.iter().map(|word| word.to_str().unwrap()).collect();
        assert!(
            line[1]
                .ends_with(&format!("cache=writeback,discard=unmap,file={}/a,,b", folder.path().display()))
        );
        assert_eq!(line[3], "ide-hd,drive=disk0,serial=V0,bus=ide.0");
        let again = Wanted { size: None, ..disk.clone() };
        check(std::slice::from_ref(&again), 1).unwrap();
        assert!(said(&[again.clone(), again.clone()]).contains("is there twice"));
        assert!(said(&[Wanted { size: Some(512), ..disk.clone() }]).contains("not 512"));
        assert!(said(&[Wanted { node: 1, ..disk.clone() }]).contains("only 1"));
        File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
        assert!(said(&[again]).contains("has 1000 bytes"));
        assert!(said(&[wanted("/nonexistent/d")]).contains("with ,size=SIZE"));
        assert!(said(&[wanted("/nonexistent/d,size=1M")]).contains("there is no folder /nonexistent"));
        assert!(said(&[wanted("/dev")]).contains("is no file"));
    }

    #[test]
    fn a_scenarios_disk_has_a_size() {
        let new = New::try_from("size=1M,bus=nvme,node=2".to_owned()).unwrap();
        let disk = new.within(Path::new("/x"), 3);
        assert_eq!((disk.path, disk.bus, new.node()), (PathBuf::from("/x/disk3"), Bus::Nvme, 1));
        assert!(New::try_from("bus=nvme".to_owned()).unwrap_err().contains("no size="));
    }
}
