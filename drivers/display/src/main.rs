//! The driver of the screen; see the library.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use display_driver::DisplayServer;
use display_driver::frame::Frame;
use display_driver::keyboard::{Keyboard, LAYOUTS};
use hardware::device::Device;
use io_server::{IoServer, Limits};
use v::prelude::*;
use v::{env, log, node};

v_start::program!(main);

fn main() -> Result<(), Error> {
    // The log server is above the drivers.
    log::use_kernel_log();
    let devices = Device::all_of(env::program_name())?;
    let Some(frame) = Frame::find(&devices, &v::entry::information().screen)? else {
        log::warning!("the firmware has set up no screen, or none with 32 bits a pixel");
        return Ok(());
    };
    let chosen = node::keyboard().and_then(|layout| {
        Keyboard::new(layout).or_else(|| {
            log::warning!("there is no keyboard layout '{layout}'");
            None
        })
    });
    let keyboard = chosen.or_else(|| Keyboard::new(LAYOUTS[0].0)).ok_or(Error::NotFound)?;
    let (columns, rows) = frame.layout().characters();
    let server = DisplayServer::new(frame, columns, rows, keyboard);
    match io_server::serve_prefixes(IoServer::new(server, Limits::default()), &[("display", 0)])? {}
}
