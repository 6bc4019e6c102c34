//! Scenarios on booted nodes.

#![forbid(unsafe_code)]
