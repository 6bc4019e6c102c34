//! Counting the instructions of several machines at once, for `cargo v bench`.
//!
//! A single machine runs under QEMU's deterministic clock, which is the count. Some that wait for each other can't: one's
//! time would not pass while it waits for another. There a plugin of QEMU's (`host/plugin/count.c`) counts in each
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
    /// Where the other machines count.
    others: Vec<PathBuf>,
    /// Where it writes the marks.
    log: PathBuf,
}

/// A mark that the guest has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which.
    pub number: u16,
    /// Instructions that each machine had executed by then, the guest's own first.
    pub counts: Vec<u64>,
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

    /// So many machines that count, their files being in `folder`, which memory holds if it is below /dev/shm.
    pub fn machines(&self, folder: &Path, count: usize) -> Vec<Counting> {
        let counter = |machine: usize| folder.join(format!("counter{}", machine + 1));
        let counting = |machine: usize| Counting {
            plugin: self.clone(),
            own: counter(machine),
            others: (0..count).filter(|other| *other != machine).map(counter).collect(),
            log: folder.join(format!("marks{}", machine + 1)),
        };
        (0..count).map(counting).collect()
    }
}

impl Counting {
    /// QEMU's arguments.
    pub fn arguments(&self) -> [OsString; 2] {
        let mut words = vec![comma_twice(&self.plugin.library)];
        words.push(format!("own={}", comma_twice(&self.own)));
        words.extend(self.others.iter().map(|other| format!("other={}", comma_twice(other))));
        words.push(format!("log={}", comma_twice(&self.log)));
        ["-plugin".into(), words.join(",").into()]
    }

    /// The marks that its guest has passed so far.
    pub fn marks(&self) -> Result<Vec<Mark>> {
        let log = &self.log;
        let text = std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
        marks(&text)
    }
}

/// Reads lines of a mark's number and counts, as many in each. A last line that has not ended is not whole yet.
fn marks(text: &str) -> Result<Vec<Mark>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let marks: Vec<Mark> = whole
        .lines()
        .map(|line| mark(line).with_context(|| format!("`{line}` is no mark")))
        .collect::<Result<_>>()?;
    let counts = marks.first().map_or(0, |mark| mark.counts.len());
    ensure!(marks.iter().all(|mark| mark.counts.len() == counts), "the marks are of different machines");
    Ok(marks)
}

fn mark(line: &str) -> Option<Mark> {
    let mut numbers = line.split(' ');
    let number = numbers.next()?.parse().ok()?;
    let counts: Vec<u64> = numbers.map(|count| count.parse().ok()).collect::<Option<_>>()?;
    (!counts.is_empty()).then_some(Mark { number, counts })
}

/// What each machine executed between each mark `begin` and the next mark `end`.
pub fn costs(marks: &[Mark], begin: u16, end: u16) -> Vec<Vec<u64>> {
    let mut costs = Vec::new();
    let mut started = None;
    for mark in marks {
        if mark.number == begin {
            started = Some(&mark.counts);
        } else if mark.number == end
            && let Some(started) = started.take()
        {
            costs.push(mark.counts.iter().zip(started).map(|(count, started)| count - started).collect());
        }
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu;

    #[test]
    fn costs_are_the_differences_of_all_counts() {
        let marks =
            marks("1 100 1000\n2 110 1030\n2 111 1030\n7 0 0\n1 200 2000\n1 300 3000\n2 305 3001\n1 4")
                .unwrap();
        assert_eq!(marks[1], Mark { number: 2, counts: vec![110, 1030] });
        assert_eq!(costs(&marks, 1, 2), [[10, 30], [5, 1]]);
    }

    #[test]
    fn what_is_no_mark_is_an_error() {
        for text in ["\n\n", "1\n", "1 2 3 4\n1 2 3\n", "65536 1 1\n", "1 -2 3\n"] {
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
        let machines = plugin.machines(folder.path(), 3);
        let counting = &machines[0];
        // The other machines do not run; their counts are what these files say.
        for (other, count) in machines[1..].iter().zip([5_u64, 6]) {
            std::fs::write(&other.own, [count.to_le_bytes().to_vec(), vec![0; 4088]].concat()).unwrap();
        }
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
        let others = marks.iter().map(|mark| (mark.number, &mark.counts[1..]));
        assert_eq!(others.collect::<Vec<_>>(), [(0x1234, &[5, 6][..]), (2, &[5, 6])]);
        // A mark, an instruction before the loop, and two each time round.
        assert_eq!(costs(&marks, 0x1234, 2), [[2002, 0, 0]]);
    }
}
