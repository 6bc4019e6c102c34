//! `df`: how much room file servers have.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use abi::Error;
use protocols::names::names::SpaceQueried;
use v::file;

use super::size::Shown;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::json;
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "df",
        synopsis: "[-bh] [--json] [DIRECTORY...]",
        summary: "Shows how much room there is for files.",
        details: "Without DIRECTORY it asks the server of each prefix. Sizes are in KiB, rounded up. AVAILABLE is what\n\
                  this user may still take. JSON has sizes in bytes.",
        choices: &[
            Choice { letter: 'b', long: "bytes", value: None, help: "Sizes in bytes." },
            Choice { letter: 'h', long: "human", value: None, help: "Sizes as 1.5M." },
            json::OPTION,
        ],
        operands: (0, MANY),
    },
    body: df,
};

fn df(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let mut spaces: Vec<(String, SpaceQueried)> = Vec::new();
    if arguments.operands.is_empty() {
        let own = v::name::prefixes().into_iter().map(|binding| binding.prefix);
        let global = v::name::global_prefixes().map_err(|error| failed("naming", error))?;
        let names: BTreeSet<String> = own.chain(global.into_iter().map(|(name, ..)| name)).collect();
        for name in names {
            let name = format!("[{name}]");
            match file::space(&name) {
                Ok(space) => spaces.push((name, space)),
                // Most servers keep no files, and some have no directories.
                Err(Error::NotSupported | Error::BadRequest | Error::NotADirectory) => {}
                Err(error) => context.complain(&name, error),
            }
        }
    }
    for name in &arguments.operands {
        match file::space(name) {
            Ok(space) => spaces.push((name.clone(), space)),
            Err(Error::NotSupported | Error::BadRequest) => context.complain(name, "no files are kept there"),
            Err(error) => context.complain(name, error),
        }
    }
    let text = if arguments.has("json") { objects(&spaces) } else { table(&spaces, Shown::of(arguments)) };
    Ok(context.output.write_all(text.as_bytes())?)
}

const fn used_bytes(space: &SpaceQueried) -> u64 {
    space.total_bytes.saturating_sub(space.free_bytes)
}

fn table(spaces: &[(String, SpaceQueried)], shown: Shown) -> String {
    if spaces.is_empty() {
        return String::new();
    }
    let mut text =
        format!("{:<16} {:>10} {:>10} {:>10} {:>6}\n", "NAME", "SIZE", "USED", "AVAILABLE", "USED-%");
    for (name, space) in spaces {
        let (total, used) = (space.total_bytes, used_bytes(space));
        let percent = (u128::from(used) * 100).div_ceil(u128::from(total.max(1)));
        // A string takes whatever is written to it.
        let _ = writeln!(
            text,
            "{name:<16} {:>10} {:>10} {:>10} {percent:>6}",
            shown.size(total),
            shown.size(used),
            shown.size(space.available_bytes)
        );
    }
    text
}

fn objects(spaces: &[(String, SpaceQueried)]) -> String {
    let objects = spaces.iter().map(|(name, space)| {
        json::Object::new()
            .text("name", name)
            .number("total_bytes", space.total_bytes)
            .number("used_bytes", used_bytes(space))
            .number("available_bytes", space.available_bytes)
            .end()
    });
    json::array(objects) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_shown_to_people_and_to_programs() {
        let space = SpaceQueried { total_bytes: 10_240, free_bytes: 7_168, available_bytes: 1_000 };
        let spaces = [(String::from("[tmp]"), space)];
        let lines = table(&spaces, Shown::Kibibytes);
        let words: Vec<&str> = lines.lines().nth(1).unwrap_or_default().split_whitespace().collect();
        assert_eq!(words, ["[tmp]", "10", "3", "1", "30"]);
        assert_eq!(
            objects(&spaces),
            "[{\"name\":\"[tmp]\",\"total_bytes\":10240,\"used_bytes\":3072,\"available_bytes\":1000}]\n"
        );
        assert_eq!(objects(&[]), "[]\n");
    }
}
