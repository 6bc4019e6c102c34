//! `date`: the time.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;

use time::OffsetDateTime;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "date",
        synopsis: "[+FORMAT]",
        summary: "Shows date and time, in UTC.",
        details: "FORMAT is text in which these are replaced: %Y year, %m month, %d day, %e day without zero, %j day of the\n\
                  year, %y year of the century, %a %A weekday, %u its number, %b %B month's name, %H hour, %M minute,\n\
                  %S second, %N nanoseconds, %s seconds since 1970, %F %Y-%m-%d, %T %H:%M:%S, %R %H:%M, %Z UTC, %% %.",
        choices: &[],
        operands: (0, 1),
    },
    body: date,
};

const NANOSECONDS: u64 = 1_000_000_000;

fn date(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let format = match arguments.operands.first() {
        None => "%a %b %e %T %Z %Y",
        Some(word) => {
            word.strip_prefix('+').ok_or_else(|| Misuse(format!("'{word}': a format begins with +")))?
        }
    };
    let text = format_time(v::time::real_ns(), format)?;
    Ok(context.output.write_all(format!("{text}\n").as_bytes())?)
}

/// Nanoseconds since 1970 in a format as `date` takes it, UTC.
pub fn format_time(real_ns: u64, format: &str) -> Result<String, Misuse> {
    let seconds = (real_ns / NANOSECONDS).cast_signed();
    // The clock ends in 2554, and the calendar in 9999.
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let letter = after.chars().next().unwrap_or_default();
        if !convert(letter, real_ns, time, &mut text) {
            let conversion = &after[..letter.len_utf8().min(after.len())];
            return Err(Misuse(format!("there is no %{conversion}")));
        }
        rest = &after[letter.len_utf8()..];
    }
    text.push_str(rest);
    Ok(text)
}

/// Adds what a letter after `%` stands for; false if it stands for nothing.
fn convert(letter: char, real_ns: u64, time: OffsetDateTime, text: &mut String) -> bool {
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = time.to_hms();
    // A string takes whatever is written to it.
    let _ = match letter {
        'Y' => write!(text, "{year}"),
        'y' => write!(text, "{:02}", year % 100),
        'm' => write!(text, "{month:02}"),
        'd' => write!(text, "{day:02}"),
        'e' => write!(text, "{day:2}"),
        'j' => write!(text, "{:03}", time.ordinal()),
        'u' => write!(text, "{}", time.weekday().number_from_monday()),
        'a' => write!(text, "{}", &time.weekday().to_string()[..3]),
        'A' => write!(text, "{}", time.weekday()),
        'b' | 'h' => write!(text, "{}", &time.month().to_string()[..3]),
        'B' => write!(text, "{}", time.month()),
        'H' => write!(text, "{hour:02}"),
        'M' => write!(text, "{minute:02}"),
        'S' => write!(text, "{second:02}"),
        'N' => write!(text, "{:09}", real_ns % NANOSECONDS),
        's' => write!(text, "{}", real_ns / NANOSECONDS),
        'F' => write!(text, "{year}-{month:02}-{day:02}"),
        'T' => write!(text, "{hour:02}:{minute:02}:{second:02}"),
        'R' => write!(text, "{hour:02}:{minute:02}"),
        'Z' => write!(text, "UTC"),
        '%' => write!(text, "%"),
        _ => return false,
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        let shown = |seconds: u64, format: &str| format_time(seconds * NANOSECONDS, format).unwrap();
        assert_eq!(shown(1_704_067_200, "%Y-%m-%d %H:%M:%S"), "2024-01-01 00:00:00");
        assert_eq!(shown(1_709_211_959, "at %F, %T%%"), "at 2024-02-29, 13:05:59%");
        assert_eq!(shown(1_709_211_959, "%a %b %e %T %Z %Y"), "Thu Feb 29 13:05:59 UTC 2024");
        assert_eq!(
            shown(1_709_211_959, "%A %B %u %j %y %R %s"),
            "Thursday February 4 060 24 13:05 1709211959"
        );
        assert_eq!(shown(0, "%e%d%N"), " 101000000000");
        assert_eq!(shown(18_446_744_073, "%F"), "2554-07-21", "the last day of the clock");
        assert_eq!(format_time(123, "%N").unwrap(), "000000123");
    }

    #[test]
    fn bad_formats_are_named() {
        let text = |format: &str| format_time(0, format).unwrap_err().0;
        assert_eq!(text("%Y %Q"), "there is no %Q");
        assert_eq!(text("%é"), "there is no %é");
        assert_eq!(text("100%"), "there is no %");
    }
}
