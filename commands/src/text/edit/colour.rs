//! The colours of a line: of words that a language gives a meaning, texts in quotation marks, numbers, remarks. A line is looked
//! at by itself, so what goes over several lines is coloured by what each of them says.

use alloc::vec;
use alloc::vec::Vec;

/// What a character belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Kind {
    /// Nothing in particular.
    #[default]
    Plain,
    /// A word of the language's own.
    Word,
    /// In quotation marks.
    Text,
    /// As the name says.
    Number,
    /// To the end of the line.
    Remark,
}

impl Kind {
    /// What a terminal is told for it.
    pub const fn sequence(self) -> &'static str {
        match self {
            Kind::Plain => "\x1b[m",
            Kind::Word => "\x1b[m\x1b[1;34m",
            Kind::Text => "\x1b[m\x1b[32m",
            Kind::Number => "\x1b[m\x1b[35m",
            Kind::Remark => "\x1b[m\x1b[36m",
        }
    }
}

/// A language, as far as its colours go.
#[derive(Debug)]
pub struct Language {
    endings: &'static [&'static str],
    remark: &'static str,
    words: &'static [&'static str],
    quotes: &'static [char],
}

const LANGUAGES: &[Language] = &[
    Language {
        endings: &[".rs"],
        remark: "//",
        words: &[
            "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern",
            "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub",
            "ref", "return", "self", "Self", "static", "struct", "super", "trait", "true", "type", "unsafe",
            "use", "where", "while",
        ],
        quotes: &['"'],
    },
    Language {
        endings: &[".sh", "profile", "startup"],
        remark: "#",
        words: &[
            "case", "do", "done", "elif", "else", "esac", "exit", "export", "fi", "for", "function", "if",
            "in", "read", "return", "set", "shift", "then", "trap", "until", "unset", "while",
        ],
        quotes: &['"', '\''],
    },
    Language {
        endings: &[".toml", ".conf", "services"],
        remark: "#",
        words: &["true", "false", "service"],
        quotes: &['"', '\''],
    },
    Language {
        endings: &[".awk"],
        remark: "#",
        words: &[
            "BEGIN", "END", "break", "continue", "delete", "do", "else", "exit", "for", "function",
            "getline", "if", "in", "next", "print", "printf", "return", "while",
        ],
        quotes: &['"'],
    },
];

/// The language of a file, by its name.
pub fn language(name: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| language.endings.iter().any(|ending| name.ends_with(ending)))
}

/// The kinds of a line's characters.
pub fn kinds(line: &[char], language: Option<&Language>) -> Vec<Kind> {
    let mut kinds = vec![Kind::Plain; line.len()];
    let Some(language) = language else { return kinds };
    let is_in_word = |character: &char| character.is_alphanumeric() || *character == '_';
    let remark: Vec<char> = language.remark.chars().collect();
    let mut at = 0;
    while at < line.len() {
        let rest = &line[at..];
        let (kind, length) = if rest.starts_with(&remark) {
            (Kind::Remark, rest.len())
        } else if language.quotes.contains(&rest[0]) {
            (Kind::Text, text_length(rest))
        } else if is_in_word(&rest[0]) {
            let length = rest.iter().position(|character| !is_in_word(character)).unwrap_or(rest.len());
            let is = |word: &&&str| word.chars().eq(rest[..length].iter().copied());
            let kind = match language.words.iter().find(is) {
                Some(_) => Kind::Word,
                None if rest[0].is_ascii_digit() => Kind::Number,
                None => Kind::Plain,
            };
            (kind, length)
        } else {
            (Kind::Plain, 1)
        };
        kinds[at..at + length].fill(kind);
        at += length;
    }
    kinds
}

/// How long a text in quotation marks is; a backslash takes the next character's meaning.
fn text_length(rest: &[char]) -> usize {
    let mut is_escaped = false;
    for (at, character) in rest.iter().enumerate().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            character if *character == rest[0] => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn letters(name: &str, line: &str) -> String {
        let line: Vec<char> = line.chars().collect();
        let letter = |kind: &Kind| match kind {
            Kind::Plain => '.',
            Kind::Word => 'w',
            Kind::Text => 't',
            Kind::Number => 'n',
            Kind::Remark => 'r',
        };
        kinds(&line, language(name)).iter().map(letter).collect()
    }

    #[test]
    fn lines_have_their_colours() {
        assert_eq!(letters("a.rs", r#"let a1 = "x\"y"; // 5"#), r"www......tttttt..rrrr");
        assert_eq!(letters("b.sh", "if '1' 22 fi#"), "ww.ttt.nn.wwr");
        assert_eq!(letters("b.sh", "'open"), "ttttt");
        assert_eq!(letters("text", "let 5"), ".....");
    }
}
