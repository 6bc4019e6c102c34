//! Any sequence of operations leaves the server in the state of a model: a map from paths to contents.

extern crate std;
use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use abi::Error;
use proptest::prelude::*;
use protocols::io::mode;
use protocols::names::kind;

use crate::Quota;
use crate::quota::Holding;
use crate::tests::Files;

#[derive(Clone, Debug)]
enum Operation {
    Write { path: String, position: u16, bytes: u16, value: u8 },
    SetSize { path: String, size: u16 },
    Remove(String),
    CreateDirectory(String),
    Rename(String, String),
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
    ]
}

/// Every object by its path; a directory has no content.
type Model = BTreeMap<String, Option<Vec<u8>>>;

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
            let content = model.entry(path.clone()).or_insert_with(|| Some(Vec::new()));
            let content = content.as_mut().ok_or(Error::IsADirectory)?;
            let (begin, end) = (usize::from(*position), usize::from(*position) + usize::from(*bytes));
            content.resize(content.len().max(end), 0);
            content[begin..end].fill(*value);
        }
        Operation::SetSize { path, size } => {
            check_parent(model, path)?;
            let content = model.get_mut(path).ok_or(Error::NotFound)?;
            let content = content.as_mut().ok_or(Error::IsADirectory)?;
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
            found.insert(path, Some(content));
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
        for operation in &operations {
            let expected = apply_to_model(&mut model, operation);
            prop_assert_eq!(apply_to_server(&mut files, operation), expected, "{:?}", operation);
        }
        let mut found = Model::new();
        everything(&mut files, "", &mut found);
        prop_assert!(found == model, "the contents differ");
        prop_assert_eq!(files.usage().objects as usize, model.len());

        // Taken away again, deepest first, everything is as it was at the beginning.
        for path in model.keys().rev() {
            files.remove(path).unwrap();
        }
        prop_assert_eq!(files.usage(), Holding::default());
        prop_assert_eq!(files.server.service.tree().usage.total(), Holding::default());
    }
}
