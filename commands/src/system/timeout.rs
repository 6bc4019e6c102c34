//! `timeout`: ends a program that takes too long.

use core::sync::atomic::{AtomicBool, Ordering};

use abi::notice::STATUS_KILLED;
use v::process::{self, Command as Program};

use super::kill::destroy;
use crate::Command;
use crate::context::{Context, Outcome, failed, not_run};
use crate::usage::{Arguments, PROGRAM, Usage, duration};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "timeout",
        synopsis: "SECONDS PROGRAM [WORD...]",
        summary: "Runs a program, and ends it if it takes longer than so many seconds.",
        details: "There may be fractions, such as 0.2, and 200ms. The status is the program's, 124 if it was ended, 127 if it\n\
                  is not there, or 126 if it cannot be run.",
        choices: &[],
        operands: (2, PROGRAM),
    },
    body: timeout,
};

/// The status of a program that took too long.
const TOO_LONG: i32 = 124;
const STACK_BYTES: usize = 16 * 1024;

/// Whether the time was up.
static IS_OVER: AtomicBool = AtomicBool::new(false);

fn timeout(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let limit = duration(&arguments.operands[0])?;
    let name = &arguments.operands[1];
    let mut child = match Program::new(name).args(&arguments.operands[2..]).start() {
        Ok(child) => child,
        Err(error) => {
            context.failure_status = not_run(error);
            context.complain(name, error);
            return Ok(());
        }
    };
    let program = child.pid();
    // It waits for the time, while this process waits for the program, and ends with it.
    let watch = process::spawn_thread(STACK_BYTES, move || {
        if v::time::sleep(limit).is_ok() {
            IS_OVER.store(true, Ordering::Relaxed);
            // It may have ended by itself just now.
            let _ = destroy(program);
        }
    });
    if let Err(error) = watch {
        child.kill()?;
        return Err(failed("watch", error));
    }
    let ended = child.wait().map_err(|error| failed(name, error))?;
    let was_killed = ended.code.cast_unsigned() == STATUS_KILLED && IS_OVER.load(Ordering::Relaxed);
    context.status = if was_killed { TOO_LONG } else { ended.code };
    Ok(())
}
