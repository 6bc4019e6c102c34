//! Files of images, held open for as long as anything is bound to them.
//!
//! The manager is an owner of the instance that a starter has of its program's file. A region of the manager's own is bound
//! to the pages of the image, so that the kernel keeps them for the next program; nothing here ever touches it, since the
//! manager is on the way of pages. A program whose file is not all there becomes an owner too, so that it outlives the
//! manager.
//!
//! What concerns a server of another node waits for the [loader](crate::loader), in [`Errands`].

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::{Error, PAGE_BYTES, Pid};
use protocols::io::io;
use v::memory::{self, protection};
use v::sync::Mutex;
use v::{Segment, node};

/// Whether a server is on another node.
pub fn is_elsewhere(server: Pid) -> bool {
    server.host() != node::host() && !server.is_kernel_server() && !server.is_group()
}

/// What is to be said to servers of other nodes.
#[derive(Debug, Default)]
pub struct Errands(Mutex<Vec<Errand>>);

/// An owner of an instance begins, or ends, to be one.
#[derive(Clone, Copy, Debug)]
struct Errand {
    server: Pid,
    instance: u32,
    owner: Pid,
    begins: bool,
}

impl Errands {
    /// Does what is to be done. What a server says no to, is gone.
    pub fn run(&self) {
        loop {
            let errands = core::mem::take(&mut *self.0.lock());
            if errands.is_empty() {
                return;
            }
            for errand in errands {
                let _ = errand.run();
            }
        }
    }

    /// `owner` is no owner of an instance any more.
    pub fn release(&self, server: Pid, instance: u32, owner: Pid) {
        self.begin(Errand { server, instance, owner, begins: false });
    }

    /// Does it now, if it is here.
    fn begin(&self, errand: Errand) {
        if is_elsewhere(errand.server) {
            self.0.lock().push(errand);
        } else {
            let _ = errand.run();
        }
    }
}

impl Errand {
    fn run(self) -> Result<(), Error> {
        let Errand { server, instance, owner, begins } = self;
        if begins {
            v::call(server, &io::Share { instance, owner }, Segment::None)?;
        } else {
            v::call(server, &io::Release { instance, owner }, Segment::None)?;
        }
        Ok(())
    }
}

/// A file that the manager holds open, and pages of it.
#[derive(Debug)]
pub struct HeldFile {
    /// Who serves it.
    pub server: Pid,
    /// What it is there.
    pub instance: u32,
    address: u64,
    pages: u32,
    errands: Arc<Errands>,
}

impl HeldFile {
    /// Becomes an owner of an instance, and keeps the pages in which the bytes of `range` lie.
    pub fn hold(
        server: Pid,
        instance: u32,
        range: &Range<u64>,
        errands: &Arc<Errands>,
    ) -> Result<HeldFile, Error> {
        let first = range.start / PAGE_BYTES;
        let pages = u32::try_from(range.end.div_ceil(PAGE_BYTES) - first).map_err(|_| Error::TooLong)?;
        Errand { server, instance, owner: v::process::team(), begins: true }.run()?;
        let errands = Arc::clone(errands);
        let mut held = HeldFile { server, instance, address: 0, pages: 0, errands };
        if pages > 0 {
            let source = (server, instance, first * PAGE_BYTES);
            held.address = memory::bind(Pid::NONE, 0, pages, protection::READ, source)?;
            held.pages = pages;
        }
        Ok(held)
    }

    /// Has all its pages read.
    pub fn fetch(&self) -> Result<(), Error> {
        memory::fetch(Pid::NONE, self.address, self.pages)
    }

    /// Makes a program an owner, for as long as it runs.
    pub fn share(&self, program: Pid) {
        self.errands.begin(self.errand(program, true));
    }

    /// The program has ended.
    pub fn release(&self, program: Pid) {
        self.errands.begin(self.errand(program, false));
    }

    const fn errand(&self, owner: Pid, begins: bool) -> Errand {
        Errand { server: self.server, instance: self.instance, owner, begins }
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        if self.pages > 0 {
            // It was bound as a whole.
            let _ = memory::unmap(Pid::NONE, self.address, self.pages);
        }
        self.release(v::process::team());
    }
}
