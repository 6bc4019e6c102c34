//! What the hostile programs share: system calls with any registers whatever, and random numbers.

#![no_std]

pub mod random;
pub mod raw;
pub mod remains;
pub mod storm;
