//! GRUB, which the firmware starts and which starts the kernel: its images, one for each way that it is started, and
//! what it is told to do.
//!
//! All that it needs is in its image, so nothing is loaded of it but that.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::package::Need;

/// GRUB's program that makes images.
const MAKE: &str = "grub-mkimage";
/// What it needs: what images are made of, for each platform.
pub const NEEDS: [Need; 3] = [
    Need { what: MAKE, package: "grub-common" },
    Need { what: FIRST_SECTOR, package: "grub-pc-bin" },
    Need { what: "/usr/lib/grub/x86_64-efi/multiboot2.mod", package: "grub-efi-amd64-bin" },
];
/// What BIOS loads from a USB stick.
pub const FIRST_SECTOR: &str = "/usr/lib/grub/i386-pc/boot_hybrid.img";

/// Modules that are in every image.
const MODULES: &[&str] =
    &["normal", "configfile", "echo", "serial", "minicmd", "ls", "boot", "multiboot2", "reboot", "halt"];
/// Modules to find the files on a medium.
const MEDIUM_MODULES: &[&str] = &["search", "search_fs_file", "part_msdos", "part_gpt", "iso9660", "fat"];
/// Modules to get files over the network, and to know the machine's number.
const NETWORK_MODULES: &[&str] = &["net", "tftp", "regexp"];

/// A way in which GRUB is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By BIOS, from a CD or a USB stick.
    BiosMedium,
    /// By UEFI, from a CD or a USB stick.
    UefiMedium,
    /// By BIOS's PXE.
    BiosNetwork,
    /// By UEFI's PXE.
    UefiNetwork,
}

impl Way {
    /// GRUB's name for the format, and the modules that go with it: among them the one that has the firmware show pixels.
    fn format(self) -> (&'static str, &'static [&'static str], &'static [&'static str]) {
        match self {
            Way::BiosMedium => ("i386-pc-eltorito", &["biosdisk", "vbe"], MEDIUM_MODULES),
            Way::UefiMedium => ("x86_64-efi", &["efi_gop"], MEDIUM_MODULES),
            Way::BiosNetwork => ("i386-pc-pxe", &["pxe", "vbe"], NETWORK_MODULES),
            Way::UefiNetwork => ("x86_64-efi", &["efinet", "efi_gop"], NETWORK_MODULES),
        }
    }
}

/// Makes the image `to`. It reads `grub.cfg` in the folder `folder`, of what it was loaded from or, where the file `early`
/// has commands to find another place, of that.
pub fn make_image(way: Way, folder: &str, early: Option<&Path>, to: &Path) -> Result<()> {
    let (format, own, more) = way.format();
    let mut command = Command::new(MAKE);
    command.args(["--format", format, "--prefix", folder, "--output"]).arg(to);
    if let Some(early) = early {
        command.arg("--config").arg(early);
    }
    run(command.args(own).args(MODULES).args(more))
}

/// The commands of `grub.cfg`: to start the file `kernel` with the words `command_line` and the file `archive`, after
/// the commands `before`. On a machine with a serial port all is also said there. Who presses Escape in time may change
/// the commands.
pub fn configuration(before: &str, kernel: &str, archive: &str, command_line: &str) -> String {
    format!(
        "if serial --unit=0 --speed=115200; then\n  terminal_input console serial\n  terminal_output console \
         serial\nfi\nset timeout_style=hidden\nset timeout=1\n{before}menuentry V {{\n  multiboot2 {kernel} \
         {command_line}\n  module2 {archive}\n}}\n"
    )
}

/// Runs a program that is silent where all is well.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "{} failed:\n{}",
        program.display(),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_started_with_its_words() {
        let text = configuration("set a=b\n", "/kernel", "/archive", "name=x exec");
        assert!(
            text.contains(
                "\nset a=b\nmenuentry V {\n  multiboot2 /kernel name=x exec\n  module2 /archive\n}\n"
            )
        );
    }

    #[test]
    fn a_failure_is_told_in_the_programs_words() {
        let complaint = run(Command::new("ls").arg("/nonexistent")).unwrap_err().to_string();
        assert!(complaint.starts_with("ls failed:\n") && complaint.contains("/nonexistent"), "{complaint}");
    }
}
