//! What a program sees of a server that dies and is started again: what can be repeated is, all else fails clearly,
//! and nothing hangs.

use test_programs::{ensure, ensure_equal, must};
use v::file::{self, File};
use v::name;
use v::pipe::pipe;
use v::prelude::*;
use v::process::Command;
use v::protocols::supervisor::supervisor::KillService;

/// Kills a service; it is started again by the supervisor.
fn kill(service: &str) -> Result<(), String> {
    let killed = name::with_place("[supervisor]", false, |place| {
        call(place.server, &KillService {}, Segment::Read(service.as_bytes()))
    });
    must("kill", killed)?;
    Ok(())
}

pub fn file_server() -> Result<(), String> {
    const NAME: &str = "[boot]bin/supervisor";
    let saved = name::save();
    let whole = must("read", file::read(NAME))?;
    let mut open = must("open", File::open(NAME))?;
    let mut start = [0; 1000];
    must("read", open.read_exact(&mut start))?;
    must("set", name::set_current_directory("[boot]bin"))?;

    kill("ramfs")?;
    // The open file goes on where it was.
    let mut rest = Vec::new();
    must("read on", open.read_to_end(&mut rest))?;
    ensure!(start[..] == whole[..1000] && rest[..] == whole[1000..]);
    // So does the working directory, and names are looked up anew.
    ensure_equal!(must("relative", file::metadata("supervisor"))?.size, whole.len() as u64);
    kill("ramfs")?;
    ensure_equal!(must("metadata", file::metadata("supervisor"))?.size, whole.len() as u64);
    kill("ramfs")?;
    must("write", file::write("[tmp]test-runtime-restart", "x"))?;
    must("remove", file::remove("[tmp]test-runtime-restart"))?;
    // What was not there before is not there after.
    kill("ramfs")?;
    ensure_equal!(file::read("[boot]none").map(|_| ()), Err(Error::NotFound));
    name::restore(saved);
    Ok(())
}

pub fn pipe_server() -> Result<(), String> {
    let (mut reader, mut writer) = must("pipe", pipe())?;
    must("write", writer.write_all(b"lost"))?;
    kill("pipe")?;
    // A stream cannot be repeated; the error comes at once.
    ensure!(reader.read(&mut [0; 4]).is_err());
    ensure!(writer.write(b"x").is_err());
    let (mut reader, mut writer) = must("another pipe", pipe())?;
    must("write", writer.write_all(b"kept"))?;
    let mut bytes = [0; 4];
    must("read", reader.read_exact(&mut bytes))?;
    ensure_equal!(&bytes, b"kept");
    Ok(())
}

pub fn naming_server() -> Result<(), String> {
    kill("naming")?;
    // It knows what it knew.
    let prefixes = must("prefixes", name::global_prefixes())?;
    for wanted in ["boot", "tmp", "pipe", "program", "supervisor"] {
        ensure!(prefixes.iter().any(|(name, ..)| name == wanted));
    }
    kill("naming")?;
    ensure_equal!(file::read("[none]").map(|_| ()), Err(Error::NoSuchPrefix));
    Ok(())
}

pub fn program_manager() -> Result<(), String> {
    let this = || Command::new(v::env::program_name());
    let three = || this().args(["child", "status", "3"]).start();
    let mut before = must("start", three())?;
    ensure_equal!(must("wait", before.wait())?.code, 3);
    let mut during = must("start", this().args(["child", "nap", "4"]).start())?;
    let mut killed = must("start", this().args(["child", "wait"]).start())?;
    kill("program")?;
    // It goes on, and the next manager tells how it ended, once.
    ensure_equal!(during.try_wait(), Ok(None));
    ensure_equal!(must("wait", during.wait())?.code, 4);
    ensure!(during.wait().is_err());
    // What was adopted once is adopted again.
    kill("program")?;
    ensure_equal!(killed.try_wait(), Ok(None));
    let mut between = must("start", three())?;
    ensure_equal!(must("wait", between.wait())?.code, 3);
    must("kill", killed.kill())?;
    ensure_equal!(must("wait", killed.wait())?.code, 137);
    let mut after = must("start again", three())?;
    ensure_equal!(must("wait", after.wait())?.code, 3);
    Ok(())
}
