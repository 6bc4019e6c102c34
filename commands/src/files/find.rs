//! `find`: names below directories, and what is done to them. What is wanted of a name is an [`expression`].

mod expression;

use alloc::string::String;
use alloc::vec::Vec;

use super::path;
use crate::Command;
use crate::context::{Context, Failure, Outcome};
use crate::file::{self, Metadata};
use crate::usage::{Arguments, Choice, Usage, WORDS};
use expression::Plan;

/// A test or action, which is written with one hyphen, or two.
const fn word(long: &'static str, value: Option<&'static str>, help: &'static str) -> Choice {
    Choice { letter: '\0', long, value, help }
}

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "find",
        synopsis: "[NAME...] [TEST...] [ACTION...]",
        summary: "Finds names below directories, at any depth, and lists them or does something to them.",
        details: "Without NAME it begins at the working directory. Of tests, which may have one hyphen, all must hold, or one\n\
                  of two with -o between; ! or -not before one is its contrary, and ( ) hold some together. COUNT is exactly\n\
                  so much, +COUNT more, -COUNT less. In -exec, {} is the name; with + at the end instead of ; many names are\n\
                  given to one program. Without an action it is -print. What cannot be listed is told, and makes the status 1.",
        choices: &[
            word("name", Some("PATTERN"), "The last part of the name; * ? and [...] stand for others."),
            word("iname", Some("PATTERN"), "The same, A and a taken for equal."),
            word("path", Some("PATTERN"), "The whole name."),
            word("type", Some("f|d"), "A file, or a directory."),
            word(
                "size",
                Some("COUNT"),
                "Blocks of 512 bytes, rounded up; of 1, 1024, ... with c, k, M or G behind.",
            ),
            word("empty", None, "A file or directory with nothing in it."),
            word("newer", Some("FILE"), "Changed after FILE was."),
            word("maxdepth", Some("DEPTH"), "Not deeper than so many levels."),
            word("mindepth", Some("DEPTH"), "Not above so many levels."),
            word("depth", None, "What is in a directory before itself."),
            word("prune", None, "Does not go into it."),
            word("quit", None, "Looks no further."),
            word("print", None, "Writes the name in a line."),
            word("print0", None, "Writes the name and a zero byte, as xargs -0 reads them."),
            word("exec", Some("PROGRAM... ;"), "Runs a program; holds if its status is 0."),
            word("delete", None, "Removes it, and before a directory what is in it."),
        ],
        operands: (0, WORDS),
    },
    body: find,
};

/// A name that was found.
struct Found {
    name: String,
    metadata: Metadata,
    /// How many levels it is below the name where that began.
    depth: usize,
}

fn find(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let is_name =
        |word: &&String| !(word.len() > 1 && word.starts_with('-') || matches!(word.as_str(), "(" | "!"));
    let names = arguments.operands.iter().take_while(is_name).count();
    let (starts, words) = arguments.operands.split_at(names);
    let mut plan = Plan::of(words)?;
    let here = [String::from(".")];
    for start in if starts.is_empty() { &here[..] } else { starts } {
        match file::metadata(start) {
            Ok(metadata) => walk(Found { name: start.clone(), metadata, depth: 0 }, &mut plan, context)?,
            Err(error) => context.complain(start, error),
        }
        if plan.has_quit {
            break;
        }
    }
    plan.finish(context)
}

/// Looks at a name and all below it, without recursion.
fn walk(start: Found, plan: &mut Plan, context: &mut Context<'_>) -> Result<(), Failure> {
    // Each with whether what is in it was looked at.
    let mut waiting = Vec::from([(start, false)]);
    while let Some((found, is_done)) = waiting.pop() {
        let is_entered = found.metadata.is_directory() && found.depth < plan.most_depth && !is_done;
        let is_now = is_done || !is_entered || !plan.is_depth_first;
        let mut goes_in = is_entered;
        if is_now && found.depth >= plan.least_depth {
            goes_in &= !plan.apply(&found, context)?;
            if plan.has_quit {
                break;
            }
        }
        if !goes_in {
            continue;
        }
        match file::read_directory(&found.name) {
            Ok(mut entries) => {
                entries.sort_by(|left, right| right.name.cmp(&left.name));
                let (name, depth) = (found.name.clone(), found.depth + 1);
                if plan.is_depth_first {
                    waiting.push((found, true));
                }
                waiting.extend(entries.into_iter().map(|entry| {
                    let name = path::join(&name, &entry.name);
                    (Found { name, metadata: entry.metadata, depth }, false)
                }));
            }
            Err(error) => {
                context.complain(&found.name, error);
                if plan.is_depth_first {
                    waiting.push((found, true));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;

    #[test]
    fn what_is_no_expression_is_said() {
        for (line, reason) in [
            ("-type q", "there is no type 'q'"),
            ("-name", "-name lacks its PATTERN"),
            ("-nosuch", "there is no test or action -nosuch"),
            ("'(' -empty", "a ( lacks its )"),
            ("-empty ')'", "')' is behind the end"),
            ("-empty -o", "a test is missing"),
            ("!", "a test is missing"),
            ("-exec echo", "-exec lacks its ;"),
            ("-exec ';'", "-exec lacks its program"),
            ("-empty x", "'x': names come before tests"),
            ("-size 1x", "'1x' is no size"),
            ("-size k", "'k' is no size"),
            ("-maxdepth -1", "--maxdepth: '-1' is not a whole number"),
            ("-newer nosuch", "nosuch: not found"),
        ] {
            let _directory = file::Directory::new("find-errors");
            let (status, output, errors) = try_command(&COMMAND, line, &[]);
            assert!(status == 2 && output.is_empty() && errors.contains(reason), "{line}: {status} {errors}");
        }
        let deep = "( ".repeat(10_000);
        assert!(try_command(&COMMAND, &deep, &[]).2.contains("too deep"));
        assert_eq!(try_command(&COMMAND, "--help", &[]).0, 0);
    }
}
