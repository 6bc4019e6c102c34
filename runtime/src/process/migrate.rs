//! Moving programs between nodes.

use alloc_crate::string::String;

use abi::{Error, Pid};
use protocols::moving::moving::{MoveProgram, ProgramMoved};

use crate::message::{Segment, call};
use crate::process::place::{self, Place};

/// Moves a guest to another place while it runs, and says on which node it is then and what it took.
/// [`BadArgument`](Error::BadArgument) if it is there, [`NotMovable`](Error::NotMovable) if it has what cannot be moved. After an error it goes
/// on where it was; but if its new node was lost in the last moment, nobody knows whether it runs there: the error says then
/// that it [may have](Error::may_have_been_executed).
///
/// ```no_run
/// use v::process::{self, Command, Place};
/// let child = Command::new("count-to").arg("1000").on(Place::any()).start()?;
/// process::migrate(child.pid(), &Place::Node("node2".into()))?;
/// # Ok::<(), v::Error>(())
/// ```
pub fn migrate(program: Pid, to: &Place) -> Result<(String, ProgramMoved), Error> {
    let from = place::manager_of(program)?;
    let target = place::other_than(from, to)?;
    let request = MoveProgram { program, manager: target.pid };
    let moved = call(from, &request, Segment::None)?;
    Ok((target.node.unwrap_or_default(), moved))
}
