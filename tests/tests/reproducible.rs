//! The same sources give the same image, wherever they lie.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository").to_path_buf()
}

/// What git keeps of the checkout, copied.
fn copy(to: &Path) {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let listed = listed.expect("git lists the files").stdout;
    for name in listed.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = str::from_utf8(name).expect("names are text");
        let target = to.join(name);
        fs::create_dir_all(target.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::copy(root().join(name), target).expect("a file can be copied");
    }
}

/// The image that `cargo v image` writes in a checkout.
fn image(checkout: &Path, to: &Path) -> Vec<u8> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "host", "--bin", "v", "--", "image", "--output"])
        .arg(to)
        .current_dir(checkout)
        .env_remove("CARGO_TARGET_DIR")
        .status();
    assert!(status.expect("cargo can be run").success(), "no image of {}", checkout.display());
    fs::read(to).expect("the image was written")
}

#[test]
#[ignore = "soak"]
fn two_builds_on_two_paths_give_the_same_image() {
    let folder = std::env::temp_dir().join(format!("v-reproducible-{}", std::process::id()));
    let other = folder.join("another/path");
    copy(&other);
    let here = image(&root(), &folder.join("here.iso"));
    let there = image(&other, &folder.join("there.iso"));
    let differs = here.iter().zip(&there).position(|(one, other)| one != other);
    assert_eq!((differs, here.len()), (None, there.len()), "the images differ; see {}", folder.display());
    fs::remove_dir_all(&folder).expect("the folder can be removed");
}
