//! The shell and the commands.

#![no_std]
#![forbid(unsafe_code)]
