//! Time: instants on the monotonic clock, the real-time clock, sleeping.
//!
//! Reading a clock needs no message: the kernel's information page says how the processor's counter becomes
//! nanoseconds. Only a guest asks the kernel for the monotonic one, which is its own and moves with it.
//!
//! ```no_run
//! use v::time::{Duration, Instant};
//! let start = Instant::now();
//! v::time::sleep(Duration::from_millis(20))?;
//! assert!(start.elapsed() >= Duration::from_millis(20));
//! # Ok::<(), v::Error>(())
//! ```

pub use core::time::Duration;

use abi::Error;
use abi::call::Deadline;
use abi::kernel;

/// Nanoseconds since boot.
#[inline]
pub fn now_ns() -> u64 {
    if crate::entry::is_guest() {
        return guest_now_ns();
    }
    monotonic_ns(crate::entry::clock(), crate::entry::time_stamp_counter())
}

#[cold]
fn guest_now_ns() -> u64 {
    let clocks = crate::message::kernel(kernel::TIME, &kernel::time::Now {});
    clocks.expect("the kernel tells the time").monotonic_ns
}

/// Nanoseconds since 1970.
pub fn real_ns() -> u64 {
    loop {
        let information = crate::entry::information();
        let clock = (information.counter_base, information.multiplier);
        let counter = crate::entry::time_stamp_counter();
        // The program may have moved to another machine in between.
        if crate::entry::clock() == clock {
            return information.real_base_ns.wrapping_add(monotonic_ns(clock, counter));
        }
    }
}

/// What the counter stands for.
#[inline]
fn monotonic_ns((base, multiplier): (u64, u64), counter: u64) -> u64 {
    let ticks = counter.wrapping_sub(base);
    ((u128::from(ticks) * u128::from(multiplier)) >> 32) as u64
}

/// A moment on the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Instant(u64);

impl Instant {
    /// This moment.
    pub fn now() -> Instant {
        Instant(now_ns())
    }

    /// The moment so many nanoseconds after boot.
    pub const fn from_ns(since_boot_ns: u64) -> Instant {
        Instant(since_boot_ns)
    }

    /// Nanoseconds from boot to this moment.
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// How long ago it was; zero if it is yet to come.
    pub fn elapsed(self) -> Duration {
        Instant::now().since(self)
    }

    /// How long it is after `earlier`; zero if it is not.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// As the deadline of a Receive or of a Send to a group.
    pub const fn deadline(self) -> Deadline {
        // The two lowest numbers mean something else, and both moments are long past.
        if self.0 > abi::call::NOW { self.0 } else { abi::call::NOW }
    }
}

impl core::ops::Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(ns))
    }
}

/// Sleeps for at least so long.
pub fn sleep(duration: Duration) -> Result<(), Error> {
    sleep_until(Instant::now() + duration)
}

/// Sleeps until then. Ends early, with [`Error::Aborted`], when another process wakes this one.
pub fn sleep_until(instant: Instant) -> Result<(), Error> {
    let until_ns = instant.as_ns();
    crate::message::kernel(kernel::TIME, &kernel::time::Delay { until_ns })?;
    Ok(())
}

/// Sets the real-time clock; needs the right.
pub fn set_real_ns(real_ns: u64) -> Result<(), Error> {
    crate::message::kernel(kernel::TIME, &kernel::time::SetTime { real_ns })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_becomes_nanoseconds() {
        // Half a nanosecond a tick.
        let clock = (1000, 1 << 31);
        assert_eq!(monotonic_ns(clock, 1000), 0);
        assert_eq!(monotonic_ns(clock, 1000 + 6_000_000_000), 3_000_000_000);
        // A century in ticks does not overflow.
        assert_eq!(monotonic_ns(clock, 1000 + (1 << 62)), 1 << 61);
    }

    #[test]
    fn instants_saturate() {
        let late = Instant::from_ns(5) + Duration::MAX;
        assert_eq!(late.as_ns(), u64::MAX);
        assert_eq!(Instant::from_ns(5).since(late), Duration::ZERO);
        assert_eq!(Instant::from_ns(0).deadline(), abi::call::NOW);
        assert_eq!(Instant::from_ns(9).deadline(), 9);
    }
}
