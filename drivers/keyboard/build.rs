//! Links the program as `v-start` says.

fn main() {
    let arguments = std::env::var("DEP_V_START_LINK_ARGUMENTS").expect("v-start is a dependency");
    arguments.split('|').for_each(|argument| println!("cargo::rustc-link-arg-bins={argument}"));
}
