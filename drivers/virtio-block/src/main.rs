//! The driver of virtio disks.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use v::prelude::*;
use virtio_block::device;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    block_device::serve::serve(device::start)
}
