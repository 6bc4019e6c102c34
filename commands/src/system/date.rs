//! `date`: the time.

use alloc::format;
use alloc::string::{String, ToString};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "date",
        synopsis: "[+FORMAT]",
        summary: "Shows date and time, in UTC.",
        details: "FORMAT is as in strftime: %Y-%m-%d %H:%M:%S and so on; %s is seconds since 1970.",
        choices: &[],
        operands: (0, 1),
    },
    body: date,
};

fn date(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let format = match arguments.operands.first() {
        None => "%a %b %e %H:%M:%S UTC %Y",
        Some(word) => {
            word.strip_prefix('+').ok_or_else(|| Misuse(format!("'{word}': a format begins with +")))?
        }
    };
    let text = format_time(v::time::real_ns(), format).map_err(Misuse)?;
    Ok(context.output.write_all(format!("{text}\n").as_bytes())?)
}

/// Nanoseconds since 1970 in a strftime format, UTC.
pub fn format_time(real_ns: u64, format: &str) -> Result<String, String> {
    let time = Timestamp::from_nanosecond(real_ns.into()).map_err(|error| error.to_string())?;
    jiff::fmt::strtime::format(format, &time.to_zoned(TimeZone::UTC)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        let time_ns = 1_704_067_200_000_000_000;
        assert_eq!(format_time(time_ns, "%Y-%m-%d %H:%M:%S").unwrap(), "2024-01-01 00:00:00");
        assert_eq!(format_time(time_ns, "%s").unwrap(), "1704067200");
        assert!(format_time(time_ns, "%!").is_err());
    }
}
