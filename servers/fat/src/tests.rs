//! The volume, made by the crate's own formatter, and the server in terms of its protocols.

use abi::{Error, Pid, UserId};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits};
use lamfat::{FatType, FormatVolumeOptions, format_volume};
use protocols::io::{io, mode};
use protocols::names::names;

use crate::FatServer;
use crate::disk::{Cache, Cursor, Storage};
use crate::server::COMMIT_AFTER_NS;
use crate::volume::{MAX_SIZE, Volume};

extern crate std;
use std::format;

const MIB: usize = 1 << 20;
/// In the year 2024, at an even second.
const NOW_NS: u64 = 1_720_000_000_000_000_000;

/// A disk that outlives what is done with it.
#[derive(Clone, Debug)]
struct Medium(Rc<RefCell<Vec<u8>>>);

impl Storage for Medium {
    fn bytes(&self) -> u64 {
        self.0.borrow().len() as u64
    }

    fn read(&mut self, position: u64, place: &mut [u8]) -> Result<(), Error> {
        place.copy_from_slice(&self.0.borrow()[position as usize..][..place.len()]);
        Ok(())
    }

    fn write(&mut self, position: u64, bytes: &[u8]) -> Result<(), Error> {
        self.0.borrow_mut()[position as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A disk with an empty volume, which does not end with a page.
fn formatted(bytes: usize, kind: FatType) -> Medium {
    let medium = Medium(Rc::new(RefCell::new(vec![0; bytes + 512])));
    let cache = Rc::new(RefCell::new(Cache::new(medium.clone())));
    cache.borrow_mut().begin();
    format_volume(&mut Cursor::new(cache.clone()), FormatVolumeOptions::new().fat_type(kind)).unwrap();
    cache.borrow_mut().flush().unwrap();
    medium
}

fn volume(medium: &Medium) -> Volume<Medium> {
    let mut volume = Volume::find(medium.clone()).unwrap();
    volume.set_now(NOW_NS);
    volume
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 7 + at / 1000) as u8).collect()
}

fn put(volume: &mut Volume<Medium>, path: &str, data: &[u8]) -> Result<(), Error> {
    volume.create(path)?;
    for (piece, at) in data.chunks(50_000).zip((0..).step_by(50_000)) {
        volume.write(path, at, piece)?;
    }
    Ok(())
}

fn get(volume: &mut Volume<Medium>, path: &str) -> Result<Vec<u8>, Error> {
    let mut whole = Vec::new();
    let mut place = vec![0; 30_000];
    loop {
        match volume.read(path, whole.len() as u64, &mut place)? {
            0 => return Ok(whole),
            count => whole.extend_from_slice(&place[..count]),
        }
    }
}

#[test]
fn files_of_all_kinds_of_volume_are_there_again() {
    for (kind, bytes) in [(FatType::Fat12, MIB), (FatType::Fat16, 16 * MIB), (FatType::Fat32, 40 * MIB)] {
        let medium = formatted(bytes, kind);
        let mut files = volume(&medium);
        let data = content(300_000);
        files.create_directory("A longer name than eight").unwrap();
        put(&mut files, "A longer name than eight/unïcödé.text", &data).unwrap();
        put(&mut files, "README.TXT", b"short").unwrap();
        assert!(files.has_changes());
        files.commit().unwrap();
        assert!(!files.has_changes());

        let mut files = volume(&medium);
        assert_eq!(get(&mut files, "a LONGER name than eight/UNÏCÖDÉ.text").unwrap(), data, "{kind:?}");
        let entry = files.entry("readme.txt").unwrap();
        assert_eq!((entry.name.as_str(), entry.size, entry.is_directory), ("README.TXT", 5, false));
        assert_eq!((entry.modified_ns, entry.created_ns), (NOW_NS, NOW_NS));
        let names: Vec<String> = files.entries("").unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["A longer name than eight", "README.TXT"]);
        assert_eq!(files.entries("A longer name than eight").unwrap().len(), 1, "no . and ..");
        assert_eq!(files.remove("A longer name than eight"), Err(Error::DirectoryNotEmpty));
        assert_eq!(files.entry("README.TXT/x"), Err(Error::NotADirectory));
        for name in ["a?b", "ü", "d/ü", ""] {
            assert_eq!(files.create(name), Err(Error::BadName), "{name}");
        }
        files.rename("README.TXT", "A longer name than eight/moved").unwrap();
        assert_eq!(files.entry("README.TXT"), Err(Error::NotFound));
        files.set_modified("A longer name than eight/moved", NOW_NS - 2_000_000_000).unwrap();
        assert_eq!(
            files.entry("A longer name than eight/moved").unwrap().modified_ns,
            NOW_NS - 2_000_000_000
        );
    }
}

#[test]
fn what_was_never_written_is_zeros() {
    let mut files = volume(&formatted(16 * MIB, FatType::Fat16));
    files.create("f").unwrap();
    files.write("f", 100_000, b"end").unwrap();
    let mut expected = vec![0; 100_000];
    expected.extend_from_slice(b"end");
    assert_eq!(get(&mut files, "f").unwrap(), expected);
    files.set_size("f", 10).unwrap();
    files.set_size("f", 20).unwrap();
    assert_eq!(get(&mut files, "f").unwrap(), [0; 20]);
    assert_eq!(files.write("f", MAX_SIZE, b"x"), Err(Error::NoSpace));
    assert_eq!(files.read("f", 1 << 40, &mut [0; 8]), Ok(0));
}

#[test]
fn a_full_disk_says_so_and_has_room_again() {
    let medium = formatted(MIB, FatType::Fat12);
    let mut files = volume(&medium);
    let data = content(100_000);
    let full = (0..).find_map(|at| put(&mut files, &format!("f{at}"), &data).err());
    assert_eq!(full, Some(Error::NoSpace));
    files.commit().unwrap();
    let mut files = volume(&medium);
    assert_eq!(get(&mut files, "f0").unwrap(), data);
    files.remove("f0").unwrap();
    files.remove("f1").unwrap();
    put(&mut files, "again", &data).unwrap();
    assert_eq!(get(&mut files, "again").unwrap(), data);
}

#[test]
fn what_is_no_volume_is_not_one() {
    for bytes in [0, 100, 512, MIB] {
        let medium = Medium(Rc::new(RefCell::new(vec![0xa5; bytes])));
        assert_eq!(Volume::find(medium).err(), Some(Error::NotFound), "{bytes}");
    }
    let medium = Medium(Rc::new(RefCell::new(vec![0; MIB])));
    assert_eq!(Volume::find(medium).err(), Some(Error::NotFound));
}

/// Numbers that are the same for the same seed.
fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// Does a bit of everything, whatever becomes of it.
fn exercise(files: &mut Volume<Medium>) {
    files.set_now(NOW_NS);
    let _ = files.space();
    for path in ["", "d", "d/e"] {
        for entry in files.entries(path).unwrap_or_default() {
            let path = [path, &entry.name].join("/");
            let _ = get(files, path.trim_matches('/'));
        }
    }
    let _ = put(files, "d/new file", &content(20_000));
    let _ = files.rename("f1", "d/moved");
    let _ = files.set_size("f2", 3);
    let _ = files.remove("f3");
    let _ = files.create_directory("d/g");
    let _ = files.commit();
}

#[test]
fn hostile_volumes_end_nobody() {
    for kind in [FatType::Fat12, FatType::Fat16, FatType::Fat32] {
        let bytes = if kind == FatType::Fat32 { 40 * MIB } else { 8 * MIB };
        let medium = formatted(bytes, kind);
        let mut files = volume(&medium);
        files.create_directory("d").unwrap();
        files.create_directory("d/e").unwrap();
        for at in 0..4 {
            put(&mut files, &format!("f{at}"), &content(5_000 * at)).unwrap();
            put(&mut files, &format!("d/a long name for file {at}"), &content(9_000)).unwrap();
        }
        files.commit().unwrap();
        // The blocks in which something is: those of the tables and directories among them.
        let whole = medium.0.borrow().clone();
        let used: Vec<usize> = (0..whole.len() / 512)
            .filter(|at| whole[at * 512..][..512].iter().any(|byte| *byte != 0))
            .collect();
        for seed in 0..if kind == FatType::Fat32 { 8 } else { 40 } {
            let mut below = numbers(seed);
            let mut damaged = whole.clone();
            for _ in 0..=below(6) {
                // Half of it where the volume says what it is.
                let block =
                    if below(2) == 0 { used[below(used.len().min(3))] } else { used[below(used.len())] };
                let at = block * 512 + below(512);
                damaged[at] = if below(2) == 0 { below(256) as u8 } else { damaged[at] ^ 1 << below(8) };
            }
            let Ok(mut files) = Volume::find(Medium(Rc::new(RefCell::new(damaged)))) else { continue };
            exercise(&mut files);
        }
    }
}

#[test]
fn a_chain_that_is_a_circle_ends() {
    let medium = formatted(8 * MIB, FatType::Fat16);
    let mut files = volume(&medium);
    files.create_directory("d").unwrap();
    for at in 0..200 {
        files.create(&format!("d/a name that takes some entries {at}")).unwrap();
    }
    files.commit().unwrap();
    // Every cluster that is followed by another is followed by the directory's first one, in both tables.
    let mut bytes = medium.0.borrow_mut();
    let sectors = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (begin, end) = (512 * sectors(14), 512 * (sectors(14) + 2 * sectors(22)));
    for at in (begin + 4..end).step_by(2) {
        let next = u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        if (2..0xfff0).contains(&next) {
            bytes[at..at + 2].copy_from_slice(&2_u16.to_le_bytes());
        }
    }
    drop(bytes);
    let mut files = volume(&medium);
    assert_eq!(files.entry("d/nothing"), Err(Error::Damaged));
    assert_eq!(files.entries("d").err(), Some(Error::Damaged));
    assert!(files.entry("d").is_ok(), "the next request begins anew");
}

#[test]
fn the_server_keeps_the_rules() {
    let medium = formatted(8 * MIB, FatType::Fat16);
    let mut system = TestSystem::new();
    system.now_ns = NOW_NS;
    let (operator, user) = (system.process(UserId::OPERATOR), system.process(UserId(100)));
    let mut server = IoServer::new(FatServer::new(volume(&medium)), Limits::default());
    let create = io::Open { context: 0, mode: mode::WRITE | mode::CREATE, owner: Pid::NONE };
    assert_eq!(system.say(&mut server, user, &create, b"f").err(), Some(Error::NoPermission));
    let made = names::CreateDirectory { context: 0 };
    system.say(&mut server, operator, &made, b"d").unwrap();
    assert_eq!(system.say(&mut server, operator, &made, b"D/").err(), Some(Error::AlreadyExists));
    let instance = system.say(&mut server, operator, &create, b"./d/../f").unwrap().instance;
    let written = system.say(&mut server, operator, &io::Write { instance, position: 0 }, b"hello").unwrap();
    assert_eq!(written.count, 5);
    // Everyone may read.
    let open = io::Open { context: 0, mode: mode::READ, owner: Pid::NONE };
    let instance = system.say(&mut server, user, &open, b"d/../F").unwrap().instance;
    let (done, data) = system.ask(&mut server, user, &io::Read { instance, position: 1 }, 100).unwrap();
    assert_eq!(&data[..done.count as usize], b"ello");
    let rename = |old: &str| names::Rename { old_context: 0, old_bytes: old.len() as u32, new_context: 0 };
    assert_eq!(system.say(&mut server, operator, &rename("d"), b"dd/inside").err(), Some(Error::BadArgument));
    system.say(&mut server, operator, &create, b"g").unwrap();
    // In place of the file of that name.
    system.say(&mut server, operator, &rename("f"), b"fg").unwrap();
    // It is safe some time later, and the volume is left in order.
    let due_ns = server.next_tick_ns().unwrap();
    assert!(due_ns <= NOW_NS + COMMIT_AFTER_NS);
    system.now_ns += COMMIT_AFTER_NS;
    server.tick(&mut system);
    let mut files = volume(&medium);
    let names: Vec<String> = files.entries("").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["d".to_string(), "g".to_string()]);
    assert_eq!(get(&mut files, "g").unwrap(), b"hello");
}
