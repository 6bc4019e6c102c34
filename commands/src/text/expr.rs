//! `expr`: the value of an expression whose parts are words.

use alloc::format;
use alloc::string::{String, ToString};

use super::characters::characters;
use super::pattern::{Pattern, from_posix};
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Misuse, PROGRAM, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "expr",
        synopsis: "EXPRESSION",
        summary: "Writes the value of an expression.",
        details: "From what binds least: A | B (A if it is not empty or 0), A & B, comparisons = != < <= > >= of numbers or\n\
                  texts, + -, * / %, and TEXT : PATTERN, which says how many characters at TEXT's beginning match a basic\n\
                  regular expression, or what its first group matched; ( A ). Each is a word of its own.\n\
                  The status is 1 if the value is empty or 0, and 2 if the words make no expression.",
        choices: &[],
        operands: (1, PROGRAM),
    },
    body: expr,
};

/// How deep parentheses may be.
const MOST_DEPTH: u32 = 200;

fn expr(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let words = match arguments.operands.as_slice() {
        [dashes, rest @ ..] if dashes == "--" => rest,
        words => words,
    };
    let mut parser = Parser { words, depth: 0 };
    let value = parser.or()?;
    if let Some(word) = parser.words.first() {
        return Err(Misuse(format!("'{word}' is behind the end of the expression")).into());
    }
    context.status = i32::from(is_false(&value));
    Ok(context.output.write_all(format!("{value}\n").as_bytes())?)
}

struct Parser<'a> {
    words: &'a [String],
    depth: u32,
}

fn is_false(value: &str) -> bool {
    value.is_empty() || integer(value) == Some(0)
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn number(text: &str) -> Result<i64, Misuse> {
    integer(text).ok_or_else(|| Misuse(format!("'{text}' is not a whole number")))
}

impl Parser<'_> {
    /// Takes the next word if it is one of these.
    fn take(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        let word = self.words.first()?;
        let found = operators.iter().copied().find(|operator| *operator == word);
        if found.is_some() {
            self.words = &self.words[1..];
        }
        found
    }

    fn or(&mut self) -> Result<String, Misuse> {
        let mut left = self.and()?;
        while self.take(&["|"]).is_some() {
            let right = self.and()?;
            left = match (is_false(&left), right.is_empty()) {
                (false, _) => left,
                (true, false) => right,
                (true, true) => "0".into(),
            };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<String, Misuse> {
        let mut left = self.comparison()?;
        while self.take(&["&"]).is_some() {
            let right = self.comparison()?;
            if is_false(&left) || is_false(&right) {
                left = "0".into();
            }
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<String, Misuse> {
        let mut left = self.sum()?;
        while let Some(operator) = self.take(&["=", "!=", "<", "<=", ">", ">="]) {
            let right = self.sum()?;
            let order = match (integer(&left), integer(&right)) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => left.cmp(&right),
            };
            let holds = match operator {
                "=" => order.is_eq(),
                "!=" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            };
            left = u32::from(holds).to_string();
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<String, Misuse> {
        let mut left = self.product()?;
        while let Some(operator) = self.take(&["+", "-"]) {
            let (one, other) = (number(&left)?, number(&self.product()?)?);
            let value = if operator == "+" { one.checked_add(other) } else { one.checked_sub(other) };
            left = in_range(value)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<String, Misuse> {
        let mut left = self.matched()?;
        while let Some(operator) = self.take(&["*", "/", "%"]) {
            let (one, other) = (number(&left)?, number(&self.matched()?)?);
            if other == 0 && operator != "*" {
                return Err(Misuse("division by zero".into()));
            }
            left = in_range(match operator {
                "*" => one.checked_mul(other),
                "/" => one.checked_div(other),
                _ => one.checked_rem(other),
            })?;
        }
        Ok(left)
    }

    fn matched(&mut self) -> Result<String, Misuse> {
        let mut left = self.operand()?;
        while self.take(&[":"]).is_some() {
            let pattern = self.operand()?;
            let anchored = format!("^(?:{})", from_posix(&pattern, false));
            let mut matcher = Pattern::compile(&anchored, false, &pattern)?;
            let whole = matcher.find_from(left.as_bytes(), 0);
            left = if matcher.groups() > 1 {
                let group = whole.and_then(|_| matcher.group(1));
                group.and_then(|range| left.get(range)).unwrap_or_default().into()
            } else {
                let text = whole.map_or(&[][..], |range| &left.as_bytes()[range]);
                characters(text).count().to_string()
            };
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<String, Misuse> {
        let Some((word, rest)) = self.words.split_first() else {
            return Err(Misuse("the expression ends where a value is expected".into()));
        };
        self.words = rest;
        if word != "(" {
            return Ok(word.clone());
        }
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(Misuse("the parentheses are nested too deeply".into()));
        }
        let value = self.or()?;
        self.depth -= 1;
        if self.take(&[")"]).is_none() {
            return Err(Misuse("a ( has no )".into()));
        }
        Ok(value)
    }
}

fn in_range(value: Option<i64>) -> Result<String, Misuse> {
    value.map(|value| value.to_string()).ok_or_else(|| Misuse("the value has more than 64 bits".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;

    #[test]
    fn expressions_have_values() {
        for (line, value, status) in [
            ("1 + 2 * 3", "7", 0),
            ("( 1 + 2 ) * 3", "9", 0),
            ("7 / 2", "3", 0),
            ("-- -7 % 3", "-1", 0),
            ("3 - 3", "0", 1),
            ("2 < 10", "1", 0),
            ("b < a", "0", 1),
            ("a = a", "1", 0),
            ("a != a", "0", 1),
            ("10 >= 9", "1", 0),
            ("'' | b", "b", 0),
            ("a | b", "a", 0),
            ("0 | ''", "0", 1),
            ("a & b", "a", 0),
            ("a & 0", "0", 1),
            ("'äbc' : '.*'", "3", 0),
            ("abc : 'a\\(.\\)c'", "b", 0),
            ("abc : x", "0", 1),
            ("abc : '\\(x\\)'", "", 1),
            ("[tmp]a/b : '.*/\\(.*\\)'", "b", 0),
            ("word", "word", 0),
            ("-- -5 + 3", "-2", 0),
        ] {
            let (found, output, errors) = try_command(&COMMAND, line, &[]);
            assert_eq!((found, &*output, &*errors), (status, &*format!("{value}\n"), ""), "{line}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told() {
        let deep = "( ".repeat(300);
        for (line, reason) in [
            ("", "more words"),
            ("1 +", "ends where a value is expected"),
            ("1 2", "'2' is behind the end"),
            ("a + 1", "'a' is not a whole number"),
            ("1 / 0", "division by zero"),
            ("( 1", "a ( has no )"),
            ("9223372036854775807 + 1", "more than 64 bits"),
            ("a : '\\('", "bad pattern"),
            (&deep, "nested too deeply"),
        ] {
            let (status, _, errors) = try_command(&COMMAND, line, &[]);
            assert!(status == 2 && errors.contains(reason), "{line}: {status} {errors}");
        }
    }
}
