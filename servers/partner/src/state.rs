//! Numbers and buffers of a moved state, one behind the other, big-endian.

use alloc::vec::Vec;

use abi::Error;

/// Puts them one behind the other.
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// With room for so many bytes, if there is so much memory.
    pub fn with_room(bytes: usize) -> Result<Writer, Error> {
        let mut out = Vec::new();
        out.try_reserve_exact(bytes).map_err(|_| Error::NoMemory)?;
        Ok(Writer(out))
    }

    pub fn u16(&mut self, value: u16) {
        self.0.extend(value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.0.extend(value.to_be_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.0.extend(value.to_be_bytes());
    }

    /// Bytes whose number is known otherwise.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Their number, and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.raw(bytes);
    }
}

/// Takes them off again; [`BadArgument`](Error::BadArgument) where nothing is left.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Error> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Error::BadArgument)?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u32s<const COUNT: usize>(&mut self) -> Result<[u32; COUNT], Error> {
        let mut values = [0; COUNT];
        for value in &mut values {
            *value = self.u32()?;
        }
        Ok(values)
    }

    pub fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (first, rest) = self.0.split_at_checked(count).ok_or(Error::BadArgument)?;
        self.0 = rest;
        Ok(first)
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let count = self.u32()?;
        self.raw(count as usize)
    }
}
