//! The supervisor: which services run, and the machine's power.
//!
//! A service finds the supervisor's pid in its registers at the start; others find it as `[supervisor]`.

use abi::protocol;

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
            bytes
                .get(at..at + 4)
                .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
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
