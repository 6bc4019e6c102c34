//! Counting the instructions of two machines at once, for `cargo v bench`.
//!
//! A single machine runs under QEMU's deterministic clock, which is the count. Two that wait for each other can't: one's
//! time would not pass while it waits for the other. There a plugin of QEMU's (`host/plugin/count.c`) counts in each
//! machine, and writes a line whenever the guest passes a mark ([`Mark`], `v::entry::mark`). Counts vary by some per
//! cent, because waiting costs instructions too.
//!
//! The plugin is C, since a plugin is nothing but exported C functions; it is built by the compiler that Rust links
//! with. It speaks version 1 of QEMU's plugin interface, which QEMU 7 and 8 have.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::machine::comma_twice;
use crate::package;

const SOURCE: &str = include_str!("../plugin/count.c");

/// The plugin, built.
#[derive(Clone, Debug)]
pub struct Plugin {
    library: PathBuf,
}

/// The plugin in one machine, and the files that it works with.
#[derive(Clone, Debug)]
pub struct Counting {
    plugin: Plugin,
    /// Where it counts.
    own: PathBuf,
    /// Where the other machine's counts.
    other: Option<PathBuf>,
    /// Where it writes the marks.
    log: PathBuf,
}

/// A mark that the guest has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which.
    pub number: u16,
    /// Instructions that its machine had executed by then.
    pub own: u64,
    /// Instructions that the other machine had executed by then.
    pub other: u64,
}

impl Plugin {
    /// Builds the plugin in `folder`.
    pub fn build(folder: &Path) -> Result<Plugin> {
        let compiler = package::find_or_install("cc", "gcc")?;
        let source = folder.join("count.c");
        let library = folder.join("count.so");
        std::fs::write(&source, SOURCE).with_context(|| format!("cannot write {}", source.display()))?;
        let output = Command::new(&compiler)
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .output()
            .with_context(|| format!("cannot run {}", compiler.display()))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "QEMU's plugin does not build:\n{}", complaint.trim_end());
        Ok(Plugin { library })
    }

    /// Two machines that count, their files being in `folder`, which memory holds if it is below /dev/shm.
    pub fn pair(&self, folder: &Path) -> [Counting; 2] {
        let counter = |machine: usize| folder.join(format!("counter{}", machine + 1));
        [0, 1].map(|machine| Counting {
            plugin: self.clone(),
            own: counter(machine),
            other: Some(counter(1 - machine)),
            log: folder.join(format!("marks{}", machine + 1)),
        })
    }
}

impl Counting {
    /// QEMU's arguments.
    pub fn arguments(&self) -> [OsString; 2] {
        let mut words = vec![comma_twice(&self.plugin.library)];
        for (name, path) in
            [("own", Some(&self.own)), ("other", self.other.as_ref()), ("log", Some(&self.log))]
        {
            words.extend(path.map(|path| format!("{name}={}", comma_twice(path))));
        }
        ["-plugin".into(), words.join(",").into()]
    }

    /// The marks that its guest has passed so far.
    pub fn marks(&self) -> Result<Vec<Mark>> {
        let log = &self.log;
        let text = std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
        marks(&text)
    }
}

/// Reads lines of three numbers. A last line that has not ended is not whole yet.
fn marks(text: &str) -> Result<Vec<Mark>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| mark(line).with_context(|| format!("`{line}` is no mark"))).collect()
}

fn mark(line: &str) -> Option<Mark> {
    let mut numbers = line.split(' ');
    let mark = Mark {
        number: numbers.next()?.parse().ok()?,
        own: numbers.next()?.parse().ok()?,
        other: numbers.next()?.parse().ok()?,
    };
    numbers.next().is_none().then_some(mark)
}

/// What both machines together executed between each mark `begin` and the next mark `end`.
pub fn costs(marks: &[Mark], begin: u16, end: u16) -> Vec<u64> {
    let mut costs = Vec::new();
    let mut started = None;
    for mark in marks {
        let total = mark.own + mark.other;
        if mark.number == begin {
            started = Some(total);
        } else if mark.number == end
            && let Some(started) = started.take()
        {
            costs.push(total - started);
        }
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu;

    #[test]
    fn costs_are_the_differences_of_both_counts() {
        let marks =
            marks("1 100 1000\n2 110 1030\n2 111 1030\n7 0 0\n1 200 2000\n1 300 3000\n2 305 3001\n1 4")
                .unwrap();
        assert_eq!(marks[1], Mark { number: 2, own: 110, other: 1030 });
        assert_eq!(costs(&marks, 1, 2), [40, 6]);
    }

    #[test]
    fn what_is_no_mark_is_an_error() {
        for text in ["\n\n", "1 2\n", "1 2 3 4\n", "65536 1 1\n", "1 -2 3\n"] {
            assert!(marks(text).is_err(), "{text:?}");
        }
        assert_eq!(marks("").unwrap(), []);
    }

    /// A Multiboot image, loaded at 1 MiB, of code in 32-bit mode.
    fn image(code: &[u8]) -> Vec<u8> {
        const MAGIC: u32 = 0x1bad_b002;
        const ADDRESSES_FOLLOW: u32 = 1 << 16;
        const LOAD: u32 = 0x10_0000;
        const HEADER_BYTES: u32 = 32;
        let checksum = MAGIC.wrapping_add(ADDRESSES_FOLLOW).wrapping_neg();
        let end = LOAD + HEADER_BYTES + code.len() as u32;
        let header = [MAGIC, ADDRESSES_FOLLOW, checksum, LOAD, LOAD, end, end, LOAD + HEADER_BYTES];
        [header.map(u32::to_le_bytes).as_flattened(), code].concat()
    }

    #[test]
    fn a_guests_instructions_are_counted_between_its_marks() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = Plugin::build(folder.path()).unwrap();
        let [counting, other] = plugin.pair(folder.path());
        // The other machine does not run; its count is what this file says.
        std::fs::write(&other.own, [5_u64.to_le_bytes().to_vec(), vec![0; 4088]].concat()).unwrap();
        let code = [
            &[0x0f, 0x1f, 0x80, 0x34, 0x12, 0xa5, 0x7e][..], // mark 0x1234
            &[0xb9, 0xe8, 0x03, 0, 0],                       // mov ecx, 1000
            &[0x49, 0x75, 0xfd],                             // again: dec ecx; jnz again
            &[0x0f, 0x1f, 0x80, 0x02, 0x00, 0xa5, 0x7e],     // mark 2
            &[0xb0, 0x00, 0xe6, 0xf4],                       // mov al, 0; out 0xf4, al
            &[0xf4],                                         // hlt
        ]
        .concat();
        let kernel = folder.path().join("image");
        std::fs::write(&kernel, image(&code)).unwrap();
        let status = Command::new(qemu::find_or_install().unwrap())
            .args(["-accel", "tcg", "-m", "16M", "-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel"])
            .arg(kernel)
            .args(counting.arguments())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(1));
        let marks = counting.marks().unwrap();
        assert_eq!(
            marks.iter().map(|mark| (mark.number, mark.other)).collect::<Vec<_>>(),
            [(0x1234, 5), (2, 5)]
        );
        // A mark, an instruction before the loop, and two each time round.
        assert_eq!(costs(&marks, 0x1234, 2), [2002]);
    }
}
