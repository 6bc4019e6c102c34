//! `seq`: numbers in a row.

use alloc::format;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "seq",
        synopsis: "[-w] [-s SEPARATOR] [FIRST [STEP]] LAST",
        summary: "Writes the numbers from FIRST to LAST.",
        details: "FIRST and STEP are 1 unless told. There may be a decimal point; each number has as many decimals as FIRST and STEP.",
        choices: &[
            Choice { letter: 'w', long: "equal-width", value: None, help: "Pad with zeros on the left." },
            Choice {
                letter: 's',
                long: "separator",
                value: Some("TEXT"),
                help: "Between the numbers, instead of a newline.",
            },
        ],
        operands: (1, 3),
    },
    body: seq,
};

/// A number with a decimal point somewhere: so many digits of `units` are behind it.
#[derive(Clone, Copy)]
struct Decimal {
    units: i128,
    decimals: u32,
    /// As many characters as it has without a plus, with a digit before its point and none of a point that ends it.
    width: usize,
}

impl Decimal {
    fn parse(text: &str) -> Option<Decimal> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let are_digits = [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        let digits = [whole, fraction].concat();
        // What is more does not fit.
        if !are_digits || digits.is_empty() || digits.len() > MOST_DIGITS {
            return None;
        }
        let units: i128 = digits.parse().ok()?;
        let sign = usize::from(text.starts_with('-'));
        let point = usize::from(!fraction.is_empty());
        Some(Decimal {
            units: if sign == 1 { -units } else { units },
            decimals: fraction.len() as u32,
            width: sign + whole.len().max(1) + point + fraction.len(),
        })
    }

    /// The same with so many decimals, in units of the last.
    fn at(self, decimals: u32) -> i128 {
        self.units * 10_i128.pow(decimals - self.decimals)
    }

    /// How wide it is with so many decimals. Those that it has and that are not shown do count, as elsewhere.
    fn width_at(self, decimals: u32) -> usize {
        let point = usize::from(decimals > 0);
        let own_point = usize::from(self.decimals > 0);
        self.width - own_point - self.decimals as usize + point + decimals as usize
    }
}

/// The most digits of a number; three of them with each other's decimals fit into 128 bits.
const MOST_DIGITS: usize = 18;

/// Appends units with their decimals, and zeros before up to a width.
fn push(line: &mut Vec<u8>, units: i128, decimals: u32, width: usize) {
    let mut backwards = [b'0'; 48];
    let (mut rest, mut at) = (units.unsigned_abs(), 0);
    while rest > 0 || at <= decimals as usize {
        if decimals > 0 && at == decimals as usize {
            backwards[at] = b'.';
            at += 1;
        }
        // Most numbers are small, and divisions of large ones slow.
        let digit = if let Ok(small) = u64::try_from(rest) {
            rest = (small / 10).into();
            (small % 10) as u8
        } else {
            let digit = (rest % 10) as u8;
            rest /= 10;
            digit
        };
        backwards[at] = b'0' + digit;
        at += 1;
    }
    let is_negative = units < 0;
    if is_negative {
        line.push(b'-');
    }
    line.resize(line.len() + width.saturating_sub(at + usize::from(is_negative)), b'0');
    line.extend(backwards[..at].iter().rev());
}

fn seq(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let read = |at: usize| {
        let text = &*arguments.operands[at];
        let misuse = || {
            Misuse(format!("'{text}' is not a number of {MOST_DIGITS} digits at most, such as -3 or 0.25"))
        };
        Decimal::parse(text).ok_or_else(misuse)
    };
    let one = Decimal { units: 1, decimals: 0, width: 1 };
    let (first, step, last) = match arguments.operands.len() {
        1 => (one, one, read(0)?),
        2 => (read(0)?, one, read(1)?),
        _ => (read(0)?, read(1)?, read(2)?),
    };
    if step.units == 0 {
        return Err(Misuse("the step is zero".into()).into());
    }
    let separator = arguments.value("separator").unwrap_or("\n");
    let decimals = first.decimals.max(step.decimals);
    let width = first.width_at(decimals).max(last.width_at(decimals));
    let width = if arguments.has("equal-width") { width } else { 0 };
    // LAST may have more decimals than are shown.
    let most_decimals = decimals.max(last.decimals);
    let (mut current, step, end) = (first.at(decimals), step.at(decimals), last.at(most_decimals));
    let finer = 10_i128.pow(most_decimals - decimals);
    let is_within = |units: i128| if step > 0 { units * finer <= end } else { units * finer >= end };
    let mut line = Vec::new();
    let mut is_first = true;
    while is_within(current) {
        line.clear();
        if !core::mem::take(&mut is_first) {
            line.extend_from_slice(separator.as_bytes());
        }
        push(&mut line, current, decimals, width);
        context.output.write_all(&line)?;
        current += step;
    }
    if !is_first {
        context.output.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn rows_end_where_they_should() {
        expect(&COMMAND, "3", "", "1\n2\n3\n");
        expect(&COMMAND, "2 4", "", "2\n3\n4\n");
        expect(&COMMAND, "1 2 6", "", "1\n3\n5\n");
        expect(&COMMAND, "-- 3 -2 -1", "", "3\n1\n-1\n");
        expect(&COMMAND, "-w 8 11", "", "08\n09\n10\n11\n");
        expect(&COMMAND, "-s , 3", "", "1,2,3\n");
        expect(&COMMAND, "5 1", "", "");
        expect(
            &COMMAND,
            "999999999999999998 999999999999999999",
            "",
            "999999999999999998\n999999999999999999\n",
        );
        expect(&COMMAND, "0 0.1 0.3", "", "0.0\n0.1\n0.2\n0.3\n");
        // Seventeen decimals and as many digits before the point.
        let (status, output, _) =
            try_command(&COMMAND, "-0.00000000000000001 100000000000000000 100000000000000000", &[]);
        assert_eq!((status, &*output), (0, "-0.00000000000000001\n99999999999999999.99999999999999999\n"));
        for line in ["1 0 5", "1 0.0 5", "1e3", "0x10", "nan", "", "-", ".", "1.2.3", "1 2 3 4"] {
            assert_eq!(try_command(&COMMAND, line, &[]).0, 2, "{line}");
        }
        let (_, _, errors) = try_command(&COMMAND, "9999999999999999999", &[]);
        assert!(errors.starts_with("seq: '9999999999999999999' is not a number of 18 digits"), "{errors}");
    }
}
