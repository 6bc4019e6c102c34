//! A page for a file of protocols: what its `protocol!` declarations and their comments say.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

/// The declaration of a protocol, and of a request of it with all that follows up to the semicolon.
static PROTOCOL: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^pub mod (\w+) = (0x[0-9a-fA-F]+), enum \w+ \{$"));
static REQUEST: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?s)^(\w+) = (\d+)\s*\{(.*?)\}\s*=>\s*(\w+)\s*\{(.*?)\}\s*;$"));
/// A link of rustdoc, of which the text stays.
static LINK: LazyLock<Regex> = LazyLock::new(|| regex(r"\[(`?[^\]\[]+`?)\](\([^)]*\))?"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of this file")
}

/// The page of a source file; none if it declares no protocol.
pub fn page(name: &str, source: &str) -> Option<String> {
    let mut page = format!("# Protocol {name}\n\n");
    for line in source.lines().map_while(|line| line.strip_prefix("//!")) {
        page += &plain(line.strip_prefix(' ').unwrap_or(line));
        page.push('\n');
    }
    let blocks: Vec<&str> = source.split("\nprotocol! {\n").skip(1).collect();
    for block in &blocks {
        let block = block.split("\n}\n").next().unwrap_or(block);
        declaration(block, &mut page);
    }
    (!blocks.is_empty()).then_some(page)
}

fn declaration(block: &str, page: &mut String) {
    let mut comment = String::new();
    let mut statement = String::new();
    for line in block.lines().map(str::trim) {
        if statement.is_empty() {
            if let Some(text) = line.strip_prefix("///") {
                comment.push_str(text);
                comment.push('\n');
                continue;
            }
            if let Some(found) = PROTOCOL.captures(line) {
                let _ = write!(page, "\n## {} ({})\n\n{}\n", &found[1], &found[2], plain(&comment));
                comment.clear();
                continue;
            }
        }
        statement.push_str(line);
        statement.push('\n');
        if let Some(found) = REQUEST.captures(statement.trim()) {
            let _ = write!(page, "### {} ({})\n\n{}\n", &found[1], &found[2], plain(&comment));
            fields("It asks with", &found[3], page);
            fields(&format!("`{}` answers with", &found[4]), &found[5], page);
            comment.clear();
            statement.clear();
        }
    }
}

/// A list of fields, each with its comment.
fn fields(what: &str, declared: &str, page: &mut String) {
    let mut comment = String::new();
    let mut items = String::new();
    for line in declared.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment += text;
            continue;
        }
        for field in line.split(',').map(str::trim).filter(|field| !field.is_empty()) {
            let _ = writeln!(
                items,
                "* `{field}`{}{}",
                if comment.is_empty() { "" } else { ":" },
                plain(&comment)
            );
            comment.clear();
        }
    }
    if !items.is_empty() {
        let _ = write!(page, "{what}:\n\n{items}\n");
    }
}

fn plain(text: &str) -> String {
    LINK.replace_all(text, "$1").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_become_a_page() {
        let source = "//! Cups, see [`tea`](x).\n\nprotocol! {\n    /// Tea.\n    pub mod tea = 0x33, enum Tea {\n\
                      \x20       /// Pours [`some`].\n        Pour = 1 {\n            cups: u32,\n            /// How hot.\n\
                      \x20           degrees: u32,\n        } => Poured { drops: u32 };\n        /// None.\n\
                      \x20       Stop = 2 {} => Stopped {};\n    }\n}\n\nfn rest() {}\n";
        let page = page("tea", source).unwrap();
        assert!(page.starts_with("# Protocol tea\n\nCups, see `tea`.\n\n## tea (0x33)\n\n Tea.\n"), "{page}");
        let fields = "It asks with:\n\n* `cups: u32`\n* `degrees: u32`: How hot.\n\n`Poured` answers with:\n\n* `drops: u32`\n";
        assert!(page.contains("### Pour (1)\n\n Pours `some`.\n"), "{page}");
        assert!(page.contains(fields), "{page}");
        assert!(page.contains("### Stop (2)\n\n None.\n"), "{page}");
        assert!(super::page("x", "fn f() {}").is_none());
    }
}
