//! Which node this is.

use crate::entry::boot_command_line;

/// The name of a node that was not given one.
const UNNAMED: &str = "node";

/// The node's name, such as `node1`: what the boot command line says after `name=`.
pub fn name() -> &'static str {
    word(boot_command_line(), "name=").filter(|name| !name.is_empty()).unwrap_or(UNNAMED)
}

/// The node's number among those that were started together, from 1: what the boot command line says after `node=`.
/// None where it says nothing of the kind.
pub fn number() -> Option<u32> {
    word(boot_command_line(), "node=")?.parse().ok()
}

fn word<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_their_key() {
        let line = "panic=exit node=2 name=node2 exec";
        assert_eq!(word(line, "node="), Some("2"));
        assert_eq!(word(line, "name="), Some("node2"));
        assert_eq!(word(line, "exec="), None);
    }
}
