//! Answers for the prefixes of one node.

#![no_std]
#![forbid(unsafe_code)]
