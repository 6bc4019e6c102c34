//! The logic of the V kernel.

#![no_std]
#![forbid(unsafe_code)]
