//! Starting programs: this one again, as `test-runtime child WHAT…`.

use test_programs::{ensure, ensure_equal, must};
use v::io::{self, copy};
use v::pipe::pipe;
use v::prelude::*;
use v::process::{Command, Stream};

/// What a started copy of this program does.
pub fn child(words: &[&str]) -> i32 {
    match words {
        ["arguments", rest @ ..] => {
            for word in rest {
                println!("<{word}>");
            }
            0
        }
        ["status", number] => number.parse().unwrap_or(-1),
        ["copy"] => match copy(&mut io::stdin(), &mut io::stdout()) {
            Ok(_) => 0,
            Err(error) => {
                eprintln!("{error}");
                1
            }
        },
        ["variables"] => {
            for (name, value) in v::env::variables() {
                println!("{name}={value}");
            }
            println!("{}", v::name::current_directory().unwrap_or_default());
            0
        }
        ["start", rest @ ..] => {
            println!("outer");
            let started = this(rest).start().and_then(|mut child| child.wait());
            started.map_or(1, |status| status.code)
        }
        ["answer"] => match crate::mapped::answer() {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("{error}");
                1
            }
        },
        ["debugged"] => crate::debugger::debugged(),
        ["panic"] => panic!("on purpose"),
        ["nap", status] => match v::time::sleep(v::time::Duration::from_millis(300)) {
            Ok(()) => status.parse().unwrap_or(-1),
            Err(_) => -1,
        },
        ["wait"] => loop {
            if v::time::sleep(v::time::Duration::from_secs(1000)).is_err() {
                return 1;
            }
        },
        _ => 2,
    }
}

pub fn this(words: &[&str]) -> Command {
    Command::new(v::env::program_name()).arg("child").args(words)
}

/// What a program writes to its standard output.
fn output(command: Command) -> Result<(String, i32), String> {
    let (mut reader, writer) = must("pipe", pipe())?;
    let mut child = must("start", command.stdout(&writer).start())?;
    drop(writer);
    let mut text = String::new();
    must("read", reader.read_to_string(&mut text))?;
    Ok((text, must("wait", child.wait())?.code))
}

pub fn streams() -> Result<(), String> {
    let (text, status) = output(this(&["arguments", "", "two words", "ä"]))?;
    ensure_equal!((text.as_str(), status), ("<>\n<two words>\n<ä>\n", 0));

    let (reader, mut writer) = must("pipe", pipe())?;
    let name = "[tmp]test-runtime-copy";
    let file = must("create", v::file::File::create(name))?;
    let mut child = must("start", this(&["copy"]).stdin(&reader).stdout(&file).start())?;
    drop((reader, file));
    // More than any pipe holds.
    let bytes: Vec<u8> = (0..500_000u32).map(|at| (at / 7) as u8).collect();
    must("write", writer.write_all(&bytes))?;
    drop(writer);
    ensure_equal!(must("wait", child.wait())?.code, 0);
    ensure!(must("read", v::file::read(name))? == bytes);
    must("remove", v::file::remove(name))?;

    // Nobody reads: the writer is told.
    let (reader, mut writer) = must("pipe", pipe())?;
    drop(reader);
    ensure_equal!(writer.write_all(b"x"), Err(Error::BrokenPipe));
    Ok(())
}

pub fn statuses() -> Result<(), String> {
    for code in [0, 1, 77, 255] {
        let mut child = must("start", this(&["status", &code.to_string()]).start())?;
        ensure_equal!(must("wait", child.wait())?.code, code);
        // It can be learnt once.
        ensure!(child.wait().is_err());
    }
    let mut killed = must("start", this(&["wait"]).start())?;
    ensure_equal!(killed.try_wait(), Ok(None));
    must("kill", killed.kill())?;
    ensure_equal!(must("wait", killed.wait())?.code, 137);
    let mut panicked = must("start", this(&["panic"]).stderr(Stream::Closed).start())?;
    ensure_equal!(must("wait", panicked.wait())?.code, 101);
    ensure_equal!(Command::new("no such program").start().map(|_| ()), Err(Error::NotFound));
    ensure!(Command::new("[boot]").start().is_err());
    Ok(())
}

/// A program that inherits a file writes on where its starter stopped.
pub fn positions() -> Result<(), String> {
    const NAME: &str = "[tmp]test-runtime-positions";
    let file = must("create", v::file::File::create(NAME))?;
    let command = this(&["start", "arguments", "inner"]).stdout(&file);
    let mut child = must("start", command.start())?;
    ensure_equal!(must("wait", child.wait())?.code, 0);
    drop(file);
    ensure_equal!(v::file::read_to_string(NAME), Ok("outer\n<inner>\n".to_owned()));
    must("remove", v::file::remove(NAME))
}

pub fn environment() -> Result<(), String> {
    let command = this(&["variables"])
        .only_variables([("A".to_owned(), "1".to_owned())])
        .env("B", "two")
        .directory("[tmp]");
    let (text, status) = output(command)?;
    ensure_equal!((text.as_str(), status), ("A=1\nB=two\n[tmp]\n", 0));
    Ok(())
}

pub fn pipeline() -> Result<(), String> {
    let (first_reader, first_writer) = must("pipe", pipe())?;
    let (mut last_reader, last_writer) = must("pipe", pipe())?;
    let words = this(&["arguments", "a", "b"]).stdout(&first_writer);
    let mut first = must("start", words.start())?;
    let mut last = must("start", this(&["copy"]).stdin(&first_reader).stdout(&last_writer).start())?;
    drop((first_reader, first_writer, last_writer));
    let mut text = String::new();
    must("read", last_reader.read_to_string(&mut text))?;
    ensure_equal!(text, "<a>\n<b>\n");
    ensure_equal!(must("wait", first.wait())?.code, 0);
    ensure_equal!(must("wait", last.wait())?.code, 0);
    Ok(())
}
