//! The tool `cargo v`.

#![forbid(unsafe_code)]
