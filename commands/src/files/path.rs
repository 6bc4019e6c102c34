//! Names as commands take them apart. The runtime resolves them; here they are only text.

use alloc::format;
use alloc::string::String;

/// The last component, without slashes; of `[tmp]` and `[tmp]/` nothing.
pub fn last_component(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    let rest = &trimmed[prefix_bytes(trimmed)..];
    rest.rsplit('/').next().unwrap_or(rest)
}

/// How much of a name is its prefix, such as `[tmp]`. Elsewhere brackets are characters like others.
pub fn prefix_bytes(path: &str) -> usize {
    if path.starts_with('[') { path.find(']').map_or(0, |at| at + 1) } else { 0 }
}

/// `name` in the directory `path`.
pub fn join(path: &str, name: &str) -> String {
    if path.ends_with('/') || prefix_bytes(path) == path.len() {
        format!("{path}{name}")
    } else {
        format!("{path}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_and_joined() {
        for (path, last) in [
            ("a", "a"),
            ("a/b", "b"),
            ("[tmp]a", "a"),
            ("[tmp]/a/b/", "b"),
            ("[tmp]", ""),
            ("[tmp]/", ""),
            ("/a", "a"),
            ("a/x]y", "x]y"),
            ("[tmp]a]b/[c]d", "[c]d"),
        ] {
            assert_eq!(last_component(path), last, "{path}");
        }
        assert_eq!(join("[tmp]", "a"), "[tmp]a");
        assert_eq!(join("a", "b"), "a/b");
        assert_eq!(join("a/", "b"), "a/b");
        assert_eq!(join("", "b"), "b");
        assert_eq!(join("a]", "b"), "a]/b");
        assert_eq!(join("[tmp]a]", "b"), "[tmp]a]/b");
    }
}
