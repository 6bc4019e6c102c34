//! `debug`, as GDB uses it: a child is stopped, looked into, changed and let go.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use test_programs::{ensure, ensure_equal, must};
use v::pipe::{Reader, Writer, pipe};
use v::prelude::*;
use v::process::Command;

/// What the child ends with; only a debugger changes it.
static STATUS: AtomicU64 = AtomicU64::new(1);

/// The child's body comes here three times.
#[inline(never)]
extern "C" fn passed(count: u64) -> u64 {
    black_box(count)
}

/// The program that is debugged.
pub fn debugged() -> i32 {
    for count in 0..3 {
        black_box(passed(count));
    }
    STATUS.load(Ordering::Relaxed) as i32
}

/// GDB's end of the line.
struct Line {
    from: v::file::File,
    to: v::file::File,
}

impl Line {
    /// Sends a packet; the data of the answer.
    fn ask(&mut self, data: &str) -> Result<String, String> {
        let sum = data.bytes().fold(0_u8, u8::wrapping_add);
        must("write", self.to.write_all(format!("${data}#{sum:02x}").as_bytes()))?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while answer.len() < 3 || answer[answer.len() - 3] != b'#' {
            must("read", self.from.read_exact(&mut byte))?;
            // Acknowledgements stand before the packet.
            if byte[0] != b'+' {
                answer.push(byte[0]);
            }
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        Ok(answer[1..answer.len() - 3].to_owned())
    }

    fn instruction(&mut self) -> Result<u64, String> {
        const AT: usize = 16 * 16;
        let registers = self.ask("g")?;
        let digits = registers.get(AT..AT + 16).ok_or_else(|| format!("registers are {registers}"))?;
        must("a number", u64::from_str_radix(digits, 16)).map(u64::swap_bytes)
    }
}

/// A breakpoint, a step, memory read and changed, and the end.
pub fn debugger() -> Result<(), String> {
    let (reader, to): (Reader, Writer) = must("pipe", pipe())?;
    let (from, writer) = must("pipe", pipe())?;
    let words = ["-i", "test-runtime", "child", "debugged"];
    let command = Command::new("debug").args(words).stdin(&reader).stdout(&writer);
    let mut debug = must("debug", command.start())?;
    drop((reader, writer));
    let mut line = Line { from: from.into_file(), to: to.into_file() };
    let place = (passed as *const ()).addr();
    let status = (&raw const STATUS).addr();

    ensure_equal!(line.ask("?")?, "T02thread:1;");
    ensure_equal!(line.ask(&format!("Z0,{place:x},1"))?, "OK");
    for _ in 0..2 {
        ensure_equal!(line.ask("vCont;c")?, "T05thread:1;swbreak:;");
        ensure_equal!(line.instruction()?, place as u64);
        // Over the instruction, which the breakpoint must not hide.
        ensure_equal!(line.ask(&format!("z0,{place:x},1"))?, "OK");
        ensure_equal!(line.ask("vCont;s:1")?, "T05thread:1;");
        ensure!(line.instruction()? != place as u64);
        ensure_equal!(line.ask(&format!("Z0,{place:x},1"))?, "OK");
    }
    // This program's own text is another's now, and as it was.
    ensure_equal!(passed(5), 5);
    ensure_equal!(line.ask(&format!("m{status:x},8"))?, "0100000000000000");
    ensure_equal!(line.ask(&format!("M{status:x},1:2a"))?, "OK");
    ensure_equal!(line.ask(&format!("z0,{place:x},1"))?, "OK");
    ensure_equal!(line.ask("vCont;c")?, "W2a");
    ensure_equal!(must("wait", debug.wait())?.code, 42);
    Ok(())
}
