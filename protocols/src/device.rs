//! A device as the supervisor describes it: to people, and to the service that drives it.

/// Base address registers of a device.
pub const BARS: usize = 6;
/// Bytes of a device's configuration space that its record has.
pub const CONFIGURATION_BYTES: usize = 256;

/// What a base address register describes: the `kind` of a [`BarRecord`].
pub mod bar {
    /// Nothing.
    pub const NONE: u32 = 0;
    /// Ports.
    pub const PORTS: u32 = 1;
    /// Physical memory.
    pub const MEMORY: u32 = 2;
}

/// What a driver has made of a device: the `state` of a [`DeviceRecord`].
pub mod state {
    /// No service is configured for it.
    pub const UNUSED: u32 = 1;
    /// Its service has not reset it yet.
    pub const WAITING: u32 = 2;
    /// Its service uses it.
    pub const RUNNING: u32 = 3;

    /// The state's word.
    pub fn name(state: u32) -> &'static str {
        match state {
            WAITING => "waiting",
            RUNNING => "running",
            _ => "unused",
        }
    }
}

/// A base address register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BarRecord {
    /// One of [`bar`].
    pub kind: u32,
    /// The first port, or physical address.
    pub start: u64,
    /// Ports, or bytes.
    pub count: u64,
}

/// A device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceRecord<'a> {
    /// Where it sits: 8 bits of bus, 5 of device, 3 of function.
    pub address: u32,
    /// One of [`state`].
    pub state: u32,
    /// The interrupt line that it was given, a message line; 0 if none.
    pub line: u32,
    /// Its base address registers.
    pub bars: [BarRecord; BARS],
    /// The beginning of its configuration space, as it was when the machine started.
    pub configuration: [u8; CONFIGURATION_BYTES],
    /// The service that it was given to; empty if none.
    pub service: &'a str,
}

const BAR_BYTES: usize = 20;
const BARS_AT: usize = 16;
const CONFIGURATION_AT: usize = BARS_AT + BARS * BAR_BYTES;

impl<'a> DeviceRecord<'a> {
    /// Bytes before the service's name.
    pub const HEADER_BYTES: usize = CONFIGURATION_AT + CONFIGURATION_BYTES;
    /// Most bytes.
    pub const MAX_BYTES: usize =
        DeviceRecord::HEADER_BYTES + crate::supervisor::ServiceRecord::MAX_NAME_BYTES;

    /// Writes it to the beginning of `place`; its length, or none if the place is too short.
    pub fn encode(&self, place: &mut [u8]) -> Option<usize> {
        let place = place.get_mut(..DeviceRecord::HEADER_BYTES + self.service.len())?;
        let small = [self.address, self.state, self.line, self.service.len() as u32];
        for (four, value) in place.chunks_exact_mut(4).zip(small) {
            four.copy_from_slice(&value.to_le_bytes());
        }
        for (bytes, bar) in place[BARS_AT..].chunks_exact_mut(BAR_BYTES).zip(self.bars) {
            bytes[..4].copy_from_slice(&bar.kind.to_le_bytes());
            bytes[4..12].copy_from_slice(&bar.start.to_le_bytes());
            bytes[12..].copy_from_slice(&bar.count.to_le_bytes());
        }
        place[CONFIGURATION_AT..DeviceRecord::HEADER_BYTES].copy_from_slice(&self.configuration);
        place[DeviceRecord::HEADER_BYTES..].copy_from_slice(self.service.as_bytes());
        Some(place.len())
    }

    /// Reads one; none if it is malformed.
    pub fn decode(bytes: &'a [u8]) -> Option<DeviceRecord<'a>> {
        let small = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let large = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let mut bars = [BarRecord::default(); BARS];
        for (number, bar) in bars.iter_mut().enumerate() {
            let at = BARS_AT + number * BAR_BYTES;
            *bar = BarRecord { kind: small(at)?, start: large(at + 4)?, count: large(at + 12)? };
        }
        let service = bytes.get(DeviceRecord::HEADER_BYTES..)?.get(..small(12)? as usize)?;
        Some(DeviceRecord {
            address: small(0)?,
            state: small(4)?,
            line: small(8)?,
            bars,
            configuration: *bytes.get(CONFIGURATION_AT..)?.first_chunk()?,
            service: core::str::from_utf8(service).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let mut bars = [BarRecord::default(); BARS];
        bars[4] = BarRecord { kind: bar::MEMORY, start: 0x38_0000_0000, count: 0x4000 };
        let mut configuration = [0; CONFIGURATION_BYTES];
        configuration[255] = 7;
        let record = DeviceRecord {
            address: 0x18,
            state: state::RUNNING,
            line: 128,
            bars,
            configuration,
            service: "network",
        };
        let mut place = [0; DeviceRecord::MAX_BYTES];
        let bytes = record.encode(&mut place).unwrap();
        assert_eq!(DeviceRecord::decode(&place[..bytes]), Some(record));
        assert_eq!(DeviceRecord::decode(&place[..bytes - 1]), None);
        assert_eq!(record.encode(&mut place[..bytes - 1]), None);
    }
}
