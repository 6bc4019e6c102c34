//! Commands that read text and write text.

pub mod cat;
pub mod cmp;
pub mod count_to;
pub mod echo;
pub mod grep;
pub mod head;
pub mod hexdump;
pub mod seq;
pub mod sort;
pub mod tail;
pub mod tee;
pub mod uniq;
pub mod wc;
