//! The supervisor: which services run, the devices that they are given, and the machine's power.
//!
//! A service finds the supervisor's pid in its registers at the start; others find it as `[supervisor]`. Its start
//! block has its arguments, and nothing of names and streams: it finds those by asking the naming group.
//!
//! The supervisor also knows the machine's devices, and gives each to the service that the configuration names for it.
//!
//! What a service knows dies with it. One that must not forget may leave some bytes with the supervisor, which its
//! next life finds again; so a naming server that dies forgets no prefix.

use core::fmt;
use core::str::FromStr;

use abi::protocol;

/// The variable by which a service that may map the boot archive finds it. Its value is an [`ArchivePlace`].
pub const ARCHIVE_VARIABLE: &str = "BOOT_ARCHIVE";

/// Most records of the kernel's trace that the supervisor reads at once.
pub const MOST_TRACE_RECORDS: usize = 128;

/// Most bytes that a service may leave with the supervisor.
pub const MAX_STATE_BYTES: usize = 16 * 1024;

/// Most bytes of a configuration that is not the node's own.
pub const MAX_CONFIGURATION_BYTES: usize = 64 * 1024;

/// What a service is doing: the `state` of a [`ServiceRecord`].
pub mod state {
    /// Was started, has not said that it is ready.
    pub const STARTING: u32 = 1;
    /// Runs.
    pub const RUNNING: u32 = 2;
    /// Died; will be started again when its back-off is over.
    pub const WAITING: u32 = 3;
    /// Was stopped on purpose, or gave up.
    pub const STOPPED: u32 = 4;

    /// The state's word.
    pub fn name(state: u32) -> &'static str {
        match state {
            STARTING => "starting",
            RUNNING => "running",
            WAITING => "waiting",
            _ => "stopped",
        }
    }
}

protocol! {
    /// Services and power.
    pub mod supervisor = 0x17, enum Supervisor {
        /// The calling service can answer requests now; others that wait for it may start.
        Ready = 1 {} => ReadyNoted {};
        /// The service at a position, as a [`ServiceRecord`](crate::supervisor::ServiceRecord) into the write
        /// segment; positions end with [`NotFound`](abi::Error::NotFound).
        QueryService = 2 { position: u32 } => ServiceQueried { count: u32 };
        /// Destroys the service that the read segment names; its policy says what happens then. Needs the system's
        /// or the operator's user id, as do the next four.
        KillService = 3 {} => ServiceKilled {};
        /// Stops a service until it is started.
        StopService = 4 {} => ServiceStopped {};
        /// Starts a stopped service.
        StartService = 5 {} => ServiceStarted {};
        /// Switches the machine off.
        PowerOff = 6 {
            /// What the tool that runs the machine is told.
            status: u32,
        } => PoweringOff {};
        /// Restarts the machine.
        Reboot = 7 {} => Rebooting {};
        /// The supervisor keeps the read segment for the calling service instead of what it kept before.
        SaveState = 8 {} => StateSaved {};
        /// What the calling service, or its earlier life, saved last, into the write segment; nothing at first.
        LoadState = 9 {} => StateLoaded { count: u32 };
        /// The device at a position, as a [`DeviceRecord`](crate::device::DeviceRecord) into the write segment;
        /// positions end with [`NotFound`](abi::Error::NotFound).
        QueryDevice = 10 { position: u32 } => DeviceQueried { count: u32 };
        /// The calling service says that it has reset a device that it was given, so that nothing of an earlier life
        /// goes on in it. From now on the device may use memory by itself, and once all devices of the service have
        /// been reset, the DMA memory of its earlier lives is free.
        StartDevice = 11 {
            /// The record's [`address`](crate::device::DeviceRecord::address).
            device: u32,
        } => DeviceStarted {
            /// Pages that were held back until now.
            released_pages: u32,
        };
        /// Where a device that the calling service was given writes to interrupt, and what: of one whose message lies in its
        /// configuration space, and that interrupts on a [message line](abi::kernel::message_line).
        SetMessage = 15 {
            /// The record's [`address`](crate::device::DeviceRecord::address).
            device: u32,
            /// As the kernel said when the line was claimed.
            address: u64,
            /// See `address`.
            data: u32,
        } => MessageSet {};
        /// As the kernel's own requests of these names, for whoever may operate: clients on other nodes have no right
        /// to trace here.
        SetTrace = 12 { events: u32 } => TraceSet {};
        /// See `SetTrace`.
        ReadTrace = 13 { from: u64 } => TraceRead { count: u32, next: u64 };
        /// The read segment, in the form of `configuration/services`, says which services run beside the node's own ones, or
        /// instead of those that have the same names; what an earlier such request said holds no more. Services that are
        /// others than before are ended and started anew. With a mistake in it nothing changes: the mistake goes to the
        /// kernel's log, and the answer is [`BadArgument`](abi::Error::BadArgument).
        Configure = 14 {} => Configured {
            /// How many services are others, or are there no more.
            changed: u32,
        };
    }
}

/// Where the boot archive lies in physical memory; as text, address and length in hexadecimal with `+` between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArchivePlace {
    /// The address of its first byte, a multiple of the page size.
    pub physical: u64,
    /// Its length.
    pub bytes: u64,
}

impl fmt::Display for ArchivePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}+{:x}", self.physical, self.bytes)
    }
}

impl FromStr for ArchivePlace {
    type Err = abi::Error;

    fn from_str(text: &str) -> Result<ArchivePlace, abi::Error> {
        let number = |digits: &str| u64::from_str_radix(digits, 16).map_err(|_| abi::Error::BadArgument);
        let (physical, bytes) = text.split_once('+').ok_or(abi::Error::BadArgument)?;
        Ok(ArchivePlace { physical: number(physical)?, bytes: number(bytes)? })
    }
}

/// A service as the supervisor sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServiceRecord<'a> {
    /// One of [`state`].
    pub state: u32,
    /// How often it was started again.
    pub restarts: u32,
    /// Its root process; 0 if none.
    pub process: u64,
    /// When it was last started, in nanoseconds since boot.
    pub started_ns: u64,
    /// The `TeamEnded` status of its last death; 0 if it never died.
    pub last_status: u32,
    /// Its name.
    pub name: &'a str,
}

impl<'a> ServiceRecord<'a> {
    /// Bytes before the name.
    pub const HEADER_BYTES: usize = 32;
    /// Longest name.
    pub const MAX_NAME_BYTES: usize = 32;

    /// Writes it to the beginning of `place`; its length, or none if the place is too short.
    pub fn encode(&self, place: &mut [u8]) -> Option<usize> {
        let place = place.get_mut(..ServiceRecord::HEADER_BYTES + self.name.len())?;
        place[..4].copy_from_slice(&self.state.to_le_bytes());
        place[4..8].copy_from_slice(&self.restarts.to_le_bytes());
        place[8..16].copy_from_slice(&self.process.to_le_bytes());
        place[16..24].copy_from_slice(&self.started_ns.to_le_bytes());
        place[24..28].copy_from_slice(&self.last_status.to_le_bytes());
        place[28..32].copy_from_slice(&(self.name.len() as u32).to_le_bytes());
        place[32..].copy_from_slice(self.name.as_bytes());
        Some(place.len())
    }

    /// Reads one; none if it is malformed.
    pub fn decode(bytes: &'a [u8]) -> Option<ServiceRecord<'a>> {
        let small = |at: usize| {
            bytes.get(at..at + 4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        };
        let large = |at: usize| Some(u64::from(small(at)?) | u64::from(small(at + 4)?) << 32);
        let name_bytes = small(28)? as usize;
        if name_bytes > ServiceRecord::MAX_NAME_BYTES {
            return None;
        }
        Some(ServiceRecord {
            state: small(0)?,
            restarts: small(4)?,
            process: large(8)?,
            started_ns: large(16)?,
            last_status: small(24)?,
            name: core::str::from_utf8(bytes.get(32..32 + name_bytes)?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::ToString;

    #[test]
    fn places_come_back() {
        let place = ArchivePlace { physical: 0xff_f000, bytes: 0x123 };
        assert_eq!(place.to_string().parse(), Ok(place));
        assert!("1".parse::<ArchivePlace>().is_err() && "1+x".parse::<ArchivePlace>().is_err());
    }

    #[test]
    fn records_come_back() {
        let record = ServiceRecord {
            state: state::RUNNING,
            restarts: 2,
            process: 3,
            started_ns: 4,
            last_status: 137,
            name: "ramfs",
        };
        let mut place = [0; 64];
        let bytes = record.encode(&mut place).unwrap();
        assert_eq!(ServiceRecord::decode(&place[..bytes]), Some(record));
        assert_eq!(ServiceRecord::decode(&place[..bytes - 1]), None);
        assert_eq!(record.encode(&mut [0; 36]), None);
    }
}
