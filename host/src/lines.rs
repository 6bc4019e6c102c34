//! Tables of lines, made of what the compiler says about a program, for reports of crashes on the node; see
//! [`formats::lines`].
//!
//! Code of the standard library that was inlined counts as the line that called it: there is what went wrong. Of its other
//! functions nothing is told but the names that the symbols have.
//!
//! A packed table is kept beside the program, and made anew when the program or this tool is newer.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use addr2line::gimli::{self, Dwarf, EndianSlice, LittleEndian, SectionId};
use addr2line::{Context as Debug, Location};
use anyhow::{Context, Result};
use formats::lines::Writer;
use object::{File, Object, ObjectSection};
use tempfile::NamedTempFile;

use crate::guest::{Program, checkout};

/// The file's ending that a packed table is kept under.
const ENDING: &str = "lines";
/// How hard zlib tries, of 10.
const COMPRESSION: u8 = 9;
/// What the names of files of the standard library begin with.
const STANDARD_LIBRARY: &str = "/rustc/";
/// Behind it, in the name of a file of a crate from a registry, come the registry's name and the crate's folder.
const REGISTRY: &str = "/registry/src/";

/// A source file and a line in it.
type Line<'a> = (&'a str, u32);
type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// A program's table, packed as its image is to have it.
pub fn of(program: &Program) -> Result<Vec<u8>> {
    let path = &program.path;
    let kept = path.with_extension(ENDING);
    let is_new = || -> Option<bool> {
        let time = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
        let made = time(&kept)?;
        // The tool as it runs, which may have been built anew meanwhile: its path names the new one then, or none.
        Some(made > time(path)? && made > time(Path::new("/proc/self/exe"))?)
    };
    if is_new() == Some(true)
        && let Ok(packed) = fs::read(&kept)
    {
        return Ok(packed);
    }
    let cannot = || format!("cannot read the lines of {}", path.display());
    let image = fs::read(path).with_context(cannot)?;
    let table = table(&image, &program.folder).with_context(cannot)?;
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(&table, COMPRESSION);
    keep(&kept, &packed).with_context(|| format!("cannot write {}", kept.display()))?;
    Ok(packed)
}

/// Writes a file so that whoever reads it meanwhile finds all of it or nothing.
fn keep(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NamedTempFile::new_in(path.parent().context("a program lies in a folder")?)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// The table of an image, whose own sources are told from `folder`.
pub fn table(image: &[u8], folder: &Path) -> Result<Vec<u8>> {
    let file = File::parse(image)?;
    let section = |id: SectionId| -> Result<Bytes<'_>, gimli::Error> {
        let data = file.section_by_name(id.name()).and_then(|section| section.data().ok());
        Ok(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
    };
    let debug = Debug::from_dwarf(Dwarf::load(section)?)?;
    let text = file.section_by_name(".text").context("there is no code in it")?;
    let rows = rows(&debug, text.address(), text.address() + text.size())?;
    let mut numbers = HashMap::new();
    let mut files = Vec::new();
    for (name, _) in rows.iter().filter_map(|(_, line)| *line) {
        numbers.entry(name).or_insert_with(|| {
            files.push(told(name, folder));
            files.len() as u64
        });
    }
    let mut writer = Writer::new(Vec::new(), files.into_iter());
    for (address, line) in rows {
        let (file, line) = line.map_or((0, 0), |(name, line)| (numbers[name], line));
        writer.row(address, file, line);
    }
    Ok(writer.finish())
}

/// Where the instructions of each other line begin.
fn rows<'a>(debug: &'a Debug<Bytes<'a>>, begin: u64, end: u64) -> Result<Vec<(u64, Option<Line<'a>>)>> {
    let mut rows = Vec::<(u64, Option<Line<'a>>)>::new();
    let mut push = |address, line| {
        if rows.last().is_none_or(|(_, before)| *before != line) {
            rows.push((address, line));
        }
    };
    let mut known_until = begin;
    for (address, length, location) in debug.find_location_range(begin, end)? {
        if address > known_until {
            push(known_until, None);
        }
        known_until = address + length;
        match outside_library(&location) {
            Some(line) => push(address, Some(line)),
            // What the compiler made for no line in particular belongs to the line before.
            None if location.line.is_none() => {}
            None => push(address, caller(debug, address)?),
        }
    }
    push(known_until, None);
    Ok(rows)
}

/// The line that called for the library's code at an address, which was inlined there.
fn caller<'a>(debug: &'a Debug<Bytes<'a>>, address: u64) -> Result<Option<Line<'a>>> {
    let mut frames = debug.find_frames(address).skip_all_loads()?;
    while let Some(frame) = frames.next()? {
        if let Some(line) = frame.location.as_ref().and_then(outside_library) {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

fn outside_library<'a>(location: &Location<'a>) -> Option<Line<'a>> {
    let file = location.file.filter(|file| !file.starts_with(STANDARD_LIBRARY))?;
    Some((file, location.line?))
}

/// A file's name as a person is told it, which is the same wherever a program was built.
fn told<'a>(file: &'a str, folder: &Path) -> &'a str {
    let path = Path::new(file);
    let below = [folder, checkout()].into_iter().find_map(|folder| path.strip_prefix(folder).ok()?.to_str());
    let in_crate = || file.split_once(REGISTRY)?.1.split_once('/').map(|(_, rest)| rest);
    below.or_else(in_crate).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::lines::Table;
    use object::ObjectSymbol;

    #[test]
    fn this_test_knows_where_it_stands() {
        let image = fs::read(std::env::current_exe().unwrap()).unwrap();
        let bytes = table(&image, checkout()).unwrap();
        let table = Table::parse(&bytes).unwrap();
        let file = File::parse(&*image).unwrap();
        let line_of = |name: &str| {
            let symbol = file.symbols().find(|symbol| symbol.name().is_ok_and(|found| found.contains(name)));
            table.line_at(symbol.unwrap().address())
        };
        let found = line_of("this_test_knows_where_it_stands").unwrap();
        assert_eq!(found.file, "host/src/lines.rs");
        assert!((140..200).contains(&found.line), "{found:?}");
        assert_eq!(table.line_at(0), None);
        // No name tells where this was built.
        let folder = checkout().as_os_str().as_encoded_bytes();
        assert!(!bytes.windows(folder.len()).any(|bytes| bytes == folder));
    }

    #[test]
    fn files_are_told_from_their_crates() {
        let told = |file| told(file, Path::new("/home/me/hello"));
        assert_eq!(told("/home/me/hello/src/main.rs"), "src/main.rs");
        assert_eq!(told("/c/registry/src/index.crates.io-19/elf-0.8.0/src/lib.rs"), "elf-0.8.0/src/lib.rs");
        assert_eq!(told("/elsewhere/x.rs"), "/elsewhere/x.rs");
        let own = checkout().join("abi/src/lib.rs");
        assert_eq!(super::told(own.to_str().unwrap(), Path::new("/home")), "abi/src/lib.rs");
    }

    #[test]
    fn a_table_is_kept_until_its_program_is_newer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
        let program = Program {
            name: "program".to_owned(),
            names: Vec::new(),
            path: path.clone(),
            folder: checkout().to_owned(),
            test: false,
        };
        let made = of(&program).unwrap();
        let kept = path.with_extension(ENDING);
        assert_eq!(fs::read(&kept).unwrap(), made);
        fs::write(&kept, "other").unwrap();
        assert_eq!(of(&program).unwrap(), b"other");
        let later = fs::metadata(&kept).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
        fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(of(&program).unwrap(), made);
    }
}
