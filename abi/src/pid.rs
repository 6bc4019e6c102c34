//! Process identifiers: 64 bits, shaped as an RFC 1045 entity identifier (section 3.1).
//!
//! ```text
//!  63 62 61 60 | 59 ............ 32 | 31 ..... 16 | 15 ...... 0
//!  RAE GRP LEE RES | logical host   | generation  | index
//! ```
//!
//! * The logical host says where a process is, and is what moves in a migration.
//! * The generation changes each time an index is used again, so a stale pid never names a stranger.
//! * Everything outside this file treats a pid as opaque.
//!
//! Generation 0 is never given to a program: in it the kernel servers live, at fixed indices, so that the pid of
//! *the memory server of the host of process p* can be computed and used on any machine.
//!
//! A *guest* is a program with a logical host of its own, which it takes along when it moves. Its processes have no
//! slot of their own in the pid, since each machine gives them another, but a number that is counted by their host; its
//! low 15 bits are in the index, above all slots.

use core::fmt;

const GROUP_BIT: u64 = 1 << 62;
/// For an individual: little-endian data. For a group: unrestricted, anyone may join (RFC 1045, 3.1).
const LITTLE_ENDIAN_OR_UNRESTRICTED_BIT: u64 = 1 << 61;
const TYPE_SHIFT: u32 = 60;
const HOST_SHIFT: u32 = 32;
const GENERATION_SHIFT: u32 = 16;
const HOST_MASK: u32 = 0x0fff_ffff;
/// Bits of a guest's process's number that are in the index.
const GUEST_INDEX_BITS: u32 = 15;

/// Indices from here on are those of guests' processes; slots are below.
pub const FIRST_GUEST_INDEX: u16 = 1 << GUEST_INDEX_BITS;

/// A process, a group of processes, or nobody ([`Pid::NONE`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct Pid(u64);

/// The unit of location and of migration: 28 bits, random, new at each boot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LogicalHost(u32);

impl LogicalHost {
    /// The caller's own logical host, whichever that is. Never allocated; legal only in a kernel server's pid.
    pub const OWN: LogicalHost = LogicalHost(0);

    /// All of them. Never allocated; legal only in a well-known group's pid.
    pub const EVERY: LogicalHost = LogicalHost(HOST_MASK);

    /// A logical host from its number; bits beyond the 28th are dropped.
    pub const fn from_bits(bits: u32) -> LogicalHost {
        LogicalHost(bits & HOST_MASK)
    }

    /// The 28-bit number.
    pub const fn to_bits(self) -> u32 {
        self.0
    }
}

impl Pid {
    /// Nobody: never allocated. As the source of a Receive it means "anyone".
    pub const NONE: Pid = Pid(0);

    /// The process in slot `index` of `host`, in its `generation`th use.
    pub const fn process(host: LogicalHost, generation: u16, index: u16) -> Pid {
        Pid(LITTLE_ENDIAN_OR_UNRESTRICTED_BIT
            | (host.0 as u64) << HOST_SHIFT
            | (generation as u64) << GENERATION_SHIFT
            | index as u64)
    }

    /// The process with a number, from [`Pid::FIRST_GUEST_NUMBER`] on, of a guest whose logical host is `host`.
    pub const fn guest(host: LogicalHost, number: u32) -> Pid {
        Pid::process(host, (number >> GUEST_INDEX_BITS) as u16, number as u16 | FIRST_GUEST_INDEX)
    }

    /// The number of a guest's first process: no generation is 0. They end before 2^31.
    pub const FIRST_GUEST_NUMBER: u32 = 1 << GUEST_INDEX_BITS;

    /// Whether this is a guest's process.
    #[inline]
    pub const fn is_guest(self) -> bool {
        !self.is_group() && self.index() >= FIRST_GUEST_INDEX
    }

    /// The number of a guest's process.
    pub const fn guest_number(self) -> u32 {
        (self.generation() as u32) << GUEST_INDEX_BITS | (self.index() & !FIRST_GUEST_INDEX) as u32
    }

    /// The kernel server with the fixed `index` on `host`.
    pub const fn kernel_server(host: LogicalHost, index: u16) -> Pid {
        Pid::process(host, 0, index)
    }

    /// A group that anyone may join.
    pub const fn unrestricted_group(host: LogicalHost, number: u32) -> Pid {
        Pid(GROUP_BIT | LITTLE_ENDIAN_OR_UNRESTRICTED_BIT | (host.0 as u64) << HOST_SHIFT | number as u64)
    }

    /// A group that only processes of its creator's user may join.
    pub const fn restricted_group(host: LogicalHost, number: u32) -> Pid {
        Pid(GROUP_BIT | (host.0 as u64) << HOST_SHIFT | number as u64)
    }

    /// The 64 bits, as they travel in registers and packets.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Any 64 bits: an allegation, checked by whoever looks the pid up.
    pub const fn from_bits(bits: u64) -> Pid {
        Pid(bits)
    }

    /// Whether this is [`Pid::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether this names a group.
    pub const fn is_group(self) -> bool {
        self.0 & GROUP_BIT != 0
    }

    /// Whether this names an individual of another logical host than `own`.
    #[inline]
    pub fn is_elsewhere(self, own: LogicalHost) -> bool {
        let host = self.host();
        !self.is_group() && host != own && host != LogicalHost::OWN
    }

    /// Whether this names a group that anyone may join.
    pub const fn is_unrestricted_group(self) -> bool {
        self.is_group() && self.0 & LITTLE_ENDIAN_OR_UNRESTRICTED_BIT != 0
    }

    /// Whether this names a kernel server: generation 0 of an individual.
    pub const fn is_kernel_server(self) -> bool {
        self.0 >> TYPE_SHIFT == LITTLE_ENDIAN_OR_UNRESTRICTED_BIT >> TYPE_SHIFT && self.generation() == 0
    }

    /// Where the process is.
    pub const fn host(self) -> LogicalHost {
        LogicalHost((self.0 >> HOST_SHIFT) as u32 & HOST_MASK)
    }

    /// Which use of the slot this is.
    pub const fn generation(self) -> u16 {
        (self.0 >> GENERATION_SHIFT) as u16
    }

    /// The slot in the tables of the host's kernel.
    pub const fn index(self) -> u16 {
        self.0 as u16
    }

    /// The low 32 bits of a group's pid.
    pub const fn group_number(self) -> u32 {
        self.0 as u32
    }
}

/// Hexadecimal without the type bits of an ordinary process: `host.generation.index`, as `ps` and `kill` have it.
impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.pad("none");
        }
        if self.is_group() {
            let letter = if self.is_unrestricted_group() { 'u' } else { 'r' };
            return write!(f, "{letter}{:x}.{:x}", self.host().0, self.group_number());
        }
        write!(f, "{:x}.{:x}.{:x}", self.host().0, self.generation(), self.index())
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::str::FromStr for Pid {
    type Err = ();

    /// Reads what `Display` writes: for a process, three hexadecimal numbers with dots between; for a group, a letter and two.
    fn from_str(text: &str) -> Result<Pid, ()> {
        let (group, numbers) = match text.as_bytes().first() {
            Some(letter @ (b'u' | b'r')) => (Some(*letter), &text[1..]),
            _ => (None, text),
        };
        let mut parts = numbers.split('.');
        let mut next = |limit: u32| {
            let part =
                parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit())).ok_or(())?;
            u32::from_str_radix(part, 16).ok().filter(|number| *number <= limit).ok_or(())
        };
        let host = LogicalHost(next(HOST_MASK)?);
        let pid = match group {
            Some(b'u') => Pid::unrestricted_group(host, next(u32::MAX)?),
            Some(_) => Pid::restricted_group(host, next(u32::MAX)?),
            None => Pid::process(host, next(u16::MAX.into())? as u16, next(u16::MAX.into())? as u16),
        };
        if parts.next().is_some() { Err(()) } else { Ok(pid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::ToString;

    #[test]
    fn parts_come_back() {
        let pid = Pid::process(LogicalHost::from_bits(0xabc_def1), 0x1234, 0xfffe);
        assert_eq!(pid.to_bits(), 0x2abc_def1_1234_fffe);
        assert_eq!((pid.host().to_bits(), pid.generation(), pid.index()), (0xabc_def1, 0x1234, 0xfffe));
        assert!(!pid.is_group() && !pid.is_kernel_server() && !pid.is_none());
        assert_eq!(pid.to_string().parse(), Ok(pid));
    }

    #[test]
    fn guests_are_numbered() {
        let host = LogicalHost::from_bits(7);
        for number in [Pid::FIRST_GUEST_NUMBER, 0x8001, 0x1_2345, (1 << 31) - 1] {
            let pid = Pid::guest(host, number);
            assert_eq!((pid.host(), pid.guest_number(), pid.is_guest()), (host, number, true));
            assert!(!pid.is_group() && !pid.is_kernel_server());
        }
        assert!(!Pid::process(host, 1, FIRST_GUEST_INDEX - 1).is_guest());
    }

    #[test]
    fn kernel_servers_and_groups_are_told_apart() {
        let host = LogicalHost::from_bits(7);
        assert!(Pid::kernel_server(host, 3).is_kernel_server());
        assert!(!Pid::unrestricted_group(host, 3).is_kernel_server());
        assert!(Pid::unrestricted_group(host, 3).is_unrestricted_group());
        assert!(!Pid::restricted_group(host, 3).is_unrestricted_group());
        assert!(Pid::restricted_group(host, 3).is_group());
        for group in [Pid::unrestricted_group(host, 0x1234_5678), Pid::restricted_group(host, u32::MAX)] {
            assert_eq!(group.to_string().parse(), Ok(group));
        }
    }

    #[test]
    fn what_is_no_pid_is_refused() {
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "1..3",
            "x.1.2",
            "10000000.1.1",
            "1.10000.1",
            "+1.1.1",
            "-1.1.1",
            "u1",
            "u1.2.3",
            "r",
            "ü1.2",
            "u1.100000000",
        ] {
            assert_eq!(text.parse::<Pid>(), Err(()), "{text:?}");
        }
    }
}
