//! The components of a path, as every server reads them.
//!
//! A path is UTF-8 of at most [`MAX_PATH_BYTES`] with `/` between components of at most [`MAX_NAME_BYTES`]; a `/` at
//! the beginning or the end, or several in a row, mean nothing. No component holds a zero byte.

use abi::Error;
use protocols::names::{MAX_NAME_BYTES, MAX_PATH_BYTES};

/// Where one step of a path leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// To the directory above.
    Up,
    /// To the object of that name.
    Down(&'a str),
}

/// The path in the bytes of a request, checked.
pub fn from_bytes(bytes: &[u8]) -> Result<&str, Error> {
    let path = str::from_utf8(bytes).map_err(|_| Error::BadName)?;
    if path.len() > MAX_PATH_BYTES {
        return Err(Error::TooLong);
    }
    if path.contains('\0') {
        return Err(Error::BadName);
    }
    match path.split('/').find(|name| name.len() > MAX_NAME_BYTES) {
        Some(_) => Err(Error::TooLong),
        None => Ok(path),
    }
}

/// The steps of a path; `.` and empty components are none.
pub fn steps(path: &str) -> impl Iterator<Item = Step<'_>> + Clone {
    path.split('/').filter_map(|name| match name {
        "" | "." => None,
        ".." => Some(Step::Up),
        name => Some(Step::Down(name)),
    })
}

/// The path of a parent and the last component, for what is to be made, removed or renamed. The last must be a name:
/// `.`, `..` and nothing are [`BadName`](Error::BadName).
pub fn parent_and_name(path: &str) -> Result<(&str, &str), Error> {
    let trimmed = path.trim_end_matches('/');
    let (parent, name) = match trimmed.rfind('/') {
        Some(at) => (&trimmed[..at], &trimmed[at + 1..]),
        None => ("", trimmed),
    };
    match name {
        "" | "." | ".." => Err(Error::BadName),
        name => Ok((parent, name)),
    }
}

/// Whether a path says with a `/` at its end that it means a directory.
pub fn wants_directory(path: &str) -> bool {
    path.ends_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn paths_are_split_into_steps() {
        let split = |path| steps(path).collect::<Vec<_>>();
        assert_eq!(split(""), []);
        assert_eq!(split("//./"), []);
        assert_eq!(
            split("/a//b/../ä/"),
            [Step::Down("a"), Step::Down("b"), Step::Up, Step::Down("ä")]
        );
        assert_eq!(split("..."), [Step::Down("...")]);
    }

    #[test]
    fn hostile_paths_are_refused() {
        assert_eq!(from_bytes(b"a/\xff"), Err(Error::BadName));
        assert_eq!(from_bytes(b"a\0b"), Err(Error::BadName));
        let long = "x".repeat(256);
        assert_eq!(from_bytes(long.as_bytes()), Err(Error::TooLong));
        assert!(from_bytes(&long.as_bytes()[1..]).is_ok());
        let deep = "a/".repeat(513);
        assert_eq!(from_bytes(deep.as_bytes()), Err(Error::TooLong));
        assert!(from_bytes(&deep.as_bytes()[2..]).is_ok());
    }

    #[test]
    fn the_last_component_must_be_a_name() {
        assert_eq!(parent_and_name("a/b/c"), Ok(("a/b", "c")));
        assert_eq!(parent_and_name("c//"), Ok(("", "c")));
        assert_eq!(parent_and_name("/c"), Ok(("", "c")));
        for path in ["", "/", ".", "a/..", "a/."] {
            assert_eq!(parent_and_name(path), Err(Error::BadName), "{path}");
        }
    }
}
