//! The keyboard controller (Intel's 8042), which has the keyboard's codes translated to the first set.

use abi::Error;
use hardware::port::Port;

use crate::server::Codes;

const DATA: Port = Port::new(0x60);
const STATUS: Port = Port::new(0x64);
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
/// To the keyboard itself: send codes.
const SEND_CODES: u8 = 0xf4;
/// How often the controller is looked at before it is given up.
const PATIENCE: usize = 100_000;

/// The controller.
#[derive(Debug)]
pub struct Controller;

impl Controller {
    /// Has the keyboard send codes and interrupt.
    pub fn start() -> Result<Controller, Error> {
        Controller::command(ENABLE_KEYBOARD)?;
        // What had been typed before is not for us.
        for _ in 0..PATIENCE {
            if STATUS.read()? & HAS_BYTE == 0 {
                break;
            }
            DATA.read()?;
        }
        Controller::command(READ_CONFIGURATION)?;
        let configuration = Controller::answer()?;
        Controller::command(WRITE_CONFIGURATION)?;
        Controller::write((configuration | INTERRUPTS | TRANSLATES) & !CLOCK_OFF)?;
        Controller::write(SEND_CODES)?;
        Ok(Controller)
    }

    fn command(command: u8) -> Result<(), Error> {
        Controller::wait(IS_BUSY, 0)?;
        STATUS.write(command)
    }

    fn write(value: u8) -> Result<(), Error> {
        Controller::wait(IS_BUSY, 0)?;
        DATA.write(value)
    }

    fn answer() -> Result<u8, Error> {
        Controller::wait(HAS_BYTE, HAS_BYTE)?;
        DATA.read()
    }

    fn wait(bit: u8, wanted: u8) -> Result<(), Error> {
        for _ in 0..PATIENCE {
            if STATUS.read()? & bit == wanted {
                return Ok(());
            }
        }
        Err(Error::DeviceError)
    }
}

impl Codes for Controller {
    fn next(&mut self) -> Option<u8> {
        // A port that the kernel refuses has no codes.
        let status = STATUS.read().ok()?;
        if status & HAS_BYTE == 0 {
            return None;
        }
        let code = DATA.read().ok()?;
        // The mouse's are nobody's.
        Some(if status & IS_OF_MOUSE == 0 { code } else { 0 })
    }
}
