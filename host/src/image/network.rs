//! What a machine needs that is started over the network, as a folder for a TFTP server.
//!
//! | file | what |
//! |---|---|
//! | `bios.pxe`, `uefi.efi` | GRUB, for machines whose firmware starts by PXE |
//! | `boot.ipxe` | the same for iPXE, which chooses one of them |
//! | `grub.cfg` | what GRUB is to do |
//! | `kernel`, `archive` | what it loads |
//!
//! A machine's number is the last part of its address, so its name is `node7` if it is given 10.86.0.7.

use std::path::Path;

use anyhow::{Context, Result};

use super::grub::{Way, configuration, make_image};
use super::{ARCHIVE, Content, KERNEL};

/// GRUB for BIOS and for UEFI. The boot server knows them, too: `servers/boot/src/dhcp.rs`.
const GRUB_FOR_BIOS: &str = "bios.pxe";
const GRUB_FOR_UEFI: &str = "uefi.efi";
/// What iPXE is to do, in this file.
pub const IPXE_FILE: &str = "boot.ipxe";

const IPXE: &str = "#!ipxe
iseq ${platform} efi && chain uefi.efi || chain bios.pxe
";
/// Tells GRUB the machine's number.
const NUMBER: &str = "set number=0\nregexp --set=1:number '\\.([0-9]+)$' \"$net_default_ip\"\n";

/// Writes the files into the folder `to`, which is there. The command line names no node.
pub fn write(content: &Content, to: &Path) -> Result<()> {
    content.write(to)?;
    let command_line = format!("node=$number name=node$number {}", content.command_line);
    let text = configuration(NUMBER, &format!("/{KERNEL}"), &format!("/{ARCHIVE}"), &command_line);
    for (name, text) in [("grub.cfg", text.as_str()), (IPXE_FILE, IPXE)] {
        let path = to.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    make_image(Way::BiosNetwork, "/", None, &to.join(GRUB_FOR_BIOS))?;
    make_image(Way::UefiNetwork, "/", None, &to.join(GRUB_FOR_UEFI))
}
