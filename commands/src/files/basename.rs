//! `basename` and `dirname`: names taken apart.

use alloc::string::String;

use super::path;
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Usage};

/// The command `basename`.
pub const BASENAME: Command = Command {
    usage: Usage {
        name: "basename",
        synopsis: "NAME [ENDING]",
        summary: "Writes the last part of a name, without an ending.",
        details: "Of a prefix alone, as [tmp], that is the prefix.",
        choices: &[],
        operands: (1, 2),
    },
    body: basename,
};

/// The command `dirname`.
pub const DIRNAME: Command = Command {
    usage: Usage {
        name: "dirname",
        synopsis: "NAME",
        summary: "Writes a name without its last part.",
        details: "Of [tmp]a that is [tmp].",
        choices: &[],
        operands: (1, 1),
    },
    body: dirname,
};

fn basename(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let name = &*arguments.operands[0];
    let last = match path::last_component(name) {
        "" => whole(name),
        last => last,
    };
    let ending = arguments.operands.get(1).map_or("", String::as_str);
    // A name that is the ending keeps it.
    let last = last.strip_suffix(ending).filter(|rest| !rest.is_empty()).unwrap_or(last);
    Ok(context.output.write_all([last, "\n"].concat().as_bytes())?)
}

fn dirname(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let name = &*arguments.operands[0];
    let last = path::last_component(name);
    let trimmed = name.trim_end_matches('/');
    let directory = match trimmed.strip_suffix(last).unwrap_or_default() {
        _ if last.is_empty() && !name.is_empty() => whole(name),
        "" => ".",
        before => whole(before),
    };
    Ok(context.output.write_all([directory, "\n"].concat().as_bytes())?)
}

/// A name without slashes at its end, but for one that is all of it.
fn whole(name: &str) -> &str {
    match name.trim_end_matches('/') {
        "" if name.is_empty() => "",
        "" => "/",
        trimmed => trimmed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::expect;

    #[test]
    fn names_are_taken_apart() {
        for (name, base, directory) in [
            ("a", "a", "."),
            ("a/b", "b", "a"),
            ("a/b/", "b", "a"),
            ("a//b", "b", "a"),
            ("/a", "a", "/"),
            ("/", "/", "/"),
            ("//", "/", "/"),
            ("[tmp]a", "a", "[tmp]"),
            ("[tmp]/a", "a", "[tmp]"),
            ("[tmp]a/b.c", "b.c", "[tmp]a"),
            ("[tmp]", "[tmp]", "[tmp]"),
            ("[node2]tmp/a", "a", "[node2]tmp"),
        ] {
            expect(&BASENAME, name, "", &alloc::format!("{base}\n"));
            expect(&DIRNAME, name, "", &alloc::format!("{directory}\n"));
        }
        expect(&BASENAME, "a/b.c .c", "", "b\n");
        expect(&BASENAME, ".c .c", "", ".c\n");
        expect(&BASENAME, "''", "", "\n");
        expect(&DIRNAME, "''", "", ".\n");
    }
}
