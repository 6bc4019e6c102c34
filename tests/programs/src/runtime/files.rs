//! Files, directories and names, on the file server behind `[tmp]`.

use test_programs::{ensure, ensure_equal, must};
use v::file::{self, File};
use v::io::{BufReader, BufWriter, Seek, SeekFrom};
use v::name;
use v::prelude::*;
use v::protocols::io::mode;

const FOLDER: &str = "[tmp]test-runtime";

/// An empty folder for a check.
fn folder(check: &str) -> Result<String, String> {
    let folder = format!("{FOLDER}/{check}");
    must("create", file::create_directories(&folder))?;
    for entry in must("read", file::read_directory(&folder))? {
        let name = format!("{folder}/{}", entry.name);
        must(&name, file::remove(&name))?;
    }
    Ok(folder)
}

pub fn files() -> Result<(), String> {
    let folder = folder("files")?;
    let name = format!("{folder}/one");
    must("write", file::write(&name, "hello\n"))?;
    ensure_equal!(file::read_to_string(&name), Ok("hello\n".to_owned()));
    let mut appended = must("append", File::append(&name))?;
    must("append", writeln!(appended, "and {}", 2))?;
    ensure_equal!(file::read_to_string(&name), Ok("hello\nand 2\n".to_owned()));

    let mut file = must("open", File::open_with(&name, mode::READ | mode::WRITE))?;
    ensure_equal!(file.seek(SeekFrom::End(-6)), Ok(6));
    must("write", file.write_all(b"AND"))?;
    ensure_equal!(file.write_at(0, b"H"), Ok(1));
    ensure_equal!(file.set_size(11), Ok(()));
    ensure_equal!(file.size(), Ok(11));
    let lines: Vec<_> = BufReader::new(must("open", File::open(&name))?).lines().collect();
    ensure_equal!(lines, [Ok("Hello".to_owned()), Ok("AND 2".to_owned())]);
    ensure_equal!(must("metadata", file.metadata())?.size, 11);

    // More than one transfer, in pieces that fit nothing.
    let large: Vec<u8> = (0..300_001u32).map(|at| (at / 251) as u8).collect();
    let mut writer = BufWriter::with_capacity(1000, must("create", File::create(&name))?);
    for piece in large.chunks(777) {
        must("write", writer.write_all(piece))?;
    }
    must("flush", writer.flush())?;
    ensure!(must("read", file::read(&name))? == large);

    let new = format!("{folder}/two");
    must("rename", file::rename(&name, &new))?;
    ensure_equal!((file::exists(&name), file::exists(&new)), (Ok(false), Ok(true)));
    ensure_equal!(File::open(&name).map(|_| ()), Err(Error::NotFound));
    let exclusive = File::open_with(&new, mode::WRITE | mode::CREATE | mode::NEW).map(|_| ());
    ensure_equal!(exclusive, Err(Error::AlreadyExists));
    must("remove", file::remove(&new))?;
    ensure_equal!(file::metadata(&new).map(|_| ()), Err(Error::NotFound));
    Ok(())
}

pub fn directories() -> Result<(), String> {
    let folder = folder("directories")?;
    for name in ["b", "a", "c"] {
        must(name, file::write(&format!("{folder}/{name}"), name.repeat(3)))?;
    }
    let mut found: Vec<_> = must("read", file::read_directory(&folder))?
        .into_iter()
        .map(|entry| (entry.name, entry.metadata.size, entry.metadata.is_file()))
        .collect();
    found.sort();
    let expected = ["a", "b", "c"].map(|name| (name.to_owned(), 3, true));
    ensure_equal!(found, expected);
    ensure_equal!(file::remove(&folder), Err(Error::DirectoryNotEmpty));
    ensure!(must("metadata", file::metadata(&folder))?.is_directory());
    ensure_equal!(file::read_directory(&format!("{folder}/a")), Err(Error::NotADirectory));
    ensure_equal!(file::read_directory(&format!("{folder}/none")), Err(Error::NotFound));
    Ok(())
}

pub fn working_directory() -> Result<(), String> {
    let folder = folder("working")?;
    let saved = name::save();
    must("write", file::write(&format!("{folder}/x"), "x"))?;
    must("set", name::set_current_directory(&folder))?;
    ensure_equal!(file::read_to_string("x"), Ok("x".to_owned()));
    ensure_equal!(file::read_to_string("./../working/x"), Ok("x".to_owned()));
    must("set", name::set_current_directory(".."))?;
    ensure_equal!(name::current_directory(), Some(FOLDER.to_owned()));
    ensure_equal!(file::read_to_string("working/x"), Ok("x".to_owned()));
    ensure_equal!(name::set_current_directory("working/x"), Err(Error::NotADirectory));
    ensure_equal!(name::set_current_directory("none"), Err(Error::NotFound));
    name::restore(saved);
    Ok(())
}

pub fn prefixes() -> Result<(), String> {
    let folder = folder("prefixes")?;
    must("write", file::write(&format!("{folder}/x"), "x"))?;
    must("alias", name::set_alias("here", &folder))?;
    ensure_equal!(file::read_to_string("[here]x"), Ok("x".to_owned()));
    ensure_equal!(file::read_to_string("[here]/x"), Ok("x".to_owned()));
    let place = must("resolve", name::resolve(&folder))?;
    must("alias", name::set_prefix("here", place.server, place.context))?;
    ensure_equal!(file::read_to_string("[here]test-runtime/prefixes/x"), Ok("x".to_owned()));
    ensure!(name::remove_prefix("here"));
    ensure_equal!(file::read_to_string("[here]x"), Err(Error::NoSuchPrefix));
    ensure_equal!(name::set_alias("no prefix", "[tmp]"), Err(Error::BadName));
    must("alias", name::set_alias("there", "[here]x"))?;
    ensure_equal!(name::set_alias("here", &folder), Ok(()));
    ensure_equal!(file::read_to_string("[there]"), Ok("x".to_owned()));
    ensure_equal!(name::set_alias("here", "[there]"), Ok(()));
    ensure_equal!(name::resolve("[here]x").map(|place| place.rest.len()), Err(Error::BadName));
    ensure!(name::remove_prefix("here") && name::remove_prefix("there"));
    ensure!(must("global", name::global_prefixes())?.iter().any(|(name, ..)| name == "boot"));
    Ok(())
}
