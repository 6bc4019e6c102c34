//! The boot archive: a tar file (ustar, with GNU's long names) that lies in memory whole.
//!
//! The supervisor takes its configuration and its images from it, the file server shows it as `[boot]`. Nothing is
//! copied: an [`Entry`] borrows from the archive. Every byte is hostile until checked: what is no archive gives one
//! [`Damage`] that says where, and then nothing more.
//!
//! `tar-no-std` was looked at and not taken: it leaves out directories, cuts names at 100 bytes and takes the time of
//! change for a decimal number.

use core::fmt;

/// Bytes of a block: headers take one, contents a whole number of them.
pub const BLOCK_BYTES: usize = 512;

/// What an entry is. Symbolic links and devices have no meaning here and are skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// Another name of a file that came before it.
    Link,
}

/// A file or directory in the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// What it is.
    pub kind: Kind,
    /// A file's content.
    pub content: &'a [u8],
    /// The path of the file that a link is another name of; empty for others.
    pub target: &'a str,
    /// Last change, in seconds since 1970.
    pub modified_seconds: u64,
    /// What comes before `name` and a slash; empty for most entries. A long ustar name is in two pieces.
    directory: &'a str,
    name: &'a str,
}

impl<'a> Entry<'a> {
    /// The components of its path from the root; there is no `.`, `..` or empty one among them.
    pub fn components(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        components(self.directory).chain(components(self.name))
    }

    /// Whether this is its path.
    pub fn is_at(&self, path: &str) -> bool {
        self.components().eq(components(path))
    }
}

fn components(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split('/').filter(|component| !component.is_empty() && *component != ".")
}

/// The bytes at `offset` are not what an archive has there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Where the offending header begins.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What can be wrong with a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Its checksum.
    Checksum,
    /// A number in it.
    Number,
    /// Its name is not UTF-8, or climbs out with `..`.
    Name,
    /// Its content goes beyond the archive's end.
    Truncated,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.reason {
            Reason::Checksum => "wrong checksum",
            Reason::Number => "a malformed number",
            Reason::Name => "a bad name",
            Reason::Truncated => "more content than there is",
        };
        write!(f, "the boot archive is damaged: the header at byte {} has {what}", self.offset)
    }
}

impl core::error::Error for Damage {}

/// An archive in memory.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
}

impl<'a> Archive<'a> {
    /// The archive in `bytes`; whether it is one shows when it is read.
    pub const fn new(bytes: &'a [u8]) -> Archive<'a> {
        Archive { bytes }
    }

    /// Its files and directories in their order, up to the first damage.
    pub const fn entries(&self) -> Entries<'a> {
        Entries { bytes: self.bytes, offset: 0 }
    }

    /// The last file or directory with this path, which is the one that counts; `None` if there is none. Links are not
    /// followed.
    pub fn find(&self, path: &str) -> Result<Option<Entry<'a>>, Damage> {
        let mut found = None;
        for entry in self.entries() {
            let entry = entry?;
            if entry.kind != Kind::Link && entry.is_at(path) {
                found = Some(entry);
            }
        }
        Ok(found)
    }
}

/// Walks an archive; see [`Archive::entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    /// Where the next header begins.
    offset: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Damage>;

    fn next(&mut self) -> Option<Result<Entry<'a>, Damage>> {
        let mut long_name = None;
        loop {
            let offset = self.offset;
            match self.step(&mut long_name) {
                Ok(Step::Entry(entry)) => return Some(Ok(entry)),
                Ok(Step::Skip) => {}
                Ok(Step::End) => return None,
                Err(reason) => {
                    self.bytes = &[];
                    return Some(Err(Damage { offset, reason }));
                }
            }
        }
    }
}

enum Step<'a> {
    Entry(Entry<'a>),
    Skip,
    End,
}

impl<'a> Entries<'a> {
    /// Reads one header and passes its content. A zero header, or the end of the bytes, is the end.
    fn step(&mut self, long_name: &mut Option<&'a str>) -> Result<Step<'a>, Reason> {
        let Some(header) = self.bytes.get(self.offset..).and_then(|rest| rest.first_chunk::<BLOCK_BYTES>())
        else {
            return Ok(Step::End);
        };
        if header.iter().all(|byte| *byte == 0) {
            return Ok(Step::End);
        }
        check_sum(header)?;
        let type_flag = header[156];
        let has_content = !matches!(type_flag, b'1'..=b'6');
        let content_bytes = if has_content {
            usize::try_from(number(&header[124..136])?).map_err(|_| Reason::Number)?
        } else {
            0
        };
        let begin = self.offset + BLOCK_BYTES;
        let content =
            self.bytes.get(begin..).and_then(|rest| rest.get(..content_bytes)).ok_or(Reason::Truncated)?;
        self.offset = begin + content_bytes.next_multiple_of(BLOCK_BYTES);

        let kind = match type_flag {
            b'L' => {
                *long_name = Some(text(content)?);
                return Ok(Step::Skip);
            }
            b'0' | 0 | b'7' => Kind::File,
            b'5' => Kind::Directory,
            b'1' => Kind::Link,
            _ => {
                *long_name = None;
                return Ok(Step::Skip);
            }
        };
        let is_ustar = &header[257..263] == b"ustar\0";
        let (directory, name) = match long_name.take() {
            Some(name) => ("", name),
            None if is_ustar => (text(&header[345..500])?, text(&header[..100])?),
            None => ("", text(&header[..100])?),
        };
        let target = if kind == Kind::Link { text(&header[157..257])? } else { "" };
        let modified_seconds = number(&header[136..148])?;
        let entry = Entry { kind, content, target, modified_seconds, directory, name };
        if entry.components().any(|component| component == "..") {
            return Err(Reason::Name);
        }
        Ok(Step::Entry(entry))
    }
}

/// The checksum is the sum of the header's bytes, its own eight counted as blanks.
pub fn check_sum(header: &[u8; BLOCK_BYTES]) -> Result<(), Reason> {
    let field = 148..156;
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| u64::from(if field.contains(&at) { b' ' } else { *byte }))
        .sum();
    if number(&header[field]) == Ok(sum) { Ok(()) } else { Err(Reason::Checksum) }
}

/// An octal number between blanks and zeros; or, if the first bit is set, a big-endian one.
pub fn number(field: &[u8]) -> Result<u64, Reason> {
    if let Some((first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        return rest
            .iter()
            .try_fold(u64::from(first & 0x7f), |value, byte| {
                value.checked_mul(256).map(|shifted| shifted | u64::from(*byte))
            })
            .ok_or(Reason::Number);
    }
    let text = core::str::from_utf8(field).map_err(|_| Reason::Number)?;
    let digits = text.trim_matches(['\0', ' ']);
    if digits.is_empty() {
        return Ok(0);
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::Number);
    }
    u64::from_str_radix(digits, 8).map_err(|_| Reason::Number)
}

/// A field's text up to its first zero.
fn text(field: &[u8]) -> Result<&str, Reason> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    core::str::from_utf8(&field[..end]).map_err(|_| Reason::Name)
}

#[cfg(test)]
#[path = "tests/archive.rs"]
mod tests;
