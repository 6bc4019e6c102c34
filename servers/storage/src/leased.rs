//! That files of the volume may be leased is on the disk before the first of them is: so the server knows, after its end or the
//! machine's, whether it has to wait for leases that it granted before. What says so goes again with a commit made when none
//! can be out.

use io_server::System;
use leases::TERM_NS;

use crate::disks::Disks;
use crate::server::FileServer;

impl<S: Disks> FileServer<S> {
    /// Whether leases of the volume's files may be out that an earlier life of the server has granted, `now_ns` after boot.
    pub fn may_be_leased(&mut self, now_ns: u64) -> bool {
        let is_leased = self.volume.as_ref().is_some_and(volume::Volume::is_leased);
        if is_leased {
            self.leased_until_ns = now_ns + TERM_NS;
        }
        is_leased
    }

    /// A file is about to be leased: notes it on the disk. False if that cannot be done.
    pub(crate) fn note_lease(&mut self, system: &mut dyn System) -> bool {
        self.leased_until_ns = system.monotonic_ns() + TERM_NS;
        let Some(volume) = &mut self.volume else { return false };
        if volume.is_leased() {
            return true;
        }
        volume.set_leased(true);
        let is_safe = self.commit(system).is_ok();
        if !is_safe && let Some(volume) = &mut self.volume {
            volume.set_leased(false);
        }
        is_safe
    }

    /// A commit is about to be made: it need not say what does not hold any more.
    pub(crate) fn forget_leases(&mut self, now_ns: u64) {
        if let Some(volume) = &mut self.volume
            && self.leased_until_ns <= now_ns
            && volume.has_changes()
        {
            volume.set_leased(false);
        }
    }
}
