//! Passes on the linker's arguments for a program of V.

fn main() {
    let arguments = std::env::var("DEP_V_START_LINK_ARGUMENTS").expect("v-start is a dependency");
    arguments.split('|').for_each(|argument| println!("cargo::rustc-link-arg-bins={argument}"));
}
