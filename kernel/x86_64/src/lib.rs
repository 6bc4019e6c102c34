//! The V kernel for x86-64.

#![no_std]
