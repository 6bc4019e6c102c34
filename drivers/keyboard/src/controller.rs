//! The keyboard controller (Intel's 8042), which has the keyboard's codes translated to the first set.

use abi::{Error, Pid};
use alloc::collections::VecDeque;
use hardware::interrupt::InterruptLine;
use hardware::port::Port;
use protocols::keyboard::light;

use crate::codes::Codes;
use crate::server::{Change, Source};

/// The keyboard's interrupt line.
const LINE: u32 = 1;
const DATA: Port = Port::new(0x60);
const STATUS: Port = Port::new(0x64);
/// What ports give where nothing is.
const NOTHING: u8 = 0xff;
/// Bits of the status: a byte is there to be read; one that was written is not taken yet; what is there is the mouse's.
const HAS_BYTE: u8 = 1;
const IS_BUSY: u8 = 2;
const IS_OF_MOUSE: u8 = 0x20;
/// Commands.
const READ_CONFIGURATION: u8 = 0x20;
const WRITE_CONFIGURATION: u8 = 0x60;
const ENABLE_KEYBOARD: u8 = 0xae;
/// Bits of the configuration: the keyboard interrupts; its clock is off; its codes are translated.
const INTERRUPTS: u8 = 1;
const CLOCK_OFF: u8 = 0x10;
const TRANSLATES: u8 = 0x40;
/// To the keyboard itself: send codes; bits of lights follow. Its answer to what it understands.
const SEND_CODES: u8 = 0xf4;
const SET_LIGHTS: u8 = 0xed;
const UNDERSTOOD: u8 = 0xfa;
/// Bits of lights.
const NUMBERS: u8 = 2;
const CAPITALS: u8 = 4;
/// How often the controller is looked at before it is given up.
const PATIENCE: usize = 100_000;
/// Most codes that are kept while the keyboard is waited for.
const MOST_CODES: usize = 64;

/// The controller, with its keyboard.
#[derive(Debug)]
pub struct Controller {
    interrupt: InterruptLine,
    codes: Codes,
    /// What came while an answer was waited for.
    kept: VecDeque<u8>,
    has_lights: bool,
}

impl Controller {
    /// Has the keyboard send codes and interrupt. [`NotFound`](Error::NotFound) where there is no controller.
    pub fn start() -> Result<Controller, Error> {
        if STATUS.read()? == NOTHING {
            return Err(Error::NotFound);
        }
        // Claimed first: the edge of an interrupt that nobody has claimed is lost.
        let interrupt = InterruptLine::claim(LINE)?;
        command(ENABLE_KEYBOARD)?;
        // What had been typed before is not for us.
        for _ in 0..PATIENCE {
            if STATUS.read()? & HAS_BYTE == 0 {
                break;
            }
            DATA.read()?;
        }
        command(READ_CONFIGURATION)?;
        wait(HAS_BYTE, HAS_BYTE)?;
        let configuration = DATA.read()?;
        command(WRITE_CONFIGURATION)?;
        write((configuration | INTERRUPTS | TRANSLATES) & !CLOCK_OFF)?;
        let mut controller =
            Controller { interrupt, codes: Codes::default(), kept: VecDeque::new(), has_lights: true };
        // Some firmware's imitation of a keyboard does not answer.
        controller.has_lights = controller.tell(SEND_CODES).is_ok();
        Ok(controller)
    }

    /// The next byte from the keyboard.
    fn byte() -> Option<u8> {
        // A port that the kernel refuses has no codes.
        let status = STATUS.read().ok()?;
        if status & HAS_BYTE == 0 {
            return None;
        }
        let byte = DATA.read().ok()?;
        // The mouse's are nobody's, and 0 is no key.
        Some(if status & IS_OF_MOUSE == 0 { byte } else { 0 })
    }

    /// Tells the keyboard something, which it answers.
    fn tell(&mut self, value: u8) -> Result<(), Error> {
        write(value)?;
        for _ in 0..PATIENCE {
            match Controller::byte() {
                Some(UNDERSTOOD) => return Ok(()),
                Some(code) if self.kept.len() < MOST_CODES => self.kept.push_back(code),
                Some(_) | None => {}
            }
        }
        Err(Error::DeviceError)
    }
}

fn command(command: u8) -> Result<(), Error> {
    wait(IS_BUSY, 0)?;
    STATUS.write(command)
}

fn write(value: u8) -> Result<(), Error> {
    wait(IS_BUSY, 0)?;
    DATA.write(value)
}

fn wait(bit: u8, wanted: u8) -> Result<(), Error> {
    for _ in 0..PATIENCE {
        if STATUS.read()? & bit == wanted {
            return Ok(());
        }
    }
    Err(Error::DeviceError)
}

impl Source for Controller {
    fn interrupt(&self) -> Pid {
        self.interrupt.sender()
    }

    fn take(&mut self) -> Option<Change> {
        for _ in 0..MOST_CODES {
            let code = self.kept.pop_front().or_else(Controller::byte)?;
            if let Some(change) = self.codes.take(code) {
                return Some(change);
            }
        }
        None
    }

    /// The controller interrupts for each byte.
    fn ask(&mut self) -> bool {
        !self.kept.is_empty()
    }

    fn show(&mut self, lights: u32) {
        let bit = |light, bit| if lights & light == 0 { 0 } else { bit };
        let bits = bit(light::NUMBERS, NUMBERS) | bit(light::CAPITALS, CAPITALS);
        // Each wait that is in vain takes long.
        self.has_lights = self.has_lights && self.tell(SET_LIGHTS).and_then(|()| self.tell(bits)).is_ok();
    }
}
