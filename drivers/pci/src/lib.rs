//! PCI: the functions that a machine has, and what each says of itself in its configuration space.
//!
//! | module | what it has |
//! |---|---|
//! | `header` | the first 256 bytes of a function's configuration space, read |
//! | `scan` | all functions of the machine, with their base address registers' sizes |
//! | `class` | what kind of device a class code means |
//!
//! How configuration space is reached is the caller's: [`Configuration`]. Only the supervisor reaches it; drivers get
//! a copy of their device's header. What a device says is believed no further than it can be checked: lists end,
//! lengths are bounded, and nothing here panics over what was read.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod class;
pub mod header;
pub mod scan;

use core::fmt;
use core::str::FromStr;

pub use header::{HEADER_BYTES, Header};
pub use scan::{Bar, Function, scan};

/// Where a function sits: bus, device, function. Only the first segment is looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Address(u16);

impl Address {
    /// The function at these numbers; the device has 5 bits, the function 3.
    pub const fn new(bus: u8, device: u8, function: u8) -> Address {
        Address((bus as u16) << 8 | (device as u16 & 31) << 3 | function as u16 & 7)
    }

    /// The address in 16 bits, as configuration space is laid out.
    pub const fn to_bits(self) -> u16 {
        self.0
    }

    /// The address of these 16 bits.
    pub const fn from_bits(bits: u16) -> Address {
        Address(bits)
    }

    /// The bus.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }
}

/// `bus:device.function`, in hexadecimal.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{:x}", self.0 >> 8, self.0 >> 3 & 31, self.0 & 7)
    }
}

/// Who made a device, and which it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The maker's number.
    pub vendor: u16,
    /// The maker's number for the device.
    pub device: u16,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

/// The words are not those of an identity, or of a kind of device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadIdentity;

impl FromStr for Identity {
    type Err = BadIdentity;

    fn from_str(text: &str) -> Result<Identity, BadIdentity> {
        let number = |digits: &str| {
            let is_number = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let number = u16::from_str_radix(digits, 16).ok();
            number.filter(|_| is_number).ok_or(BadIdentity)
        };
        let (vendor, device) = text.split_once(':').ok_or(BadIdentity)?;
        Ok(Identity { vendor: number(vendor)?, device: number(device)? })
    }
}

/// A kind of device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One maker's device.
    Device(Identity),
    /// Whatever has this class, subclass and programming interface.
    Class([u8; 3]),
}

impl Kind {
    /// Whether the function with that header is of this kind.
    pub fn is_of(self, header: &Header) -> bool {
        match self {
            Kind::Device(identity) => identity == header.identity(),
            Kind::Class(class) => class == header.class(),
        }
    }
}

/// `VENDOR:DEVICE`, or `CLASS.SUBCLASS.INTERFACE`, in hexadecimal.
impl FromStr for Kind {
    type Err = BadIdentity;

    fn from_str(text: &str) -> Result<Kind, BadIdentity> {
        if text.contains(':') {
            return text.parse().map(Kind::Device);
        }
        let number = |digits: &str| {
            let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let number = u8::from_str_radix(digits, 16).ok();
            number.filter(|_| is_number).ok_or(BadIdentity)
        };
        let mut words = text.split('.').map(number);
        let mut next = || words.next().unwrap_or(Err(BadIdentity));
        let class = [next()?, next()?, next()?];
        if words.next().is_none() { Ok(Kind::Class(class)) } else { Err(BadIdentity) }
    }
}

/// Configuration space. Offsets are multiples of four below 256.
pub trait Configuration {
    /// Reads four bytes; all ones where there is nothing.
    fn read(&mut self, address: Address, offset: u16) -> u32;
    /// Writes four bytes.
    fn write(&mut self, address: Address, offset: u16, value: u32);
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::ToString;

    #[test]
    fn addresses_and_identities_are_written_as_people_know_them() {
        assert_eq!(Address::new(1, 0x1f, 7).to_string(), "01:1f.7");
        let identity: Identity = "1af4:1041".parse().unwrap();
        assert_eq!(identity, Identity { vendor: 0x1af4, device: 0x1041 });
        assert_eq!(identity.to_string(), "1af4:1041");
        for bad in ["", "1af4", "1af4:", "1af4:10411", "+af4:1041", "1af4:104g"] {
            assert_eq!(bad.parse::<Identity>(), Err(BadIdentity), "{bad}");
            assert_eq!(bad.parse::<Kind>(), Err(BadIdentity), "{bad}");
        }
    }

    #[test]
    fn a_kind_is_one_makers_or_a_class() {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&[0x36, 0x1b, 0x10, 0]);
        bytes[9..12].copy_from_slice(&[2, 8, 1]);
        for (kind, is_of) in [
            ("01.08.02", true),
            ("1b36:0010", true),
            ("01.06.01", false),
            ("02.08.01", false),
            ("1b36:0011", false),
        ] {
            assert_eq!(kind.parse::<Kind>().unwrap().is_of(&Header(bytes)), is_of, "{kind}");
        }
        for bad in ["01.08", "01.08.02.00", "1.8.2", "01.08.0x", "01..02"] {
            assert_eq!(bad.parse::<Kind>(), Err(BadIdentity), "{bad}");
        }
    }
}
