//! The group server.

use abi::{Error, Message};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::request::Answer;

/// Answers one request.
pub(crate) fn request<M: Machine>(
    _kernel: &mut Kernel<M>,
    _caller: ProcessIndex,
    _message: &Message,
) -> Result<Answer, Error> {
    Err(Error::BadRequest)
}
