//! Names as commands take them apart. The runtime resolves them; here they are only text.

use alloc::format;
use alloc::string::String;

/// The last component, without slashes; of `[tmp]` and `[tmp]/` nothing.
pub fn last_component(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    let after_prefix = trimmed.rfind(']').map_or(0, |at| at + 1);
    let rest = &trimmed[after_prefix..];
    rest.rsplit('/').next().unwrap_or(rest)
}

/// `name` in the directory `path`.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() || path.ends_with('/') || path.ends_with(']') {
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
        ] {
            assert_eq!(last_component(path), last, "{path}");
        }
        assert_eq!(join("[tmp]", "a"), "[tmp]a");
        assert_eq!(join("a", "b"), "a/b");
        assert_eq!(join("a/", "b"), "a/b");
    }
}
