//! Volumes against a map from paths to contents: whatever is done, in whatever order, with the power cut at any moment,
//! a volume holds what it should, and its check finds nothing.

use std::collections::BTreeMap;

use abi::Error;
use proptest::prelude::*;
use volume::testing::TestDisk;
use volume::{BLOCK_BYTES, Kind, Options, ROOT, Volume};

const PAGE: u64 = BLOCK_BYTES as u64;

/// A file: its size, and the pages that are not all zeros.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Content {
    size: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Content {
    fn write(&mut self, position: u64, bytes: &[u8]) {
        for (at, byte) in (position..).zip(bytes) {
            let page = self.pages.entry(at / PAGE).or_insert_with(|| vec![0; BLOCK_BYTES]);
            page[(at % PAGE) as usize] = *byte;
        }
        self.size = self.size.max(position + bytes.len() as u64);
        self.tidy();
    }

    fn set_size(&mut self, size: u64) {
        self.size = size;
        for (index, page) in &mut self.pages {
            let kept = size.saturating_sub(index * PAGE).min(PAGE) as usize;
            page[kept..].fill(0);
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        self.pages.retain(|_, page| page.iter().any(|byte| *byte != 0));
    }
}

/// What a volume should hold: none for a directory.
type State = BTreeMap<String, Option<Content>>;

#[derive(Clone, Debug)]
enum Step {
    Create(usize, bool),
    Write(usize, u64, usize, u8),
    SetSize(usize, u64),
    Rename(usize, usize),
    Remove(usize),
    WriteOut,
    Commit,
    /// A commit of which the disk takes but so many requests, and then a power cut.
    CutAt(u64, u64),
    Cut(u64),
}

/// Few names, so that they meet.
const NAMES: [&str; 12] =
    ["a", "b", "ä b", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/long-name-of-a-file", "f", "f/a", "g"];

fn positions() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..3 * PAGE,
        0..300 * PAGE,
        (0..4_u64).prop_map(|at| (1 << 33) + at * 77_777),
        Just((1 << 45) - 5)
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    prop_oneof![
        4 => (name.clone(), any::<bool>()).prop_map(|(name, kind)| Step::Create(name, kind)),
        8 => (name.clone(), positions(), 1..20_000_usize, any::<u8>()).prop_map(|(name, at, bytes, byte)| Step::Write(name, at, bytes, byte)),
        2 => (name.clone(), positions()).prop_map(|(name, size)| Step::SetSize(name, size)),
        2 => (name.clone(), name.clone()).prop_map(|(old, new)| Step::Rename(old, new)),
        2 => name.prop_map(Step::Remove),
        1 => Just(Step::WriteOut),
        2 => Just(Step::Commit),
        1 => (0..30_u64, any::<u64>()).prop_map(|(requests, seed)| Step::CutAt(requests, seed)),
        1 => any::<u64>().prop_map(Step::Cut),
    ]
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn object(volume: &mut Volume<TestDisk>, path: &str) -> Result<u32, Error> {
    let mut at = ROOT;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = volume.look_up(at, name.as_bytes())?;
    }
    Ok(at)
}

/// What a volume holds.
fn state_of(volume: &mut Volume<TestDisk>) -> State {
    let mut state = State::new();
    let mut due = vec![(ROOT, String::new())];
    while let Some((directory, path)) = due.pop() {
        let names = volume.names(directory).unwrap();
        assert_eq!(volume.inode(directory).unwrap().names as usize, names.len());
        for (name, object) in names {
            let path = if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
            let inode = volume.inode(object).unwrap();
            assert_eq!(inode.parent, directory);
            assert_eq!(volume.name_of(object).unwrap(), *name);
            if inode.kind == Kind::Directory {
                due.push((object, path.clone()));
                state.insert(path, None);
                continue;
            }
            let mut content = Content { size: inode.size, pages: BTreeMap::new() };
            // The whole of a small one, or some of each part that something may be in.
            let pages = inode.pages();
            let near = |page: u64| page.saturating_sub(2)..page + 80;
            let parts = [0..pages.min(400), near((1 << 33) / PAGE), near(((1 << 45) - 5) / PAGE)];
            for page in parts.into_iter().flatten().filter(|page| *page < pages) {
                volume.fetch(object, page * PAGE, 160 * PAGE, page % 2 * 160 * PAGE);
                let mut bytes = volume.piece(object, page * PAGE, BLOCK_BYTES).unwrap().to_vec();
                assert_eq!(bytes.len() as u64, (inode.size - page * PAGE).min(PAGE));
                bytes.resize(BLOCK_BYTES, 0);
                content.pages.insert(page, bytes);
            }
            content.tidy();
            state.insert(path, Some(content));
        }
    }
    state
}

struct Run {
    volume: Option<Volume<TestDisk>>,
    state: State,
    committed: State,
    now_ns: u64,
    options: Options,
}

impl Run {
    fn step(&mut self, step: &Step) {
        self.now_ns += 1;
        let now_ns = self.now_ns;
        let volume = self.volume.as_mut().unwrap();
        match *step {
            Step::Create(name, is_directory) => {
                let (parent, last) = split(NAMES[name]);
                let is_parent = parent.is_empty() || self.state.get(parent) == Some(&None);
                if is_parent && !self.state.contains_key(NAMES[name]) {
                    let directory = object(volume, parent).unwrap();
                    let kind = if is_directory { Kind::Directory } else { Kind::File };
                    volume.create(directory, last, kind, 7, now_ns).unwrap();
                    self.state.insert(NAMES[name].into(), (!is_directory).then(Content::default));
                }
            }
            Step::Write(name, position, bytes, byte) => {
                if let Some(Some(content)) = self.state.get_mut(NAMES[name]) {
                    let file = object(volume, NAMES[name]).unwrap();
                    let data: Vec<u8> = (0..bytes).map(|at| byte.wrapping_add((at / 97) as u8)).collect();
                    write(volume, file, position, &data, now_ns);
                    content.write(position, &data);
                }
            }
            Step::SetSize(name, size) => {
                if let Some(Some(content)) = self.state.get_mut(NAMES[name]) {
                    let file = object(volume, NAMES[name]).unwrap();
                    volume.set_size(file, size, now_ns).unwrap();
                    content.set_size(size);
                }
            }
            Step::Rename(old, new) => self.rename(NAMES[old], NAMES[new]),
            Step::Remove(name) => {
                let below = format!("{}/", NAMES[name]);
                let is_empty = !self.state.keys().any(|path| path.starts_with(&below));
                if is_empty && self.state.remove(NAMES[name]).is_some() {
                    let (parent, last) = split(NAMES[name]);
                    let directory = object(volume, parent).unwrap();
                    let gone = volume.unlink(directory, last, now_ns).unwrap();
                    volume.destroy(gone).unwrap();
                }
            }
            Step::WriteOut => volume.write_out().unwrap(),
            Step::Commit => {
                volume.commit(now_ns).unwrap();
                self.committed = self.state.clone();
                let report = volume.check().unwrap();
                assert!(report.is_clean(), "{:?}", report.findings);
            }
            Step::CutAt(requests, seed) => {
                volume.disk().patience = Some(requests);
                if volume.commit(now_ns).is_ok() {
                    self.committed = self.state.clone();
                }
                self.cut(seed, true);
            }
            Step::Cut(seed) => self.cut(seed, false),
        }
    }

    fn rename(&mut self, old: &str, new: &str) {
        let volume = self.volume.as_mut().unwrap();
        let (parent, last) = split(new);
        let is_parent = parent.is_empty() || self.state.get(parent) == Some(&None);
        let is_within = new == old || new.starts_with(&format!("{old}/"));
        let may_replace = match (self.state.get(old), self.state.get(new)) {
            (None, _) => false,
            (_, None) => true,
            (Some(old), Some(new)) => old.is_some() && new.is_some(),
        };
        if !is_parent || is_within || !may_replace {
            return;
        }
        let (old_parent, old_last) = split(old);
        let from = object(volume, old_parent).unwrap();
        let to = object(volume, parent).unwrap();
        if let Some(gone) = volume.rename((from, old_last), (to, last), self.now_ns).unwrap() {
            volume.destroy(gone).unwrap();
        }
        let below = format!("{old}/");
        let moved: Vec<String> =
            self.state.keys().filter(|path| *path == old || path.starts_with(&below)).cloned().collect();
        for path in moved {
            let content = self.state.remove(&path).unwrap();
            self.state.insert(format!("{new}{}", &path[old.len()..]), content);
        }
    }

    /// The power goes, and comes again. While a commit was under way, it may be there or not.
    fn cut(&mut self, seed: u64, was_committing: bool) {
        let mut disk = self.volume.take().unwrap().into_disk();
        let mut random = seed | 1;
        disk.cut_power(|| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        });
        let mut volume = Volume::mount(disk, self.options).unwrap();
        let found = state_of(&mut volume);
        if !(was_committing && found == self.state) {
            assert_eq!(found, self.committed, "what was committed is there and nothing else");
        }
        self.state = found.clone();
        self.committed = found;
        let report = volume.check().unwrap();
        assert!(report.is_clean(), "{:?}", report.findings);
        self.volume = Some(volume);
    }
}

fn write(volume: &mut Volume<TestDisk>, file: u32, position: u64, data: &[u8], now_ns: u64) {
    let mut done = 0;
    while done < data.len() {
        let at = position + done as u64;
        let begin = (at % PAGE) as usize;
        let count = (data.len() - done).min(BLOCK_BYTES - begin);
        let page = volume.page_to_change(file, at / PAGE, count == BLOCK_BYTES).unwrap();
        page[begin..begin + count].copy_from_slice(&data[done..done + count]);
        done += count;
        volume.note_written(file, position + done as u64, now_ns).unwrap();
        if volume.is_full_of_changes() {
            volume.write_out().unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_volume_holds_what_it_should(
        steps in prop::collection::vec(steps(), 1..60),
        // In little memory pages have to go all the time; in more, much is read at once.
        pages in prop_oneof![Just(64), Just(1100)],
    ) {
        let options = Options { pages };
        let disk = TestDisk::new(40_000);
        let volume = Volume::format(disk, [7; 16], 1, options).unwrap();
        let (state, committed) = (State::new(), State::new());
        let mut run = Run { volume: Some(volume), state, committed, now_ns: 1, options };
        for step in &steps {
            run.step(step);
        }
        let volume = run.volume.as_mut().unwrap();
        prop_assert_eq!(state_of(volume), run.state.clone());
        volume.commit(9).unwrap();
        run.committed = run.state.clone();
        run.cut(1, false);
        // What was used is free when all is gone.
        let volume = run.volume.as_mut().unwrap();
        let names: Vec<String> = run.state.keys().rev().cloned().collect();
        for path in names {
            let (parent, last) = split(&path);
            let directory = object(volume, parent).unwrap();
            let gone = volume.unlink(directory, last, 10).unwrap();
            volume.destroy(gone).unwrap();
        }
        volume.set_size(ROOT, 0, 10).unwrap();
        volume.commit(11).unwrap();
        let report = volume.check().unwrap();
        prop_assert!(report.is_clean(), "{:?}", report.findings);
        // Superblocks, the map with what is above it, the table.
        prop_assert!(report.used <= 4 + 3 + 2, "{} blocks are still used", report.used);
    }
}
