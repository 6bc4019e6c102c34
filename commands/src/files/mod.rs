//! Commands that deal with names and files.

pub mod cp;
pub mod find;
pub mod ls;
pub mod mkdir;
pub mod mv;
pub mod rm;
pub mod touch;

mod path;
