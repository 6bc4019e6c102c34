//! `sleep`: does nothing for a while.

use core::time::Duration;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "sleep",
        synopsis: "SECONDS",
        summary: "Waits for so many seconds; fractions such as 0.2 too.",
        details: "",
        choices: &[],
        operands: (1, 1),
    },
    body: sleep,
};

fn sleep(arguments: &Arguments, _: &mut Context<'_>) -> Outcome {
    v::time::sleep(parse(&arguments.operands[0])?)?;
    Ok(())
}

fn parse(text: &str) -> Result<Duration, Misuse> {
    let misuse =
        || Misuse(alloc::format!("'{text}' is not a number of seconds up to 4294967295, such as 2 or 0.5"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return Err(misuse());
    }
    let seconds: u32 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| misuse())? };
    let nanoseconds: u32 = alloc::format!("{fraction:0<9}").parse().map_err(|_| misuse())?;
    Ok(Duration::new(seconds.into(), nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_exactly() {
        assert_eq!(parse("2").unwrap(), Duration::from_secs(2));
        assert_eq!(parse("0.25").unwrap(), Duration::from_millis(250));
        assert_eq!(parse(".5").unwrap(), Duration::from_millis(500));
        for text in ["", ".", "-1", "1e3", "x", "1.2.3", "99999999999", "+1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
