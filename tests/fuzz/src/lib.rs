//! Hostile bytes for whatever takes bytes from outside.
//!
//! A [`Target`] is a function of any bytes that panics if a promise is broken. Three things drive it:
//! * `cargo test` feeds it its corpus (`corpus/NAME/`, one file an input) and a bounded number of inputs that
//!   [`mutate`] makes of them, the same on every run;
//! * `cargo v test --soak` builds the program `fuzz` with the compiler's coverage instrumentation and lets LLVM's
//!   libFuzzer search for minutes. What it finds it writes to a file, to be moved to the corpus;
//! * whoever has a suspicion writes a file into the corpus.
//!
//! A format with checksums is tried as it comes and repaired, since no search finds a checksum by chance.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

mod archive;
mod boot;
mod channel;
mod disk;
mod engine;
mod image;
mod migration;
pub mod mutate;
mod packet;
mod records;
mod user;
mod volume;

/// A boundary, and what is promised there.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and its corpus's.
    pub name: &'static str,
    /// Takes any bytes; panics if a promise is broken.
    pub check: fn(&[u8]),
}

/// All boundaries.
pub const TARGETS: &[Target] = &[
    Target { name: "archive", check: archive::check },
    Target { name: "boot", check: boot::check },
    Target { name: "channel", check: channel::check },
    Target { name: "disk", check: disk::check },
    Target { name: "engine", check: engine::check },
    Target { name: "image", check: image::check },
    Target { name: "migration", check: migration::check },
    Target { name: "packet", check: packet::check },
    Target { name: "records", check: records::check },
    Target { name: "volume", check: volume::check },
];

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<Target> {
        TARGETS.iter().copied().find(|target| target.name == name)
    }

    /// Where its corpus lies.
    pub fn corpus(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }

    /// The inputs in its corpus, by file name.
    ///
    /// # Panics
    /// If the corpus cannot be read.
    pub fn inputs(&self) -> Vec<(String, Vec<u8>)> {
        let folder = self.corpus();
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut inputs: Vec<_> = entries
            .map(|entry| {
                let path = entry.expect("a folder's entries can be read").path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (name, fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
            })
            .collect();
        inputs.sort();
        inputs
    }
}
