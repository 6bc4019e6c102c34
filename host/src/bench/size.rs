//! Counts the kernel's lines of code: what is neither blank, nor comment, nor test.

use std::path::Path;

use anyhow::{Context, Result};
use walkdir::WalkDir;

/// Folders and files of tests. The kernel's self-test runs on the machine itself, in a kernel that is built for it.
const TESTS: [&str; 4] = ["tests", "tests.rs", "selftest", "selftest.rs"];

/// Lines of code in the `src` folders below `folder`.
pub fn lines_of_code(folder: &Path) -> Result<u32> {
    let mut lines = 0;
    for found in WalkDir::new(folder) {
        let found = found.context("cannot list the kernel's sources")?;
        let path = found.path();
        let in_source = path.components().any(|part| part.as_os_str() == "src");
        let of_test = path.components().any(|part| TESTS.iter().any(|test| part.as_os_str() == *test));
        let of_code =
            path.extension().is_some_and(|ending| ["rs", "s", "S"].iter().any(|known| ending == *known));
        if in_source && of_code && !of_test && !is_declared_as_test(path) {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            lines += lines_of_text(&text);
        }
    }
    Ok(lines)
}

/// Whether the file is a module that its parent, the crate's root, has only for tests.
fn is_declared_as_test(path: &Path) -> bool {
    let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
        return false;
    };
    let declaration = format!("mod {name};");
    ["lib.rs", "main.rs"].iter().any(|root| {
        let text = std::fs::read_to_string(path.with_file_name(root)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.windows(2).any(|pair| pair[0] == "#[cfg(test)]" && pair[1] == declaration)
    })
}

/// Lines of code in one file. Tests in the file are its last module, as everywhere in this workspace.
fn lines_of_text(text: &str) -> u32 {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let opens_tests =
        |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    let end = lines.windows(2).position(opens_tests).unwrap_or(lines.len());
    lines[..end].iter().filter(|line| !line.is_empty() && !line.starts_with("//")).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_counts() {
        let text = "//! Head.\n\nuse a; // why\n/// Doc.\nfn f() {\n}\n#[cfg(test)]\nmod tests;\n\n#[cfg(test)]\nmod more {\n    fn g() {}\n}\n";
        assert_eq!(lines_of_text(text), 5);
        assert_eq!(lines_of_text(""), 0);
    }

    #[test]
    fn tests_in_files_of_their_own_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("src/a.rs", "fn a() {}\n"),
            ("src/a/tests.rs", "fn t() {}\n"),
            ("src/lib.rs", "#[cfg(test)]\nmod c;\n"),
            ("src/c.rs", "fn c() {}\n"),
            ("tests/b.rs", "fn b() {}\n"),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        assert_eq!(lines_of_code(folder.path()).unwrap(), 3);
    }
}
