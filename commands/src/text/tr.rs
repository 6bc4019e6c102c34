//! `tr`: bytes replaced, deleted or squeezed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome};
use crate::usage::{Arguments, Choice, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "tr",
        synopsis: "[-cCst] SET1 SET2 | -s[cC] SET1 | -d[cC] SET1 | -ds[cC] SET1 SET2",
        summary: "Replaces, deletes or squeezes bytes of standard input.",
        details: "A SET is bytes, ranges as a-z, classes as [:alpha:], [=a=] for a, and [x*9] for nine of x; [x*] fills\n\
                  SET2 up. \\n \\t \\\\ \\a \\b \\f \\r \\v and \\101, octal, are what they are in C. If SET2 is shorter, its last byte\n\
                  is repeated.",
        choices: &[
            Choice { letter: 'c', long: "complement", value: None, help: "SET1 is all bytes but these." },
            Choice { letter: 'C', long: "complement-characters", value: None, help: "The same." },
            Choice { letter: 'd', long: "delete", value: None, help: "Delete what is in SET1." },
            Choice {
                letter: 's',
                long: "squeeze",
                value: None,
                help: "Of equal bytes in a row that are in the last set, only the first.",
            },
            Choice { letter: 't', long: "truncate", value: None, help: "Cut SET1 to the length of SET2." },
        ],
        operands: (1, 2),
    },
    body: tr,
};

type Holds = fn(&u8) -> bool;

/// Classes of bytes.
const CLASSES: &[(&str, Holds)] = &[
    ("alnum", u8::is_ascii_alphanumeric),
    ("alpha", u8::is_ascii_alphabetic),
    ("blank", |byte| matches!(byte, b' ' | b'\t')),
    ("cntrl", u8::is_ascii_control),
    ("digit", u8::is_ascii_digit),
    ("graph", u8::is_ascii_graphic),
    ("lower", u8::is_ascii_lowercase),
    ("print", |byte| matches!(byte, b' '..=b'~')),
    ("punct", u8::is_ascii_punctuation),
    ("space", |byte| byte.is_ascii_whitespace() || *byte == 0x0b),
    ("upper", u8::is_ascii_uppercase),
    ("xdigit", u8::is_ascii_hexdigit),
];

/// A set, in the order in which it was written.
struct Set {
    bytes: Vec<u8>,
    /// Where `[x*]` stands, and its byte: as many as are missing.
    filler: Option<(usize, u8)>,
}

impl Set {
    fn parse(text: &str) -> Result<Set, Misuse> {
        let mut set = Set { bytes: Vec::new(), filler: None };
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            if let Some(after) = set.bracketed(rest)? {
                rest = after;
                continue;
            }
            let (first, after) = element(rest);
            rest = after;
            if let [b'-', end @ ..] = rest
                && !end.is_empty()
            {
                let (last, after) = element(end);
                if last < first {
                    return Err(Misuse(format!("the range {}-{} goes backwards", shown(first), shown(last))));
                }
                set.bytes.extend(first..=last);
                rest = after;
            } else {
                set.bytes.push(first);
            }
        }
        Ok(set)
    }

    /// `[:class:]`, `[=x=]` or `[x*n]`; what follows it, or none if there is none of these.
    fn bracketed<'a>(&mut self, text: &'a [u8]) -> Result<Option<&'a [u8]>, Misuse> {
        let Some(inner) = text.strip_prefix(b"[") else {
            return Ok(None);
        };
        let until = |end: &[u8]| inner[1..].windows(2).position(|pair| pair == end).map(|at| at + 1);
        match inner {
            [b':', ..] => {
                let Some(end) = until(b":]") else { return Ok(None) };
                let name = String::from_utf8_lossy(&inner[1..end]);
                let class = CLASSES.iter().find(|(known, _)| *known == name);
                let (_, holds) = class.ok_or_else(|| Misuse(format!("there is no class [:{name}:]")))?;
                self.bytes.extend((0..=u8::MAX).filter(holds));
                Ok(Some(&inner[end + 2..]))
            }
            [b'=', byte, b'=', b']', after @ ..] => {
                self.bytes.push(*byte);
                Ok(Some(after))
            }
            [] => Ok(None),
            _ => {
                let (byte, after) = element(inner);
                let Some(count) = after.strip_prefix(b"*") else { return Ok(None) };
                let Some(end) = count.iter().position(|byte| *byte == b']') else { return Ok(None) };
                let digits = String::from_utf8_lossy(&count[..end]).into_owned();
                let radix = if digits.starts_with('0') { 8 } else { 10 };
                let times = if digits.is_empty() { Ok(0) } else { usize::from_str_radix(&digits, radix) };
                match times {
                    Ok(0) => self.filler = Some((self.bytes.len(), byte)),
                    // More than there are bytes never matter.
                    Ok(times) => self.bytes.extend(core::iter::repeat_n(byte, times.min(256))),
                    Err(_) => return Err(Misuse(format!("'{digits}' is not how often a byte is meant"))),
                }
                Ok(Some(&count[end + 1..]))
            }
        }
    }

    /// Makes it as long as `length` by its filler or its last byte.
    fn fill(&mut self, length: usize) {
        let missing = length.saturating_sub(self.bytes.len());
        match (self.filler, self.bytes.last()) {
            (Some((at, byte)), _) => drop(self.bytes.splice(at..at, core::iter::repeat_n(byte, missing))),
            (None, Some(last)) => self.bytes.resize(self.bytes.len() + missing, *last),
            (None, None) => {}
        }
    }

    /// All bytes that are not in it.
    fn complement(&self) -> Set {
        let bytes = (0..=u8::MAX).filter(|byte| !self.bytes.contains(byte)).collect();
        Set { bytes, filler: None }
    }

    fn members(&self) -> [bool; 256] {
        let mut members = [false; 256];
        self.bytes.iter().for_each(|byte| members[usize::from(*byte)] = true);
        members
    }
}

/// One byte of a set, an escape resolved, and what follows. `text` is not empty.
fn element(text: &[u8]) -> (u8, &[u8]) {
    let [b'\\', letter, after @ ..] = text else {
        return (text[0], &text[1..]);
    };
    let meant = match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'0'..=b'7' => {
            let digits = &text[1..];
            let count = digits.iter().take(3).take_while(|digit| (b'0'..=b'7').contains(*digit)).count();
            let value =
                digits[..count].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
            return (value as u8, &digits[count..]);
        }
        other => *other,
    };
    (meant, after)
}

fn shown(byte: u8) -> String {
    if byte.is_ascii_graphic() { char::from(byte).into() } else { format!("\\{byte:03o}") }
}

fn tr(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let [deletes, squeezes] = ["delete", "squeeze"].map(|option| arguments.has(option));
    let mut first = Set::parse(&arguments.operands[0])?;
    if first.filler.is_some() {
        return Err(Misuse("[x*] has a meaning only in SET2".into()).into());
    }
    if arguments.has("complement") || arguments.has("complement-characters") {
        first = first.complement();
    }
    let second = arguments.operands.get(1).map(|text| Set::parse(text)).transpose()?;
    let replaces = match (&second, deletes, squeezes) {
        (Some(_), true, false) => return Err(Misuse("-d takes one SET".into()).into()),
        (None, true, true) => return Err(Misuse("-ds takes two SETs".into()).into()),
        (None, false, false) => {
            return Err(Misuse("SET2 is missing; -d deletes what is in SET1".into()).into());
        }
        (second, false, _) => second.is_some(),
        _ => false,
    };
    let mut map: Vec<u8> = (0..=u8::MAX).collect();
    let squeezed = match second {
        Some(mut second) if replaces => {
            if arguments.has("truncate") {
                first.bytes.truncate(second.bytes.len());
            }
            second.fill(first.bytes.len());
            if second.bytes.is_empty() && !first.bytes.is_empty() {
                return Err(Misuse("SET2 is empty".into()).into());
            }
            first.bytes.iter().zip(&second.bytes).for_each(|(from, to)| map[usize::from(*from)] = *to);
            second.members()
        }
        Some(second) => second.members(),
        None => first.members(),
    };
    let deleted = if deletes { first.members() } else { [false; 256] };
    let mut before = None;
    context.each_file(&[], |context, _, input| {
        let mut chunk = alloc::vec![0; 64 * 1024];
        let mut output = Vec::with_capacity(chunk.len());
        loop {
            let count = input.read(&mut chunk).map_err(FileFailure::Input)?;
            if count == 0 {
                return Ok(());
            }
            output.clear();
            for byte in chunk[..count].iter().filter(|byte| !deleted[usize::from(**byte)]) {
                let byte = map[usize::from(*byte)];
                if !(squeezes && squeezed[usize::from(byte)] && before == Some(byte)) {
                    output.push(byte);
                }
                before = Some(byte);
            }
            context.output.write_all(&output)?;
            // What a person types comes back at once.
            context.output.flush()?;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn bytes_are_replaced_deleted_and_squeezed() {
        for (line, input, output) in [
            ("a-c A-C", "abcd", "ABCd"),
            ("'[:lower:]' '[:upper:]'", "one Two\n", "ONE TWO\n"),
            ("abc x", "aabbcd", "xxxxxd"),
            ("-t abc x", "aabbcd", "xxbbcd"),
            ("-d 0-9", "a1b22c", "abc"),
            ("-cd '[:digit:]\\n'", "a1b22c\n", "122\n"),
            ("-s a", "aaabaab", "abab"),
            ("-s '[:space:]' ' '", "a \t\n b", "a b"),
            ("-s 'a-z' '[x*]'", "abc1de", "x1x"),
            ("-ds 0-9 a", "a1aab2b", "abb"),
            ("-cs '[:alnum:]' '[\\n*]'", "one, two;three", "one\ntwo\nthree"),
            ("abcd '[x*2]y'", "abcde", "xxyye"),
            ("'[=a=]b' 12", "ab", "12"),
            ("'\\101\\n' 'B '", "A\n", "B "),
            ("a- xy", "a-b", "xyb"),
            ("'[a]' '(b)'", "[a]", "(b)"),
        ] {
            expect(&COMMAND, line, input, output);
        }
    }

    #[test]
    fn every_byte_passes() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let (status, output, _) = try_command(&COMMAND, "-cd '\\000-\\177'", &[("-", &all)]);
        assert_eq!((status, output.len()), (0, 128));
    }

    #[test]
    fn sets_that_make_no_sense_are_refused() {
        for (line, reason) in [
            ("a", "SET2 is missing"),
            ("z-a b", "goes backwards"),
            ("'[:no:]' b", "there is no class [:no:]"),
            ("'[a*]' b", "only in SET2"),
            ("-d a b", "-d takes one SET"),
            ("-ds a", "-ds takes two"),
            ("a ''", "SET2 is empty"),
            ("a '[b*x]'", "'x' is not how often"),
        ] {
            let (status, _, errors) = try_command(&COMMAND, line, &[("-", b"x")]);
            assert!(status == 2 && errors.contains(reason), "{line}: {status} {errors}");
        }
    }
}
