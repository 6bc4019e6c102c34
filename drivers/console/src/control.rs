//! What device and driver say of ports: eight bytes, little-endian.

/// What is said.
pub mod event {
    /// The driver to the device: it has started.
    pub const DRIVER_READY: u16 = 0;
    /// The device to the driver: there is such a port.
    pub const PORT_ADDED: u16 = 1;
    /// The driver to the device: the port can be used.
    pub const PORT_READY: u16 = 3;
    /// Both ways: that end of the port is open (1) or closed (0).
    pub const OPEN: u16 = 6;
}

/// One thing said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Control {
    /// Of which port.
    pub port: u32,
    /// What: see [`event`].
    pub event: u16,
    /// Mostly whether.
    pub value: u16,
}

impl Control {
    /// Its bytes.
    pub fn encode(self) -> [u8; 8] {
        let bits = u64::from(self.port) | u64::from(self.event) << 32 | u64::from(self.value) << 48;
        bits.to_le_bytes()
    }

    /// What begins with these bytes; none if they are too few. A name may stand behind them.
    pub fn decode(bytes: &[u8]) -> Option<Control> {
        let bits = u64::from_le_bytes(*bytes.first_chunk()?);
        Some(Control { port: bits as u32, event: (bits >> 32) as u16, value: (bits >> 48) as u16 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_the_standard_has_them() {
        let said = Control { port: 0x0403_0201, event: event::OPEN, value: 0x0807 };
        let bytes = [1, 2, 3, 4, 6, 0, 7, 8];
        assert_eq!(said.encode(), bytes);
        assert_eq!(Control::decode(&[&bytes[..], b"name"].concat()), Some(said));
        assert_eq!(Control::decode(&bytes[..7]), None);
    }
}
