//! `man`: the manual, a page at a time.
//!
//! A command's page is what its `--help` says. All others are pages of the book, which the tool has put into the boot
//! archive as text (`host/src/manual.rs`): `[boot]manual`, compressed by zlib, each page a line with its name, a tab and its
//! title, its text, and a form feed.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use protocols::io::attribute;
use v::io::Write;
use v::process;

use crate::context::{Context, Outcome, failed};
use crate::shell::{builtin_help, nearest};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};
use crate::{Command, USAGES};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "man",
        synopsis: "[-k WORD] [PAGE...]",
        summary: "Shows a page of the manual: a command's, a concept's, a server's, a protocol's.",
        details: "Without words it lists the pages. A part of a page's name will do where it means one, as terminal for\n\
                  servers/terminal. On a terminal pages are shown by less.",
        choices: &[Choice {
            letter: 'k',
            long: "keyword",
            value: Some("WORD"),
            help: "List the pages that have it in their text, whatever its case.",
        }],
        operands: (0, MANY),
    },
    body: man,
};

/// Where the book is.
const BOOK: &str = "[boot]manual";
/// More than all of its text.
const MOST_BOOK_BYTES: usize = 4 << 20;
/// What shows pages on a terminal.
const PAGER: &str = "less";
/// Where the servers' pages are.
const SERVERS: &str = "servers/";
/// Columns for names.
const NAME_COLUMNS: usize = 24;

/// A page of the manual.
struct Page {
    title: String,
    text: String,
}

/// All pages by their names.
type Manual = BTreeMap<String, Page>;

fn man(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let mut manual = commands();
    // Without the book there are the commands.
    let book = v::file::read(BOOK);
    match book.map(|book| decompress_to_vec_zlib_with_limit(&book, MOST_BOOK_BYTES)) {
        Ok(Ok(book)) => manual.append(&mut read(&String::from_utf8_lossy(&book))),
        Ok(Err(_)) => context.complain(BOOK, "it is no book"),
        Err(error) => context.complain(BOOK, error),
    }
    let text = if let Some(word) = arguments.value("keyword") {
        if !arguments.operands.is_empty() {
            return Err(Misuse("-k WORD says what to look for, and no page".into()).into());
        }
        found(&manual, word).ok_or_else(|| failed(word, "no page has that word"))?
    } else if arguments.operands.is_empty() {
        manual.iter().map(line).collect()
    } else {
        let mut texts = Vec::new();
        for name in &arguments.operands {
            match page(&manual, name) {
                Ok(page) => texts.push(page.text.as_str()),
                Err(reason) => context.complain(name, reason),
            }
        }
        texts.join("\n")
    };
    let is_terminal = v::io::standard_stream(1).is_some_and(|output| output.is(attribute::INTERACTIVE));
    if !is_terminal || text.is_empty() {
        return Ok(context.output.write_all(text.as_bytes())?);
    }
    show(&text)
}

fn show(text: &str) -> Outcome {
    let refused = |error| failed(PAGER, error);
    let (reader, mut writer) = v::pipe::pipe().map_err(refused)?;
    let input = process::Stream::Instance(reader.instance());
    let mut pager = process::Command::new(PAGER).stdin(input).start().map_err(refused)?;
    drop(reader);
    // Who leaves the pager before the end does not want the rest.
    let _ = writer.write_all(text.as_bytes());
    drop(writer);
    pager.wait().map_err(refused)?;
    Ok(())
}

/// The pages of the commands, and of what the shell has built in.
fn commands() -> Manual {
    let mut manual = Manual::new();
    for (name, summary, help) in builtin_help() {
        manual.insert(name.to_owned(), Page { title: summary.to_owned(), text: help });
    }
    for usage in USAGES.iter().chain([&crate::shell::program::USAGE_OF_EXEC]) {
        let page = Page { title: usage.summary.to_owned(), text: usage.help() };
        manual.insert(usage.name.to_owned(), page);
    }
    manual
}

/// The pages of the book.
fn read(book: &str) -> Manual {
    let mut manual = Manual::new();
    for page in book.split_terminator('\x0c') {
        if let Some((first, text)) = page.split_once('\n')
            && let Some((name, title)) = first.split_once('\t')
        {
            manual.insert(name.to_owned(), Page { title: title.to_owned(), text: text.to_owned() });
        }
    }
    manual
}

/// The page that a name means; or why none.
fn page<'a>(manual: &'a Manual, name: &str) -> Result<&'a Page, String> {
    if let Some(page) = manual.get(name) {
        return Ok(page);
    }
    let last = |page: &str| page.rsplit('/').next().unwrap_or(page).to_owned();
    let meant: Vec<&String> = manual.keys().filter(|page| last(page) == name).collect();
    match meant.as_slice() {
        [one] => Ok(&manual[*one]),
        [] => {
            let lasts: Vec<String> = manual.keys().map(|page| last(page)).collect();
            let near = nearest(name.as_bytes(), manual.keys().chain(&lasts).map(String::as_bytes));
            let hint = match near {
                Some(near) => format!("is '{}' meant?", String::from_utf8_lossy(near)),
                None => format!("'man -k {name}' looks for the word"),
            };
            Err(format!("no page has that name; {hint}"))
        }
        // Of a server and the protocol of its name, the server's page leads to the other.
        [_, server] if server.starts_with(SERVERS) => Ok(&manual[*server]),
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            Err(format!("several pages are called so: {}", names.join(", ")))
        }
    }
}

/// Lines for the pages with a word in them; none if there are none.
fn found(manual: &Manual, word: &str) -> Option<String> {
    let wanted = word.to_lowercase();
    let has = |(name, page): &(&String, &Page)| {
        [name, &page.title, &page.text].iter().any(|text| text.to_lowercase().contains(&wanted))
    };
    let lines: String = manual.iter().filter(has).map(line).collect();
    (!lines.is_empty()).then_some(lines)
}

fn line((name, page): (&String, &Page)) -> String {
    format!("{name:<NAME_COLUMNS$} {}\n", page.title)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manual() -> Manual {
        let mut manual = commands();
        manual.append(&mut read(
            "tour\tA tour\nA TOUR\n\nPrefixes.\n\x0cservers/terminal\tterminal: the console\nTERMINAL\n\x0c\
             servers/disk\td\nx\n\x0cprotocols/disk\td\ny\n\x0ca/b\tt\nx\n\x0cb/b\tt\nx\n\x0c",
        ));
        manual
    }

    #[test]
    fn pages_are_found_by_name_or_by_the_last_part_of_it() {
        let manual = manual();
        assert!(page(&manual, "cat").is_ok_and(|page| page.text.starts_with("Usage: cat ")));
        assert!(page(&manual, "cd").is_ok_and(|page| page.text.starts_with("Usage: cd ")));
        assert!(page(&manual, "exec").is_ok());
        assert!(page(&manual, "tour").is_ok_and(|page| page.text == "A TOUR\n\nPrefixes.\n"));
        assert!(page(&manual, "terminal").is_ok_and(|page| page.text == "TERMINAL\n"));
        let reason = |name| page(&manual, name).err().unwrap();
        assert!(page(&manual, "disk").is_ok_and(|page| page.text == "x\n"));
        assert_eq!(reason("b"), "several pages are called so: a/b, b/b");
        assert_eq!(reason("terminl"), "no page has that name; is 'terminal' meant?");
        assert_eq!(reason("qqqqqq"), "no page has that name; 'man -k qqqqqq' looks for the word");
    }

    #[test]
    fn words_are_found_in_any_case() {
        let manual = manual();
        assert!(found(&manual, "PREFIXES").unwrap().contains("tour                     A tour\n"));
        assert!(found(&manual, "no such word anywhere").is_none());
        assert!(read("rubbish").is_empty());
    }
}
