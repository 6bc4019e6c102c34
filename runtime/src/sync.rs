//! Locks for what several processes of a team share.
//!
//! They are the crate `spin`'s, with one difference: who finds a lock taken sleeps for a moment instead of spinning,
//! because priorities are strict and the holder may be less urgent than the one that waits.

use abi::kernel;

/// How long to sleep before trying a taken lock again.
const PAUSE_NS: u64 = 20_000;

/// Waits by asking the time server for a short delay.
#[derive(Clone, Copy, Debug)]
pub struct Pause;

impl spin::RelaxStrategy for Pause {
    fn relax() {
        let until_ns = crate::time::now_ns() + PAUSE_NS;
        // A delay that could not be had only means that the lock is tried again sooner.
        let _ = crate::message::kernel(kernel::TIME, &kernel::time::Delay { until_ns });
    }
}

/// A lock around a value.
pub type Mutex<T> = spin::mutex::SpinMutex<T, Pause>;
/// What a locked [`Mutex`] gives.
pub type MutexGuard<'a, T> = spin::mutex::SpinMutexGuard<'a, T, Pause>;
/// A value that is made once.
pub type Once<T> = spin::once::Once<T, Pause>;
/// A value that is made when first used.
pub type Lazy<T> = spin::lazylock::LazyLock<T, fn() -> T, Pause>;
