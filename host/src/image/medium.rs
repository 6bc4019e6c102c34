//! An image that is a CD's and a USB stick's at once, and that BIOS starts as well as UEFI.
//!
//! It is an ISO 9660 file system. BIOS finds GRUB in it by El Torito on a CD, by the first sector on a stick; UEFI finds
//! it in a FAT file system, which El Torito names as well as a partition table does. GRUB finds the rest by its name.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::grub::{FIRST_SECTOR, Way, configuration, make_image, run};
use super::{ARCHIVE, Content, KERNEL, MADE};
use crate::package::Need;

/// Writes ISO 9660 file systems.
const ISO: &str = "xorriso";
/// Writes FAT file systems.
const FAT: &str = "mformat";
/// What it needs beside GRUB.
pub const NEEDS: [Need; 2] = [Need { what: ISO, package: "xorriso" }, Need { what: FAT, package: "mtools" }];

/// The folder in the image with all that is V's.
const FOLDER: &str = "/v";
/// In KiB: as much as GRUB's image needs.
const FAT_KIB: &str = "1440";

/// Writes the image `to` of what is loaded, in the folder `work`.
pub fn write(content: &Content, work: &Path, to: &Path) -> Result<()> {
    let tree = work.join("tree");
    let folder = tree.join(&FOLDER[1..]);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    content.write(&folder)?;
    let name = |file| format!("{FOLDER}/{file}");
    let text = configuration("", &name(KERNEL), &name(ARCHIVE), content.command_line);
    std::fs::write(folder.join("grub.cfg"), text).context("cannot write grub.cfg")?;
    let early = work.join("early.cfg");
    let search =
        format!("search --no-floppy --file --set=root {0}\nset prefix=($root){FOLDER}\n", name(ARCHIVE));
    std::fs::write(&early, search).context("cannot write early.cfg")?;
    make_image(Way::BiosMedium, FOLDER, Some(&early), &folder.join("bios.img"))?;
    let loader = work.join("loader.efi");
    make_image(Way::UefiMedium, FOLDER, Some(&early), &loader)?;
    write_fat(&loader, &folder.join("uefi.img"))?;
    let mut command = Command::new(ISO);
    command.env("SOURCE_DATE_EPOCH", MADE);
    command.args(["-as", "mkisofs", "-quiet", "-rational-rock", "-volid", "V"]);
    command.args(["--set_all_file_dates", &format!("={MADE}")]);
    command.args(["-eltorito-boot", &name("bios.img")[1..], "-no-emul-boot", "-boot-load-size", "4"]);
    command.args(["-boot-info-table", "--grub2-boot-info", "--grub2-mbr"]).arg(FIRST_SECTOR);
    command.args(["--protective-msdos-label", "--efi-boot", &name("uefi.img")[1..]]);
    command.args(["-efi-boot-part", "--efi-boot-image", "-o"]).arg(to).arg(&tree);
    run(&mut command)
}

/// Writes the file system `to` in which UEFI finds `loader`.
fn write_fat(loader: &Path, to: &Path) -> Result<()> {
    let tool = |program| {
        let mut command = Command::new(program);
        command.env("SOURCE_DATE_EPOCH", MADE);
        command
    };
    run(tool(FAT).args(["-C", "-f", FAT_KIB, "-N", "0", "-i"]).arg(to).arg("::"))?;
    run(tool("mmd").arg("-i").arg(to).args(["::/EFI", "::/EFI/BOOT"]))?;
    run(tool("mcopy").arg("-i").arg(to).arg(loader).arg("::/EFI/BOOT/BOOTX64.EFI"))
}
