//! Debian's package of the kernel: fetched once, and taken apart without being installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::guest::checkout;
use crate::package::in_path;

/// Depends on the kernel's package of the day.
const PACKAGE: &str = "linux-image-cloud-amd64";

/// What is in it.
#[derive(Debug)]
pub struct Package {
    /// The kernel.
    pub kernel: PathBuf,
    /// The folder of its modules, in which they lie as in its sources.
    pub modules: PathBuf,
}

/// The package, fetched if it has not been before.
pub fn fetch() -> Result<Package> {
    let folder = checkout().join("target/v/linux");
    let unpacked = folder.join("unpacked");
    if let Ok(package) = find(&unpacked) {
        return Ok(package);
    }
    for program in ["apt-get", "apt-cache", "dpkg-deb"] {
        ensure!(
            in_path(program).is_some(),
            "--peer linux needs {program}: the peer is Debian's Linux, fetched by apt on Debian or Ubuntu"
        );
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if rustix::process::geteuid().is_root() {
        run(&folder, "apt-get", &["update"])?;
    }
    let said = run(&folder, "apt-cache", &["depends", PACKAGE])
        .with_context(|| format!("apt does not know {PACKAGE}; first: sudo apt-get update"))?;
    let image = image(&said).with_context(|| format!("{PACKAGE} depends on no kernel"))?;
    run(&folder, "apt-get", &["download", image])?;
    let archive = newest(&folder, |name| name.strip_prefix(image).is_some_and(|rest| rest.starts_with('_')))?;
    let (archive, target) = (archive.to_string_lossy(), unpacked.to_string_lossy());
    run(&folder, "dpkg-deb", &["--extract", &archive, &target])?;
    find(&unpacked)
}

/// The kernel's package among what apt says of another's dependencies.
fn image(said: &str) -> Option<&str> {
    let packages = said.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    packages.map(str::trim).find(|package| package.starts_with("linux-image-"))
}

fn find(unpacked: &Path) -> Result<Package> {
    let kernel = newest(&unpacked.join("boot"), |name| name.starts_with("vmlinuz-"))?;
    // Debian of late has the folder below /usr.
    let places = ["lib/modules", "usr/lib/modules"].map(|place| unpacked.join(place));
    let modules = places.iter().find(|place| place.is_dir()).context("the package has no modules")?;
    Ok(Package { kernel, modules: newest(modules, |_| true)?.join("kernel") })
}

/// The last of a folder's entries by name, of which `wanted` holds.
fn newest(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let paths = paths.filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted));
    paths.max().with_context(|| format!("{} lacks what the package should have", folder.display()))
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{program} {}` failed:\n{}", arguments.join(" "), complaint.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_package_is_found_among_the_dependencies() {
        let said = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n";
        assert_eq!(image(said), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(image("x\n Depends: libc6\n"), None);
    }
}
