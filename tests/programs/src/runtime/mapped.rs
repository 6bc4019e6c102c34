//! Files as memory.

use core::sync::atomic::Ordering;

use test_programs::{ensure, ensure_equal, must};
use v::abi::PAGE_BYTES;
use v::abi::kernel::record::StatisticsRecord;
use v::abi::kernel::{self, statistics};
use v::file::{self, File};
use v::io::standard_stream;
use v::memory::{self, MappedFile, Mapping, map_file};
use v::pipe::pipe;
use v::prelude::*;
use v::protocols::io::mode;
use v::sync::Mutex;

use crate::programs::this;

const PAGE: usize = PAGE_BYTES as usize;
const NAME: &str = "[tmp]test-runtime-mapped";
/// So often parent and child pass a word to each other.
const ROUNDS: u64 = 200;

pub fn mapped() -> Result<(), String> {
    let mut content: Vec<u8> = (0..2 * PAGE + 100).map(|at| (at / 5) as u8).collect();
    must("write", file::write(NAME, &content))?;
    let read_only = must("map", map_file(NAME, Mapping::ReadOnly))?;
    let private = must("map", map_file(NAME, Mapping::PrivateCopy))?;
    ensure_equal!(read_only.len(), content.len());
    let mut bytes = vec![0; content.len() - 3];
    must("read", read_only.read_at(3, &mut bytes))?;
    ensure!(bytes == content[3..]);
    ensure_equal!(read_only.read_at(content.len() - 1, &mut [0; 2]), Err(Error::EndOfFile));
    ensure_equal!(read_only.read_at(usize::MAX, &mut [0; 2]), Err(Error::EndOfFile));
    ensure_equal!(read_only.write_at(0, b"x"), Err(Error::ReadOnly));
    ensure_equal!(read_only.atomics().map(<[_]>::len), Err(Error::ReadOnly));

    must("write", private.write_at(PAGE - 2, b"mine"))?;
    let mut four = [0; 4];
    must("read", private.read_at(PAGE - 2, &mut four))?;
    ensure_equal!(&four, b"mine");
    must("flush", private.flush())?;
    drop((private, read_only));
    ensure!(must("read", file::read(NAME))? == content);

    let shared = must("map", map_file(NAME, Mapping::Shared))?;
    must("write", shared.write_at(2 * PAGE - 3, b"everyone's"))?;
    ensure_equal!(shared.atomics().map(<[_]>::len), Ok(content.len() / 8));
    let (region, binding) = must("query", memory::query_region(v::Pid::NONE, shared.address()))?;
    ensure_equal!((region.pages, binding.instance), (3, u64::from(shared.file().instance().number)));
    drop(must("close", shared.close())?);
    content[2 * PAGE - 3..][..10].copy_from_slice(b"everyone's");
    ensure!(must("read", file::read(NAME))? == content);
    must("remove", file::remove(NAME))
}

pub fn not_mappable() -> Result<(), String> {
    must("write", file::write(NAME, []))?;
    let map = |name| map_file(name, Mapping::ReadOnly).map(|mapped| mapped.len());
    ensure_equal!(map(NAME), Err(Error::EndOfFile));
    ensure_equal!(map("[null]"), Err(Error::NotSupported));
    ensure!(map("[tmp]").is_err());
    ensure_equal!(map("[tmp]no such file"), Err(Error::NotFound));
    must("write", file::write(NAME, [7; 5000]))?;
    let piece = |modes, position, bytes, mapping| {
        let file = File::open_with(NAME, modes)?;
        MappedFile::new(file, position, bytes, mapping).map(|mapped| mapped.len())
    };
    ensure_equal!(piece(mode::READ, 4096, 904, Mapping::ReadOnly), Ok(904));
    ensure_equal!(piece(mode::READ, 4096, 905, Mapping::ReadOnly), Err(Error::EndOfFile));
    ensure_equal!(piece(mode::READ, 0, 0, Mapping::ReadOnly), Err(Error::EndOfFile));
    ensure_equal!(piece(mode::READ, 100, 10, Mapping::ReadOnly), Err(Error::BadArgument));
    ensure_equal!(piece(mode::READ, u64::MAX - 4095, 5000, Mapping::ReadOnly), Err(Error::EndOfFile));
    ensure_equal!(piece(mode::READ, 0, 10, Mapping::Shared), Err(Error::NotWritable));
    ensure_equal!(piece(mode::WRITE, 0, 10, Mapping::ReadOnly), Err(Error::NotReadable));
    must("remove", file::remove(NAME))
}

/// Parent and child see what the other writes: the child has the parent's open file as its standard input.
pub fn shared() -> Result<(), String> {
    must("write", file::write(NAME, [0; PAGE]))?;
    let file = must("open", File::open_with(NAME, mode::READ | mode::WRITE))?;
    let mut child = must("start", this(&["answer"]).stdin(&file).start())?;
    let mapped = must("map", MappedFile::new(file, 0, PAGE, Mapping::Shared))?;
    let words = must("words", mapped.atomics())?;
    for round in 1..=ROUNDS {
        words[0].store(round, Ordering::Release);
        while words[1].load(Ordering::Acquire) != round {
            if let Some(status) = must("wait", child.try_wait())? {
                return Err(format!("the child ended in round {round} with status {}", status.code));
            }
            must("yield", v::time::sleep(v::time::Duration::from_micros(100)))?;
        }
    }
    ensure_equal!(must("wait", child.wait())?.code, 0);
    drop(mapped);
    let content = must("read", file::read(NAME))?;
    ensure_equal!(content[..16], [ROUNDS.to_le_bytes(), ROUNDS.to_le_bytes()].concat());
    must("remove", file::remove(NAME))
}

/// The child of [`shared`].
pub fn answer() -> Result<(), Error> {
    let file = File::from_instance(standard_stream(0).ok_or(Error::NotReadable)?);
    let mapped = MappedFile::new(file, 0, PAGE, Mapping::Shared)?;
    let words = mapped.atomics()?;
    for round in 1..=ROUNDS {
        while words[0].load(Ordering::Acquire) != round {
            v::time::sleep(v::time::Duration::from_micros(100))?;
        }
        words[1].store(round, Ordering::Release);
    }
    Ok(())
}

/// Data of the program that nothing has touched yet: pages of its file, which may be on another node.
static UNTOUCHED: Mutex<[u8; 8 * PAGE]> = Mutex::new([9; 8 * PAGE]);

/// A reply into a page that is not there is refused, and the runtime sees to it that it is there.
pub fn untouched_buffers() -> Result<(), String> {
    must("write", file::write(NAME, [5; 2 * PAGE]))?;
    let file = must("open", File::open(NAME))?;
    let mut buffer = UNTOUCHED.lock();
    let (first, second) = buffer[PAGE..].split_at_mut(3 * PAGE);
    ensure_equal!(file.read_at(0, &mut first[..2 * PAGE]), Ok(2 * PAGE));
    ensure!(first[..2 * PAGE] == [5; 2 * PAGE]);
    let (mut reader, mut writer) = must("pipe", pipe())?;
    must("write", writer.write_all(&[6; 1000]))?;
    ensure_equal!(reader.read(&mut second[..2 * PAGE]), Ok(1000));
    ensure!(second[..1000] == [6; 1000]);
    ensure!(second[1000..] == [9; 4 * PAGE][1000..]);
    must("remove", file::remove(NAME))
}

fn statistics() -> Result<StatisticsRecord, Error> {
    let mut record = [0; StatisticsRecord::BYTES];
    let server = kernel::server(kernel::STATISTICS);
    call(server, &statistics::QueryStatistics {}, Segment::Write(&mut record))?;
    Ok(StatisticsRecord::from_bytes(&record))
}

/// When the kernel has given up the pages of what nothing is bound to any more.
fn settled_statistics() -> Result<StatisticsRecord, Error> {
    v::time::sleep(v::time::Duration::from_millis(200))?;
    statistics()
}

pub fn comes_and_goes() -> Result<(), String> {
    must("write", file::write(NAME, [1; 4 * PAGE]))?;
    let round = |count: usize| {
        let mapping = [Mapping::ReadOnly, Mapping::PrivateCopy, Mapping::Shared][count % 3];
        let mapped = map_file(NAME, mapping)?;
        for page in 0..4 {
            mapped.read_at(page * PAGE, &mut [0])?;
            if mapping != Mapping::ReadOnly {
                mapped.write_at(page * PAGE, &[count as u8])?;
            }
        }
        Ok::<(), Error>(())
    };
    (0..30).try_for_each(round).map_err(|error| format!("at first: {error}"))?;
    let before = must("statistics", settled_statistics())?;
    (0..3000).try_for_each(round).map_err(|error| format!("later: {error}"))?;
    let after = must("statistics", settled_statistics())?;
    ensure_equal!((after.regions, after.processes), (before.regions, before.processes));
    ensure_equal!((after.cached_frames, after.dirty_frames), (before.cached_frames, before.dirty_frames));
    // Others run as well.
    ensure!(after.free_frames + 64 >= before.free_frames);
    must("remove", file::remove(NAME))
}
