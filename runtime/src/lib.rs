//! What every V program links.

#![no_std]
