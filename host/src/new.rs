//! `cargo v new`: a crate for a program of one's own, outside this repository, that builds against this checkout.
//!
//! What the crate consists of is in the folder `host/template`, with `NAME` and `CHECKOUT` to be filled in.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::New;
use crate::guest::checkout;

/// The files of the crate: where they go, and what they hold.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../template/Cargo.toml.template")),
    ("build.rs", include_str!("../template/build.rs")),
    (".cargo/config.toml", include_str!("../template/config.toml")),
    (".gitignore", include_str!("../template/gitignore")),
    ("src/main.rs", include_str!("../template/main.rs")),
];

/// The longest name that a program may have.
const NAME_BYTES: usize = 64;

/// Rust's words, which no crate can be named by, and names that cargo or the crate itself need.
const TAKEN: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "alloc",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "v",
    "v-start",
    "virtual",
    "where",
    "while",
    "yield",
];

/// `cargo v new`. The status that the tool is to end with.
pub fn new(options: &New) -> Result<u8> {
    let name = make(&options.path)?;
    println!("Made {0}. To run it: cargo v run --add {0} --exec {name}", options.path.display());
    Ok(0)
}

/// Makes the crate in `folder`, whose name becomes the program's. Returns that name.
pub fn make(folder: &Path) -> Result<&str> {
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("`{}` is no name for a program", folder.display()))?;
    check(name)?;
    ensure!(!folder.exists(), "{} is there already", folder.display());
    let checkout = fs::canonicalize(checkout()).context("this tool's checkout is gone")?;
    write(folder, name, &checkout)?;
    Ok(name)
}

/// Whether `name` can be that of a crate, of a program, and of an entry in the boot archive.
fn check(name: &str) -> Result<()> {
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    let goes_on_well =
        name.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || "-_".contains(each));
    ensure!(
        begins_well && goes_on_well && name.len() <= NAME_BYTES,
        "`{name}` is no name for a program: use a lower-case letter, then lower-case letters, digits, - and _, \
         {NAME_BYTES} in all at most"
    );
    if TAKEN.contains(&name) {
        bail!("`{name}` means something else to Rust or cargo; choose another name");
    }
    Ok(())
}

fn write(folder: &Path, name: &str, checkout: &Path) -> Result<()> {
    let checkout = checkout.to_str().context("the path of this checkout is not UTF-8")?;
    // As it is quoted in TOML.
    let checkout = checkout.replace('\\', "\\\\").replace('"', "\\\"");
    for (path, text) in FILES {
        let path = folder.join(path);
        let text = text.replace("NAME", name).replace("CHECKOUT", &checkout);
        let parent = path.parent().context("a file is in a folder")?;
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, text));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["hello", "a", "two-words", "x86_64"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["", "Hello", "1st", "-x", "a b", "a.b", "naïve", "fn", "test", "v", &"x".repeat(65)] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_manifest_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello");
        write(&path, "hello", Path::new("/a \"b\"")).unwrap();
        let manifest: toml::Table =
            toml::from_str(&fs::read_to_string(path.join("Cargo.toml")).unwrap()).unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("hello"));
        assert_eq!(manifest["dependencies"]["v"]["path"].as_str(), Some("/a \"b\"/runtime"));
        assert!(path.join("src/main.rs").is_file() && path.join("build.rs").is_file());
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello");
        fs::create_dir(&path).unwrap();
        assert!(new(&New { path: path.clone() }).is_err());
        assert_eq!(path.read_dir().unwrap().count(), 0);
    }
}
