//! The V kernel for x86-64: the machine under `kernel-core`, and every unsafe line of the kernel.
//!
//! `boot` is the way in, this file the boot's order, `entry` the way from and to programs, `node` where the kernel's
//! logic is called, `machine` where it calls back. No code here ever touches a user address, and no exception in the
//! kernel is legal: any is a panic with a report. Interrupts are off whenever this code runs.

#![no_std]
#![no_main]

extern crate alloc;

mod apic;
mod boot;
mod clock;
mod copy;
mod cpu;
mod device;
mod entropy;
mod entry;
mod features;
mod heap;
mod instructions;
mod interrupt_table;
mod ioapic;
mod log;
mod machine;
mod node;
mod paging;
mod panic;
mod physical;
mod saved;
#[cfg(feature = "selftest")]
mod selftest;
mod space;
mod walks;

use abi::LogicalHost;
use abi::information::{Information, VERSION};
use builtins as _;
use firmware::loader::Loaded;
use firmware::platform::Platform;
use firmware::ranges::{Range, Ranges};
use formats::acpi;
use kernel_core::boot::{BootArchive, DeviceMemory};
use kernel_core::frame::{Frame, Frames};
use kernel_core::kernel::{Configuration, Kernel};
use kernel_core::table::slot_count;
use kernel_core::team::GRANTS_PER_TEAM;

use apic::LocalApic;
use clock::Clock;
use cpu::Cpu;
use features::Features;
use ioapic::IoApics;
use log::say;
use machine::{SavedAreas, X86};
use paging::Image;
use physical::{BOOT_MAP_END, BootMemory};

/// Memory below this is left alone: real-mode vectors, firmware's data, and room for what starts other processors.
const LOW_MEMORY_END: u64 = 0x1_0000;

/// The kernel's tables get at most this part of memory, and what they leave is given back.
const HEAP_PART: u64 = 12;
/// But at least so much.
const HEAP_BYTES_MIN: u64 = 2 << 20;

/// Entered from `boot` with what the loader left.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(protocol: u32, information: u32) -> ! {
    log::initialize();
    Cpu::initialize();
    interrupt_table::initialize();
    // SAFETY: the boot tables are in use until `paging::initialize`, after the last use of `memory`; what is written
    // until then is the kernel's own image.
    let memory = unsafe { BootMemory::new() };
    let loaded = match protocol {
        boot::MULTIBOOT2 => Loaded::from_multiboot2(&memory, information.into()),
        _ => Loaded::from_pvh(&memory, information.into()),
    };
    let loaded = loaded.expect("a PVH or Multiboot2 loader's information");
    panic::configure(loaded.command_line());
    let acpi_root_table = acpi::root_table(&memory, loaded.root_pointer);
    let platform = Platform::read(&memory, acpi_root_table);
    let features = features::initialize();
    entry::initialize();

    let image = Image::get();
    let (mut free, heap_range) = divide_memory(&loaded, &image);
    // SAFETY: the range was just taken out of usable memory; it is in the boot tables' direct map, and will be in the
    // next one, which maps all usable memory.
    unsafe { heap::open(heap_range) };
    let root = paging::initialize(&image, &loaded.memory);
    free.add(image.boot);
    // SAFETY: nobody else holds the processor's state.
    unsafe { Cpu::this() }.root_table = root;

    let kernel = start_kernel(&loaded, &platform, &features, &free, root);
    #[cfg(feature = "selftest")]
    selftest::run(loaded.command_line(), &mut kernel.machine, &mut kernel.frames);
    let rest = heap::seal().whole_pages();
    kernel.frames.add(Frame::containing(rest.start), Frame::containing(rest.end));
    let image_and_tables = (image.physical.end - image.boot.end) + (rest.start - heap_range.start);
    kernel.kernel_frames = (image_and_tables / abi::PAGE_BYTES) as u32;
    boot_supervisor(kernel, &loaded, &features, acpi_root_table);
    let next = kernel.step();
    node::leave(kernel, next)
}

/// What of usable memory is free from the start, and what the kernel's tables are made in.
fn divide_memory(loaded: &Loaded, image: &Image) -> (Ranges, Range) {
    let mut free = loaded.memory.clone();
    free.remove(Range::new(0, LOW_MEMORY_END));
    free.remove(image.physical.touched_pages());
    if let Some(archive) = loaded.archive {
        free.remove(archive.touched_pages());
    }
    let total: u64 = free.as_slice().iter().map(|range| range.length()).sum();
    let largest = free
        .as_slice()
        .iter()
        .map(|range| Range { start: range.start, end: range.end.min(BOOT_MAP_END) })
        .max_by_key(|range| range.length())
        .unwrap_or_default();
    let bytes = (total / HEAP_PART).max(HEAP_BYTES_MIN).min(largest.length());
    let heap = Range::new(largest.start, bytes).touched_pages();
    free.remove(heap);
    (free, heap)
}

/// Makes the first team, with all physical memory that the kernel leaves alone.
fn boot_supervisor(
    kernel: &mut Kernel<X86>,
    loaded: &Loaded,
    features: &Features,
    acpi_root_table: Option<u64>,
) {
    let archive = loaded.archive.expect("a boot archive from the loader");
    let mut used = loaded.memory.clone();
    used.remove(Range::new(0, LOW_MEMORY_END));
    // The archive is no device, but it is handed out like one: to the server that shows it as files.
    let archive_pages = (archive.touched_pages(), true);
    // Where there are many, the short ones are done without.
    let gaps = core::iter::from_fn(|| {
        let gap = used.longest_gap(features.physical_end)?;
        used.add(gap);
        Some((gap, false))
    });
    let mut memory = [DeviceMemory { first: Frame(0), pages: 0, cached: false }; GRANTS_PER_TEAM];
    for (place, (range, cached)) in memory.iter_mut().zip(core::iter::once(archive_pages).chain(gaps)) {
        *place = DeviceMemory {
            first: Frame::containing(range.start),
            pages: (range.length() / abi::PAGE_BYTES) as u32,
            cached,
        };
    }
    let in_map =
        loaded.memory.as_slice().iter().any(|range| range.start <= archive.start && archive.end <= range.end);
    assert!(in_map, "the boot archive is not in usable memory");
    // SAFETY: the archive is in usable memory, so in the direct map, and nobody has it: its pages were taken out of
    // what is free. The slice is gone before a program runs.
    let bytes =
        unsafe { core::slice::from_raw_parts(physical::pointer(archive.start), archive.length() as usize) };
    let archive = BootArchive { bytes, physical: archive.start };
    if let Err(error) = kernel.boot(archive, &memory, acpi_root_table.unwrap_or(0)) {
        panic!("{error}");
    }
}

/// Makes the machine and the kernel on it.
fn start_kernel(
    loaded: &Loaded,
    platform: &Platform,
    features: &Features,
    free: &Ranges,
    root: u64,
) -> &'static mut Kernel<X86> {
    let map = |address| {
        let mapped = paging::map_device(root, address);
        // SAFETY: just mapped, uncached, for good; interrupt controllers and timers touch no memory.
        unsafe { device::Registers::new(mapped) }
    };
    let apic = LocalApic::initialize(features, map(platform.local_apic));
    let io_apics = IoApics::initialize(platform, apic.identity(), map);
    let clock = Clock::measure(features, &apic, platform.timer.map(map));
    let host = entropy::gather(features, loaded.command_line().as_bytes());
    // 0 means "one's own host".
    let bits = LogicalHost::from_bits(host as u32).to_bits();
    let logical_host = LogicalHost::from_bits(bits.clamp(1, LogicalHost::EVERY.to_bits() - 1));

    let end = loaded.memory.as_slice().last().map_or(0, |range| range.end);
    let mut frames = Frames::new(Frame::containing(end).0);
    for range in free.as_slice() {
        frames.add(Frame::containing(range.start), Frame::containing(range.end));
    }
    let configuration = Configuration::for_memory(frames.total_count(), logical_host);
    let mut facts = Information {
        version: VERSION,
        logical_host: logical_host.to_bits().into(),
        processors: 1,
        total_frames: frames.total_count().into(),
        screen: loaded.screen,
        ..Information::default()
    };
    clock.describe(&mut facts);
    let information = machine::make_information(&facts, loaded.command_line());
    say!(
        "V: {} MiB, {} MHz, {} processors, logical host {:x}",
        (u64::from(frames.total_count()) * abi::PAGE_BYTES) >> 20,
        clock.counter_hz() / 1_000_000,
        platform.processors,
        logical_host.to_bits()
    );
    let saved = SavedAreas::allocate(slot_count(configuration.process_slots));
    // SAFETY: nobody else holds the processor's state.
    unsafe { Cpu::this() }.saved = saved.first();
    let common = space::Common::new(root, information, frames.end());
    let machine = X86 { clock, apic, io_apics, common, information, saved };
    // SAFETY: boot comes here once, before anything that uses the kernel.
    unsafe { node::install(Kernel::new(machine, frames, &configuration)) }
}
