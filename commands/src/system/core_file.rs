//! `core`: writes a program's registers and memory to a file that GDB reads on the host; `elf` is its layout.
//!
//! It is [`debug`](super::debug) with GDB gone: the program is stopped and looked into by the same means and the same right, and
//! goes on, or meets its exception again and is reported, when the file is there or has failed. What is not written in memory, such
//! as code, is not in the file: GDB has it from the program.

mod elf;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use abi::kernel::protection;
use abi::notice::PANIC_MARK;
use abi::{Error, PAGE_BYTES, Pid};
use v::file::File;
use v::io::Write;
use v::process::{Child, Command as Program};

use super::debug::stub::{BREAKPOINT_VECTOR, Target, signal};
use super::debug::team::{Team, soon};
use super::kernel::name;
use crate::Command;
use crate::context::{Context, Failure, Outcome, failed, not_run};
use crate::usage::{Arguments, Choice, PROGRAM, Usage};
use elf::{Piece, Thread};

const MIB: u64 = 1024 * 1024;
/// The most that is saved where nothing else is said.
const MOST_MIB: u32 = 64;
/// How often it is looked whether the program has ended.
const LOOK_NS: u64 = 50_000_000;
/// The signal of a program that ended itself.
const ABORTED: u8 = 6;
/// Bytes that are written at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "core",
        synopsis: "[-o FILE] [-l MIB] PID | PROGRAM [ARGUMENT...]",
        summary: "Writes a program's registers and memory to a file for GDB.",
        details: "The program with that PID is stopped while its core file is written, and then goes on. PROGRAM is run, and\n\
                  its core file is written if it crashes, before that is reported. On the host,\n\
                  `gdb target/release/toolbox FILE` shows what it was doing; of most commands the program is toolbox. What\n\
                  a program cannot write, such as its code, is not in the file. The status is the program's, if it\n\
                  was run here.",
        choices: &[
            Choice {
                letter: 'o',
                long: "output",
                value: Some("FILE"),
                help: "The file; NAME.core in the working directory unless said otherwise.",
            },
            Choice {
                letter: 'l',
                long: "limit",
                value: Some("MIB"),
                help: "The most memory that is saved, stacks first; 64 unless said otherwise.",
            },
        ],
        operands: (1, PROGRAM),
    },
    body: core_file,
};

fn core_file(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let limit_bytes = u64::from(arguments.number::<u32>("limit")?.unwrap_or(MOST_MIB)) * MIB;
    let word = &arguments.operands[0];
    let (root, child) = if let Ok(pid) = word.parse::<Pid>() {
        (v::process::identify(pid).map_err(|error| failed(word, error))?.team, None)
    } else {
        let child = Program::new(word).args(&arguments.operands[1..]).held().start();
        let child = child.map_err(|error| {
            context.failure_status = not_run(error);
            failed(word, error)
        })?;
        (child.pid(), Some(child))
    };
    if root == v::process::team() {
        return Err(Failure::Failed(format!("{word}: it cannot stop itself")));
    }
    let program = v::process::query(root).map(|record| name(&record)).map_err(|error| failed(word, error))?;
    let file = arguments.value("output").map_or_else(|| format!("{program}.core"), String::from);
    let mut team = Team::attach(root).map_err(|error| failed(word, error))?;
    if let Some(mut child) = child {
        let met = wait(&mut team).map_err(|error| failed(word, error))?;
        if met {
            save(&mut team, root, &program, limit_bytes, &file, context)?;
        }
        context.status = end(&mut child).map_err(|error| failed(word, error))?;
        return Ok(());
    }
    save(&mut team, root, &program, limit_bytes, &file, context)
}

/// Lets the program go on until it meets an exception; false if it has ended without.
fn wait(team: &mut Team) -> Result<bool, Error> {
    for thread in team.threads() {
        team.go_on(thread)?;
    }
    loop {
        team.receive(soon(LOOK_NS))?;
        if !team.met.is_empty() || team.has_ended()? {
            return Ok(!team.met.is_empty());
        }
    }
}

/// The status of a program that ends.
fn end(child: &mut Child) -> Result<i32, Error> {
    child.wait().map(|status| status.code)
}

/// Stops a program, writes its core file, and lets it go on as it would have.
fn save(
    team: &mut Team,
    root: Pid,
    program: &str,
    limit_bytes: u64,
    file: &str,
    context: &mut Context<'_>,
) -> Outcome {
    let met = team.stop().map_err(|error| failed(program, error))?;
    let written = write(team, root, program, &met, limit_bytes, file);
    let gone_on = go_on(team, &met);
    match written {
        Ok(left_out) => {
            let left_out = if left_out == 0 {
                String::new()
            } else {
                format!("; {} KiB more than --limit are not in it", left_out.div_ceil(1024))
            };
            let told = format!("core: {program} {root} is in {file}{left_out}\n");
            // The file is there whether that can be said or not.
            let _ = context.errors.write_all(told.as_bytes());
        }
        Err(error) => {
            // What is cut off says less than nothing.
            let _ = v::file::remove(file);
            context.complain(file, error);
        }
    }
    gone_on.map_err(|error| failed(program, error))
}

/// Whoever has met an exception meets it again, for whom it was meant before. A breakpoint's instruction is behind it already.
fn go_on(team: &mut Team, met: &[(u32, u32)]) -> Result<(), Error> {
    for (thread, _) in met.iter().filter(|(_, vector)| *vector == BREAKPOINT_VECTOR) {
        let mut registers = team.registers(*thread)?;
        registers.rip = registers.rip.wrapping_sub(1);
        team.set_registers(*thread, &registers)?;
    }
    team.detach()
}

/// Writes the file; how many bytes are left out because they would be too many.
fn write(
    team: &mut Team,
    root: Pid,
    program: &str,
    met: &[(u32, u32)],
    limit_bytes: u64,
    file: &str,
) -> Result<u64, Error> {
    let threads = threads(team, met)?;
    let stacks: BTreeSet<u64> = threads.iter().map(|thread| thread.registers.rsp).collect();
    let (pieces, left_out) = pieces(team, root, &stacks, limit_bytes)?;
    let mut file = File::create(file)?;
    file.write_all(&elf::head(program, &threads, &pieces))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    for piece in pieces.iter().filter(|piece| piece.is_saved) {
        let mut done = 0;
        while done < piece.bytes {
            let bytes = (piece.bytes - done).min(CHUNK_BYTES as u64) as usize;
            for (page, room) in chunk[..bytes].chunks_mut(PAGE_BYTES as usize).enumerate() {
                // Between pages that are there one may lack.
                room.fill(0);
                team.read(piece.address + done + page as u64 * PAGE_BYTES, room);
            }
            file.write_all(&chunk[..bytes])?;
            done += bytes as u64;
        }
    }
    file.flush()?;
    Ok(left_out)
}

/// The threads, those that have met exceptions first.
fn threads(team: &mut Team, met: &[(u32, u32)]) -> Result<Vec<Thread>, Error> {
    let mut threads = Vec::new();
    for number in team.threads() {
        let registers = match team.registers(number) {
            Ok(registers) => registers,
            Err(Error::StaleProcess | Error::NonexistentProcess) => continue,
            Err(error) => return Err(error),
        };
        let vector = met.iter().find(|(thread, _)| *thread == number).map(|(_, vector)| *vector);
        let signal = match vector {
            Some(BREAKPOINT_VECTOR) if registers.rax == PANIC_MARK => ABORTED,
            Some(vector) => signal(vector),
            None => 0,
        };
        threads.push(Thread { number, signal, registers });
    }
    threads.sort_by_key(|thread| thread.signal == 0);
    Ok(threads)
}

/// A program's memory in the order of its addresses, and how many bytes are left out. Stacks, from the stack pointers on, are saved
/// before all else.
fn pieces(
    team: &mut Team,
    root: Pid,
    stacks: &BTreeSet<u64>,
    limit_bytes: u64,
) -> Result<(Vec<Piece>, u64), Error> {
    let mut pieces = Vec::new();
    let mut found = Vec::new();
    let mut address = 0;
    loop {
        let region = match v::memory::query_region(root, address) {
            Ok((region, _)) => region,
            Err(Error::NotMapped) => break,
            Err(error) => return Err(error),
        };
        let bytes = u64::from(region.pages) * PAGE_BYTES;
        address = region.address + bytes;
        let range = region.address..address;
        let is_written = region.protection & (protection::WRITE | protection::DEVICE) == protection::WRITE;
        if is_written && region.resident > 0 {
            let is_stack = stacks.range(range.clone()).next().is_some();
            let most_pages = limit_bytes / PAGE_BYTES;
            let used = used(&range, region.resident, is_stack, most_pages, |address, page| {
                team.read(address, page) == page.len()
            });
            found.push((!is_stack, used, region.protection));
        } else {
            pieces.push(Piece {
                address: range.start,
                bytes,
                is_saved: false,
                protection: region.protection,
            });
        }
    }
    found.sort_by_key(|(is_other, used, _)| (*is_other, used.start));
    let mut left_out = 0;
    let mut room = limit_bytes;
    for (_, used, protection) in found.into_iter().filter(|(_, used, _)| !used.is_empty()) {
        let wanted = used.end - used.start;
        let bytes = wanted.min(room & !(PAGE_BYTES - 1));
        left_out += wanted - bytes;
        room -= bytes;
        if bytes > 0 {
            pieces.push(Piece { address: used.start, bytes, is_saved: true, protection });
        }
    }
    pieces.truncate(elf::MOST_PIECES);
    pieces.sort_by_key(|piece| piece.address);
    Ok((pieces, left_out))
}

/// What of a region has anything in it, from its first to its last such page. To look at a page gives it a frame, so it looks from
/// the side where things are, at no more than `most_pages`, until it has seen as many as the region had frames.
fn used(
    region: &Range<u64>,
    resident: u32,
    from_end: bool,
    most_pages: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> bool,
) -> Range<u64> {
    let mut page = vec![0; PAGE_BYTES as usize];
    let mut used: Option<Range<u64>> = None;
    let mut seen = 0;
    for place in 0..((region.end - region.start) / PAGE_BYTES).min(most_pages) {
        let address =
            if from_end { region.end - (place + 1) * PAGE_BYTES } else { region.start + place * PAGE_BYTES };
        if read(address, &mut page) && page.iter().any(|byte| *byte != 0) {
            let end = address + PAGE_BYTES;
            used = Some(used.map_or(address..end, |used| used.start.min(address)..used.end.max(end)));
            seen += 1;
            if seen == resident {
                break;
            }
        }
    }
    used.unwrap_or(region.start..region.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_a_region_is_looked_at_than_has_anything_in_it() {
        let region = 0x10_0000..0x20_0000;
        let mut looked = 0;
        let mut has = |resident, from_end, most_pages, full: &[u64]| {
            used(&region, resident, from_end, most_pages, |address, page| {
                looked += 1;
                page.fill(u8::from(full.contains(&address)));
                address != 0x10_2000
            })
        };
        assert_eq!(has(2, false, 256, &[0x10_0000, 0x10_3000]), 0x10_0000..0x10_4000);
        assert_eq!(has(1, true, 256, &[0x1f_f000]), 0x1f_f000..0x20_0000);
        assert_eq!(has(2, true, 256, &[0x1f_d000, 0x1f_f000]), 0x1f_d000..0x20_0000);
        assert_eq!(has(9, false, 3, &[0x10_1000, 0x10_2000, 0x10_4000]), 0x10_1000..0x10_2000);
        assert!(has(1, false, 256, &[]).is_empty());
        assert_eq!(looked, 4 + 1 + 3 + 3 + 256);
    }
}
