//! `join`: lines of two sorted files that have a field in common.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::cmp::Ordering;

use v::io::BufRead;

use crate::Command;
use crate::context::{Context, Failure, Outcome, failed, without_newline};
use crate::usage::{Arguments, Choice, Misuse, Usage, option_number};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "join",
        synopsis: "[-i] [-1 FIELD] [-2 FIELD] [-j FIELD] [-t CHARACTER] [-a 1|2]... [-v 1|2]... [-o LIST] [-e TEXT] FILE FILE",
        summary: "Writes the lines of two sorted files that have a field in common as one.",
        details: "A line has the common field, then the others of the first file's, then those of the second's. In LIST,\n\
                  2.3 is the third field of the second file, 0 the common one. Both have to be sorted by the common field.",
        choices: &[
            Choice { letter: '1', long: "first", value: Some("FIELD"), help: "Of the first file; 1." },
            Choice { letter: '2', long: "second", value: Some("FIELD"), help: "Of the second file; 1." },
            Choice { letter: 'j', long: "both", value: Some("FIELD"), help: "Of both." },
            Choice {
                letter: 't',
                long: "separator",
                value: Some("CHARACTER"),
                help: "Between fields, instead of blanks.",
            },
            Choice { letter: 'a', long: "all", value: Some("1|2"), help: "Also what only this file has." },
            Choice {
                letter: 'v',
                long: "only",
                value: Some("1|2"),
                help: "Nothing but what only this file has.",
            },
            Choice { letter: 'o', long: "output", value: Some("LIST"), help: "These fields." },
            Choice {
                letter: 'e',
                long: "empty",
                value: Some("TEXT"),
                help: "For fields of LIST that are not there.",
            },
            Choice { letter: 'i', long: "ignore-case", value: None, help: "Take A and a for equal." },
        ],
        operands: (2, 2),
    },
    body: join,
};

/// A field of the output: the common one, or one of a file, from 0.
#[derive(Clone, Copy)]
enum Field {
    Common,
    Of(usize, usize),
}

struct Plan<'a> {
    /// The common field in each file, from 0.
    common: [usize; 2],
    separator: Option<u8>,
    /// Whether what only this file has is written.
    unpaired: [bool; 2],
    pairs: bool,
    output: Option<Vec<Field>>,
    empty: &'a str,
    ignores_case: bool,
}

impl<'a> Plan<'a> {
    fn of(arguments: &'a Arguments) -> Result<Plan<'a>, Misuse> {
        let field = |long: &str| {
            let number: Option<usize> = arguments.number(long)?;
            if number == Some(0) {
                return Err(Misuse(format!("--{long}: fields are counted from 1")));
            }
            Ok(number.map(|number| number - 1))
        };
        let both = field("both")?.unwrap_or(0);
        let file = |word: &str, long: &str| match word {
            "1" => Ok(0),
            "2" => Ok(1),
            _ => Err(Misuse(format!("--{long}: '{word}' is neither 1 nor 2"))),
        };
        let mut unpaired = [false; 2];
        for long in ["all", "only"] {
            for word in arguments.values(long) {
                unpaired[file(word, long)?] = true;
            }
        }
        let separator = match arguments.value("separator").map(str::as_bytes) {
            None => None,
            Some([byte]) => Some(*byte),
            Some(_) => return Err(Misuse("--separator: expected one character".into())),
        };
        let output = arguments.value("output").map(|list| {
            list.split([',', ' ']).map(|word| match word.split_once('.') {
                None if word == "0" => Ok(Field::Common),
                Some((which, number)) => match option_number(number, "output")? {
                    0 => Err(Misuse("--output: fields are counted from 1".into())),
                    number => Ok(Field::Of(file(which, "output")?, number - 1)),
                },
                None => Err(Misuse(format!("--output: '{word}' is no field, such as 0 or 1.2"))),
            })
        });
        Ok(Plan {
            common: [field("first")?.unwrap_or(both), field("second")?.unwrap_or(both)],
            separator,
            unpaired,
            pairs: !arguments.has("only"),
            output: output.map(Iterator::collect).transpose()?,
            empty: arguments.value("empty").unwrap_or_default(),
            ignores_case: arguments.has("ignore-case"),
        })
    }

    fn fields<'l>(&self, line: &'l [u8]) -> Vec<&'l [u8]> {
        match self.separator {
            Some(_) if line.is_empty() => Vec::new(),
            Some(separator) => line.split(|byte| *byte == separator).collect(),
            None => line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).collect(),
        }
    }

    fn common<'l>(&self, which: usize, line: &'l [u8]) -> &'l [u8] {
        self.fields(line).get(self.common[which]).copied().unwrap_or_default()
    }

    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        if self.ignores_case {
            left.to_ascii_lowercase().cmp(&right.to_ascii_lowercase())
        } else {
            left.cmp(right)
        }
    }

    /// Writes a line of each file as one, or of one alone.
    fn write(&self, lines: [Option<&[u8]>; 2], context: &mut Context<'_>) -> Outcome {
        let fields = lines.map(|line| line.map(|line| self.fields(line)));
        let which = usize::from(lines[0].is_none());
        let common = self.common(which, lines[which].unwrap_or_default());
        let of = |which: usize, at: usize| {
            let found = fields[which].as_ref().and_then(|fields| fields.get(at)).copied();
            found.filter(|field| !field.is_empty()).unwrap_or(self.empty.as_bytes())
        };
        let mut words = Vec::new();
        if let Some(output) = &self.output {
            words.extend(output.iter().map(|field| match field {
                Field::Common => common,
                Field::Of(which, at) => of(*which, *at),
            }));
        } else {
            words.push(common);
            for (which, fields) in fields.iter().enumerate() {
                let others = fields.iter().flatten().enumerate().filter(|(at, _)| *at != self.common[which]);
                words.extend(others.map(|(_, field)| *field));
            }
        }
        context.output.write_all(&words.join(&self.separator.unwrap_or(b' ')))?;
        Ok(context.output.write_all(b"\n")?)
    }
}

/// A file's next lines with one common field.
struct Group<'a> {
    name: &'a str,
    file: Box<dyn BufRead>,
    lines: Vec<Vec<u8>>,
    /// The first line behind them.
    next: Option<Vec<u8>>,
}

impl Group<'_> {
    fn line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut line = Vec::new();
        let count = self.file.read_until(b'\n', &mut line).map_err(|error| failed(self.name, error))?;
        Ok((count > 0).then(|| without_newline(&line).to_vec()))
    }

    /// Goes on to the next group; whether it should have come before this one.
    fn advance(&mut self, which: usize, plan: &Plan<'_>) -> Result<bool, Failure> {
        let before = self.lines.pop();
        self.lines.clear();
        let Some(first) = self.next.take() else { return Ok(false) };
        let common = plan.common(which, &first).to_vec();
        let is_disordered = before
            .is_some_and(|before| plan.compare(plan.common(which, &before), &common) == Ordering::Greater);
        self.lines.push(first);
        while let Some(line) = self.line()? {
            if plan.compare(plan.common(which, &line), &common) != Ordering::Equal {
                self.next = Some(line);
                break;
            }
            self.lines.push(line);
        }
        Ok(is_disordered)
    }
}

fn join(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let plan = Plan::of(arguments)?;
    let mut groups = Vec::new();
    for name in &arguments.operands {
        let file = (context.open)(name).map_err(|error| failed(name, error))?;
        let mut group = Group { name, file, lines: Vec::new(), next: None };
        group.next = group.line()?;
        groups.push(group);
    }
    for (which, group) in groups.iter_mut().enumerate() {
        group.advance(which, &plan)?;
    }
    // As long as all lines have partners their order does not matter.
    let (mut has_unpaired, mut has_complained) = (false, false);
    loop {
        let order = match (groups[0].lines.first(), groups[1].lines.first()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => plan.compare(plan.common(0, left), plan.common(1, right)),
        };
        if order == Ordering::Equal {
            for left in groups[0].lines.iter().filter(|_| plan.pairs) {
                for right in &groups[1].lines {
                    plan.write([Some(left), Some(right)], context)?;
                }
            }
        } else {
            has_unpaired = true;
            let which = usize::from(order == Ordering::Greater);
            for line in groups[which].lines.iter().filter(|_| plan.unpaired[which]) {
                let lines = if which == 0 { [Some(&line[..]), None] } else { [None, Some(&line[..])] };
                plan.write(lines, context)?;
            }
        }
        for (which, left) in [(0, Ordering::Greater), (1, Ordering::Less)] {
            if order != left && groups[which].advance(which, &plan)? && has_unpaired && !has_complained {
                has_complained = true;
                context.complain(groups[which].name, "it is not sorted by the common field");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;
    use alloc::string::String;

    #[test]
    fn common_fields_join_lines() {
        let files: &[(&str, &[u8])] = &[
            ("a", b"1 x\n2 y\n2 z\n4 w\n"),
            ("b", b"2 B\n2 C\n3 D\n"),
            ("c", b"2 x\n1 y\n"),
            ("e", b"1 A\n2 B\n1 C\n"),
            ("d", b"x:1\ny:2\n"),
        ];
        for (line, status, output) in [
            ("a b", 0, "2 y B\n2 y C\n2 z B\n2 z C\n"),
            ("-a 1 a b", 0, "1 x\n2 y B\n2 y C\n2 z B\n2 z C\n4 w\n"),
            ("-v 1 -v 2 a b", 0, "1 x\n3 D\n4 w\n"),
            ("-o 2.2,0,1.2 -e - -a 2 a b", 0, "B 2 y\nC 2 y\nB 2 z\nC 2 z\nD 3 -\n"),
            ("-t : -1 2 -2 2 d d", 0, "1:x:x\n2:y:y\n"),
            ("c b", 0, "2 x B\n2 x C\n"),
            ("c e", 1, "2 x B\n1 y C\n"),
            ("c c", 0, "2 x x\n1 y y\n"),
            ("-j 0 a b", 2, ""),
            ("-a 3 a b", 2, ""),
            ("-o 1 a b", 2, ""),
            ("-o 3.1 a b", 2, ""),
            ("-t xx a b", 2, ""),
            ("a", 2, ""),
            ("a gone", 1, ""),
        ] {
            let found = try_command(&COMMAND, line, files);
            assert_eq!((found.0, found.1), (status, String::from(output)), "{line}: {}", found.2);
        }
    }
}
