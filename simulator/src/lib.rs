//! Kernel cores in one host process.

#![forbid(unsafe_code)]
