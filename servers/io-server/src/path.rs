//! The components of a path, as every server reads them.
//!
//! A path is at most [`MAX_PATH_BYTES`] with `/` between components of at most [`MAX_NAME_BYTES`]; a `/` at the
//! beginning or the end, or several in a row, mean nothing. What is made is given a name in UTF-8 without a zero byte;
//! to be looked up, a path is bytes: others than those name nothing.

use abi::Error;
use protocols::names::{MAX_NAME_BYTES, MAX_PATH_BYTES};

/// Where one step of a path leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// To the directory above.
    Up,
    /// To the object of that name.
    Down(&'a [u8]),
}

/// The path in the bytes of a request, its lengths checked.
#[inline]
pub fn from_request(path: &[u8]) -> Result<&[u8], Error> {
    if path.len() > MAX_PATH_BYTES {
        return Err(Error::TooLong);
    }
    let is_long = |name: &[u8]| name.len() > MAX_NAME_BYTES;
    if is_long(path) && path.split(|byte| *byte == b'/').any(is_long) {
        return Err(Error::TooLong);
    }
    Ok(path)
}

/// The steps of a path; `.` and empty components are none.
pub fn steps(path: &[u8]) -> Steps<'_> {
    Steps { rest: Some(path) }
}

/// Walks a path; see [`steps`]. Opening a file has few instructions to spare, and most of them would go into splitting
/// by the general means.
#[derive(Clone, Debug)]
pub struct Steps<'a> {
    /// What is behind the last `/`, if there was one.
    rest: Option<&'a [u8]>,
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
            let (name, rest) = match find_slash(path) {
                Some(end) => (&path[..end], Some(&path[end + 1..])),
                None => (path, None),
            };
            self.rest = rest;
            match name {
                [] | [b'.'] => {}
                [b'.', b'.'] => return Some(Step::Up),
                name => return Some(Step::Down(name)),
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
/// what [has none](ends_without_name), is not UTF-8 or has a zero byte in it is [`BadName`](Error::BadName).
pub fn parent_and_name(path: &[u8]) -> Result<(&[u8], &str), Error> {
    let (parent, name) = split_last(path);
    match str::from_utf8(name) {
        Ok(name) if !ends_without_name(path) && !name.contains('\0') => Ok((parent, name)),
        _ => Err(Error::BadName),
    }
}

/// Whether a path means a directory without naming it: it is empty or ends with `.` or `..`.
pub fn ends_without_name(path: &[u8]) -> bool {
    matches!(split_last(path).1, b"" | b"." | b"..")
}

/// What comes before the last component, and that.
fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let trimmed = &path[..end];
    match trimmed.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&trimmed[..at], &trimmed[at + 1..]),
        None => (b"", trimmed),
    }
}

/// Whether a path says with a `/` at its end that it means a directory.
#[inline]
pub fn wants_directory(path: &[u8]) -> bool {
    path.ends_with(b"/")
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
        let split = |path: &'static str| steps(path.as_bytes()).collect::<Vec<_>>();
        let down = |name: &'static str| Step::Down(name.as_bytes());
        assert_eq!(split(""), []);
        assert_eq!(split("//./"), []);
        assert_eq!(split("/a//b/../ä/"), [down("a"), down("b"), Step::Up, down("ä")]);
        assert_eq!(split("..."), [down("...")]);
    }

    #[test]
    fn the_end_of_a_path_is_known_by_its_last_name() {
        for (path, is_at_end) in [("a", true), ("/a", true), ("a/", false), ("a/b", false), ("a/.", false)] {
            let mut steps = steps(path.as_bytes());
            assert_eq!((steps.next(), steps.is_at_end()), (Some(Step::Down(b"a")), is_at_end), "{path}");
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        let long = [b'x'; 256];
        assert_eq!(from_request(&long), Err(Error::TooLong));
        assert!(from_request(&long[1..]).is_ok());
        let deep = "a/".repeat(513);
        assert_eq!(from_request(deep.as_bytes()), Err(Error::TooLong));
        assert!(from_request(&deep.as_bytes()[2..]).is_ok());
    }

    #[test]
    fn the_last_component_must_be_a_name() {
        assert_eq!(parent_and_name(b"a/b/c"), Ok((&b"a/b"[..], "c")));
        assert_eq!(parent_and_name(b"c//"), Ok((&b""[..], "c")));
        assert_eq!(parent_and_name(b"/c"), Ok((&b""[..], "c")));
        for path in ["", "/", ".", "a/..", "a/."] {
            assert!(ends_without_name(path.as_bytes()), "{path}");
            assert_eq!(parent_and_name(path.as_bytes()), Err(Error::BadName), "{path}");
        }
        for path in [&b"a/b\0c"[..], b"a/\xff"] {
            assert!(!ends_without_name(path));
            assert_eq!(parent_and_name(path), Err(Error::BadName));
        }
    }
}
