//! Builds what runs on the node: the kernel, and every package that says it is a program of V.
//!
//! A package says so in its manifest:
//! ```toml
//! [package.metadata.v]
//! program = true                        # its binaries go to `bin/` of the boot archive
//! test-program = true                   # instead of the above: only where tests run
//! features = ["program"]                # are turned on, without which its binaries are not built
//! files = { "configuration/services" = "services" } # further files: name in the archive = path in the package
//! ```
//! The kernel's package says `kernel = true`. They are built in a cargo invocation of their own, so that no feature
//! that a host program turns on reaches them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, stderr};
use std::os::fd::IntoRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Message, Metadata, MetadataCommand, Package};
use serde::Deserialize;

use crate::progress::Progress;

/// The kernel's and the programs' files on the host.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The kernel's image, as it was when it was built.
    pub kernel: PathBuf,
    /// The programs, in no particular order.
    pub programs: Vec<Program>,
    /// Further files: name in the archive, and path on the host.
    pub files: Vec<(String, PathBuf)>,
    /// A folder for what the tool itself writes.
    pub products: PathBuf,
}

/// A program's file on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name under `bin/`.
    pub name: String,
    /// Further names of it, by which it knows what it is to be.
    pub names: Vec<String>,
    /// The ELF image.
    pub path: PathBuf,
    /// Where its sources are told from.
    pub folder: PathBuf,
    /// Only tests use it.
    pub test: bool,
}

/// `[package.metadata.v]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Declaration {
    kernel: bool,
    program: bool,
    test_program: bool,
    features: Vec<String>,
    files: BTreeMap<String, PathBuf>,
    /// By program, its further names.
    names: BTreeMap<String, Vec<String>>,
}

/// The root of the checkout that this tool was built from.
pub fn checkout() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Builds everything that the workspace has for the node.
pub fn build() -> Result<Guest> {
    let progress = Progress::new("looking for programs");
    let metadata = metadata(&checkout().join("Cargo.toml"))?;
    let mut wanted = BTreeMap::new();
    let mut files = Vec::new();
    for package in metadata.workspace_packages() {
        let declaration = declaration(package)?;
        for (name, path) in &declaration.files {
            files.push((name.clone(), package.manifest_path.as_std_path().with_file_name("").join(path)));
        }
        if declaration.kernel || declaration.program || declaration.test_program {
            wanted.insert(package.name.to_string(), declaration);
        }
    }
    drop(progress);
    let names: Vec<&str> = wanted.keys().map(String::as_str).collect();
    let features_of = |(package, declaration): (&String, &Declaration)| -> Vec<String> {
        declaration.features.iter().map(|feature| format!("{package}/{feature}")).collect()
    };
    let features: Vec<String> = wanted.iter().flat_map(features_of).collect();
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    let mut kernel = None;
    let mut programs = Vec::new();
    for (package, name, path) in compile(&checkout().join("Cargo.toml"), &metadata, &names, &features)? {
        let declaration = wanted.get(&package).context("cargo built a package that nobody asked for")?;
        if declaration.kernel {
            ensure!(kernel.replace(path).is_none(), "more than one package says that it is the kernel");
        } else {
            let names = declaration.names.get(&name).cloned().unwrap_or_default();
            let folder = checkout().to_owned();
            programs.push(Program { name, names, path, folder, test: declaration.test_program });
        }
    }
    let kernel = hold(&kernel.context("no package of the workspace says `kernel = true`")?)?;
    Ok(Guest { kernel, programs, files, products: products(&metadata)? })
}

/// A path to a file as it is now, for as long as the tool runs. It may be built anew meanwhile, and a node whose power comes back
/// must not get another kernel than its boot archive is for.
fn hold(path: &Path) -> Result<PathBuf> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!("/proc/{}/fd/{}", std::process::id(), file.into_raw_fd()).into())
}

/// Builds the kernel with its self-test; where it is. Call it before [`build`], which leaves cargo's own place for the
/// kernel to the one without.
pub fn build_selftest_kernel() -> Result<PathBuf> {
    let manifest = checkout().join("Cargo.toml");
    let metadata = metadata(&manifest)?;
    let (_, _, built) = compile(&manifest, &metadata, &["kernel"], &["selftest"])?
        .pop()
        .context("cargo built no kernel with its self-test")?;
    hold(&built)
}

/// The folder for what the tool itself writes.
fn products(metadata: &Metadata) -> Result<PathBuf> {
    let products = metadata.target_directory.as_std_path().join("v");
    std::fs::create_dir_all(&products).with_context(|| format!("cannot make {}", products.display()))?;
    Ok(products)
}

/// Builds the crate in `folder` if it says that it is a program; `None` if it is no such crate.
pub fn build_program(folder: &Path) -> Result<Option<Vec<Program>>> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        return Ok(None);
    }
    let metadata = metadata(&manifest)?;
    let Some(package) = metadata.root_package() else {
        return Ok(None);
    };
    if !declaration(package)?.program {
        return Ok(None);
    }
    let built = compile(&manifest, &metadata, &[&package.name], &[])?;
    let sources = metadata.workspace_root.as_std_path();
    Ok(Some(
        built
            .into_iter()
            .map(|(_, name, path)| Program {
                name,
                names: Vec::new(),
                path,
                folder: sources.to_owned(),
                test: false,
            })
            .collect(),
    ))
}

fn metadata(manifest: &Path) -> Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .with_context(|| format!("cannot read {}", manifest.display()))
}

fn declaration(package: &Package) -> Result<Declaration> {
    let declaration =
        package.metadata.get("v").map_or_else(|| Ok(Declaration::default()), Declaration::deserialize);
    declaration.with_context(|| format!("[package.metadata.v] in {}", package.manifest_path))
}

/// Runs cargo, and returns the package, name and path of each binary that it made.
fn compile(
    manifest: &Path,
    metadata: &Metadata,
    packages: &[&str],
    features: &[&str],
) -> Result<Vec<(String, String, PathBuf)>> {
    let terminal = stderr().is_terminal();
    let mut command = cargo();
    command.args(["build", "--release", "--bins", "--message-format=json-render-diagnostics"]);
    command.args(["--color", if terminal { "always" } else { "never" }]);
    command.arg("--manifest-path").arg(manifest);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    command.args(features.iter().flat_map(|feature| ["--features", feature]));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo's output is piped")?;
    let words = child.stderr.take().context("cargo's standard error is piped")?;
    let words = thread::spawn(move || follow(words));
    let mut built = Vec::new();
    for message in Message::parse_stream(BufReader::new(output)) {
        let Message::CompilerArtifact(artifact) = message.context("cannot understand cargo")? else {
            continue;
        };
        let Some(path) = artifact.executable else { continue };
        let package = metadata.packages.iter().find(|package| package.id == artifact.package_id);
        let package = package.context("cargo built a binary of an unknown package")?;
        built.push((package.name.to_string(), artifact.target.name, path.into_std_path_buf()));
    }
    let success = child.wait()?.success();
    let words = words.join().unwrap_or_default();
    // Where nobody watches, standard error is kept for what matters.
    if !success || terminal && words.contains("warning") {
        eprint!("{words}");
    }
    ensure!(success, "the programs in {} do not build", manifest.display());
    Ok(built)
}

/// Shows the last line of what cargo says, as long as it says something, and returns all of it.
fn follow(words: impl Read) -> String {
    let progress = Progress::new("building");
    let mut all = String::new();
    for line in BufReader::new(words).lines().map_while(Result::ok) {
        progress.show(line.trim());
        all += &line;
        all.push('\n');
    }
    all
}

/// The cargo that this tool was started by.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_can_be_read() {
        let metadata = metadata(&checkout().join("Cargo.toml")).unwrap();
        let kernels =
            metadata.workspace_packages().into_iter().filter(|package| declaration(package).unwrap().kernel);
        assert_eq!(kernels.map(|package| package.name.to_string()).collect::<Vec<_>>(), ["kernel"]);
    }

    #[test]
    fn what_is_held_stays_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let [path, newer] = ["kernel", "newer"].map(|name| folder.path().join(name));
        std::fs::write(&path, "as it was").unwrap();
        let held = hold(&path).unwrap();
        std::fs::write(&newer, "built anew").unwrap();
        std::fs::rename(&newer, &path).unwrap();
        assert_eq!(std::fs::read_to_string(held).unwrap(), "as it was");
        assert!(hold(&newer).is_err());
    }

    #[test]
    fn a_misspelt_declaration_is_an_error() {
        let value = serde_json::json!({ "programme": true });
        let error = Declaration::deserialize(&value).unwrap_err().to_string();
        assert!(error.contains("programme") && error.contains("test-program"), "{error}");
    }

    #[test]
    fn a_folder_without_a_program_is_just_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(build_program(folder.path()).unwrap(), None);
    }
}
