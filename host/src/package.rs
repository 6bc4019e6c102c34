//! Programs and files of the host's that the tool needs: finds them, and installs what is missing where that is possible.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::progress::Progress;

/// Something of the host's: a program by its name or another file by its whole path, and the package of Debian and its
/// descendants that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The program or file.
    pub what: &'static str,
    /// The package.
    pub package: &'static str,
}

impl Need {
    /// Where it is, if it is there.
    pub fn find(self) -> Option<PathBuf> {
        if self.what.starts_with('/') {
            Some(PathBuf::from(self.what)).filter(|path| path.is_file())
        } else {
            in_path(self.what)
        }
    }
}

/// A program's path. Where it is missing it is installed if this user may, or else the error says what to do.
pub fn find_or_install(what: &'static str, package: &'static str) -> Result<PathBuf> {
    let need = Need { what, package };
    ensure_all(&[need])?;
    need.find().with_context(|| format!("{what} has gone"))
}

/// As [`find_or_install`], for all that is needed at once.
pub fn ensure_all(needs: &[Need]) -> Result<()> {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| need.find().is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = |of: fn(&Need) -> &str, between| {
        missing.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(between)
    };
    let (wanted, packages) = (list(|need| need.what, ", "), list(|need| need.package, " "));
    let root = rustix::process::geteuid().is_root();
    if !root || in_path("apt-get").is_none() {
        bail!(
            "not installed: {wanted}. On Debian or Ubuntu: sudo apt-get install {packages}. Elsewhere, install the \
             packages that have them."
        );
    }
    let progress = Progress::new(&format!("installing {packages}: reading the package lists"));
    apt_get(&wanted, &["update"])?;
    progress.show(&format!("installing {packages}"));
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&wanted, &install.into_iter().chain(packages.split(' ')).collect::<Vec<_>>())?;
    for need in missing {
        ensure!(need.find().is_some(), "{} was installed but has no {}", need.package, need.what);
    }
    Ok(())
}

fn apt_get(wanted: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get")?;
    ensure!(
        output.status.success(),
        "not installed: {wanted}; and `apt-get {}` failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

/// Where the shell would find `program`.
pub fn in_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found() {
        assert!(find_or_install("sh", "dash").is_ok());
        let shell = Need { what: "/bin/sh", package: "dash" };
        assert!(ensure_all(&[shell, Need { what: "sh", ..shell }]).is_ok());
        assert_eq!(Need { what: "/nonexistent", package: "x" }.find(), None);
        assert_eq!(in_path("no program has this name"), None);
    }
}
