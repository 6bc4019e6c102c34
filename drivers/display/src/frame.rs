//! The pixels of a screen: those of Bochs's adapter, or else the ones that the firmware has set up on another adapter, of which
//! nothing is known but that they are in its memory.

use abi::Error;
use abi::information::FirmwareScreen;
use hardware::device::Device;
use hardware::register::Registers;

use crate::bochs;
use crate::colours::Colours;
use crate::screen::{CHARACTER_HEIGHT, CHARACTER_WIDTH, Surface};

/// Bytes of a pixel.
pub const PIXEL_BYTES: usize = 4;
/// The least screen that is used, in pixels.
const LEAST: (usize, usize) = (640, 480);
/// Most characters of a row, and most rows: consoles on a larger screen are in its upper left, so that they have room in memory.
const MOST: (usize, usize) = (320, 120);
/// Two pixels are written at once.
const PAIR_BYTES: usize = 2 * PIXEL_BYTES;

/// Where pixels lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes from one row to the next.
    pub pitch: usize,
    /// What a pixel is.
    pub colours: Colours,
}

impl Layout {
    /// That of the firmware's pixels, if they can be written.
    fn of(screen: &FirmwareScreen) -> Option<Layout> {
        let [width, height, pitch] =
            [screen.width, screen.height, screen.pitch].map(|number| usize::try_from(number).ok());
        let colours = Colours::of(screen)?;
        let layout = Layout { width: width?, height: height?, pitch: pitch?, colours };
        let is_aligned =
            screen.address.is_multiple_of(PAIR_BYTES as u64) && pitch?.is_multiple_of(PAIR_BYTES);
        let has_rows = layout.width.checked_mul(PIXEL_BYTES)? <= layout.pitch;
        let is_usable = is_aligned && has_rows && (LEAST.0..).contains(&layout.width);
        (is_usable && layout.height >= LEAST.1).then_some(layout)
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> Option<usize> {
        self.pitch.checked_mul(self.height)
    }

    /// How many characters there is room for in a row, and how many rows.
    pub fn characters(&self) -> (usize, usize) {
        ((self.width / CHARACTER_WIDTH).min(MOST.0), (self.height / CHARACTER_HEIGHT).min(MOST.1))
    }
}

/// The pixels.
pub struct Frame {
    pixels: Registers,
    layout: Layout,
}

impl Frame {
    /// Finds them on one of the devices. None if there are none that could be used.
    pub fn find(devices: &[Device], screen: &FirmwareScreen) -> Result<Option<Frame>, Error> {
        if let Some(device) = devices.iter().find(|device| bochs::is_it(device)) {
            let (pixels, layout) = bochs::start(device)?;
            return Ok(Some(Frame { pixels, layout }));
        }
        let Some((layout, bytes)) = usable(devices, screen) else { return Ok(None) };
        let frame = Frame { pixels: Registers::map(screen.address, bytes)?, layout };
        frame.clear_beyond_characters();
        Ok(Some(frame))
    }

    /// Clears what the firmware and the boot loader had shown right of and below all characters.
    fn clear_beyond_characters(&self) {
        let (columns, rows) = self.layout.characters();
        for y in 0..self.layout.height {
            let is_beside = y < rows * CHARACTER_HEIGHT;
            let first = if is_beside { columns * CHARACTER_WIDTH } else { 0 };
            for x in (first..self.layout.width).step_by(2) {
                self.pixels.write(y * self.layout.pitch + x * PIXEL_BYTES, 0_u64);
            }
        }
    }

    /// Where they lie.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// The layout and the bytes of the firmware's pixels, if they can be written and are in the memory of one of the devices.
fn usable(devices: &[Device], screen: &FirmwareScreen) -> Option<(Layout, usize)> {
    let layout = Layout::of(screen)?;
    let bytes = layout.bytes()?;
    devices.iter().any(|device| device.has(screen.address, bytes)).then_some((layout, bytes))
}

impl Surface for Frame {
    fn put(&mut self, x: usize, y: usize, colours: [u32; CHARACTER_WIDTH]) {
        let mut at = y * self.layout.pitch + x * PIXEL_BYTES;
        let (pairs, _) = colours.as_chunks::<2>();
        for [left, right] in pairs {
            let [left, right] = [left, right].map(|colour| u64::from(self.layout.colours.pixel(*colour)));
            self.pixels.write(at, left | right << 32);
            at += PAIR_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocols::device::{BARS, BarRecord, DeviceRecord, bar};

    const SCREEN: FirmwareScreen = FirmwareScreen {
        address: 0xc000_0000,
        pitch: 8192,
        width: 1920,
        height: 1080,
        colours: 0x0800_0808_0810,
    };

    fn device(start: u64, count: u64) -> Device {
        let mut bars = [BarRecord::default(); BARS];
        bars[2] = BarRecord { kind: bar::MEMORY, start, count };
        Device::new(&DeviceRecord {
            address: 8,
            state: 1,
            line: 0,
            bars,
            configuration: [0; 256],
            service: "",
        })
    }

    #[test]
    fn pixels_must_be_all_in_the_memory_of_a_device() {
        let layout = Layout { width: 1920, height: 1080, pitch: 8192, colours: Colours::BLUE_FIRST };
        let bytes = 8192 * 1080;
        let other = device(0xe000_0000, 4096);
        for (start, count, expected) in [
            (0xc000_0000, bytes, true),
            (0xb000_0000, 0x2000_0000, true),
            (0xc000_0000, bytes - 1, false),
            (0xc000_1000, bytes, false),
            (0, 0x1000_0000, false),
            (0xc000_0000, u64::MAX, false),
        ] {
            let found = usable(&[other.clone(), device(start, count)], &SCREEN);
            assert_eq!(found, expected.then_some((layout, bytes as usize)), "{start:#x} {count:#x}");
        }
    }

    #[test]
    fn what_a_loader_says_is_not_believed() {
        let all = [device(0, u64::MAX)];
        assert!(usable(&all, &SCREEN).is_some());
        for screen in [
            FirmwareScreen::default(),
            FirmwareScreen { pitch: 1920 * 4 - 8, ..SCREEN },
            FirmwareScreen { pitch: 8188, ..SCREEN },
            FirmwareScreen { address: 0xc000_0004, ..SCREEN },
            FirmwareScreen { width: 639, ..SCREEN },
            FirmwareScreen { width: 1 << 62, ..SCREEN },
            FirmwareScreen { height: 479, ..SCREEN },
            FirmwareScreen { height: u64::MAX, ..SCREEN },
            FirmwareScreen { address: u64::MAX - 7, ..SCREEN },
            FirmwareScreen { colours: 0, ..SCREEN },
        ] {
            assert_eq!(usable(&all, &screen), None, "{screen:?}");
        }
    }

    #[test]
    fn consoles_are_as_large_as_the_screen_within_bounds() {
        let characters = |width, height| {
            let colours = Colours::BLUE_FIRST;
            Layout { width, height, pitch: 4 * width, colours }.characters()
        };
        assert_eq!(characters(640, 480), (80, 30));
        assert_eq!(characters(1366, 768), (170, 48));
        assert_eq!(characters(7680, 4320), (320, 120));
    }
}
