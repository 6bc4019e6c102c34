//! The display adapter of Bochs, which QEMU's standard one is: registers in memory, and a frame of 32-bit pixels. It is put into
//! its mode here; what the firmware had shown is gone.

use abi::Error;
use hardware::device::Device;
use hardware::register::Registers;

use crate::screen::{CHARACTER_WIDTH, Surface};

/// Pixels of the screen.
pub const WIDTH: usize = 1024;
/// As [`WIDTH`].
pub const HEIGHT: usize = 768;
const PIXEL_BYTES: usize = 4;

/// Which base address registers have the pixels and the registers.
const FRAME_BAR: usize = 0;
const REGISTER_BAR: usize = 2;
const REGISTER_BYTES: usize = 4096;
/// Where the attribute controller of a VGA is, and what lets it show the picture.
const ATTRIBUTES: usize = 0x400;
const SHOW: u8 = 0x20;
/// Where Bochs's own registers are, of 16 bits each, by their numbers.
const OWN: usize = 0x500;
const IDENTITY: usize = 0;
const X_RESOLUTION: usize = 1;
const Y_RESOLUTION: usize = 2;
const DEPTH: usize = 3;
const ENABLE: usize = 4;
const VIRTUAL_WIDTH: usize = 6;
const X_OFFSET: usize = 8;
const Y_OFFSET: usize = 9;
/// The adapter says of itself that it is one: its versions.
const KNOWN: core::ops::RangeInclusive<u16> = 0xb0c0..=0xb0cf;
/// On, with all pixels in memory.
const ON_LINEAR: u16 = 1 | 0x40;

/// The adapter's frame.
pub struct Frame(Registers);

impl Frame {
    /// Has an adapter show its frame. [`NotSupported`](Error::NotSupported) if it is another one.
    pub fn start(device: &Device) -> Result<Frame, Error> {
        let registers = device.registers(REGISTER_BAR, 0, REGISTER_BYTES)?;
        let place = |number: usize| OWN + 2 * number;
        if !KNOWN.contains(&registers.read(place(IDENTITY))) {
            return Err(Error::NotSupported);
        }
        for (number, value) in [
            (ENABLE, 0),
            (X_RESOLUTION, WIDTH as u16),
            (Y_RESOLUTION, HEIGHT as u16),
            (DEPTH, 8 * PIXEL_BYTES as u16),
            (VIRTUAL_WIDTH, WIDTH as u16),
            (X_OFFSET, 0),
            (Y_OFFSET, 0),
            (ENABLE, ON_LINEAR),
        ] {
            registers.write(place(number), value);
        }
        registers.write(ATTRIBUTES, SHOW);
        Ok(Frame(device.registers(FRAME_BAR, 0, WIDTH * HEIGHT * PIXEL_BYTES)?))
    }
}

impl Surface for Frame {
    fn put(&mut self, x: usize, y: usize, pixels: [u32; CHARACTER_WIDTH]) {
        let mut at = (y * WIDTH + x) * PIXEL_BYTES;
        let (pairs, _) = pixels.as_chunks::<2>();
        for [left, right] in pairs {
            self.0.write(at, u64::from(*left) | u64::from(*right) << 32);
            at += 2 * PIXEL_BYTES;
        }
    }
}
