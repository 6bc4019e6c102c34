//! `cargo v doctor`: looks at what this machine has of what the tool needs, and says what to install.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::statvfs;

use crate::arguments::GDB_PORT;
use crate::guest::{cargo, checkout};
use crate::package::Need;
use crate::{book, firmware, image, qemu, test};

/// Free space that a build of everything takes, in GiB.
const BUILD_GIB: u64 = 6;
/// QEMU's first version with all that the tool asks of it.
const QEMU_VERSION: [u32; 2] = [7, 2];

/// How a check ended.
enum Found {
    /// All is well: what was found.
    Well(String),
    /// Something of it cannot be done: why.
    Lacks(String),
    /// Nothing can be done.
    Fails(String),
}

/// `cargo v doctor`. The status is 1 if the system cannot be built or run here.
pub fn doctor() -> Result<u8> {
    let mut packages = BTreeSet::new();
    let mut fails = false;
    let mut tell = |what: &str, found: Found| {
        let (word, text) = match found {
            Found::Well(text) => ("ok", text),
            Found::Lacks(text) => ("-", text),
            Found::Fails(text) => {
                fails = true;
                ("NO", text)
            }
        };
        println!("{word:<3} {what:<28} {text}");
    };
    tell("cargo", needed(cargo_version()));
    tell("QEMU", needed(qemu_version(&mut packages)));
    tell("space for a build", needed(space(checkout())));
    tell("KVM", wanted(qemu::kvm().map(|()| "works".to_owned()), "nodes are emulated"));
    let images = [&image::NEEDS[..], &image::medium::NEEDS].concat();
    let others: [(&str, &[Need]); 6] = [
        ("tests on the host", &test::NEEDS),
        ("images, network boot", &images),
        ("nodes started by UEFI", &firmware::NEEDS),
        ("`debug --gdb`", &[Need { what: "gdb", package: "gdb" }]),
        ("`bench` of several nodes", &[Need { what: "cc", package: "gcc" }]),
        ("`test --soak`", &[Need { what: "c++", package: "g++" }]),
    ];
    for (what, needs) in others {
        tell(what, wanted(all_there(needs, &mut packages), "installed on first use where you are root"));
    }
    let mdbook = book::installed().map(|program| program.display().to_string()).context("mdbook missing");
    tell("`book`", wanted(mdbook, "cargo installs it on first use"));
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, GDB_PORT)).map(|_| format!("{GDB_PORT} is free"));
    tell("`debug`'s TCP port", wanted(port.map_err(Into::into), "see `debug --port`"));
    if !packages.is_empty() {
        let packages = packages.into_iter().collect::<Vec<_>>().join(" ");
        println!("\nOn Debian or Ubuntu: sudo apt-get install {packages}");
    }
    Ok(u8::from(fails))
}

fn needed(found: Result<String>) -> Found {
    found.map_or_else(|error| Found::Fails(format!("{error:#}")), Found::Well)
}

fn wanted(found: Result<String>, otherwise: &str) -> Found {
    found.map_or_else(|error| Found::Lacks(format!("{error:#}; {otherwise}")), Found::Well)
}

/// Whether all is there; what is not goes to `packages`.
fn all_there(needs: &[Need], packages: &mut BTreeSet<&'static str>) -> Result<String> {
    let missing: Vec<&Need> = needs.iter().filter(|need| need.find().is_none()).collect();
    packages.extend(missing.iter().map(|need| need.package));
    let names: Vec<&str> = missing.iter().map(|need| need.what).collect();
    ensure!(missing.is_empty(), "{} missing", names.join(", "));
    Ok(needs
        .iter()
        .map(|need| need.package)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(", "))
}

fn cargo_version() -> Result<String> {
    let least = env!("CARGO_PKG_RUST_VERSION");
    let said = said(&mut cargo())?;
    let at_least = numbers(least).context("the workspace names no version of Rust")?;
    match numbers(&said) {
        Some(version) if version >= at_least => Ok(said),
        _ => bail!("{said}: it must be {least} or later; see https://rustup.rs"),
    }
}

fn qemu_version(packages: &mut BTreeSet<&'static str>) -> Result<String> {
    all_there(&[qemu::NEED], packages)?;
    let said = said(&mut Command::new(qemu::NEED.what))?;
    match numbers(&said) {
        Some(version) if version >= QEMU_VERSION => Ok(said),
        _ => bail!("{said}: it must be {}.{} or later", QEMU_VERSION[0], QEMU_VERSION[1]),
    }
}

/// The first line that a program says of its version.
fn said(program: &mut Command) -> Result<String> {
    let name = program.get_program().to_owned();
    let output = program.arg("--version").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {}", name.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The first two numbers of the first word that has some between points.
fn numbers(text: &str) -> Option<[u32; 2]> {
    text.split_ascii_whitespace().find_map(|word| {
        let mut parts = word.split(|c: char| !c.is_ascii_digit());
        Some([parts.next()?.parse().ok()?, parts.next()?.parse().ok()?])
    })
}

fn space(folder: &Path) -> Result<String> {
    let space = statvfs(folder).with_context(|| format!("cannot ask about {}", folder.display()))?;
    let free_gib = (space.f_bavail.saturating_mul(space.f_frsize)) >> 30;
    ensure!(free_gib >= BUILD_GIB, "{free_gib} GiB are free, and a build of everything takes {BUILD_GIB}");
    Ok(format!("{free_gib} GiB are free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found() {
        assert_eq!(numbers("cargo 1.95.0 (f2d3ce0bd 2026-03-21)"), Some([1, 95]));
        assert_eq!(numbers("QEMU emulator version 7.2.22 (Debian 1:7.2)"), Some([7, 2]));
        assert_eq!(numbers("none"), None);
        assert!(cargo_version().is_ok());
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let mut packages = BTreeSet::new();
        let needs = [Need { what: "sh", package: "dash" }, Need { what: "/nonexistent", package: "none" }];
        let complaint = all_there(&needs, &mut packages).unwrap_err().to_string();
        assert_eq!(
            (complaint.as_str(), packages.into_iter().collect()),
            ("/nonexistent missing", vec!["none"])
        );
        assert!(space(Path::new("/nonexistent")).is_err());
    }
}
