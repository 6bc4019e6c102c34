//! The first program of a node: reads its configuration, then supervises.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use supervisor_server::clock;
use supervisor_server::configuration_space::ConfigurationSpace;
use supervisor_server::devices::Devices;
use supervisor_server::launch::Images;
use supervisor_server::supervise::{Supervising, configured, say};
use v::server::{self, Options};

v_start::program!(main);

/// Says in the kernel's log why there is nothing to supervise; with its first team the node ends.
fn main() -> i32 {
    let Some((archive, physical)) = v::entry::boot_archive() else {
        say("started as an ordinary program, and not by the kernel");
        return 1;
    };
    let images = match Images::new(archive, physical) {
        Ok(images) => images,
        Err(damage) => {
            say(&v::prelude::format!("{damage}"));
            return 1;
        }
    };
    clock::set_date();
    let devices = Devices::find(ConfigurationSpace::new());
    match configured(&images) {
        Ok(own) => server::serve(&mut Supervising::new(images, own, devices), Options::default()),
        Err(mistake) => {
            say(&mistake);
            1
        }
    }
}
