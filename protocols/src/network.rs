//! The network server: the node's network cards, and the frames that go over them.
//!
//! A frame is a whole Ethernet frame without its checksum: destination, source, type, content. Whoever has registered a
//! type gets the frames of that type, one for each request. Frames are raw: who sends and receives them can imitate
//! anyone on the network, so only the system and the operator may.

use abi::{LogicalHost, Pid, protocol};

/// Bytes of a frame's head.
pub const HEAD_BYTES: usize = 14;
/// Longest frame that any card takes.
pub const MAX_FRAME_BYTES: usize = HEAD_BYTES + 9000;
/// Types below this are lengths, of frames of another kind, which nobody can register.
pub const FIRST_TYPE: u32 = 0x600;

/// Ethernet's configuration testing protocol, of which every node's network server forwards frames. Numbers behind the
/// type are little-endian.
pub mod loopback {
    /// The type.
    pub const ETHERTYPE: u16 = 0x9000;
    /// The function: a number follows, by which the sender knows the frame.
    pub const REPLY: u16 = 1;
    /// The function: the frame is to be sent on to the station that follows.
    pub const FORWARD: u16 = 2;
}

protocol! {
    /// Cards and frames.
    pub mod network = 0x19, enum Network {
        /// Frames of this type are for the calling process from now on, on every card.
        /// [`Busy`](abi::Error::Busy) while another process has registered it and lives.
        Register = 1 { ethertype: u32 } => Registered {};
        /// No longer.
        Unregister = 2 { ethertype: u32 } => Unregistered {};
        /// The next frame of a type that the caller has registered, into the write segment. Without one the reply waits
        /// until that time, in nanoseconds since boot, and then is [`DeadlinePassed`](abi::Error::DeadlinePassed).
        ReceiveFrame = 3 { ethertype: u32, until_ns: u64 } => FrameReceived {
            /// The frame's bytes.
            count: u32,
            /// The card that it came by.
            card: u32,
        };
        /// Sends the read segment as a frame; the source is filled in. [`Busy`](abi::Error::Busy) if the card has as much
        /// as it can take: it will have sent some a moment later.
        SendFrame = 4 { card: u32 } => FrameSent {};
        /// What a card is. Cards are counted from 0; behind the last one it is [`NotFound`](abi::Error::NotFound).
        QueryCard = 5 { card: u32 } => CardQueried {
            /// The card's address, its first byte in bits 40 to 47.
            station: u64,
            /// Longest content of a frame, in bytes.
            largest_content: u32,
            /// 1 if it is connected.
            is_connected: u32,
            /// The device, as in its [`DeviceRecord`](crate::device::DeviceRecord).
            device: u32,
        };
        /// What a card has done: a [`CounterRecord`](crate::network::CounterRecord) into the write segment.
        QueryCounters = 6 { card: u32 } => CountersQueried {};
        /// The nodes of the domain that answer within a moment, this one first: a
        /// [`HostRecord`](crate::network::HostRecord) for each into the write segment, as many as fit.
        ListHosts = 7 {} => HostsListed {
            /// How many there are.
            count: u32,
        };
        /// The logical host of the node whose name is the read segment; [`HostNotFound`](abi::Error::HostNotFound) if
        /// none with that name answers in time.
        FindHost = 8 {
            /// How long the client waits; 0: two seconds, in which a node is found even where many packets are lost.
            patience_ms: u32,
        } => HostFound { logical_host: u32 };
        /// A number that the protocol between nodes has counted, its name into the write segment. Positions are counted
        /// from 0; behind the last one it is [`NotFound`](abi::Error::NotFound).
        QueryDomainCounter = 9 { position: u32 } => DomainCounterQueried {
            value: u64,
            /// The name's bytes.
            count: u32,
        };
        /// A logical host for a guest: a program that can move. It is the caller's until released, exported, or lost to
        /// another node that has it too. For system users only. If none is ready, the reply waits until one is claimed;
        /// [`NoResources`](abi::Error::NoResources) if the node has as many as can be.
        ClaimHost = 10 {
            /// One that the caller has, whose guest has ended: it is the answer, unless it is lost. 0 for none.
            former: u32,
        } => HostClaimed { logical_host: u32 };
        /// The guest that had a logical host has ended, or never began: no process of it is anywhere any more. For system
        /// users only; [`NotFound`](abi::Error::NotFound) if no guest of this node has it.
        ReleaseHost = 11 { logical_host: u32 } => HostReleased {};
        /// Takes a guest out, with all that is under way for it: its processes' state, what they have sent and are to
        /// answer, into the write segment. `team` is its root, and frozen. From then on its logical host is not here: who
        /// sends to it looks for it. [`Busy`](abi::Error::Busy) while something is under way that ends soon: it is to be
        /// thawed, and tried again a moment later; [`TooLong`](abi::Error::TooLong) if the segment is too short. With any
        /// error nothing has been done. For system users only.
        ExportHost = 12 { logical_host: u32, team: Pid } => HostExported {
            /// The state's bytes.
            bytes: u32,
        };
        /// Goes on with a guest whose state is the read segment. `team` is a newborn one of the caller's, with the guest's
        /// memory; or where the state is taken back, the guest itself, which is still frozen. It is to be thawed then, by the
        /// pid that it had. With any error it is not here, and a newborn team is of no more use; with
        /// [`NoResources`](abi::Error::NoResources) it may be tried again a moment later. For system users only.
        ImportHost = 13 { logical_host: u32, team: Pid } => HostImported {};
    }
}

/// Bytes of the longest name of a node; of a longer one only so many are known to others.
pub const HOST_NAME_BYTES: usize = 24;

/// A node of the domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostRecord {
    /// Where it is.
    pub logical_host: LogicalHost,
    /// What it is called, as it says: filled up with zeros.
    pub name: [u8; HOST_NAME_BYTES],
}

impl HostRecord {
    /// Bytes of a record.
    pub const BYTES: usize = 4 + HOST_NAME_BYTES;

    /// The record as bytes.
    pub fn to_bytes(&self) -> [u8; HostRecord::BYTES] {
        let mut bytes = [0; HostRecord::BYTES];
        bytes[..4].copy_from_slice(&self.logical_host.to_bits().to_le_bytes());
        bytes[4..].copy_from_slice(&self.name);
        bytes
    }

    /// The record of these bytes.
    pub fn from_bytes(bytes: &[u8; HostRecord::BYTES]) -> HostRecord {
        let [a, b, c, d, name @ ..] = *bytes;
        HostRecord { logical_host: LogicalHost::from_bits(u32::from_le_bytes([a, b, c, d])), name }
    }

    /// The name; none if it is no text.
    pub fn name(&self) -> Option<&str> {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(HOST_NAME_BYTES);
        core::str::from_utf8(&self.name[..end]).ok()
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// What a card has done since its driver was started.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct CounterRecord {
            $($(#[$doc])* pub $name: u64),*
        }

        impl CounterRecord {
            /// The counters' names, in their order.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];
            /// Bytes of a record.
            pub const BYTES: usize = 8 * CounterRecord::NAMES.len();

            /// The counters, in the order of their names.
            pub const fn values(&self) -> [u64; CounterRecord::NAMES.len()] {
                [$(self.$name),*]
            }

            /// The record of these counters.
            pub const fn of(values: [u64; CounterRecord::NAMES.len()]) -> CounterRecord {
                let [$($name),*] = values;
                CounterRecord { $($name),* }
            }
        }
    };
}

counters! {
    /// Frames received.
    received_frames;
    /// Their bytes.
    received_bytes;
    /// Frames sent.
    sent_frames;
    /// Their bytes.
    sent_bytes;
    /// Frames of types that nobody has registered.
    unclaimed_frames;
    /// Frames that nobody fetched in time.
    dropped_frames;
    /// What the card said that made no sense.
    nonsense;
    /// Interrupts.
    interrupts;
    /// How often the card was told that there is something to do.
    notices;
}

impl CounterRecord {
    /// The record as bytes.
    pub fn to_bytes(&self) -> [u8; CounterRecord::BYTES] {
        let mut bytes = [0; CounterRecord::BYTES];
        for (eight, value) in bytes.chunks_exact_mut(8).zip(self.values()) {
            eight.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// The record of these bytes.
    pub fn from_bytes(bytes: &[u8; CounterRecord::BYTES]) -> CounterRecord {
        let (eights, _) = bytes.as_chunks::<8>();
        let mut values = [0; CounterRecord::NAMES.len()];
        for (value, eight) in values.iter_mut().zip(eights) {
            *value = u64::from_le_bytes(*eight);
        }
        CounterRecord::of(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_come_back() {
        let mut record = HostRecord { logical_host: LogicalHost::from_bits(0xabc_def1), name: [0; 24] };
        assert_eq!(record.name(), Some(""));
        record.name = *b"a-name-of-24-bytes-long.";
        assert_eq!(HostRecord::from_bytes(&record.to_bytes()), record);
        assert_eq!(record.name(), Some("a-name-of-24-bytes-long."));
        record.name[3] = 0xff;
        assert_eq!(record.name(), None);
    }

    #[test]
    fn counters_come_back() {
        let record = CounterRecord { received_frames: 1, notices: u64::MAX, ..CounterRecord::default() };
        assert_eq!(CounterRecord::from_bytes(&record.to_bytes()), record);
        assert_eq!(CounterRecord::NAMES[8], "notices");
    }
}
