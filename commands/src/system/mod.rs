//! Commands that look at the system and act on it.

pub mod balance;
pub mod crash;
pub mod date;
pub mod devices;
pub mod disks;
pub mod env;
pub mod free;
pub mod groups;
pub mod hostname;
pub mod hosts;
pub mod kill;
pub mod log;
pub mod migrate;
pub mod netstat;
pub mod nproc;
pub mod ping;
pub mod poweroff;
pub mod prefixes;
pub mod ps;
pub mod reboot;
pub mod regions;
pub mod services;
pub mod sleep;
pub mod stress_memory;
pub mod time;
pub mod top;
pub mod trace;
pub mod truth;
pub mod uptime;
pub mod volume;
pub mod watch;
pub mod which;
pub mod xargs;

pub(crate) mod kernel;
pub(crate) mod node;
