//! `chown`: gives files to users.

use crate::file;
use abi::UserId;

use super::each::{RECURSIVE, each};
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "chown",
        synopsis: "[-R] USER NAME...",
        summary: "Gives files to a user.",
        details: "USER is a number: 0 is the system, 1 the operator. Only the system may give files away, since what they\n\
                  take counts against their owner; everyone else is refused.",
        choices: &[RECURSIVE],
        operands: (2, MANY),
    },
    body: chown,
};

fn chown(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let [user, names @ ..] = &arguments.operands[..] else { return Ok(()) };
    let owner = parse(user)?;
    each(names, arguments.has("recursive"), context, &|name, _| file::set_owner(name, owner));
    Ok(())
}

fn parse(user: &str) -> Result<UserId, Misuse> {
    let is_number = user.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { user.parse().ok() } else { None };
    let misuse = || Misuse(alloc::format!("'{user}' is no user, a number from 0 to {}", u32::MAX));
    number.map(UserId).ok_or_else(misuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers() {
        assert_eq!(parse("0"), Ok(UserId::SYSTEM));
        assert_eq!(parse("4294967295"), Ok(UserId(u32::MAX)));
        for user in ["", "+1", "root", "4294967296", "1:1"] {
            assert!(parse(user).is_err(), "{user}");
        }
    }
}
