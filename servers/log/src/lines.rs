//! An entry as lines: its heading, and what follows indented, so that no program can write what looks like another's.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use protocols::log::Heading;

/// The most that the kernel's log takes at once.
pub const MAX_LINE_BYTES: usize = 256;
const INDENT: &str = "      ";

/// The lines of an entry, each with its newline and at most [`MAX_LINE_BYTES`] long. What is not UTF-8 and what would
/// move a terminal's cursor is replaced.
pub fn lines(heading: &Heading<'_>, entry: &[u8]) -> Vec<String> {
    let text: String = String::from_utf8_lossy(entry)
        .trim_end()
        .chars()
        .map(|character| match character {
            '\n' => '\n',
            '\t' => ' ',
            character if character.is_control() => char::REPLACEMENT_CHARACTER,
            character => character,
        })
        .collect();
    let mut lines = Vec::new();
    let mut beginning = format!("{heading}");
    for paragraph in text.split('\n') {
        let mut rest = paragraph;
        loop {
            let room = MAX_LINE_BYTES - 1 - beginning.len();
            let (now, later) = rest.split_at(rest.floor_char_boundary(room));
            lines.push(format!("{beginning}{now}\n"));
            beginning = String::from(INDENT);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    const HEADING: Heading<'_> =
        Heading { time_ns: 1_234_567_890, level: protocols::log::level::ERROR, program: "ramfs" };

    #[test]
    fn an_entry_is_one_line() {
        assert_eq!(lines(&HEADING, b"it's full\n"), ["    1.234567 error   ramfs: it's full\n"]);
        assert_eq!(lines(&HEADING, b""), ["    1.234567 error   ramfs: \n"]);
    }

    #[test]
    fn nobody_can_forge_a_line() {
        let entry = b"a\n    0.000000 error   kernel: b\x1b[2J\xff";
        assert_eq!(
            lines(&HEADING, entry),
            ["    1.234567 error   ramfs: a\n", "          0.000000 error   kernel: b\u{fffd}[2J\u{fffd}\n"]
        );
    }

    #[test]
    fn long_entries_are_cut_into_lines() {
        let entry = "ä".repeat(512);
        let lines = lines(&HEADING, entry.as_bytes());
        assert!(lines.iter().all(|line| line.len() <= MAX_LINE_BYTES));
        let letters: usize = lines.iter().map(|line| line.matches('ä').count()).sum();
        assert_eq!(letters, 512);
    }
}
