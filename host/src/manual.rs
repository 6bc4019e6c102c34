//! The manual: the pages of `docs/book`, one for each protocol made from its source, and both as the text that `man` shows.
//!
//! In the boot archive all pages are one file, [`ENTRY`]: compressed by zlib, one page after the other, each as `man` wants
//! it (`commands/src/system/man.rs`): a line with its name, a tab and its title, the text, and a form feed.

mod protocols;
mod text;

use std::path::Path;

use anyhow::{Context, Result};
use walkdir::WalkDir;

use crate::guest::checkout;

/// The file in the boot archive.
pub const ENTRY: &str = "manual";
/// How hard zlib tries, of 10.
const COMPRESSION: u8 = 9;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it lies below the book's folder: `tour.md`, `servers/terminal.md`, `protocols/io.md`.
    pub path: String,
    /// As it is written.
    pub markdown: String,
}

impl Page {
    /// What `man` calls it: its path without the ending.
    pub fn name(&self) -> &str {
        self.path.trim_end_matches("/README.md").trim_end_matches(".md")
    }

    /// Its first heading.
    pub fn title(&self) -> &str {
        let first = self.markdown.lines().find_map(|line| line.strip_prefix("# "));
        first.unwrap_or(&self.path)
    }
}

/// The book's folder.
pub fn folder() -> std::path::PathBuf {
    checkout().join("docs/book")
}

/// The pages that are written by hand, in the order of their paths.
pub fn written() -> Result<Vec<Page>> {
    let folder = folder();
    let mut pages = Vec::new();
    for entry in WalkDir::new(&folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.path().extension().is_some_and(|extension| extension == "md") {
            let path = entry.path().strip_prefix(&folder)?.to_string_lossy().into_owned();
            pages.push(Page { path, markdown: read(entry.path())? });
        }
    }
    Ok(pages)
}

/// Those that are made from the protocols' sources.
pub fn made() -> Result<Vec<Page>> {
    let mut sources = vec![checkout().join("abi/src/kernel.rs")];
    let folder = checkout().join("protocols/src");
    for entry in WalkDir::new(&folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.file_type().is_file() {
            sources.push(entry.into_path());
        }
    }
    let mut pages = Vec::new();
    for path in sources {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(markdown) = protocols::page(&name, &read(&path)?) {
            pages.push(Page { path: format!("protocols/{name}.md"), markdown });
        }
    }
    Ok(pages)
}

/// All pages as the file in the boot archive.
pub fn packed() -> Result<Vec<u8>> {
    let mut all = String::new();
    for page in written()?.iter().chain(&made()?).filter(|page| page.path != "SUMMARY.md") {
        let text = text::rendered(&page.markdown);
        all.extend([page.name(), "\t", page.title(), "\n", &text, "\x0c"]);
    }
    Ok(miniz_oxide::deflate::compress_to_vec_zlib(all.as_bytes(), COMPRESSION))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_packed_as_text() {
        let unpacked = miniz_oxide::inflate::decompress_to_vec_zlib(&packed().unwrap()).unwrap();
        let text = String::from_utf8(unpacked).unwrap();
        let names: Vec<&str> = text
            .split_terminator('\x0c')
            .filter_map(|page| page.split_once('\t'))
            .map(|(name, _)| name)
            .collect();
        for name in ["tour", "servers", "servers/terminal", "protocols/io", "protocols/kernel"] {
            assert!(names.contains(&name), "{name} of {names:?}");
        }
        for line in text.lines() {
            assert!(!line.starts_with("```") && !line.starts_with("# "), "{line}");
        }
    }
}
