//! Programs of the host's that the tool needs: finds them, and installs what is missing where that is possible.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::progress::Progress;

/// A program's path. Where it is missing, the `package` of Debian and its descendants that has it is installed if this
/// user may, or else the error says what to do.
pub fn find_or_install(program: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = in_path(program) {
        return Ok(path);
    }
    let root = rustix::process::geteuid().is_root();
    if !root || in_path("apt-get").is_none() {
        bail!(
            "{program} is not installed. On Debian or Ubuntu: sudo apt-get install {package}. Elsewhere, install the \
             package that has {program}."
        );
    }
    let progress = Progress::new(&format!("installing {package}: reading the package lists"));
    apt_get(program, &["update"])?;
    progress.show(&format!("installing {package}"));
    apt_get(program, &["install", "--yes", "--no-install-recommends", package])?;
    in_path(program).with_context(|| format!("{package} was installed but has no {program}"))
}

fn apt_get(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get")?;
    ensure!(
        output.status.success(),
        "{program} is missing, and `apt-get {}` failed:\n{}",
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
        assert_eq!(in_path("no program has this name"), None);
    }
}
