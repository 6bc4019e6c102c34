//! What this processor can do, asked once, and turned on where the kernel wants it.
//!
//! Vector state is limited to x87, SSE and AVX: a process's saved state has a fixed place for these, and wider
//! registers stay off.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::instructions::{enable_in_cr4, set_vector_components};

/// Bytes that x87, SSE and AVX state take in XSAVE's standard form.
pub const VECTOR_STATE_BYTES: usize = 832;

/// x87, SSE and AVX in XSAVE's masks.
pub const VECTOR_COMPONENTS: u64 = 7;

const CR4_MACHINE_CHECK: u64 = 1 << 6;
const CR4_GLOBAL_PAGES: u64 = 1 << 7;
const CR4_USER_MODE_PREVENTION: u64 = 1 << 11;
const CR4_XSAVE: u64 = 1 << 18;
const CR4_NO_SUPERVISOR_EXECUTION: u64 = 1 << 20;
const CR4_NO_SUPERVISOR_ACCESS: u64 = 1 << 21;

/// Whether AVX is there and on.
static VECTORS: AtomicBool = AtomicBool::new(false);

/// Whether there are 256-bit registers to copy with.
#[inline]
pub fn has_vectors() -> bool {
    VECTORS.load(Ordering::Relaxed)
}

/// The components of vector state that are on.
pub fn vector_components() -> u64 {
    if has_vectors() { VECTOR_COMPONENTS } else { 3 }
}

/// The features that matter after boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    /// The local interrupt controller by model-specific registers.
    pub x2apic: bool,
    /// RDRAND.
    pub random: bool,
    /// Physical addresses lie below this.
    pub physical_end: u64,
    /// Ticks of the time-stamp counter in a second, where the processor or the hypervisor says.
    pub counter_hz: Option<u64>,
}

/// Finds out, and turns on protection and vector state.
pub fn initialize() -> Features {
    let highest = __cpuid(0).eax;
    let basic = __cpuid(1);
    assert!(basic.ecx & 1 << 26 != 0, "the processor has no XSAVE, which V needs");
    let features = Features {
        x2apic: basic.ecx & 1 << 21 != 0,
        random: basic.ecx & 1 << 30 != 0,
        physical_end: 1 << physical_bits(),
        counter_hz: counter_hz(highest, basic.ecx & 1 << 31 != 0),
    };
    // Every 64-bit processor has the first two; and one with XSAVE, which is newer, knows what it is asked here.
    let mut control = CR4_MACHINE_CHECK | CR4_GLOBAL_PAGES | CR4_XSAVE;
    let extended = __cpuid_count(7, 0);
    for (present, bit) in [
        (extended.ecx & 1 << 2, CR4_USER_MODE_PREVENTION),
        (extended.ebx & 1 << 7, CR4_NO_SUPERVISOR_EXECUTION),
        (extended.ebx & 1 << 20, CR4_NO_SUPERVISOR_ACCESS),
    ] {
        if present != 0 {
            control |= bit;
        }
    }
    // SAFETY: each bit is one that the processor says it has; the kernel neither executes nor touches user pages.
    unsafe { enable_in_cr4(control) };
    let supported = __cpuid_count(0xd, 0);
    // SAFETY: XSAVE was enabled above, and these components are supported; x87 and SSE always are.
    unsafe { set_vector_components(u64::from(supported.eax) & VECTOR_COMPONENTS | 3) };
    VECTORS.store(basic.ecx & 1 << 28 != 0 && supported.eax & 1 << 2 != 0, Ordering::Relaxed);
    let bytes = __cpuid_count(0xd, 0).ebx as usize;
    assert!(bytes <= VECTOR_STATE_BYTES, "the processor's vector state takes {bytes} bytes");
    features
}

/// Width of physical addresses.
fn physical_bits() -> u32 {
    const SIZES: u32 = 0x8000_0008;
    let bits = if __cpuid(0x8000_0000).eax >= SIZES { __cpuid(SIZES).eax & 0xff } else { 36 };
    // A frame's number has 32 bits.
    bits.clamp(36, 44)
}

/// The hypervisors' leaf that says how fast counters are.
const TIMING: u32 = 0x4000_0010;

fn counter_hz(highest: u32, hypervisor: bool) -> Option<u64> {
    if highest >= 0x15 {
        let ratio = __cpuid(0x15);
        if ratio.eax != 0 && ratio.ebx != 0 && ratio.ecx != 0 {
            return Some(u64::from(ratio.ecx) * u64::from(ratio.ebx) / u64::from(ratio.eax));
        }
    }
    if hypervisor && __cpuid(0x4000_0000).eax >= TIMING {
        let kilohertz = __cpuid(TIMING).eax;
        return Some(u64::from(kilohertz) * 1000).filter(|hz| *hz != 0);
    }
    None
}
