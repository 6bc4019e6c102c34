//! The display adapter of Bochs, which QEMU's standard one is: registers in memory, and a frame of 32-bit pixels. It is put into
//! its mode here; what the firmware had shown is gone.

use abi::Error;
use hardware::device::Device;
use hardware::register::Registers;
use pci::Identity;

use crate::colours::Colours;
use crate::frame::{Layout, PIXEL_BYTES};

/// Pixels of the screen.
const WIDTH: usize = 1024;
/// As [`WIDTH`].
const HEIGHT: usize = 768;

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

/// What all of them are called.
const ADAPTER: Identity = Identity { vendor: 0x1234, device: 0x1111 };

/// Whether the device is such an adapter.
pub fn is_it(device: &Device) -> bool {
    device.header().identity() == ADAPTER
}

/// Has an adapter show pixels, and gives them. [`NotSupported`](Error::NotSupported) if it is one of another version.
pub fn start(device: &Device) -> Result<(Registers, Layout), Error> {
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
    let pitch = WIDTH * PIXEL_BYTES;
    let layout = Layout { width: WIDTH, height: HEIGHT, pitch, colours: Colours::BLUE_FIRST };
    Ok((device.registers(FRAME_BAR, 0, layout.pitch * HEIGHT)?, layout))
}
