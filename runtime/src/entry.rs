//! What a program is given when it begins, and the few places where it lies in memory that Rust does not know of.
//!
//! `v-start` calls [`begin`] once. A program manager's message leads to a start block (see `protocols::program`), which
//! is read where it lies, never copied: [`start_block`]. The kernel's message to the supervisor leads to the boot
//! archive instead. The information page is there for everyone.

use alloc_crate::boxed::Box;
use core::arch::naked_asm;
use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use core::sync::atomic::{AtomicBool, Ordering};

use abi::information::{self, Information};
use abi::protocol::Request;
use abi::{Message, Pid};
use protocols::program::begin;

use crate::sync::Once;

/// What the first message said.
struct Beginning {
    creator: Pid,
    block: &'static [u8],
    archive: Option<&'static [u8]>,
    archive_physical: u64,
    acpi_root_table: Option<u64>,
}

static BEGINNING: Once<Beginning> = Once::new();
static IS_GUEST: AtomicBool = AtomicBool::new(false);

/// Takes note of the first message, `message` being its registers, which `creator` sent.
///
/// # Safety
/// The message must be what the process found in its registers when it began: the addresses in it are believed.
pub unsafe fn begin(creator: Pid, message: [u64; 4]) {
    let message = Message::from_registers(message);
    let mut beginning =
        Beginning { creator, block: &[], archive: None, archive_physical: 0, acpi_root_table: None };
    if message.code() == begin::BeginProgram::CODE {
        let begin = begin::BeginProgram::from_message(&message);
        // SAFETY: the creator mapped the block for the program's whole life, and nobody writes it.
        beginning.block = unsafe { memory(begin.block_address, u64::from(begin.block_bytes)) };
        IS_GUEST.store(begin.is_guest != 0, Ordering::Relaxed);
    } else if message.code() == abi::boot::start::Start::CODE {
        let start = abi::boot::start::Start::from_message(&message);
        // SAFETY: the kernel mapped the archive for the supervisor's whole life, read-only.
        beginning.archive = Some(unsafe { memory(abi::boot::ARCHIVE_ADDRESS, start.archive_bytes) });
        beginning.archive_physical = start.archive_physical;
        beginning.acpi_root_table = Some(start.acpi_root_table).filter(|address| *address != 0);
    }
    BEGINNING.call_once(|| beginning);
}

/// Memory that somebody else mapped.
///
/// # Safety
/// It must be mapped, and unchanged from now on.
unsafe fn memory(address: u64, bytes: u64) -> &'static [u8] {
    if bytes == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for the range.
    unsafe { core::slice::from_raw_parts(with_exposed_provenance(address as usize), bytes as usize) }
}

/// Who created this program: its program manager, or for a service the supervisor. None on the host.
pub fn creator() -> Pid {
    BEGINNING.get().map_or(Pid::NONE, |beginning| beginning.creator)
}

/// The start block; empty for a program without one.
pub fn start_block() -> &'static [u8] {
    BEGINNING.get().map_or(&[], |beginning| beginning.block)
}

/// Whether this program is a guest, which may move.
#[inline]
pub(crate) fn is_guest() -> bool {
    IS_GUEST.load(Ordering::Relaxed)
}

/// The boot archive and its physical address; for the supervisor alone.
pub fn boot_archive() -> Option<(&'static [u8], u64)> {
    let beginning = BEGINNING.get()?;
    Some((beginning.archive?, beginning.archive_physical))
}

/// The physical address of ACPI's root table; for the supervisor alone.
pub fn acpi_root_table() -> Option<u64> {
    BEGINNING.get()?.acpi_root_table
}

/// The information page's fields, as they are now.
pub fn information() -> Information {
    // SAFETY: the kernel maps the page at this address in every address space, and its first words are these fields;
    // volatile because the kernel may change them.
    unsafe { with_exposed_provenance::<Information>(information::ADDRESS as usize).read_volatile() }
}

/// Two of them, by which the processor's counter becomes nanoseconds: the base, and the multiplier. They change when
/// the program moves to another machine.
#[inline]
pub(crate) fn clock() -> (u64, u64) {
    let page = with_exposed_provenance::<Information>(information::ADDRESS as usize);
    // SAFETY: as in `information`; each is a field of what is there.
    unsafe {
        ((&raw const (*page).counter_base).read_volatile(), (&raw const (*page).multiplier).read_volatile())
    }
}

/// The boot command line.
pub fn boot_command_line() -> &'static str {
    let line = information::ADDRESS + information::COMMAND_LINE_OFFSET as u64;
    // SAFETY: the line lies in the information page, its length before it; it never changes.
    let text = unsafe {
        let bytes = with_exposed_provenance::<u16>(line as usize).read_volatile();
        let bytes = usize::from(bytes).min(information::COMMAND_LINE_BYTES);
        memory(line + 2, bytes as u64)
    };
    core::str::from_utf8(text).unwrap_or("")
}

/// The processor's time-stamp counter.
#[inline]
pub fn time_stamp_counter() -> u64 {
    // SAFETY: reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Marks a place in the program's course, for a QEMU that counts instructions (`host/plugin/count.c` in the repository);
/// an instruction that does nothing, anywhere else.
#[inline]
pub fn mark<const NUMBER: u16>() {
    // SAFETY: a NOP, whose operand is never accessed.
    unsafe {
        core::arch::asm!(
            ".byte 0x0f, 0x1f, 0x80, {low}, {high}, 0xa5, 0x7e",
            low = const NUMBER & 0xff,
            high = const NUMBER >> 8,
            options(nostack, preserves_flags),
        );
    }
}

/// What a further process of the team is to do.
type Body = Box<dyn FnOnce() + Send>;

/// The message that starts a further process at [`thread_entry`]: it carries `body`, in words 2 and 3.
pub(crate) fn hand_over(body: Body) -> Message {
    let address = Box::into_raw(Box::new(body)).expose_provenance() as u64;
    Message::from_registers([0, address, 0, 0])
}

/// Where further processes of the team begin.
pub(crate) fn thread_entry() -> u64 {
    (begin_thread as *const ()).expose_provenance() as u64
}

#[unsafe(naked)]
unsafe extern "C" fn begin_thread() -> ! {
    naked_asm!(
        // The chain of frame pointers ends here.
        "xor ebp, ebp",
        "and rsp, -16",
        // The message's second register.
        "mov rdi, rdx",
        "call {run}",
        "ud2",
        run = sym run_thread,
    )
}

extern "C" fn run_thread(body: u64) -> ! {
    // SAFETY: `hand_over` made it of a box, for this process alone.
    let body = unsafe { Box::from_raw(with_exposed_provenance_mut::<Body>(body as usize)) };
    body();
    crate::process::end_thread()
}
