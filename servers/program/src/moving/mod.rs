//! Moving a program to another node while it runs.
//!
//! | module | what it has |
//! |---|---|
//! | [`description`] | what a program is, beside its memory and its state, as bytes |
//! | [`steps`] | the steps of a move, in order, and what follows when one of them fails |
//! | [`departure`] | a program that leaves: the process that takes the steps, beside the manager |
//! | [`arrival`] | programs that come |
//! | `manage` | the manager's part |
//! | `host` | what kernel and network server do for a program with a logical host of its own |
//!
//! At every moment one node has the program: the old one until `InstallProgram` has been done at the new one, which is the
//! moment when VMTP's state of its logical host goes on there. Whoever of the two nodes remains has it, if the other dies.

pub mod arrival;
pub mod departure;
pub mod description;
pub(crate) mod host;
pub(crate) mod manage;
pub mod steps;
