//! Any sequence of operations leaves the server in the state of a model: a map from paths to contents. What the kernel has
//! of pages meanwhile is what the files have, and what others write there, the files have too.

extern crate std;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::format;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use abi::{Access, Error};
use io_server::testing::KernelPage;
use proptest::prelude::*;
use protocols::io::mode;
use protocols::names::kind;

use crate::Quota;
use crate::quota::Holding;
use crate::tests::{Files, USER};

#[derive(Clone, Debug)]
enum Operation {
    Write {
        path: String,
        position: u16,
        bytes: u16,
        value: u8,
    },
    SetSize {
        path: String,
        size: u16,
    },
    Remove(String),
    CreateDirectory(String),
    Rename(String, String),
    /// Opens it to be mapped, for writing or not.
    Map {
        path: String,
        writes: bool,
    },
    /// Touches a page of what is mapped, the how manieth that is, and writes a byte there if that may be.
    Touch {
        mapped: usize,
        page: u8,
        at: u16,
        value: u8,
    },
    /// Closes what is mapped.
    Unmap(usize),
}

/// Paths of up to three components out of three names, so that operations meet.
fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&["a", "b", "c"][..]), 1..4).prop_map(|names| names.join("/"))
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (path(), 0..20_000u16, 1..9_000u16, any::<u8>())
            .prop_map(|(path, position, bytes, value)| Operation::Write { path, position, bytes, value }),
        2 => (path(), 0..20_000u16).prop_map(|(path, size)| Operation::SetSize { path, size }),
        2 => path().prop_map(Operation::Remove),
        4 => path().prop_map(Operation::CreateDirectory),
        3 => (path(), path()).prop_map(|(old, new)| Operation::Rename(old, new)),
        2 => (path(), any::<bool>()).prop_map(|(path, writes)| Operation::Map { path, writes }),
        6 => (any::<usize>(), 0..8u8, 0..4096u16, any::<u8>())
            .prop_map(|(mapped, page, at, value)| Operation::Touch { mapped, page, at, value }),
        1 => any::<usize>().prop_map(Operation::Unmap),
    ]
}

/// A file's content, whatever its name is, and whether it has one.
type Shared = Rc<RefCell<Vec<u8>>>;

/// Every object by its path; a directory has no content.
type Model = BTreeMap<String, Option<Shared>>;

/// What is mapped: the instance, its content, and whether it is for writing.
type Mapped = Vec<(u32, Shared, bool)>;

/// What must be so for something to be made at `path`.
fn check_parent(model: &Model, path: &str) -> Result<(), Error> {
    let mut walked = String::new();
    let (parents, _) = path.rsplit_once('/').unwrap_or(("", path));
    for name in parents.split('/').filter(|name| !name.is_empty()) {
        if !walked.is_empty() {
            walked.push('/');
        }
        walked.push_str(name);
        match model.get(&walked) {
            None => return Err(Error::NotFound),
            Some(Some(_)) => return Err(Error::NotADirectory),
            Some(None) => {}
        }
    }
    Ok(())
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

fn apply_to_model(model: &mut Model, operation: &Operation) -> Result<(), Error> {
    match operation {
        Operation::Write { path, position, bytes, value } => {
            check_parent(model, path)?;
            let content = model.entry(path.clone()).or_insert_with(|| Some(Shared::default()));
            let mut content = content.as_ref().ok_or(Error::IsADirectory)?.borrow_mut();
            let (begin, end) = (usize::from(*position), usize::from(*position) + usize::from(*bytes));
            let bytes = content.len().max(end);
            content.resize(bytes, 0);
            content[begin..end].fill(*value);
        }
        Operation::SetSize { path, size } => {
            check_parent(model, path)?;
            let content = model.get(path).ok_or(Error::NotFound)?;
            let mut content = content.as_ref().ok_or(Error::IsADirectory)?.borrow_mut();
            content.resize(usize::from(*size), 0);
        }
        Operation::Remove(path) => {
            check_parent(model, path)?;
            if !model.contains_key(path) {
                return Err(Error::NotFound);
            }
            if model.keys().any(|other| is_below(other, path)) {
                return Err(Error::DirectoryNotEmpty);
            }
            model.remove(path);
        }
        Operation::CreateDirectory(path) => {
            check_parent(model, path)?;
            if model.contains_key(path) {
                return Err(Error::AlreadyExists);
            }
            model.insert(path.clone(), None);
        }
        Operation::Rename(old, new) => {
            check_parent(model, old)?;
            check_parent(model, new)?;
            let moved = model.get(old).ok_or(Error::NotFound)?;
            if is_below(new, old) {
                return Err(Error::BadArgument);
            }
            if old == new {
                return Ok(());
            }
            match (moved, model.get(new)) {
                (_, None) | (Some(_), Some(Some(_))) => {}
                (None, Some(Some(_))) => return Err(Error::NotADirectory),
                (Some(_), Some(None)) => return Err(Error::IsADirectory),
                (None, Some(None)) => return Err(Error::AlreadyExists),
            }
            let keys: Vec<String> =
                model.keys().filter(|path| *path == old || is_below(path, old)).cloned().collect();
            for key in keys {
                let content = model.remove(&key).unwrap();
                model.insert(format!("{new}{}", &key[old.len()..]), content);
            }
        }
        Operation::Map { path, .. } => {
            check_parent(model, path)?;
            model.get(path).ok_or(Error::NotFound)?.as_ref().ok_or(Error::IsADirectory)?;
        }
        Operation::Touch { .. } | Operation::Unmap(_) => {}
    }
    Ok(())
}

fn apply_to_server(files: &mut Files, operation: &Operation) -> Result<(), Error> {
    match operation {
        Operation::Write { path, position, bytes, value } => {
            let file = files.open(path, mode::WRITE | mode::CREATE)?;
            let data = std::vec![*value; usize::from(*bytes)];
            let written = files.write(file, u64::from(*position), &data);
            files.close(file);
            written.map(drop)
        }
        Operation::SetSize { path, size } => {
            let file = files.open(path, mode::WRITE)?;
            let set = files.set_size(file, u64::from(*size));
            files.close(file);
            set
        }
        Operation::Remove(path) => files.remove(path),
        Operation::CreateDirectory(path) => files.make_directory(path),
        Operation::Rename(old, new) => files.rename(old, new),
        Operation::Map { .. } | Operation::Touch { .. } | Operation::Unmap(_) => Ok(()),
    }
}

/// What others than the server's clients do.
fn map(files: &mut Files, operation: &Operation, model: &Model, mapped: &mut Mapped) -> Result<(), Error> {
    match operation {
        Operation::Map { path, writes } => {
            let mode = if *writes { mode::READ | mode::WRITE } else { mode::READ };
            let instance = files.open(path, mode)?;
            mapped.push((instance, model[path].clone().unwrap(), *writes));
        }
        Operation::Touch { mapped: which, page, at, value } if !mapped.is_empty() => {
            let (instance, content, writes) = &mapped[which % mapped.len()];
            let place = (*instance, u64::from(*page));
            let page = files.system.want_page(&mut files.server, USER, place).unwrap();
            if let KernelPage::Lent { address, access } = *page {
                assert_eq!(access.contains(Access::WRITE), *writes);
                if *writes {
                    files.server.service.page_at(address).unwrap()[usize::from(*at)] = *value;
                    let at = place.1 as usize * 4096 + usize::from(*at);
                    // What is behind the end is nobody's.
                    content.borrow_mut().get_mut(at).into_iter().for_each(|byte| *byte = *value);
                }
            } else if let KernelPage::Own(_) = page {
                let is_behind = place.1 as usize * 4096 >= content.borrow().len();
                assert!(!*writes || is_behind, "a page that may be written is there");
            }
        }
        Operation::Unmap(which) if !mapped.is_empty() => {
            let (instance, ..) = mapped.swap_remove(which % mapped.len());
            files.close(instance);
            files.system.pages.retain(|(other, _), _| *other != instance);
        }
        _ => {}
    }
    Ok(())
}

/// What the kernel has is what the files have.
fn check_pages(files: &mut Files, mapped: &Mapped) {
    for ((instance, page), held) in &files.system.pages {
        let (_, content, _) = mapped.iter().find(|(other, ..)| other == instance).unwrap();
        let content = content.borrow();
        let rest = content.get(*page as usize * 4096..).unwrap_or_default();
        let rest = &rest[..rest.len().min(4096)];
        match held {
            KernelPage::Lent { address, .. } => {
                let lent =
                    files.server.service.page_at(*address).expect("a page that was lent is its file's");
                assert!(lent[..rest.len()] == *rest, "page {page} of {instance}");
            }
            KernelPage::Own(copy) => {
                assert!(copy[..rest.len()] == *rest, "the copy of page {page} of {instance}");
                assert!(copy[rest.len()..].iter().all(|byte| *byte == 0));
            }
            KernelPage::Kept(_) => {
                panic!("page {page} of {instance} is its file's no more, and was not revoked")
            }
        }
    }
}

/// Everything in the server, as the model has it.
fn everything(files: &mut Files, directory: &str, found: &mut Model) {
    for (name, entry_kind, _) in files.list(directory).unwrap() {
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        if entry_kind == kind::DIRECTORY {
            found.insert(path.clone(), None);
            everything(files, &path, found);
        } else {
            let content = files.content(&path).unwrap();
            found.insert(path, Some(Rc::new(RefCell::new(content))));
        }
    }
}

const PLENTY: Quota =
    Quota { user_bytes: 1 << 30, user_objects: 1000, total_bytes: 1 << 30, total_objects: 1000 };

proptest! {
    #[test]
    fn the_server_does_what_the_model_does(operations in prop::collection::vec(operation(), 0..60)) {
        let mut files = Files::new(PLENTY);
        let mut model = Model::new();
        let mut mapped = Mapped::new();
        for operation in &operations {
            let expected = apply_to_model(&mut model, operation);
            let done = apply_to_server(&mut files, operation);
            let done = done.and_then(|()| map(&mut files, operation, &model, &mut mapped));
            prop_assert_eq!(done, expected, "{:?}", operation);
            check_pages(&mut files, &mapped);
            if let Operation::Unmap(_) = operation {
                files.server.tick(&mut files.system);
            }
        }
        let mut found = Model::new();
        everything(&mut files, "", &mut found);
        prop_assert!(found == model, "the contents differ");
        for (instance, ..) in mapped.drain(..) {
            files.close(instance);
        }
        prop_assert_eq!(files.usage().objects as usize, model.len());

        // Taken away again, deepest first, everything is as it was at the beginning.
        for path in model.keys().rev() {
            files.remove(path).unwrap();
        }
        prop_assert_eq!(files.usage(), Holding::default());
        prop_assert_eq!(files.server.service.tree().usage.total(), Holding::default());
        prop_assert_eq!(files.server.service.tree().pool.used(), 0);
    }
}
