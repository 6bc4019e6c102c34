//! A member's header: 512 bytes of text fields, and further members before it for what does not fit.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::Error;
use formats::archive::{check_sum, number};

pub use formats::archive::BLOCK_BYTES;

/// What a member is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Member {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// GNU's: its content is the next member's name.
    LongName,
    /// POSIX's: its content is records about the next member.
    Extended,
    /// What is only for others: records about all members that follow, and the like.
    Remark,
    /// A link, a device: what V does not have.
    Foreign,
}

/// What a header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The member's name.
    pub name: String,
    /// What it is.
    pub member: Member,
    /// Bytes of its content.
    pub size: u64,
    /// Last change, in seconds since 1970.
    pub modified_seconds: u64,
}

/// A name as an archive has it: without prefix and slashes at the beginning, and without empty components and `.`.
pub fn member_name(name: &str) -> String {
    let after_prefix = match (name.starts_with('['), name.find(']')) {
        (true, Some(end)) => &name[end + 1..],
        _ => name,
    };
    let components = after_prefix.split('/').filter(|component| !matches!(*component, "" | "."));
    components.collect::<Vec<_>>().join("/")
}

impl Header {
    /// Of a file or directory.
    pub fn new(name: &str, size: u64, modified_ns: u64, is_directory: bool) -> Header {
        let member = if is_directory { Member::Directory } else { Member::File };
        Header { name: name.to_string(), member, size, modified_seconds: modified_ns / 1_000_000_000 }
    }

    /// Its blocks; more than one where its name is long.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        const SHORT_BYTES: usize = 100;
        const PREFIX_BYTES: usize = 155;
        let name = self.name.as_bytes();
        if name.len() <= SHORT_BYTES {
            return self.block(b"", name).map(Vec::from);
        }
        let split = self.name.match_indices('/').map(|(at, _)| at).find(|at| {
            let rest = name.len() - at - 1;
            *at <= PREFIX_BYTES && (1..=SHORT_BYTES).contains(&rest)
        });
        if let Some(at) = split {
            return self.block(&name[..at], &name[at + 1..]).map(Vec::from);
        }
        let long = Header {
            name: "././@LongLink".into(),
            member: Member::LongName,
            size: name.len() as u64 + 1,
            modified_seconds: 0,
        };
        let mut bytes = Vec::from(long.block(b"", long.name.as_bytes())?);
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        bytes.extend_from_slice(&self.block(b"", &name[..SHORT_BYTES])?);
        Ok(bytes)
    }

    fn block(&self, prefix: &[u8], name: &[u8]) -> Result<[u8; BLOCK_BYTES], Error> {
        let mut block = [0; BLOCK_BYTES];
        block[..name.len()].copy_from_slice(name);
        let is_directory = self.member == Member::Directory;
        octal(&mut block[100..107], if is_directory { 0o755 } else { 0o644 })?;
        octal(&mut block[108..115], 0)?;
        octal(&mut block[116..123], 0)?;
        octal(&mut block[124..135], self.size)?;
        octal(&mut block[136..147], self.modified_seconds)?;
        block[148..156].fill(b' ');
        block[156] = match self.member {
            Member::Directory => b'5',
            Member::LongName => b'L',
            _ => b'0',
        };
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[345..345 + prefix.len()].copy_from_slice(prefix);
        let sum = block.iter().map(|byte| u64::from(*byte)).sum();
        octal(&mut block[148..154], sum)?;
        block[154] = 0;
        Ok(block)
    }

    /// Reads one; none at the archive's end. [`BadArgument`](Error::BadArgument) if it is not one.
    pub fn decode(block: &[u8; BLOCK_BYTES]) -> Result<Option<Header>, Error> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let bad = |_| Error::BadArgument;
        check_sum(block).map_err(bad)?;
        let member = match block[156] {
            0 | b'0' | b'7' => Member::File,
            b'5' => Member::Directory,
            b'L' => Member::LongName,
            b'x' => Member::Extended,
            b'g' | b'K' | b'V' => Member::Remark,
            _ => Member::Foreign,
        };
        let has_content = !matches!(block[156], b'1'..=b'6');
        let size = if has_content { number(&block[124..136]).map_err(bad)? } else { 0 };
        let text = |field: &[u8]| {
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            String::from_utf8(field[..end].to_vec()).map_err(|_| Error::BadArgument)
        };
        let mut name = text(&block[..100])?;
        if &block[257..263] == b"ustar\0" && block[345] != 0 {
            name = text(&block[345..500])? + "/" + &name;
        }
        let modified_seconds = number(&block[136..148]).map_err(bad)?;
        Ok(Some(Header { name, member, size, modified_seconds }))
    }
}

/// Writes a number in octal, with zeros before it.
fn octal(field: &mut [u8], value: u64) -> Result<(), Error> {
    let mut rest = value;
    for place in field.iter_mut().rev() {
        *place = b'0' + (rest % 8) as u8;
        rest /= 8;
    }
    if rest == 0 { Ok(()) } else { Err(Error::TooLong) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn headers_come_back() {
        for (name, blocks) in [
            ("a/b".into(), 1),
            (format!("{}/{}", "d".repeat(150), "f".repeat(90)), 1),
            (format!("{}/x", "d".repeat(200)), 3),
            ("f".repeat(700), 4),
        ] {
            let header = Header::new(&name, 0o1234, 7_000_000_000, false);
            let bytes = header.encode().unwrap();
            assert_eq!(bytes.len(), blocks * BLOCK_BYTES, "{name}");
            let last = bytes.last_chunk::<BLOCK_BYTES>().unwrap();
            let back = Header::decode(last).unwrap().unwrap();
            assert_eq!((back.size, back.modified_seconds, back.member), (0o1234, 7, Member::File));
            if blocks == 1 {
                assert_eq!(back.name, name);
            } else {
                let first = Header::decode(bytes.first_chunk().unwrap()).unwrap().unwrap();
                assert_eq!((first.member, first.size), (Member::LongName, name.len() as u64 + 1));
                assert!(bytes[BLOCK_BYTES..].starts_with(name.as_bytes()));
            }
        }
        let mut bytes = Header::new("d/", 0, 0, true).encode().unwrap();
        assert_eq!(Header::decode(bytes.first_chunk().unwrap()).unwrap().unwrap().member, Member::Directory);
        bytes[0] ^= 1;
        assert_eq!(Header::decode(bytes.first_chunk().unwrap()), Err(Error::BadArgument));
        assert_eq!(Header::decode(&[0; BLOCK_BYTES]), Ok(None));
        assert_eq!(Header::new("x", 1 << 40, 0, false).encode(), Err(Error::TooLong));
    }

    #[test]
    fn names_lose_what_leads_elsewhere() {
        for (name, member) in [
            ("a/b", "a/b"),
            ("[tmp]a", "a"),
            ("[tmp]/a/", "a"),
            ("/a", "a"),
            ("./a//b/.", "a/b"),
            ("[tmp]", ""),
            (".", ""),
        ] {
            assert_eq!(member_name(name), member);
        }
    }
}
