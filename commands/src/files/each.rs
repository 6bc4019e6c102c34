//! What is done to files, and with `-R` to all that is in directories.

use alloc::string::String;
use alloc::vec::Vec;

use crate::file::{self, Metadata};
use abi::Error;

use super::path;
use crate::context::Context;
use crate::usage::Choice;

/// The option that asks for what is below directories as well.
pub const RECURSIVE: Choice =
    Choice { letter: 'R', long: "recursive", value: None, help: "Directories with all that is in them." };

/// Does something to each of the names, and if `recursive` to all below those that are directories, however deep. Complains of
/// those where that fails, and goes on.
pub fn each(
    names: &[String],
    recursive: bool,
    context: &mut Context<'_>,
    change: &dyn Fn(&str, &Metadata) -> Result<(), Error>,
) {
    let mut to_do: Vec<String> = names.iter().rev().cloned().collect();
    while let Some(name) = to_do.pop() {
        match change_one(&name, recursive, change, &mut to_do) {
            Err(Error::NotSupported) => {
                context.complain(&name, "it has no permissions or owner that could be set");
            }
            Err(error) => context.complain(&name, error),
            Ok(()) => {}
        }
    }
}

/// What is below goes to `to_do`. Whether the directory may be listed counts before or after it is changed.
fn change_one(
    name: &str,
    recursive: bool,
    change: &dyn Fn(&str, &Metadata) -> Result<(), Error>,
    to_do: &mut Vec<String>,
) -> Result<(), Error> {
    let metadata = file::metadata(name)?;
    let listed = (recursive && metadata.is_directory()).then(|| file::read_directory(name));
    change(name, &metadata)?;
    if let Some(listed) = listed {
        let entries = listed.or_else(|_| file::read_directory(name))?;
        to_do.extend(entries.iter().rev().map(|entry| path::join(name, &entry.name)));
    }
    Ok(())
}
