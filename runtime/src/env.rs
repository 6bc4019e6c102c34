//! What the program was started with: its arguments and its environment.
//!
//! ```no_run
//! let name = v::env::arguments().next().unwrap_or("nameless");
//! let home = v::env::variable("HOME");
//! ```

use alloc_crate::borrow::ToOwned;
use alloc_crate::collections::BTreeMap;
use alloc_crate::string::String;
use alloc_crate::vec::Vec;

use abi::Error;
use protocols::program::{Entry, entries_of, entry_kind};

use crate::entry::start_block;
use crate::sync::Mutex;

/// The arguments; the first is the program's own name.
pub fn arguments() -> impl Iterator<Item = &'static str> + Clone {
    entries_of(start_block(), entry_kind::ARGUMENT).filter_map(|entry| match entry {
        Entry::Argument(argument) => Some(argument),
        _ => None,
    })
}

/// The program's own name, as it was called.
pub fn program_name() -> &'static str {
    arguments().next().unwrap_or("")
}

/// What the program has changed: a value, or none for a variable taken away.
static CHANGES: Mutex<BTreeMap<String, Option<String>>> = Mutex::new(BTreeMap::new());

/// The value of a variable.
pub fn variable(name: &str) -> Option<String> {
    if let Some(change) = CHANGES.lock().get(name) {
        return change.clone();
    }
    inherited(start_block()).find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// Every variable with its value, sorted by name.
pub fn variables() -> Vec<(String, String)> {
    merge(inherited(start_block()), &CHANGES.lock())
}

/// The variables as this program got them, `NAME=value`, if it has changed none.
pub(crate) fn unchanged() -> Option<impl Iterator<Item = &'static str>> {
    let entries = entries_of(start_block(), entry_kind::VARIABLE);
    CHANGES.lock().is_empty().then_some(entries.filter_map(|entry| match entry {
        Entry::Variable(text) => Some(text),
        _ => None,
    }))
}

/// Sets a variable, for this program and those that it starts. [`BadName`](Error::BadName) if the name is empty or
/// has `=` or a zero character in it.
pub fn set_variable(name: &str, value: &str) -> Result<(), Error> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Error::BadName);
    }
    CHANGES.lock().insert(name.to_owned(), Some(value.to_owned()));
    Ok(())
}

/// Takes a variable away.
pub fn remove_variable(name: &str) {
    CHANGES.lock().insert(name.to_owned(), None);
}

/// Names and values in a start block.
fn inherited(block: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    entries_of(block, entry_kind::VARIABLE).filter_map(|entry| match entry {
        Entry::Variable(text) => text.split_once('='),
        _ => None,
    })
}

fn merge<'a>(
    inherited: impl Iterator<Item = (&'a str, &'a str)>,
    changes: &BTreeMap<String, Option<String>>,
) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in inherited {
        // Of two of the same name the first counts, as in `variable`.
        all.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    for (name, change) in changes {
        match change {
            Some(value) => drop(all.insert(name.clone(), value.clone())),
            None => drop(all.remove(name)),
        }
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_cover_what_was_inherited() {
        let mut block = Vec::new();
        for text in ["A=1", "B=two=2", "no equals sign", "A=later", "C="] {
            Entry::Variable(text).append(&mut block);
        }
        let changes = BTreeMap::from([
            ("B".to_owned(), None),
            ("C".to_owned(), Some("3".to_owned())),
            ("D".to_owned(), Some(String::new())),
        ]);
        let pairs = |changes: &BTreeMap<_, _>| {
            let all = merge(inherited(&block), changes);
            all.iter().map(|(name, value)| alloc_crate::format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(pairs(&BTreeMap::new()), ["A=1", "B=two=2", "C="]);
        assert_eq!(pairs(&changes), ["A=1", "C=3", "D="]);
    }

    #[test]
    fn names_of_variables_are_checked() {
        assert_eq!(set_variable("", "x"), Err(Error::BadName));
        assert_eq!(set_variable("a=b", "x"), Err(Error::BadName));
    }
}
