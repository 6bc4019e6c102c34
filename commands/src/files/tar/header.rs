//! A member's header: 512 bytes of text fields, and further members before it for what does not fit.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::Error;
use formats::archive::{check_sum, number};
use protocols::permissions::Permissions;

pub use formats::archive::BLOCK_BYTES;

use crate::file::Metadata;

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
    /// A file or directory whose name is not UTF-8, as names in V are.
    Unnameable,
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
    /// Who may read and write it. An archive has a group, too: of others here, when it is written; when it is read, it is passed over.
    pub permissions: Permissions,
    /// User id of its owner.
    pub owner: u32,
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
    pub fn new(name: &str, metadata: &Metadata) -> Header {
        let is_directory = metadata.is_directory();
        Header {
            name: name.to_string(),
            member: if is_directory { Member::Directory } else { Member::File },
            size: if is_directory { 0 } else { metadata.size },
            modified_seconds: metadata.modified_ns / 1_000_000_000,
            permissions: metadata.permissions().unwrap_or_default(),
            owner: metadata.owner,
        }
    }

    /// Its permissions as an archive has them. Who may list a directory may go into it there.
    fn mode(&self) -> u64 {
        let bits = u64::from(self.permissions.bits());
        let (owner, others) = (bits >> 3, bits & 7);
        let mode = owner << 6 | others << 3 | others;
        if self.member == Member::Directory { mode | mode >> 2 & 0o111 } else { mode }
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
            permissions: Permissions::USUAL,
            owner: 0,
        };
        let mut bytes = Vec::from(long.block(b"", long.name.as_bytes())?);
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        // Cut between characters, for those who do not know the long name.
        bytes.extend_from_slice(&self.block(b"", &name[..self.name.floor_char_boundary(SHORT_BYTES)])?);
        Ok(bytes)
    }

    fn block(&self, prefix: &[u8], name: &[u8]) -> Result<[u8; BLOCK_BYTES], Error> {
        let mut block = [0; BLOCK_BYTES];
        block[..name.len()].copy_from_slice(name);
        octal(&mut block[100..107], self.mode())?;
        // Of a user id with more digits than there is room for nothing is said, as if the system owned it.
        octal(
            &mut block[108..115],
            Some(u64::from(self.owner)).filter(|owner| *owner < LEAST_LARGE_OWNER).unwrap_or(0),
        )?;
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
        let mut member = match block[156] {
            0 | b'0' | b'7' => Member::File,
            b'5' => Member::Directory,
            b'L' => Member::LongName,
            b'x' => Member::Extended,
            b'g' | b'K' | b'V' => Member::Remark,
            _ => Member::Foreign,
        };
        let has_content = !matches!(block[156], b'1'..=b'6');
        let size = if has_content { number(&block[124..136]).map_err(bad)? } else { 0 };
        let text = |field: &[u8]| field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        let mut name = text(&block[..100]);
        if &block[257..263] == b"ustar\0" && block[345] != 0 {
            name = [text(&block[345..500]), name].join(&b'/');
        }
        // As archives had directories before they had a kind of their own.
        if member == Member::File && name.ends_with(b"/") {
            member = Member::Directory;
        }
        let modified_seconds = number(&block[136..148]).map_err(bad)?;
        // One without is not of files, but may be an archive.
        let mode = if block[100] == 0 { 0o644 } else { number(&block[100..108]).map_err(bad)? as u32 };
        let permissions = Permissions::from_bits(mode >> 3 & 0o60 | mode & 0o6).unwrap_or_default();
        let owner = u32::try_from(number(&block[108..116]).map_err(bad)?).unwrap_or_default();
        let mut header = Header { name: String::new(), member, size, modified_seconds, permissions, owner };
        header.set_name(name);
        Ok(Some(header))
    }

    /// Gives it a name, which may be no name in V.
    pub fn set_name(&mut self, name: Vec<u8>) {
        self.name = String::from_utf8(name).unwrap_or_else(|error| {
            if matches!(self.member, Member::File | Member::Directory) {
                self.member = Member::Unnameable;
            }
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        });
    }
}

/// The least user id that has no room in a header.
const LEAST_LARGE_OWNER: u64 = 1 << 21;

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
impl Header {
    /// Of a file or directory of a test.
    pub fn of(name: &str, size: u64, modified_seconds: u64) -> Header {
        let member = if name.ends_with('/') { Member::Directory } else { Member::File };
        Header {
            name: name.to_string(),
            member,
            size,
            modified_seconds,
            permissions: Permissions::USUAL,
            owner: 1,
        }
    }
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
            let header = Header::of(&name, 0o1234, 7);
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
        let mut bytes = Header::of("d/", 0, 0).encode().unwrap();
        assert_eq!(Header::decode(bytes.first_chunk().unwrap()).unwrap().unwrap().member, Member::Directory);
        bytes[0] ^= 1;
        assert_eq!(Header::decode(bytes.first_chunk().unwrap()), Err(Error::BadArgument));
        assert_eq!(Header::decode(&[0; BLOCK_BYTES]), Ok(None));
        assert_eq!(Header::of("x", 1 << 40, 0).encode(), Err(Error::TooLong));
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
