//! The naming server: answers for the prefixes of one node.
//!
//! | module | what it has |
//! |---|---|
//! | `table` | which server has which prefix, and how that is kept for the next life |
//! | `directory` | the prefixes as a directory to be listed |
//! | `answer` | the requests, and the look-ups that wait for a server to come back |

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod answer;
pub mod directory;
pub mod table;
