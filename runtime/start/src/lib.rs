//! Entry, panic handler and allocator of a V program; loaded by binaries only.

#![no_std]
