//! The driver of the screen and the keyboard; see the library.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use display_driver::DisplayServer;
use display_driver::adapter::{Frame, HEIGHT, WIDTH};
use display_driver::controller::Controller;
use display_driver::keyboard::{Keyboard, LAYOUTS};
use display_driver::screen::{CHARACTER_HEIGHT, CHARACTER_WIDTH};
use hardware::device::Device;
use hardware::interrupt::InterruptLine;
use io_server::{IoServer, Limits};
use v::prelude::*;
use v::{env, log, node};

/// The keyboard's interrupt line.
const LINE: u32 = 1;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    // The log server is above the drivers.
    log::use_kernel_log();
    let device = Device::all_of(env::program_name())?.into_iter().next().ok_or(Error::NotFound)?;
    let frame = Frame::start(&device)?;
    // Claimed first: the edge of an interrupt that nobody has claimed is lost.
    let interrupt = InterruptLine::claim(LINE)?;
    let controller = Controller::start()?;
    let chosen = node::keyboard().and_then(|layout| {
        Keyboard::new(layout).or_else(|| {
            log::warning!("there is no keyboard layout '{layout}'");
            None
        })
    });
    let keyboard = chosen.or_else(|| Keyboard::new(LAYOUTS[0].0)).ok_or(Error::NotFound)?;
    let (columns, rows) = (WIDTH / CHARACTER_WIDTH, HEIGHT / CHARACTER_HEIGHT);
    let server = DisplayServer::new(frame, columns, rows, keyboard, controller, interrupt.sender());
    io_server::serve_prefixes(IoServer::new(server, Limits::default()), &[("display", 0)])
}
