//! Linux's initial file system: an archive of cpio's kind *newc*, which is headers in hexadecimal digits.

/// Permissions: a file that everyone may read and execute; a device for characters.
const FILE: u32 = 0o100_755;
const CHARACTERS: u32 = 0o020_600;
/// Names and contents begin at multiples of this.
const ALIGNMENT: usize = 4;
/// What follows the last file.
const END: &str = "TRAILER!!!";

/// An archive.
#[derive(Debug, Default)]
pub struct Initrd {
    bytes: Vec<u8>,
    entries: u32,
}

impl Initrd {
    /// With the console, which the kernel opens for its first program.
    pub fn new() -> Initrd {
        let mut archive = Initrd::default();
        archive.put_entry("dev", 0o040_755, [0, 0], &[]);
        archive.put_entry("dev/console", CHARACTERS, [5, 1], &[]);
        archive
    }

    /// Puts a file in.
    pub fn put(&mut self, name: &str, content: &[u8]) {
        self.put_entry(name, FILE, [0, 0], content);
    }

    /// The archive, ended.
    pub fn finish(mut self) -> Vec<u8> {
        self.put_entry(END, 0, [0, 0], &[]);
        self.bytes
    }

    fn put_entry(&mut self, name: &str, mode: u32, device: [u32; 2], content: &[u8]) {
        self.entries += 1;
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (size, name_size) = (number(content.len()), number(name.len() + 1));
        // Number, mode, owner, group, links, time, size, the device it is on, the device it is, name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device[0], device[1], name_size, 0];
        self.bytes.extend(b"070701");
        self.bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_as_cpio_wants_it() {
        let mut archive = Initrd::new();
        archive.put("init", b"hello");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        let at = text.find("init\0").unwrap();
        assert_eq!(at % ALIGNMENT, 110 % ALIGNMENT);
        let header = &text[at - 110..at];
        assert!(header.starts_with("07070100000003000081ed"), "{header}");
        assert_eq!((&header[54..62], &header[94..102]), ("00000005", "00000005"));
        assert!(text[at..].starts_with("init\0\0hello\0") && text.contains(END));
        assert_eq!(bytes.len() % ALIGNMENT, 0);
    }
}
