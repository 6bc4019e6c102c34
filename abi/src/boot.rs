//! What the kernel tells the first team, the supervisor.
//!
//! The kernel loads the first entry of the boot archive (a tar file) as an ELF image, gives it all rights and every
//! device resource, maps the archive read-only at [`ARCHIVE_ADDRESS`], and starts its root process with the message
//! [`start::Start`] in the registers, as if its creator had replied.

use crate::protocol;

/// Where the supervisor finds the archive.
pub const ARCHIVE_ADDRESS: u64 = 0x0000_0100_0000_0000;

/// Initial stack pointer of the supervisor; a program manager uses the same for its programs. The page behind it stays
/// unmapped, and then comes the heap of who has one: near, so that both need the same page tables, and some of the program's own.
pub const STACK_TOP: u64 = 0x0000_0040_000f_f000;

/// Bytes of stack that are mapped below it at start.
pub const STACK_BYTES: u64 = 64 * crate::PAGE_BYTES;

protocol! {
    /// The supervisor's first message.
    pub mod start = 0x0e, enum BootStart {
        /// Where the archive is.
        Start = 1 {
            /// Its physical address, a multiple of the page size.
            archive_physical: u64,
            /// Its length.
            archive_bytes: u64,
            /// The physical address of ACPI's root table, the XSDT or RSDT; 0 if the machine has none.
            acpi_root_table: u64,
        } => Started {};
    }
}
