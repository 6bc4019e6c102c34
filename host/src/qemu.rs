//! Sees to it that QEMU is there, and chooses how it runs the processor.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::Accel;
use crate::machine::Processor;
use crate::package::{self, Need};

/// The program.
pub const NEED: Need = Need { what: "qemu-system-x86_64", package: "qemu-system-x86" };

/// QEMU's path; it is installed first where it is missing.
pub fn find_or_install() -> Result<PathBuf> {
    package::find_or_install(NEED.what, NEED.package)
}

/// The processor for a node.
pub fn processor(accel: Accel, icount: bool) -> Result<Processor> {
    match (accel, icount) {
        (Accel::Kvm, true) => bail!("--icount counts emulated instructions: it cannot go with --accel kvm"),
        (_, true) => Ok(Processor::Counted),
        (Accel::Tcg, false) => Ok(Processor::Emulated),
        (Accel::Auto, false) => Ok(if kvm().is_ok() { Processor::Virtual } else { Processor::Emulated }),
        (Accel::Kvm, false) => kvm().context("--accel kvm is not possible here").map(|()| Processor::Virtual),
    }
}

/// Whether KVM works. Where the processor has no virtualisation to offer, /dev/kvm may be there all the same, and a
/// guest then hangs at boot.
pub fn kvm() -> Result<()> {
    let flags = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
    ensure!(has_virtualisation(&flags), "the processor offers neither vmx nor svm");
    let device = Path::new("/dev/kvm");
    OpenOptions::new().read(true).write(true).open(device).context("cannot open /dev/kvm")?;
    Ok(())
}

fn has_virtualisation(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| line.split_whitespace().any(|flag| flag == "vmx" || flag == "svm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtualisation_is_a_whole_flag() {
        assert!(has_virtualisation("processor : 0\nflags\t\t: fpu vmx sse\n"));
        assert!(has_virtualisation("flags : fpu svm"));
        assert!(!has_virtualisation("flags : fpu svm_lock\nbugs : vmx"));
        assert!(!has_virtualisation(""));
    }

    #[test]
    fn counting_needs_emulation() {
        assert!(processor(Accel::Kvm, true).is_err());
        assert_eq!(processor(Accel::Auto, true).unwrap(), Processor::Counted);
        assert_eq!(processor(Accel::Tcg, false).unwrap(), Processor::Emulated);
    }
}
