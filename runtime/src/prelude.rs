//! What nearly every program uses: `use v::prelude::*;`.

pub use crate::alloc_crate::borrow::ToOwned;
pub use crate::alloc_crate::boxed::Box;
pub use crate::alloc_crate::format;
pub use crate::alloc_crate::string::{String, ToString};
pub use crate::alloc_crate::vec;
pub use crate::alloc_crate::vec::Vec;

pub use abi::{Error, Message, Pid};

pub use crate::io::{BufRead, Read, Write};
pub use crate::message::{Segment, call};
pub use crate::{eprint, eprintln, print, println};
