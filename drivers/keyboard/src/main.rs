//! The driver of keyboards; see the library. Who is given devices drives those, and who is given none the controller.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use hardware::device::Device;
use keyboard_driver::controller::Controller;
use keyboard_driver::input::InputDevice;
use keyboard_driver::server::{DisplayServer, Keyboards, Source};
use v::log;
use v::prelude::*;
use v::server::{self, Options};

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let devices = Device::all_of(v::env::program_name())?;
    if !devices.is_empty() {
        return serve(devices.iter().filter_map(keyboard).collect());
    }
    match Controller::start() {
        Ok(controller) => serve(Vec::from([controller])),
        Err(error) => {
            log::notice!("there is no keyboard at a PC's controller: {error}");
            serve::<Controller>(Vec::new())
        }
    }
}

/// The device, if it is a keyboard that starts.
fn keyboard(device: &Device) -> Option<InputDevice> {
    match InputDevice::start(device) {
        Ok(Some(started)) => {
            log::notice!("{}: keyboard '{}'", device.address(), started.name());
            Some(started)
        }
        // A mouse, or the like.
        Ok(None) => None,
        Err(error) => {
            log::error!("{}: cannot start the device: {error}", device.address());
            None
        }
    }
}

/// Serves keyboards for ever, if there are any.
fn serve<S: Source>(sources: Vec<S>) -> Result<Infallible, Error> {
    if sources.is_empty() {
        server::ready();
        v::process::exit(0);
    }
    let mut keyboards = Keyboards::new(sources, DisplayServer);
    server::ready();
    server::serve(&mut keyboards, Options::default())
}
