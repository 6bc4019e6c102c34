//! A program of V.

#![no_std]
#![no_main]

use v::prelude::*;

v_start::program!(main);

fn main() -> i32 {
    println!("hello from NAME");
    0
}
