//! Volumes at their limits: damage, full disks, many files, deep paths, odd names, disks that fail.

use abi::Error;
use volume::testing::TestDisk;
use volume::{BLOCK_BYTES, Disk, Kind, Options, ROOT, ROW_PAGES, Volume, find};

const PAGE: u64 = BLOCK_BYTES as u64;
const OPTIONS: Options = Options { pages: 256 };

fn new(blocks: u64) -> Volume<TestDisk> {
    Volume::format(TestDisk::new(blocks), *b"a volume to test", 1, OPTIONS).unwrap()
}

fn write(volume: &mut Volume<TestDisk>, file: u32, position: u64, data: &[u8]) -> Result<(), Error> {
    for (piece, at) in data.chunks(BLOCK_BYTES).zip((position..).step_by(BLOCK_BYTES)) {
        let page = volume.page_to_change(file, at / PAGE, piece.len() == BLOCK_BYTES)?;
        page[..piece.len()].copy_from_slice(piece);
        volume.note_written(file, at + piece.len() as u64, 2)?;
        if volume.is_full_of_changes() {
            volume.write_out()?;
        }
    }
    Ok(())
}

fn read(volume: &mut Volume<TestDisk>, file: u32) -> Result<Vec<u8>, Error> {
    let mut whole = Vec::new();
    loop {
        volume.fetch(file, whole.len() as u64, 64 * PAGE, 64 * PAGE);
        match volume.piece(file, whole.len() as u64, BLOCK_BYTES)? {
            [] => return Ok(whole),
            piece => whole.extend_from_slice(piece),
        }
    }
}

fn content(seed: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (seed * 31 + at / 3 + at * at / 1000) as u8).collect()
}

fn assert_clean(volume: &mut Volume<TestDisk>) {
    let report = volume.check().unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let mut volume = new(2000);
    let directory = volume.create(ROOT, "d", Kind::Directory, 1, 1).unwrap();
    let mut files = Vec::new();
    for (at, bytes) in [0, 1, 5000, 40_000, 1_100_000].into_iter().enumerate() {
        let data = content(at, bytes);
        let name = format!("file{at}");
        let file = volume.create(directory, &name, Kind::File, 1, 1).unwrap();
        write(&mut volume, file, 0, &data).unwrap();
        files.push((name, data));
    }
    volume.commit(3).unwrap();
    assert_clean(&mut volume);
    let disk = volume.into_disk();
    let (mut noticed, mut unused) = (0, 0);
    for (at, block) in disk.written_blocks().into_iter().enumerate() {
        let mut damaged = disk.clone();
        damaged.flip(block, at * 7919);
        let superblock = find(&mut damaged).unwrap().expect("one copy is whole");
        assert_eq!(superblock.generation, 2, "the newest superblock is in two blocks");
        if volume::check::check(&mut damaged, &superblock).unwrap().is_clean() {
            // It belonged to the commit before, or to the map, which was made anew.
            unused += 1;
        } else {
            noticed += 1;
        }
        let Ok(mut volume) = Volume::mount(damaged, OPTIONS) else { continue };
        let Ok(directory) = volume.look_up(ROOT, b"d") else { continue };
        for (name, data) in &files {
            let Ok(file) = volume.look_up(directory, name.as_bytes()) else { continue };
            match read(&mut volume, file) {
                Ok(found) => assert!(found == *data, "block {block}: {name} is another"),
                Err(error) => assert_eq!(error, Error::Damaged),
            }
        }
    }
    assert!(noticed > 280 && unused < 12, "{noticed} noticed, {unused} in blocks that nothing refers to");
}

/// Numbers that are the same for the same seed.
fn numbers(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

#[test]
fn much_damage_is_told_and_takes_nothing_else_along() {
    let mut volume = new(2000);
    let mut files = Vec::new();
    for at in 0..20 {
        let data = content(at, at * at * 1500);
        let name = format!("file{at:02}");
        let file = volume.create(ROOT, &name, Kind::File, 1, 1).unwrap();
        write(&mut volume, file, 0, &data).unwrap();
        files.push((name, data));
    }
    volume.commit(3).unwrap();
    let disk = volume.into_disk();
    let blocks: Vec<u64> = disk.written_blocks().into_iter().filter(|block| *block >= 4).collect();
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..150 {
        let mut below = numbers(seed);
        let mut damaged = disk.clone();
        for _ in 0..=below(8) {
            let block = blocks[below(blocks.len() as u64) as usize];
            if below(2) == 0 {
                damaged.flip(block, below(8 * PAGE) as usize);
            } else {
                damaged.tear(block, below(8) as usize);
            }
        }
        // One copy of the superblock may go, too.
        damaged.flip(below(2), below(8 * PAGE) as usize);
        let superblock = find(&mut damaged).unwrap().expect("one copy is whole");
        let report = volume::check::check(&mut damaged, &superblock).unwrap();
        let is_of_a_file = |finding: &&volume::check::Finding| finding.about.contains("file");
        let is_general =
            report.findings.iter().any(|finding| !is_of_a_file(&finding) && finding.about != "map");
        let mut volume = match Volume::mount(damaged, OPTIONS) {
            Ok(volume) => volume,
            Err(error) => {
                assert_eq!((error, is_general), (Error::Damaged, true), "seed {seed}");
                continue;
            }
        };
        for (name, data) in &files {
            let found = volume.look_up(ROOT, name.as_bytes()).and_then(|file| read(&mut volume, file));
            let is_told = report.findings.iter().any(|finding| finding.about.contains(name.as_str()));
            match found {
                Ok(found) => {
                    assert!(found == *data, "seed {seed}: {name} is another");
                    kept += 1;
                }
                Err(error) => {
                    assert!(
                        is_told || is_general,
                        "seed {seed}: {name}: {error}, which the check does not tell"
                    );
                    lost += 1;
                }
            }
        }
    }
    assert!(lost > 100 && kept > 1000, "{lost} lost, {kept} kept");
}

#[test]
fn a_damaged_map_is_made_anew() {
    let mut volume = new(2000);
    let file = volume.create(ROOT, "f", Kind::File, 1, 1).unwrap();
    let data = content(1, 300_000);
    write(&mut volume, file, 0, &data).unwrap();
    volume.commit(3).unwrap();
    let map = volume.superblock().map.pointer.block;
    let mut disk = volume.into_disk();
    disk.flip(map, 5);
    let mut volume = Volume::mount(disk, OPTIONS).unwrap();
    assert!(!volume.check().unwrap().is_clean());
    assert!(volume.has_changes());
    volume.commit(4).unwrap();
    assert_clean(&mut volume);
    assert_eq!(read(&mut volume, file).unwrap(), data);
}

#[test]
fn what_can_be_repaired_is_and_the_rest_is_told_again() {
    let mut volume = new(2000);
    let mut files = Vec::new();
    for at in 0..4 {
        let file = volume.create(ROOT, &format!("f{at}"), Kind::File, 1, 1).unwrap();
        write(&mut volume, file, 0, &content(at, 200_000)).unwrap();
        files.push(file);
    }
    volume.commit(3).unwrap();
    let lost = volume.block_of(files[1], 1, 0).unwrap().unwrap();
    let damaged = volume.block_of(files[2], 0, 3).unwrap().unwrap();
    let mut disk = volume.into_disk();
    disk.flip(lost, 77);
    disk.tear(damaged, 2);
    disk.flip(1, 600);
    let mut volume = Volume::mount(disk, OPTIONS).unwrap();
    assert!(volume.was_mended());
    let report = volume.check().unwrap();
    assert_eq!(report.finding_count, 4, "{:?}", report.findings);
    volume.repair(&report, 4).unwrap();
    for _ in 0..2 {
        let report = volume.check().unwrap();
        let about: Vec<&str> = report.findings.iter().map(|finding| finding.about.as_str()).collect();
        assert_eq!(about, ["f2", "f1"], "{:?}", report.findings);
        volume.commit(5).unwrap();
    }
    assert_eq!(read(&mut volume, files[0]).unwrap(), content(0, 200_000));
    assert_eq!(read(&mut volume, files[1]), Err(Error::Damaged));
    assert_eq!(read(&mut volume, files[2]), Err(Error::Damaged));
    for name in ["f1", "f2"] {
        volume.unlink(ROOT, name, 6).unwrap();
    }
    for file in &files[1..3] {
        volume.destroy(*file).unwrap();
    }
    volume.commit(7).unwrap();
    let report = volume.check().unwrap();
    volume.repair(&report, 8).unwrap();
    assert_clean(&mut volume);
    assert_eq!(read(&mut volume, files[3]).unwrap(), content(3, 200_000));
}

#[test]
fn a_full_disk_loses_nothing_and_has_room_again() {
    let mut volume = new(1000);
    let mut files = Vec::new();
    let refused = (0..).find_map(|at: usize| {
        let data = content(at, 50_000);
        let file = match volume.create(ROOT, &format!("f{at}"), Kind::File, 1, 1) {
            Ok(file) => file,
            Err(error) => return Some(error),
        };
        match write(&mut volume, file, 0, &data) {
            Ok(()) => files.push((file, data)),
            Err(error) => return Some(error),
        }
        if at % 5 == 4 {
            volume.commit(2).unwrap();
        }
        None
    });
    assert_eq!(refused, Some(Error::NoSpace));
    assert!(files.len() > 60, "{} files", files.len());
    assert!(volume.space().free_bytes < 100 * PAGE);
    volume.commit(3).unwrap();
    assert_clean(&mut volume);
    // To overwrite takes room too, as long as the old is needed; and it may be refused, but then nothing is changed.
    let (victim, _) = files.remove(7);
    for _ in 0..3 {
        let refusals =
            (0..40).filter(|_| write(&mut volume, victim, 0, &content(9, 50_000)).is_err()).count();
        assert!(volume.commit(4).is_ok(), "after {refusals} refusals");
    }
    let gone = volume.unlink(ROOT, "f3", 5).unwrap();
    volume.destroy(gone).unwrap();
    let (gone, _) = files.remove(3);
    volume.commit(5).unwrap();
    assert_eq!(volume.inode(gone), Err(Error::NotFound));
    let file = volume.create(ROOT, "again", Kind::File, 1, 6).unwrap();
    write(&mut volume, file, 0, &content(5, 40_000)).unwrap();
    volume.commit(6).unwrap();
    let mut volume = Volume::mount(volume.into_disk(), OPTIONS).unwrap();
    for (file, data) in &files {
        assert!(read(&mut volume, *file).unwrap() == *data);
    }
    assert_clean(&mut volume);
}

#[test]
fn thousands_of_files_in_one_directory() {
    let mut volume = new(20_000);
    for at in 0..3000 {
        let file = volume.create(ROOT, &format!("file number {at}"), Kind::File, at, 1).unwrap();
        write(&mut volume, file, 0, format!("{at}").as_bytes()).unwrap();
    }
    volume.commit(2).unwrap();
    assert_clean(&mut volume);
    let mut volume = Volume::mount(volume.into_disk(), OPTIONS).unwrap();
    assert_eq!(volume.names(ROOT).unwrap().len(), 3000);
    for at in (0..3000).rev() {
        let name = format!("file number {at}");
        let file = volume.look_up(ROOT, name.as_bytes()).unwrap();
        assert_eq!(volume.inode(file).unwrap().owner, at);
        assert_eq!(read(&mut volume, file).unwrap(), format!("{at}").as_bytes());
        if at % 3 != 0 {
            assert_eq!(volume.unlink(ROOT, &name, 3), Ok(file));
            volume.destroy(file).unwrap();
        }
    }
    volume.commit(4).unwrap();
    assert_eq!(volume.names(ROOT).unwrap().len(), 1000);
    assert_clean(&mut volume);
}

#[test]
fn deep_paths_and_names_of_every_byte() {
    let mut volume = new(4000);
    let mut at = ROOT;
    for depth in 0..300 {
        at = volume.create(at, &format!("{}", depth % 10), Kind::Directory, 1, 1).unwrap();
    }
    let mut names: Vec<String> = (1..=0x7f_u8)
        .filter(|byte| *byte != b'/')
        .map(|byte| char::from(byte).to_string())
        .filter(|name| name != ".")
        .collect();
    names.extend(["ä", "\u{10ffff}", "...", " ", "[tmp]a"].map(String::from));
    names.push("x".repeat(255));
    for name in &names {
        if !matches!(name.as_str(), " ") || volume.look_up(at, b" ").is_err() {
            volume.create(at, name, Kind::File, 1, 1).unwrap();
        }
    }
    for name in ["", ".", "..", "a/b", "a\0b", &"x".repeat(256)] {
        assert_eq!(volume.create(at, name, Kind::File, 1, 1), Err(Error::BadName), "{name:?}");
    }
    volume.commit(2).unwrap();
    let mut volume = Volume::mount(volume.into_disk(), OPTIONS).unwrap();
    assert_clean(&mut volume);
    for name in &names {
        volume.look_up(at, name.as_bytes()).unwrap();
    }
}

#[test]
fn files_beyond_four_gigabytes_have_holes() {
    let mut volume = new(2_000);
    let file = volume.create(ROOT, "f", Kind::File, 1, 1).unwrap();
    let free = volume.space().free_bytes;
    let far = (1_u64 << 45) + 12_288;
    for position in [0, (1 << 32) - PAGE, 5 << 32, far] {
        write(&mut volume, file, position, b"here").unwrap();
    }
    volume.commit(2).unwrap();
    assert!(free - volume.space().free_bytes < 40 * PAGE);
    let mut volume = Volume::mount(volume.into_disk(), OPTIONS).unwrap();
    assert_eq!(volume.inode(file).unwrap().size, far + 4);
    assert_eq!(volume.piece(file, 5 << 32, 9).unwrap(), b"here\0\0\0\0\0");
    assert_eq!(volume.piece(file, far, 9).unwrap(), b"here");
    assert_eq!(volume.piece(file, 6 << 32, 3).unwrap(), [0; 3]);
    assert!(!volume.is_present(file, (6 << 32) / PAGE).unwrap());
    assert_eq!(volume.page_to_change(file, 1 << 34, true), Err(Error::NoSpace));
    for position in [far + 5, 1 << 46, u64::MAX] {
        volume.fetch(file, position, 1 << 18, 1 << 18);
        assert_eq!(volume.piece(file, position, 9).unwrap(), []);
    }
    volume.set_size(file, 5, 3).unwrap();
    volume.set_size(file, 6 << 32, 3).unwrap();
    assert_eq!(volume.piece(file, 5 << 32, 4).unwrap(), [0; 4]);
    assert_eq!(volume.piece(file, 0, 8).unwrap(), b"here\0\0\0\0");
    volume.commit(4).unwrap();
    assert_clean(&mut volume);
}

#[test]
fn a_disk_that_fails_for_a_while_costs_nothing() {
    for requests in 0..40 {
        let mut volume = new(1000);
        let file = volume.create(ROOT, "f", Kind::File, 1, 1).unwrap();
        let data = content(requests as usize, 200_000);
        write(&mut volume, file, 0, &data).unwrap();
        volume.commit(2).unwrap();
        write(&mut volume, file, 100_000 / PAGE * PAGE, &data).unwrap();
        volume.disk().patience = Some(requests);
        let outcome = volume.commit(3);
        volume.disk().patience = None;
        if outcome.is_err() {
            assert!(volume.has_changes());
            // What either commit refers to is not overwritten in the meantime.
            write(&mut volume, file, 300_000 / PAGE * PAGE, &data).unwrap();
            volume.write_out().unwrap();
            let mut disk = volume.disk().clone();
            disk.cut_power(|| u64::MAX);
            let mut cut = Volume::mount(disk, OPTIONS).unwrap();
            assert_clean(&mut cut);
            assert!(read(&mut cut, file).unwrap().len() >= 200_000);
            volume.commit(4).unwrap();
        }
        assert_clean(&mut volume);
        let mut volume = Volume::mount(volume.into_disk(), OPTIONS).unwrap();
        assert_eq!(read(&mut volume, file).unwrap()[98_304..298_304], data);
    }
}

#[test]
fn a_file_that_was_only_open_is_gone_after_a_cut() {
    let mut volume = new(1000);
    let file = volume.create(ROOT, "f", Kind::File, 1, 1).unwrap();
    write(&mut volume, file, 0, &content(1, 100_000)).unwrap();
    volume.commit(2).unwrap();
    let used = volume.space().free_bytes;
    assert_eq!(volume.unlink(ROOT, "f", 3), Ok(file));
    volume.commit(3).unwrap();
    assert_eq!(read(&mut volume, file).unwrap().len(), 100_000, "it can still be read");
    assert_clean(&mut volume);
    let mut volume = Volume::mount(volume.into_disk(), OPTIONS).unwrap();
    assert_eq!(volume.inode(file), Err(Error::NotFound));
    volume.commit(4).unwrap();
    assert!(volume.space().free_bytes >= used + 100_000);
    assert_clean(&mut volume);
}

#[test]
fn what_is_no_volume_is_none() {
    for blocks in [0, 3, 255] {
        assert_eq!(find(&mut TestDisk::new(blocks)).unwrap(), None);
        assert_eq!(Volume::format(TestDisk::new(blocks), [0; 16], 1, OPTIONS).err(), Some(Error::NoSpace));
    }
    assert_eq!(Volume::mount(TestDisk::new(1000), OPTIONS).err(), Some(Error::NotFound));
    // A part of one is none either.
    let mut whole = new(1000).into_disk();
    let mut part = TestDisk::new(500);
    let mut block = [0; BLOCK_BYTES];
    for number in 0..500 {
        whole.read(number, &mut block).unwrap();
        part.write(number, &block).unwrap();
    }
    assert_eq!(find(&mut part).unwrap(), None);
}

#[test]
fn who_reads_on_asks_the_disk_for_much_at_once() {
    let options = Options { pages: 2048 };
    let mut volume = Volume::format(TestDisk::new(16_000), [1; 16], 1, options).unwrap();
    let file = volume.create(ROOT, "long", Kind::File, 1, 1).unwrap();
    let data = content(3, 20 << 20);
    write(&mut volume, file, 0, &data).unwrap();
    volume.commit(3).unwrap();
    for pages in [8192, 2048] {
        let mut volume = Volume::mount(volume.disk().clone(), Options { pages }).unwrap();
        let is_short = pages < 8192;
        if is_short {
            // What is given up for others lies all about then.
            for page in (0..5120).step_by(3) {
                volume.piece(file, page * PAGE, BLOCK_BYTES).unwrap();
            }
        }
        let before = volume.disk().counts.reads.0;
        for (at, piece) in (0..).step_by(1 << 20).zip(data.chunks(1 << 20)) {
            let mut read = Vec::new();
            while read.len() < piece.len() {
                let position = at + read.len() as u64;
                volume.fetch(file, position, ROW_PAGES * PAGE, ROW_PAGES * PAGE);
                read.extend_from_slice(volume.piece(file, position, piece.len() - read.len()).unwrap());
            }
            assert!(read == piece, "from {at} on");
        }
        let reads = volume.disk().counts.reads.0 - before;
        assert!(is_short || reads <= 2 * 20 + 8, "{reads} reads of 20 MiB");
    }
}
