//! Colours as the bits of a pixel, in whatever order the firmware has them.

use abi::information::FirmwareScreen;

/// Where a colour lies in a pixel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Field {
    /// Its lowest bit.
    first: u32,
    /// How many bits it has.
    bits: u32,
}

impl Field {
    /// The bits that it has, as a pixel has them; none if there are no such bits.
    const fn mask(self) -> Option<u32> {
        if self.bits == 0 || self.bits > 32 || self.first > 32 - self.bits {
            return None;
        }
        Some(u32::MAX >> (32 - self.bits) << self.first)
    }

    /// A share of 255 of the colour.
    const fn of(self, share: u32) -> u32 {
        match self.bits.checked_sub(8) {
            Some(more) => share << more << self.first,
            None => share >> (8 - self.bits) << self.first,
        }
    }
}

/// Where red, green and blue lie in a pixel. They share no bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Colours([Field; 3]);

impl Colours {
    /// Blue lowest, then green, then red, each a byte.
    pub const BLUE_FIRST: Colours =
        Colours([Field { first: 16, bits: 8 }, Field { first: 8, bits: 8 }, Field { first: 0, bits: 8 }]);

    /// As the firmware has them; none if that makes no sense.
    pub fn of(screen: &FirmwareScreen) -> Option<Colours> {
        let told = screen.colours.to_le_bytes();
        let field = |at: usize| Field { first: told[at].into(), bits: told[at + 1].into() };
        let fields = [field(0), field(2), field(4)];
        let mut taken = 0;
        for field in fields {
            let mask = field.mask()?;
            if taken & mask != 0 {
                return None;
            }
            taken |= mask;
        }
        Some(Colours(fields))
    }

    /// A pixel of a colour that has blue in its lowest byte, then green and red.
    pub fn pixel(&self, colour: u32) -> u32 {
        if *self == Colours::BLUE_FIRST {
            return colour;
        }
        let [red, green, blue] = self.0;
        red.of(colour >> 16 & 0xff) | green.of(colour >> 8 & 0xff) | blue.of(colour & 0xff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes as a loader tells them: of red, green and blue the lowest bit, and how many there are.
    fn told(bytes: [u8; 6]) -> Option<Colours> {
        let colours = bytes.iter().rev().fold(0, |colours, byte| colours << 8 | u64::from(*byte));
        Colours::of(&FirmwareScreen { colours, ..FirmwareScreen::default() })
    }

    #[test]
    fn colours_stand_where_the_firmware_has_them() {
        const COLOUR: u32 = 0x0012_80ff;
        for (bytes, pixel) in [
            ([16, 8, 8, 8, 0, 8], COLOUR),
            // Red lowest, as UEFI's other order has it; behind an unused byte; and more or fewer bits.
            ([0, 8, 8, 8, 16, 8], 0x00ff_8012),
            ([24, 8, 16, 8, 8, 8], 0x1280_ff00),
            ([20, 10, 10, 10, 0, 10], 0x12 << 22 | 0x80 << 12 | 0xff << 2),
            ([11, 5, 5, 6, 0, 5], 2 << 11 | 32 << 5 | 31),
        ] {
            assert_eq!(told(bytes).map(|colours| colours.pixel(COLOUR)), Some(pixel), "{bytes:?}");
        }
        assert_eq!(told([16, 8, 8, 8, 0, 8]), Some(Colours::BLUE_FIRST));
    }

    #[test]
    fn colours_that_make_no_sense_are_none() {
        for bytes in
            [[0; 6], [16, 8, 8, 8, 0, 9], [16, 8, 8, 0, 0, 8], [25, 8, 8, 8, 0, 8], [16, 8, 8, 8, 255, 255]]
        {
            assert_eq!(told(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_pixel_has_no_bits_but_its_colours(bytes: [u8; 6], colour in 0_u32..1 << 24) {
            let bytes = bytes.map(|byte| byte % 40);
            if let Some(colours) = told(bytes) {
                let masks = colours.0.map(|field| field.mask().unwrap());
                prop_assert_eq!(colours.pixel(colour) & !(masks[0] | masks[1] | masks[2]), 0);
                prop_assert_eq!(colours.pixel(0), 0);
            }
        }
    }
}
