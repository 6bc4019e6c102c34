//! Commands that read text and write text.

pub mod awk;
pub mod cat;
pub mod checksum;
pub mod cmp;
pub mod comm;
pub mod count_to;
pub mod cut;
pub mod diff;
pub mod echo;
pub mod edit;
pub mod expr;
pub mod grep;
pub mod gzip;
pub mod head;
pub mod hexdump;
pub mod less;
pub mod nl;
pub mod paste;
pub mod printf;
pub mod rev;
pub mod sed;
pub mod seq;
pub mod sort;
pub mod tac;
pub mod tail;
pub mod tee;
pub mod tr;
pub mod uniq;
pub mod wc;
pub mod yes;

mod characters;
pub(crate) mod pattern;
mod terminal;
