//! Commands that deal with names and files.

pub mod basename;
pub mod chmod;
pub mod chown;
pub mod cp;
pub mod dd;
pub mod df;
pub mod du;
pub mod find;
pub mod ls;
pub mod mkdir;
pub mod mv;
pub mod rm;
pub mod split;
pub mod stat;
pub mod tar;
pub mod touch;

mod each;
pub(crate) mod kept;
pub(crate) mod path;
mod size;
