//! The network server: the node's network cards, and the frames that go over them.
//!
//! A frame is a whole Ethernet frame without its checksum: destination, source, type, content. Whoever has registered a
//! type gets the frames of that type, one for each request. Frames are raw: who sends and receives them can imitate
//! anyone on the network, so only the system and the operator may.

use abi::protocol;

/// Bytes of a frame's head.
pub const HEAD_BYTES: usize = 14;
/// Longest frame that any card takes.
pub const MAX_FRAME_BYTES: usize = HEAD_BYTES + 9000;
/// Types below this are lengths, of frames of another kind, which nobody can register.
pub const FIRST_TYPE: u32 = 0x600;

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
    fn counters_come_back() {
        let record = CounterRecord { received_frames: 1, notices: u64::MAX, ..CounterRecord::default() };
        assert_eq!(CounterRecord::from_bytes(&record.to_bytes()), record);
        assert_eq!(CounterRecord::NAMES[8], "notices");
    }
}
