//! Time: the time-stamp counter, measured once at boot.

use abi::information::Information;

use crate::apic::LocalApic;
use crate::device::Registers;
use crate::features::Features;
use crate::instructions::{counter, read_port_u8, write_port_u8};

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;
/// Femtoseconds in a nanosecond.
const NANOSECOND_FS: u64 = 1_000_000;
/// For how long the counters are compared with a known clock.
const MEASURE_NS: u64 = 1_000_000;
/// Reads of a clock that stands still before it is given up.
const PATIENCE: u32 = 1_000_000;

/// The monotonic clock, and the timer's speed.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    counter_base: u64,
    /// Nanoseconds per tick of the counter, times 2^32.
    multiplier: u64,
    /// Ticks of the local controller's timer per nanosecond, times 2^32.
    timer_multiplier: u64,
}

impl Clock {
    /// Measures the counter and the local timer against the high-precision timer, or the old interval timer.
    pub fn measure(features: &Features, apic: &LocalApic, timer: Option<Registers>) -> Clock {
        let counter_base = counter();
        apic.start_measuring();
        let measured = timer.and_then(compare_with_precision_timer).or_else(compare_with_interval_timer);
        let timer_ticks = apic.stop_measuring();
        let (ticks, nanoseconds) = measured.unwrap_or((MEASURE_NS, MEASURE_NS));
        let counter_hz = features.counter_hz.unwrap_or(scale(ticks, SECOND_NS, nanoseconds));
        Clock {
            counter_base,
            multiplier: scale(SECOND_NS, 1 << 32, counter_hz),
            timer_multiplier: scale(u64::from(timer_ticks), 1 << 32, nanoseconds),
        }
    }

    /// Nanoseconds since boot.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        let ticks = counter().wrapping_sub(self.counter_base);
        ((u128::from(ticks) * u128::from(self.multiplier)) >> 32) as u64
    }

    /// The local timer's ticks in a span, at least 1.
    #[inline]
    pub fn timer_ticks(&self, span_ns: u64) -> u32 {
        let ticks = (u128::from(span_ns) * u128::from(self.timer_multiplier)) >> 32;
        u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
    }

    /// Tells programs how to compute the time.
    pub fn describe(&self, information: &mut Information) {
        information.counter_base = self.counter_base;
        information.multiplier = self.multiplier;
    }

    /// Ticks of the counter in a second.
    pub fn counter_hz(&self) -> u64 {
        scale(SECOND_NS, 1 << 32, self.multiplier)
    }
}

/// `value * numerator / denominator`.
fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    let result = u128::from(value) * u128::from(numerator) / u128::from(denominator.max(1));
    u64::try_from(result).unwrap_or(u64::MAX)
}

/// Compares the counter with the high-precision timer. Returns the counter's ticks and the nanoseconds that passed.
fn compare_with_precision_timer(timer: Registers) -> Option<(u64, u64)> {
    const PERIOD: usize = 4;
    const CONFIGURATION: usize = 0x10;
    const COUNT: usize = 0xf0;
    /// The specification allows no longer ticks.
    const PERIOD_MAX_FS: u64 = 100 * NANOSECOND_FS;
    let period_fs = u64::from(timer.read(PERIOD));
    if !(1..=PERIOD_MAX_FS).contains(&period_fs) {
        return None;
    }
    timer.write(CONFIGURATION, timer.read(CONFIGURATION) | 1);
    compare(|| timer.read(COUNT), u32::MAX, period_fs, MEASURE_NS)
}

/// As above, with the interval timer that nearly every PC has. Its ticks are longer, so it takes longer.
fn compare_with_interval_timer() -> Option<(u64, u64)> {
    const CHANNEL: u16 = 0x40;
    const COMMAND: u16 = 0x43;
    const PERIOD_FS: u64 = SECOND_NS * NANOSECOND_FS / 1_193_182;
    // SAFETY: ports of the interval timer, which touches no memory: count down from 65536, again and again.
    unsafe {
        write_port_u8(COMMAND, 0x34);
        write_port_u8(CHANNEL, 0);
        write_port_u8(CHANNEL, 0);
    }
    let count = || {
        // SAFETY: as above: hold the count, and read both its bytes.
        let bytes = unsafe {
            write_port_u8(COMMAND, 0);
            [read_port_u8(CHANNEL), read_port_u8(CHANNEL)]
        };
        // It counts down, the comparison up.
        0u32.wrapping_sub(u16::from_le_bytes(bytes).into())
    };
    compare(count, u16::MAX.into(), PERIOD_FS, 4 * MEASURE_NS)
}

/// Compares the counter for `span_ns` with a clock that counts up within `mask`, a tick every `period_fs`. None if the
/// clock stands still.
fn compare(read: impl Fn() -> u32, mask: u32, period_fs: u64, span_ns: u64) -> Option<(u64, u64)> {
    let wanted = span_ns * NANOSECOND_FS / period_fs;
    let (begin, counter_begin) = tick(&read)?;
    for _ in 0..PATIENCE {
        if u64::from(read().wrapping_sub(begin) & mask) >= wanted {
            let (end, counter_end) = tick(&read)?;
            let passed = u64::from(end.wrapping_sub(begin) & mask);
            return Some((counter_end - counter_begin, passed * period_fs / NANOSECOND_FS));
        }
    }
    None
}

/// A clock's count and the counter's when the clock had just ticked: of several ticks the one whose reading took least.
fn tick(read: impl Fn() -> u32) -> Option<(u32, u64)> {
    let next = || {
        let last = read();
        for _ in 0..PATIENCE {
            let before = counter();
            let count = read();
            let took = counter() - before;
            if count != last {
                return Some((took, count, before + took / 2));
            }
        }
        None
    };
    let mut best = next()?;
    for _ in 0..3 {
        best = best.min(next()?);
    }
    Some((best.1, best.2))
}
