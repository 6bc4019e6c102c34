//! What kind of device a class code means, for people.

/// A name for the class and subclass; for those that are not named here, the class's.
pub fn name(class: u8, subclass: u8) -> &'static str {
    match (class, subclass) {
        (0x01, 0x01) => "IDE controller",
        (0x01, 0x06) => "SATA controller",
        (0x01, 0x08) => "NVMe controller",
        (0x01, _) => "storage controller",
        (0x02, 0x00) => "Ethernet controller",
        (0x02, _) => "network controller",
        (0x03, _) => "display controller",
        (0x04, _) => "multimedia device",
        (0x05, _) => "memory controller",
        (0x06, 0x00) => "host bridge",
        (0x06, 0x01) => "ISA bridge",
        (0x06, 0x04) => "PCI bridge",
        (0x06, _) => "bridge",
        (0x07, _) => "communication controller",
        (0x08, _) => "system peripheral",
        (0x09, _) => "input device",
        (0x0c, 0x03) => "USB controller",
        (0x0c, 0x05) => "SMBus controller",
        (0x0c, _) => "serial bus controller",
        (0x0d, _) => "wireless controller",
        _ => "device",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_not_known_is_still_something() {
        assert_eq!(super::name(2, 0), "Ethernet controller");
        assert_eq!((super::name(2, 0x80), super::name(0xff, 0)), ("network controller", "device"));
    }
}
