//! The firmware of a machine that is not started by QEMU itself, and what it may start from.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Deserialize;

use crate::machine::comma_twice;
use crate::package::{self, Need};

/// UEFI's code, and the variables that a machine begins with.
const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/// What UEFI needs.
pub const NEEDS: [Need; 2] =
    [Need { what: CODE, package: "ovmf" }, Need { what: VARIABLES, package: "ovmf" }];

/// A kind of firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// `SeaBIOS`, which comes with QEMU
    #[default]
    Bios,
    /// UEFI: OVMF
    Uefi,
}

/// What an image lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// A CD
    Cd,
    /// A USB stick
    Usb,
}

impl Firmware {
    /// Installs it where it is missing and this user may.
    pub fn ensure(self) -> Result<()> {
        match self {
            Firmware::Bios => Ok(()),
            Firmware::Uefi => package::ensure_all(&NEEDS),
        }
    }

    /// QEMU's arguments for it. What it writes to its variables goes to a file in `folder`.
    pub fn arguments(self, folder: &Path) -> Result<Vec<OsString>> {
        if self == Firmware::Bios {
            return Ok(Vec::new());
        }
        let variables = folder.join("variables");
        std::fs::copy(VARIABLES, &variables).with_context(|| format!("cannot copy {VARIABLES}"))?;
        let flash =
            |path: &Path, more| format!("if=pflash,format=raw,file={}{more}", comma_twice(path)).into();
        let code = flash(Path::new(CODE), ",readonly=on");
        Ok(vec!["-drive".into(), code, "-drive".into(), flash(&variables, "")])
    }
}

impl Medium {
    /// QEMU's arguments for a machine that has the image at `path` on it.
    pub fn arguments(self, path: &Path) -> Vec<OsString> {
        let file = format!("if=none,id=medium,format=raw,readonly=on,file={}", comma_twice(path));
        let devices: &[&str] = match self {
            Medium::Cd => &["-device", "ide-cd,drive=medium"],
            Medium::Usb => &["-device", "qemu-xhci", "-device", "usb-storage,drive=medium"],
        };
        let file = ["-drive".into(), file.into()];
        file.into_iter().chain(devices.iter().map(OsString::from)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_on_the_medium_that_was_asked_for() {
        for (medium, device) in [(Medium::Cd, "ide-cd"), (Medium::Usb, "usb-storage")] {
            let arguments = medium.arguments(Path::new("/a,b"));
            assert!(arguments[1].to_str().unwrap().ends_with("file=/a,,b"));
            assert!(arguments.iter().any(|argument| argument.to_str().unwrap().starts_with(device)));
        }
        assert!(Firmware::Bios.arguments(Path::new("/nonexistent")).unwrap().is_empty());
    }
}
