//! Further processes in this team, which share its memory: threads.

use alloc_crate::boxed::Box;
use alloc_crate::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Error, Message, Pid, kernel};

use crate::memory::Pages;
use crate::message::{self, Segment};
use crate::sync::Mutex;
use crate::time::{self, Duration};

/// How long to wait before asking a process once more whether it has ended.
const PAUSE: Duration = Duration::from_millis(1);

static SEVERAL: AtomicBool = AtomicBool::new(false);

/// Whether the team has, or had, more processes than its root.
pub(super) fn are_several() -> bool {
    SEVERAL.load(Ordering::Relaxed)
}

/// Another process of this team. Dropping it leaves the process alone, and its stack for good.
#[derive(Debug)]
pub struct Thread {
    pid: Pid,
    stack: Option<Pages>,
}

/// Lets `body` run in a process of its own in this team, with a stack of at least `stack_bytes`, at the priority of
/// the caller. Below the stack lies a page that is not mapped, as the kernel leaves one around all that it places.
///
/// ```no_run
/// let thread = v::process::spawn_thread(64 * 1024, || v::println!("beside"))?;
/// thread.join()?;
/// # Ok::<(), v::Error>(())
/// ```
pub fn spawn_thread(stack_bytes: usize, body: impl FnOnce() + Send + 'static) -> Result<Thread, Error> {
    SEVERAL.store(true, Ordering::Relaxed);
    let stack = take_stack(stack_bytes)?;
    let request = kernel::process::CreateProcess {
        instruction: crate::entry::thread_entry(),
        stack: stack.address() + stack.len() as u64,
        priority: kernel::priority::OWN,
    };
    let pid = message::kernel(kernel::PROCESS, &request)?.process;
    // The kernel's reply to its creation; what it carries is taken over by the new process.
    let body = crate::entry::hand_over(Box::new(body));
    message::reply(pid, &body, &[])?;
    Ok(Thread { pid, stack: Some(stack) })
}

/// Stacks of processes that have ended, for the next ones: making one takes more than all else.
static SPARE_STACKS: Mutex<Vec<Pages>> = Mutex::new(Vec::new());
/// Most stacks that are kept.
const MOST_SPARE: usize = 4;

/// A stack of at least so many bytes. The kernel leaves a page unmapped below it.
fn take_stack(bytes: usize) -> Result<Pages, Error> {
    let mut spare = SPARE_STACKS.lock();
    if let Some(at) = spare.iter().position(|stack| stack.len() >= bytes) {
        return Ok(spare.swap_remove(at));
    }
    drop(spare);
    Pages::new(bytes)
}

fn give_stack_back(stack: Pages) {
    let mut spare = SPARE_STACKS.lock();
    if spare.len() < MOST_SPARE {
        spare.push(stack);
    }
}

impl Thread {
    /// The process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it has ended. A process that receives messages gets one of code 0 meanwhile.
    pub fn join(mut self) -> Result<(), Error> {
        loop {
            // Its end answers this.
            match message::send(self.pid, &Message::default(), Segment::None) {
                Err(Error::DiedBeforeReply | Error::StaleProcess | Error::NonexistentProcess) => break,
                Ok(_) => time::sleep(PAUSE)?,
                Err(error) => return Err(error),
            }
        }
        if let Some(stack) = self.stack.take() {
            give_stack_back(stack);
        }
        Ok(())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // It may be running on it still.
        core::mem::forget(self.stack.take());
    }
}
