//! Member after member of a stream.

use alloc::vec::Vec;

use abi::Error;
use v::io::Read;

use super::header::{BLOCK_BYTES, Header, Member};

/// The longest that a name, or what is said of a member, may be.
const MOST_BYTES: u64 = 64 * 1024;

/// An archive that is read.
pub struct Archive<'a> {
    from: &'a mut dyn Read,
    /// Bytes of the present member that were not read yet, and those that fill its last block up.
    left: u64,
    filling: u64,
}

impl<'a> Archive<'a> {
    /// At its beginning.
    pub fn new(from: &'a mut dyn Read) -> Archive<'a> {
        Archive { from, left: 0, filling: 0 }
    }

    /// The next file, directory or foreign thing; none at the end. What is left of the one before is skipped.
    pub fn next(&mut self) -> Result<Option<Header>, Error> {
        let mut name: Option<Vec<u8>> = None;
        loop {
            self.skip()?;
            let mut block = [0; BLOCK_BYTES];
            match self.fill(&mut block)? {
                0 => return Ok(None),
                BLOCK_BYTES => {}
                _ => return Err(Error::EndOfFile),
            }
            let Some(mut header) = Header::decode(&block)? else { return Ok(None) };
            self.left = header.size;
            self.filling =
                header.size.checked_next_multiple_of(BLOCK_BYTES as u64).ok_or(Error::BadArgument)?
                    - header.size;
            match header.member {
                Member::LongName => {
                    let mut text = self.text()?;
                    text.truncate(text.iter().position(|byte| *byte == 0).unwrap_or(text.len()));
                    name = Some(text);
                }
                Member::Extended => name = path_of(&self.text()?).map(Vec::from).or(name),
                Member::Remark => {}
                _ => {
                    if let Some(name) = name {
                        header.set_name(name);
                    }
                    return Ok(Some(header));
                }
            }
        }
    }

    /// Reads what is behind the end.
    pub fn finish(&mut self) -> Result<(), Error> {
        let mut chunk = [0; 4096];
        while self.from.read(&mut chunk)? > 0 {}
        Ok(())
    }

    /// Reads what is there, up to a whole buffer.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.from.read(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// Reads of the present member's content; 0 at its end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(0);
        }
        let count = self.from.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(Error::EndOfFile);
        }
        self.left -= count as u64;
        Ok(count)
    }

    fn skip(&mut self) -> Result<(), Error> {
        self.left += core::mem::take(&mut self.filling);
        let mut chunk = [0; 4096];
        while self.read(&mut chunk)? > 0 {}
        Ok(())
    }

    /// The whole content, which is text.
    fn text(&mut self) -> Result<Vec<u8>, Error> {
        if self.left > MOST_BYTES {
            return Err(Error::TooLong);
        }
        let mut bytes: Vec<u8> = alloc::vec![0; self.left as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += self.read(&mut bytes[filled..])?;
        }
        Ok(bytes)
    }
}

/// The name among the records of an extended header: each is its length, a blank, `key=value` and a newline.
fn path_of(records: &[u8]) -> Option<&[u8]> {
    let mut rest = records;
    let mut path = None;
    while let Some(blank) = rest.iter().position(|byte| *byte == b' ') {
        let length: usize = str::from_utf8(&rest[..blank]).ok()?.parse().ok()?;
        let record = rest.get(blank + 1..length)?;
        rest = &rest[length..];
        path = record.strip_suffix(b"\n").unwrap_or(record).strip_prefix(b"path=").or(path);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn member(name: &str, content: &[u8]) -> Vec<u8> {
        let mut bytes = Header::of(name, content.len() as u64, 0).encode().unwrap();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        bytes
    }

    /// Changes a header's type and seals it anew.
    fn retyped(mut bytes: Vec<u8>, type_flag: u8) -> Vec<u8> {
        bytes[156] = type_flag;
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes[..BLOCK_BYTES].iter().map(|byte| u32::from(*byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    }

    #[test]
    fn members_come_one_by_one() {
        let long = "n".repeat(300);
        let bytes = [
            member("a", b"content"),
            member(&long, &[7; 1000]),
            retyped(member("records", b"18 path=told/name\n12 mtime=1.5\n"), b'x'),
            member("short", b""),
            retyped(member("all", b"x"), b'g'),
            retyped(member("link", b""), b'2'),
            alloc::vec![0; 2 * BLOCK_BYTES],
        ]
        .concat();
        let mut rest = &bytes[..];
        let mut archive = Archive::new(&mut rest);
        let mut content = [0; 2000];
        let first = archive.next().unwrap().unwrap();
        assert_eq!((&*first.name, first.size), ("a", 7));
        assert_eq!((archive.read(&mut content), &content[..7]), (Ok(7), &b"content"[..]));
        assert_eq!(archive.read(&mut content), Ok(0));
        let second = archive.next().unwrap().unwrap();
        assert_eq!((second.name, second.size), (long, 1000));
        assert_eq!(archive.next().unwrap().unwrap().name, "told/name");
        assert_eq!(archive.next().unwrap().unwrap().member, Member::Foreign);
        assert_eq!(archive.next(), Ok(None));
    }

    #[test]
    fn what_is_cut_or_no_archive_is_an_error() {
        let bytes = member("a", &[1; 600]);
        for (end, error) in [(100, Error::EndOfFile), (600, Error::EndOfFile), (1400, Error::EndOfFile)] {
            let mut rest = &bytes[..end];
            let mut archive = Archive::new(&mut rest);
            let found = archive.next().and_then(|_| archive.next());
            assert_eq!(found, Err(error), "{end}");
        }
        assert_eq!(Archive::new(&mut &[1; 512][..]).next(), Err(Error::BadArgument));
        assert_eq!(Archive::new(&mut &[][..]).next(), Ok(None));
    }
}
