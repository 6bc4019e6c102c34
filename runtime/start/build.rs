//! Hands the linker's arguments for a V program to the build scripts of the packages that depend on this one: they
//! find them in `DEP_V_START_LINK_ARGUMENTS`, with `|` between. See the head of `src/lib.rs`.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/program.ld");
    println!("cargo::rerun-if-changed={script}");
    let arguments = [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none,--gc-sections,-z,norelro,-z,max-page-size=4096",
        &format!("-Wl,-T,{script}"),
    ];
    println!("cargo::metadata=LINK_ARGUMENTS={}", arguments.join("|"));
}
