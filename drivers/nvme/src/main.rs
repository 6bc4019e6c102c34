//! The driver of NVMe disks.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use v::prelude::*;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    block_device::serve::serve(nvme_driver::device::start)
}
