//! The tool `cargo v`: builds, boots, tests, measures and debugs V in QEMU.
//!
//! The way through `cargo v run`: [`arguments`] says what was asked, [`guest`] builds the kernel and the programs,
//! [`archive`] packs them, [`machine`] words QEMU's command line, [`node`] starts QEMU and hears what it says,
//! [`domain`] watches over all nodes and their [network](ethernet), and a [`session`] ([`exec`] or [`terminal`]) talks with the
//! system of each. [`run`] ties these together; [`test`], [`bench`] and [`debug`] use the same pieces. [`image`] writes
//! what machines start that are not QEMU's, or are QEMU's with their own [`firmware`].

#![forbid(unsafe_code)]

pub mod archive;
pub mod arguments;
pub mod bench;
pub mod book;
pub mod channel;
pub mod counting;
pub mod damage;
pub mod debug;
pub mod disk;
pub mod diskless;
pub mod doctor;
pub mod domain;
pub mod exec;
pub mod fat;
pub mod firmware;
pub mod fuzz;
pub mod gdb;
pub mod guest;
pub mod image;
pub mod lines;
pub mod log;
pub mod machine;
pub mod manual;
pub mod memory;
pub mod new;
pub mod node;
pub mod output;
pub mod package;
pub mod per_node;
pub mod progress;
pub mod qemu;
pub mod run;
pub mod scenario;
pub mod screen;
pub mod script;
pub mod session;
pub mod symbols;
pub mod terminal;
pub mod test;
pub mod views;
pub mod volume;
pub mod wiring;
