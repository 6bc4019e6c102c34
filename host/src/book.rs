//! `cargo v book`: the manual as pages for a browser, made by mdBook; and the lines of sessions in it, for the test that
//! runs them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::Book;
use crate::guest::{cargo, checkout};
use crate::manual::{self, Page};

/// The program, and the version that is installed where there is none.
const MDBOOK: &str = "mdbook";
const MDBOOK_VERSION: &str = "0.5.4";
/// What names the chapters.
const SUMMARY: &str = "SUMMARY.md";
/// What a prompt in the book ends with.
const PROMPT: &str = "v$ ";
/// Before a block of which no line is run; the reason follows.
const NOT_RUN: &str = "<!-- not run: ";

/// `cargo v book`.
pub fn book(options: &Book) -> Result<u8> {
    let output = options.output.clone().unwrap_or_else(|| checkout().join("target/v/book"));
    let work =
        tempfile::Builder::new().prefix("v-book-").tempdir().context("cannot make a temporary folder")?;
    let (written, made) = (manual::written()?, manual::made()?);
    let source = work.path().join("src");
    for page in written.iter().chain(&made).filter(|page| page.path != SUMMARY) {
        write(&source.join(&page.path), &page.markdown)?;
    }
    write(&source.join(SUMMARY), &summary(&written, &made)?)?;
    let settings = manual::folder().join("book.toml");
    std::fs::copy(&settings, work.path().join("book.toml"))
        .with_context(|| settings.display().to_string())?;
    let status = Command::new(mdbook()?)
        .arg("build")
        .arg("--dest-dir")
        .arg(std::path::absolute(&output)?)
        .current_dir(work.path())
        .stdin(Stdio::null())
        .status()
        .context("cannot run mdbook")?;
    ensure!(status.success(), "mdbook failed");
    println!("{}", output.join("index.html").display());
    Ok(0)
}

/// The list of chapters: that of the book, what it does not have, and the protocols.
fn summary(written: &[Page], made: &[Page]) -> Result<String> {
    let listed = written.iter().find(|page| page.path == SUMMARY).context("docs/book has no SUMMARY.md")?;
    let others =
        |page: &&Page| page.path != SUMMARY && !listed.markdown.contains(&format!("({})", page.path));
    let mut text = listed.markdown.trim_end().to_owned() + "\n";
    for (title, pages) in
        [("More", written.iter().filter(others).collect()), ("Protocols", made.iter().collect())]
    {
        let pages: Vec<&Page> = pages;
        if !pages.is_empty() {
            let _ = write!(text, "\n# {title}\n\n");
        }
        for page in pages {
            let _ = writeln!(text, "- [{}]({})", page.title(), page.path);
        }
    }
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Where mdBook is: the machine's, or one that cargo installs for this checkout.
fn mdbook() -> Result<PathBuf> {
    if installed().is_some_and(|program| Command::new(program).arg("--version").output().is_ok()) {
        return installed().context("found just now");
    }
    let root = checkout().join("target/v/mdbook");
    eprintln!("installing mdBook {MDBOOK_VERSION} into {}, which takes some minutes", root.display());
    let status = cargo()
        .args(["install", MDBOOK, "--no-default-features", "--locked", "--version", MDBOOK_VERSION, "--root"])
        .arg(&root)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo could not install mdbook; `cargo install mdbook` tells why");
    }
    Ok(root.join("bin").join(MDBOOK))
}

/// mdBook's program, if there is one.
pub fn installed() -> Option<PathBuf> {
    let own = checkout().join("target/v/mdbook/bin").join(MDBOOK);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&path).map(|folder| folder.join(MDBOOK));
    std::iter::once(own).chain(others).find(|program| program.is_file())
}

/// A line that a page shows after a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLine {
    /// Its number in the page.
    pub number: usize,
    /// What is typed.
    pub command: String,
}

/// The lines of a page that are to be run: those after a prompt, but for blocks that say why not.
pub fn session_lines(page: &Page) -> Vec<SessionLine> {
    let mut lines = Vec::new();
    let (mut is_block, mut is_run) = (false, true);
    for (at, line) in page.markdown.lines().enumerate() {
        if line.starts_with("```") {
            is_block = !is_block;
            // What was said before a block is for that block.
            is_run |= !is_block;
        } else if line.starts_with(NOT_RUN) {
            is_run = false;
        } else if is_block
            && is_run
            && let Some((before, command)) = line.split_once(PROMPT)
            && before
                .split(' ')
                .all(|word| word.is_empty() || word.starts_with("node") || word.starts_with('['))
        {
            lines.push(SessionLine { number: at + 1, command: command.to_owned() });
        }
    }
    lines
}

/// Shell lines that run all of these, page by page, and say which fail.
pub fn script() -> Result<String> {
    let mut script = String::new();
    for page in manual::written()? {
        let lines = session_lines(&page);
        if lines.is_empty() {
            continue;
        }
        // Each page is a shell of its own, with its own jobs.
        script += "(cd [tmp]\n";
        for SessionLine { number, command } in lines {
            let quoted = command.replace('\'', "'\\''");
            let place = format!("{}:{number}", page.path);
            let _ = writeln!(
                script,
                "eval '{quoted}' > [tmp].book 2>&1 || {{ echo \"{place}: status $?\"; cat [tmp].book; }}"
            );
        }
        script += ")\n";
    }
    // The status is not that of the last line: what failed has been told.
    Ok(script + "exit 0\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regex::Regex;

    use super::*;

    #[test]
    fn lines_after_prompts_are_run_unless_a_block_says_why_not() {
        let markdown = "v$ no block\n```\nnode1 [tmp] v$ one | two\nanswer\nv$ three\nprintf v$ no\n```\n\
                        <!-- not run: it ends the node -->\n```\nv$ poweroff\n```\n```\nv$ four\n```\n";
        let page = Page { path: "x.md".into(), markdown: markdown.into() };
        let lines: Vec<(usize, String)> =
            session_lines(&page).into_iter().map(|line| (line.number, line.command)).collect();
        let line = |number, command: &str| (number, command.to_owned());
        assert_eq!(lines, [line(3, "one | two"), line(5, "three"), line(13, "four")]);
    }

    #[test]
    fn every_page_is_a_chapter_and_every_link_leads_somewhere() {
        let (mut pages, made) = (manual::written().unwrap(), manual::made().unwrap());
        let chapters = Page { path: SUMMARY.into(), markdown: summary(&pages, &made).unwrap() };
        pages.retain(|page| page.path != SUMMARY);
        pages.extend(made.into_iter().chain([chapters]));
        let paths: BTreeSet<&str> = pages.iter().map(|page| page.path.as_str()).collect();
        let link = Regex::new(r"\]\(([^)#\s]*)(#[^)]*)?\)").unwrap();
        let mut chapters = BTreeSet::new();
        let mut broken = Vec::new();
        for page in &pages {
            let folder = Path::new(&page.path).parent().unwrap();
            let mut is_code = false;
            for line in page.markdown.lines() {
                is_code ^= line.starts_with("```");
                for found in link.captures_iter(line).filter(|found| !is_code && !found[1].is_empty()) {
                    let target = &found[1];
                    if page.path == SUMMARY {
                        chapters.insert(target.to_owned());
                    }
                    let is_elsewhere = target.contains("://");
                    let is_page = paths.contains(&*folder.join(target).to_string_lossy());
                    let is_file = manual::folder().join(folder).join(target).exists();
                    if !is_elsewhere && !is_page && !is_file {
                        broken.push(format!("{}: {target}", page.path));
                    }
                }
            }
        }
        assert!(broken.is_empty(), "{broken:#?}");
        let missing: Vec<&&str> =
            paths.iter().filter(|path| **path != SUMMARY && !chapters.contains(**path)).collect();
        assert!(missing.is_empty(), "no chapters in SUMMARY.md: {missing:?}");
    }
}
