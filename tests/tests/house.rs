//! The rules of the house that a machine can check: who may depend on whom, where `unsafe` may stand, how long a
//! file may be, that ARCHITECTURE.md names files that exist, and that decisions are numbered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{MetadataCommand, Package};

/// Files longer than [`LONG_FILE_LINES`] and why each is.
const LONG_FILES: &[(&str, &str)] = &[];
const LONG_FILE_LINES: usize = 600;

/// Where `unsafe` may stand: whole folders, and single files.
const UNSAFE_PLACES: &[&str] = &[
    "kernel/x86_64/",
    "builtins/",
    "runtime/start/",
    "runtime/src/entry.rs",
    "runtime/src/syscall.rs",
    "runtime/src/alloc.rs",
    "drivers/hardware/",
    // Programs that look at the registers themselves and make calls that no wrapper allows.
    "tests/hostile/",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository").to_path_buf()
}

/// The workspace's packages by name, each with the names of the workspace packages that it needs to run.
fn packages() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata describes the workspace");
    let names: BTreeSet<String> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    let folder = |package: &Package| {
        let path = package.manifest_path.parent().expect("a manifest lies in a folder").as_std_path();
        path.strip_prefix(root()).expect("members lie in the repository").to_string_lossy().into_owned()
    };
    metadata
        .packages
        .iter()
        .map(|package| {
            let needs = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind == cargo_metadata::DependencyKind::Normal)
                .map(|dependency| dependency.name.clone())
                .filter(|name| names.contains(name))
                .collect();
            (package.name.to_string(), (folder(package), needs))
        })
        .collect()
}

/// Every Rust file of ours, relative to the root.
fn rust_files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("an entry can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    walk(&path, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.iter().map(|path| path.strip_prefix(root()).expect("below the root").to_path_buf()).collect()
}

#[test]
fn layers_are_kept() {
    let packages = packages();
    let needs = |name: &str| &packages[name].1;
    assert!(needs("abi").is_empty(), "abi depends on nothing of ours");
    assert!(needs("vmtp").is_empty(), "vmtp depends on nothing of ours");
    assert!(needs("leases").is_empty(), "leases depend on nothing of ours");
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect::<BTreeSet<_>>();
    assert_eq!(needs("protocols"), &set(&["abi"]));
    assert_eq!(needs("formats"), &set(&["abi"]));
    assert!(needs("builtins").is_empty(), "what compiled code calls depends on nothing of ours");
    for (name, (_, needs)) in &packages {
        let freestanding = matches!(name.as_str(), "kernel" | "v-start");
        assert!(freestanding || !needs.contains("builtins"), "{name} would bring its own memcpy to the host");
    }
    assert_eq!(needs("kernel-core"), &set(&["abi", "formats"]));
    assert_eq!(needs("kernel"), &set(&["abi", "builtins", "formats", "kernel-core"]));
    assert_eq!(needs("network-partner"), &set(&["abi", "vmtp"]));
    assert_eq!(needs("volume"), &set(&["abi"]));
    assert_eq!(needs("simulator"), &set(&["abi", "kernel-core", "network-partner", "vmtp"]));
    for (name, (folder, needs)) in &packages {
        if folder.starts_with("servers/") || folder.starts_with("drivers/") {
            for needed in needs {
                let is_server = needed.ends_with("-server") && needed != "io-server";
                assert!(!is_server, "{name} depends on the server {needed}");
            }
        }
        if folder.starts_with("kernel/") {
            assert!(!needs.contains("protocols"), "{name} knows a service protocol");
        }
    }
}

#[test]
fn unsafe_stands_only_where_it_may() {
    for file in rust_files() {
        let name = file.to_string_lossy().into_owned();
        if UNSAFE_PLACES.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        let text = fs::read_to_string(root().join(&file)).expect("a source file is UTF-8");
        let offence = text.lines().position(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.split(|character: char| !character.is_alphanumeric() && character != '_')
                .any(|word| word == concat!("un", "safe"))
                && !code.contains('"')
        });
        assert_eq!(offence, None, "{name}: line (from 0) with unsafe code");
    }
}

#[test]
fn crates_forbid_what_they_do_not_need() {
    for (name, (folder, _)) in packages() {
        if UNSAFE_PLACES.iter().any(|place| place.starts_with(&format!("{folder}/"))) {
            continue;
        }
        for file in ["src/lib.rs", "src/main.rs"] {
            let path = root().join(&folder).join(file);
            if let Ok(text) = fs::read_to_string(&path) {
                assert!(text.contains("#![forbid(unsafe_code)]"), "{name}: {folder}/{file} forbids nothing");
            }
        }
    }
}

#[test]
fn files_are_short_or_owe_a_reason() {
    for file in rust_files() {
        let name = file.to_string_lossy().into_owned();
        let lines = fs::read_to_string(root().join(&file)).expect("a source file is UTF-8").lines().count();
        let excused = LONG_FILES.iter().any(|(long, _)| *long == name);
        assert!(lines <= LONG_FILE_LINES || excused, "{name} has {lines} lines and no reason");
        assert!(lines > LONG_FILE_LINES || !excused, "{name} needs no excuse any more");
    }
}

#[test]
fn the_architecture_names_files_that_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md exists");
    let named: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains('/') && Path::new(word).extension().is_some_and(|ending| ending == "rs"))
        .collect();
    assert!(named.len() >= 6, "ARCHITECTURE.md walks through the files of a message");
    for file in named {
        assert!(root().join(file).is_file(), "ARCHITECTURE.md names {file}, which does not exist");
    }
}

#[test]
fn each_decision_has_a_number_of_its_own() {
    let mut numbers = BTreeMap::new();
    for entry in fs::read_dir(root().join("docs/decisions")).expect("there are decisions") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        if name == "README.md" {
            continue;
        }
        let number = name.split('-').next().and_then(|number| number.parse::<u32>().ok());
        let number = number.unwrap_or_else(|| panic!("{name} has no number"));
        let text = fs::read_to_string(&path).expect("a decision is UTF-8");
        assert!(text.starts_with(&format!("# {number}. ")), "the title of {name} has another number");
        if let Some(other) = numbers.insert(number, name.clone()) {
            panic!("{name} and {other} have the same number");
        }
    }
}

#[test]
fn the_repository_speaks_of_no_workplace() {
    let forbidden = [concat!("/", "work", "/"), concat!("/", "tmp", "/", "wt")];
    for file in rust_files() {
        let text = fs::read_to_string(root().join(&file)).expect("a source file is UTF-8");
        for word in forbidden {
            assert!(!text.contains(word), "{} holds a path of one machine", file.display());
        }
    }
}
