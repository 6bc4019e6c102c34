//! What `find` wants of a name, and does to it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::Found;
use crate::context::{Context, Failure};
use crate::file::{self, Input, Kind};
use crate::files::path;
use crate::shell::pattern::{Masked, Pattern};
use crate::system::xargs::MOST_BYTES;
use crate::usage::{Misuse, option_number};

/// How deep parentheses and contraries may be.
const MOST_DEPTH: u32 = 200;

/// An expression, with what it says of the walk as a whole.
pub struct Plan {
    expression: Expression,
    /// Not deeper than this is looked.
    pub most_depth: usize,
    /// What is above this is not looked at.
    pub least_depth: usize,
    /// Whether what is in a directory comes before itself.
    pub is_depth_first: bool,
    /// Whether an action has ended the walk.
    pub has_quit: bool,
    /// The names that each program of -exec + waits for.
    gathered: Vec<Gathered>,
    /// Whether what is at hand is not gone into.
    is_pruned: bool,
}

struct Gathered {
    command: Vec<String>,
    names: Vec<String>,
    bytes: usize,
}

enum Expression {
    Name { pattern: Pattern, is_whole: bool, ignores_case: bool },
    Kind(Kind),
    Size { compared: Ordering, count: u64, unit_bytes: u64 },
    Empty,
    Newer(u64),
    Always,
    Print(&'static str),
    Execute(Vec<String>),
    Gather(usize),
    Delete,
    Prune,
    Quit,
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Plan {
    /// Reads the words of an expression.
    pub fn of(words: &[String]) -> Result<Plan, Failure> {
        let plan = Plan {
            expression: Expression::Always,
            most_depth: usize::MAX,
            least_depth: 0,
            is_depth_first: false,
            has_quit: false,
            gathered: Vec::new(),
            is_pruned: false,
        };
        let mut parser = Parser { words, plan, acts: false, depth: 0 };
        let mut expression = if words.is_empty() { Expression::Always } else { parser.any()? };
        if let Some(word) = parser.words.first() {
            return Err(Misuse(format!("'{word}' is behind the end of the expression")).into());
        }
        if !parser.acts {
            expression = Expression::All([expression, Expression::Print("\n")].into());
        }
        parser.plan.expression = expression;
        Ok(parser.plan)
    }

    /// Applies it to a name; whether the name is not to be gone into.
    pub fn apply(&mut self, found: &Found, context: &mut Context<'_>) -> Result<bool, Failure> {
        let expression = core::mem::replace(&mut self.expression, Expression::Always);
        self.is_pruned = false;
        let outcome = self.holds(&expression, found, context);
        self.expression = expression;
        outcome.map(|_| self.is_pruned)
    }

    fn holds(
        &mut self,
        expression: &Expression,
        found: &Found,
        context: &mut Context<'_>,
    ) -> Result<bool, Failure> {
        Ok(match expression {
            Expression::Always => true,
            Expression::Name { pattern, is_whole, ignores_case } => {
                let name = if *is_whole { &found.name } else { path::last_component(&found.name) };
                match ignores_case {
                    true => pattern.matches(name.to_lowercase().as_bytes()),
                    false => pattern.matches(name.as_bytes()),
                }
            }
            Expression::Kind(kind) => found.metadata.kind == *kind,
            Expression::Size { compared, count, unit_bytes } => {
                found.metadata.size.div_ceil(*unit_bytes).cmp(count) == *compared
            }
            Expression::Empty if found.metadata.is_directory() => match file::read_directory(&found.name) {
                Ok(entries) => entries.is_empty(),
                Err(error) => {
                    context.complain(&found.name, error);
                    false
                }
            },
            Expression::Empty => found.metadata.is_file() && found.metadata.size == 0,
            Expression::Newer(modified_ns) => found.metadata.modified_ns > *modified_ns,
            Expression::Print(end) => {
                context.output.write_all(found.name.as_bytes())?;
                context.output.write_all(end.as_bytes())?;
                true
            }
            Expression::Execute(command) => {
                let line: Vec<String> = command.iter().map(|word| word.replace("{}", &found.name)).collect();
                run(&line, context)? == Some(0)
            }
            Expression::Gather(at) => {
                let gathered = &mut self.gathered[*at];
                gathered.bytes += found.name.len() + 1;
                gathered.names.push(found.name.clone());
                if gathered.bytes > MOST_BYTES {
                    gathered.run(context)?;
                }
                true
            }
            // The working directory is in use.
            Expression::Delete if found.name == "." => true,
            Expression::Delete => match file::remove(&found.name) {
                Ok(()) => true,
                Err(error) => {
                    context.complain(&found.name, error);
                    false
                }
            },
            Expression::Prune => {
                self.is_pruned = true;
                true
            }
            Expression::Quit => {
                self.has_quit = true;
                true
            }
            Expression::Not(inner) => !self.holds(inner, found, context)?,
            Expression::All(parts) => {
                for part in parts {
                    if !self.holds(part, found, context)? || self.has_quit {
                        return Ok(false);
                    }
                }
                true
            }
            Expression::Any(parts) => {
                for part in parts {
                    if self.holds(part, found, context)? || self.has_quit {
                        return Ok(true);
                    }
                }
                false
            }
        })
    }

    /// Runs what still waits for names.
    pub fn finish(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        self.gathered.iter_mut().try_for_each(|gathered| gathered.run(context))
    }
}

impl Gathered {
    fn run(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        if self.names.is_empty() {
            return Ok(());
        }
        let mut line = self.command.clone();
        line.append(&mut self.names);
        self.bytes = 0;
        if run(&line, context)? != Some(0) {
            context.status = 1;
        }
        Ok(())
    }
}

/// Runs a program; its status. One that cannot be run is complained about.
fn run(line: &[String], context: &mut Context<'_>) -> Result<Option<i32>, Failure> {
    context.output.flush()?;
    match file::run(line, Input::Shared, context.output) {
        Ok(status) => Ok(Some(status)),
        Err(error) => {
            context.complain(&line[0], error);
            Ok(None)
        }
    }
}

/// Reads the words, what binds least first.
struct Parser<'a> {
    words: &'a [String],
    plan: Plan,
    /// Whether there is an action.
    acts: bool,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn takes(&mut self, known: &[&str]) -> bool {
        let is_next = self.words.first().is_some_and(|word| known.contains(&word.as_str()));
        if is_next {
            self.words = &self.words[1..];
        }
        is_next
    }

    fn any(&mut self) -> Result<Expression, Failure> {
        let mut parts = Vec::from([self.all()?]);
        while self.takes(&["-o", "-or"]) {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all(&mut self) -> Result<Expression, Failure> {
        let mut parts = Vec::from([self.one()?]);
        loop {
            let is_joined = self.takes(&["-a", "-and"]);
            let ends = self.words.first().is_none_or(|word| matches!(word.as_str(), "-o" | "-or" | ")"));
            if ends && !is_joined {
                return Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) });
            }
            parts.push(self.one()?);
        }
    }

    fn one(&mut self) -> Result<Expression, Failure> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(Misuse("the expression is too deep".into()).into());
        }
        let missing = || Misuse("a test is missing".into());
        let expression = match self.next().ok_or_else(missing)? {
            "!" | "-not" => Expression::Not(Box::new(self.one()?)),
            "(" => {
                let inner = self.any()?;
                if !self.takes(&[")"]) {
                    return Err(Misuse("a ( lacks its )".into()).into());
                }
                inner
            }
            ")" | "-o" | "-or" | "-a" | "-and" => return Err(missing().into()),
            word => match word.strip_prefix("--").or_else(|| word.strip_prefix('-')) {
                Some(name) => self.test(name, word)?,
                None => return Err(Misuse(format!("'{word}': names come before tests")).into()),
            },
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn value(&mut self, word: &str, what: &str) -> Result<&'a str, Misuse> {
        self.next().ok_or_else(|| Misuse(format!("{word} lacks its {what}")))
    }

    fn test(&mut self, name: &str, word: &str) -> Result<Expression, Failure> {
        Ok(match name {
            "name" | "iname" | "path" => {
                let ignores_case = name == "iname";
                let text = self.value(word, "PATTERN")?;
                let text = if ignores_case { text.to_lowercase() } else { text.into() };
                let quoted = alloc::vec![false; text.len()];
                let pattern = Pattern::new(&Masked { text: text.into_bytes(), quoted });
                Expression::Name { pattern, is_whole: name == "path", ignores_case }
            }
            "type" => match self.value(word, "letter")? {
                "f" => Expression::Kind(Kind::File),
                "d" => Expression::Kind(Kind::Directory),
                other => {
                    let reason = format!("there is no type '{other}'; f is a file, d a directory");
                    return Err(Misuse(reason).into());
                }
            },
            "size" => size(self.value(word, "COUNT")?)?,
            "empty" => Expression::Empty,
            "newer" => {
                let other = self.value(word, "FILE")?;
                let metadata = file::metadata(other).map_err(|error| Misuse(format!("{other}: {error}")))?;
                Expression::Newer(metadata.modified_ns)
            }
            "maxdepth" | "mindepth" => {
                let depth = option_number(self.value(word, "DEPTH")?, name)?;
                let place =
                    if name == "maxdepth" { &mut self.plan.most_depth } else { &mut self.plan.least_depth };
                *place = depth;
                Expression::Always
            }
            "depth" => {
                self.plan.is_depth_first = true;
                Expression::Always
            }
            "prune" => Expression::Prune,
            "quit" => Expression::Quit,
            "print" | "print0" => {
                self.acts = true;
                Expression::Print(if name == "print" { "\n" } else { "\0" })
            }
            "delete" => {
                (self.acts, self.plan.is_depth_first) = (true, true);
                Expression::Delete
            }
            "exec" => {
                self.acts = true;
                self.program()?
            }
            _ => return Err(Misuse(format!("there is no test or action {word}")).into()),
        })
    }

    fn program(&mut self) -> Result<Expression, Misuse> {
        let mut command: Vec<String> = Vec::new();
        loop {
            let word = self
                .next()
                .ok_or_else(|| Misuse("-exec lacks its ; or {} +, quoted for the shell".into()))?;
            let gathers = word == "+" && command.last().is_some_and(|last| last == "{}");
            if gathers {
                command.pop();
            }
            if gathers || word == ";" {
                if command.is_empty() {
                    return Err(Misuse("-exec lacks its program".into()));
                }
                if !gathers {
                    return Ok(Expression::Execute(command));
                }
                self.plan.gathered.push(Gathered { command, names: Vec::new(), bytes: 0 });
                return Ok(Expression::Gather(self.plan.gathered.len() - 1));
            }
            command.push(word.into());
        }
    }
}

fn size(text: &str) -> Result<Expression, Misuse> {
    let misuse = || Misuse(format!("'{text}' is no size, such as 3, +10k or -2M"));
    let (compared, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (Ordering::Greater, rest),
        (_, Some(rest)) => (Ordering::Less, rest),
        _ => (Ordering::Equal, text),
    };
    let digits = rest.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit_bytes = match &rest[digits.len()..] {
        "" | "b" => 512,
        "c" => 1,
        "w" => 2,
        "k" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return Err(misuse()),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let count = if is_number { digits.parse().ok() } else { None };
    Ok(Expression::Size { compared, count: count.ok_or_else(misuse)?, unit_bytes })
}
