//! The components of a path, as every server reads them.
//!
//! A path is UTF-8 of at most [`MAX_PATH_BYTES`] with `/` between components of at most [`MAX_NAME_BYTES`]; a `/` at
//! the beginning or the end, or several in a row, mean nothing. Nothing is ever given a name with a zero byte in it.

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
#[inline]
pub fn from_bytes(bytes: &[u8]) -> Result<&str, Error> {
    if bytes.len() > MAX_PATH_BYTES {
        return Err(Error::TooLong);
    }
    let is_long = |name: &[u8]| name.len() > MAX_NAME_BYTES;
    if is_long(bytes) && bytes.split(|byte| *byte == b'/').any(is_long) {
        return Err(Error::TooLong);
    }
    str::from_utf8(bytes).map_err(|_| Error::BadName)
}

/// The steps of a path; `.` and empty components are none.
pub fn steps(path: &str) -> Steps<'_> {
    Steps { rest: Some(path) }
}

/// Walks a path; see [`steps`]. Opening a file has few instructions to spare, and most of them would go into splitting
/// by the general means.
#[derive(Clone, Debug)]
pub struct Steps<'a> {
    /// What is behind the last `/`, if there was one.
    rest: Option<&'a str>,
}

impl Steps<'_> {
    /// Whether the path has ended with the last step's name, and no `/` behind it.
    #[inline]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_none()
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = Step<'a>;

    #[inline]
    fn next(&mut self) -> Option<Step<'a>> {
        while let Some(path) = self.rest {
            let (name, rest) = match find_slash(path.as_bytes()) {
                Some(end) => (&path[..end], Some(&path[end + 1..])),
                None => (path, None),
            };
            self.rest = rest;
            match name.as_bytes() {
                [] | [b'.'] => {}
                [b'.', b'.'] => return Some(Step::Up),
                _ => return Some(Step::Down(name)),
            }
        }
        None
    }
}

/// Where the first `/` is, looked for in eight bytes at a time.
#[inline]
fn find_slash(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH_BITS: u64 = ONES << 7;
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let differences = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'/'));
        // The lowest bit that is set belongs to the first byte that is zero.
        let zeros = differences.wrapping_sub(ONES) & !differences & HIGH_BITS;
        if zeros != 0 {
            return Some(at * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| *byte == b'/')?;
    Some(words.len() * 8 + at)
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
        name if name.contains('\0') => Err(Error::BadName),
        name => Ok((parent, name)),
    }
}

/// Whether a path says with a `/` at its end that it means a directory.
#[inline]
pub fn wants_directory(path: &str) -> bool {
    path.ends_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slashes_are_found_as_byte_by_byte(bytes in prop::collection::vec(b'-'..=b'1', 0..40)) {
            prop_assert_eq!(find_slash(&bytes), bytes.iter().position(|byte| *byte == b'/'));
        }
    }

    #[test]
    fn paths_are_split_into_steps() {
        let split = |path| steps(path).collect::<Vec<_>>();
        assert_eq!(split(""), []);
        assert_eq!(split("//./"), []);
        assert_eq!(split("/a//b/../ä/"), [Step::Down("a"), Step::Down("b"), Step::Up, Step::Down("ä")]);
        assert_eq!(split("..."), [Step::Down("...")]);
    }

    #[test]
    fn hostile_paths_are_refused() {
        assert_eq!(from_bytes(b"a/\xff"), Err(Error::BadName));
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
        for path in ["", "/", ".", "a/..", "a/.", "a/b\0c"] {
            assert_eq!(parent_and_name(path), Err(Error::BadName), "{path}");
        }
    }
}
