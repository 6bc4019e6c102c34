//! `chmod`: who may read and write files.

use alloc::format;
use alloc::vec::Vec;

use crate::file;
use abi::Error;
use protocols::permissions::{Permissions, READ, WRITE};

use super::each::{RECURSIVE, each};
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "chmod",
        synopsis: "[-R] MODE NAME...",
        summary: "Says who may read and write files: their owner, and others.",
        details: "MODE is octal, as 644 or 600: 4 is to read, 2 to write, first for the owner, last for others. Or it is\n\
                  u (owner), o (others) or a (both), then + - or =, then r and w, as u+w, o-r, a=r, go-rwx, u=rw,o=.\n\
                  Nobody is in a group, so the digit between and g mean nothing; nor do 1 and x, since what can be\n\
                  read can be run. Who may read a directory may list it, who may write it makes and removes names\n\
                  there. Files that are open stay so. 'ls -l' shows it.",
        choices: &[RECURSIVE],
        operands: (2, MANY),
    },
    body: chmod,
};

fn chmod(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let [mode, names @ ..] = &arguments.operands[..] else { return Ok(()) };
    let changes =
        parse(mode).ok_or_else(|| Misuse(format!("'{mode}' is no mode, such as 644, u+w or go-rw")))?;
    each(names, arguments.has("recursive"), context, &|name, metadata| {
        let old = metadata.permissions().ok_or(Error::NotSupported)?;
        let new = Permissions::from_bits(changed(old.bits(), &changes)).ok_or(Error::BadArgument)?;
        file::set_permissions(name, new)
    });
    Ok(())
}

/// Bits of permissions that are taken, and then those that are given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Change {
    taken: u32,
    given: u32,
}

/// What changes make of bits, one after the other.
fn changed(old: u32, changes: &[Change]) -> u32 {
    changes.iter().fold(old, |bits, change| bits & !change.taken | change.given)
}

const ALL: u32 = Permissions::EVERYTHING.bits();

/// What a mode says, in order.
fn parse(mode: &str) -> Option<Vec<Change>> {
    if mode.starts_with(|letter: char| letter.is_ascii_digit()) {
        let octal = u32::from_str_radix(mode, 8).ok().filter(|number| *number <= 0o777)?;
        return Some([Change { taken: ALL, given: (octal >> 3 & 0o70 | octal & 0o7) & ALL }].into());
    }
    let mut changes = Vec::new();
    for clause in mode.split(',') {
        let (who, mut rest) = clause.split_at(clause.find(['+', '-', '='])?);
        let whose = who.chars().try_fold(0, |whose, letter| match letter {
            'u' => Some(whose | 0o70),
            'o' => Some(whose | 0o7),
            'a' => Some(whose | 0o77),
            'g' => Some(whose),
            _ => None,
        })?;
        let whose = if who.is_empty() { ALL } else { whose & ALL };
        while let Some(sign) = rest.chars().next() {
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
            let what = rest[1..end].chars().try_fold(0, |what, letter| match letter {
                'r' => Some(what | READ << 3 | READ),
                'w' => Some(what | WRITE << 3 | WRITE),
                'x' => Some(what),
                _ => None,
            })?;
            let bits = what & whose;
            changes.push(match sign {
                '+' => Change { taken: 0, given: bits },
                '-' => Change { taken: bits, given: 0 },
                _ => Change { taken: whose, given: bits },
            });
            rest = &rest[end..];
        }
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_or_of_letters() {
        for (old, mode, new) in [
            (0o66, "644", 0o64),
            (0o66, "0600", 0o60),
            (0o64, "755", 0o64),
            (0o64, "777", 0o66),
            (0o64, "660", 0o60),
            (0o64, "0", 0),
            (0o64, "6", 0o06),
            (0o64, "u-w", 0o44),
            (0o44, "u+w", 0o64),
            (0o64, "o-r", 0o60),
            (0o66, "a=r", 0o44),
            (0o66, "go-rwx", 0o60),
            (0o64, "g+w", 0o64),
            (0o64, "g=", 0o64),
            (0o44, "+w", 0o66),
            (0o66, "=", 0),
            (0o64, "u=rw,o=", 0o60),
            (0o00, "u+r-w,o+w", 0o42),
            (0o64, "a+x", 0o64),
            (0o64, "u=w+r", 0o64),
        ] {
            assert_eq!(parse(mode).map(|changes| changed(old, &changes)), Some(new), "{mode}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for mode in [
            "", "8", "1000", "7777", "64x", "u", "rw", "u+q", "z+r", "u+r,", ",u+r", "u+s", "u=o", "+ä", "-1",
        ] {
            assert_eq!(parse(mode), None, "{mode}");
        }
    }
}
