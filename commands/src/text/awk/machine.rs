//! A program at work: variables, statements, expressions.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::cmp::Ordering;

use v::file::File;
use v::io::{BufWriter, Write as _};

use super::input::{Reader, Record};
use super::lexer::is_name;
use super::tree::{
    Arithmetic, Comparison, Condition, Expression, Place, Program, Rule, SPECIAL, Variable, special,
};
use super::unescape;
use super::value::Value;
use crate::context::{Context, Failure, Outcome, failed};
use crate::text::pattern::{Pattern, from_posix};

/// How deep functions may call each other; each takes some of the stack.
const MOST_CALLS: usize = 40;
/// Patterns that are made while the program runs are kept, so many at most.
const MOST_PATTERNS: usize = 64;

/// An array.
pub type Array = Rc<RefCell<BTreeMap<Rc<[u8]>, Value>>>;

/// What a variable is.
#[derive(Clone)]
pub(super) enum Cell {
    Value(Value),
    Array(Array),
    /// Nothing yet. It was given to a function, and becomes this array if anything is put into it there.
    Perhaps(Array),
}

/// What comes after a statement.
pub(super) enum Flow {
    On,
    Break,
    Continue,
    Next,
    Exit,
    Return(Value),
}

/// Why an expression has no value.
pub enum Stop {
    /// Something failed.
    Failed(Failure),
    /// A function said `exit`.
    Exit,
    /// A function said `next`.
    Next,
}

impl<F: Into<Failure>> From<F> for Stop {
    fn from(failure: F) -> Stop {
        Stop::Failed(failure.into())
    }
}

/// What evaluation gives.
pub type Evaluated<T> = Result<T, Stop>;

/// A program with all that it knows.
pub struct Machine {
    pub(super) program: Rc<Program>,
    pub(super) globals: Vec<Cell>,
    /// Of the functions that run, the last one's at the end.
    pub(super) locals: Vec<Vec<Cell>>,
    pub(super) record: Record,
    operands: alloc::vec::IntoIter<String>,
    reader: Option<Reader>,
    /// Whether a file was among the operands.
    had_file: bool,
    /// Of `getline < file`.
    readers: BTreeMap<String, Reader>,
    pub(super) writers: BTreeMap<String, BufWriter<File>>,
    /// The program's patterns, and those that were made of texts.
    pub(super) patterns: Vec<Pattern>,
    pub(super) made: BTreeMap<Rc<[u8]>, Pattern>,
    ranges: Vec<bool>,
    /// Of `rand`.
    pub(super) seed: u64,
}

/// A failure of the program itself.
pub fn refusal(reason: impl Into<String>) -> Stop {
    Stop::Failed(Failure::Failed(reason.into()))
}

impl Machine {
    /// A program that has not begun, and what it is to read.
    pub fn new(mut program: Program, operands: Vec<String>) -> Machine {
        let patterns = core::mem::take(&mut program.patterns);
        let mut machine = Machine {
            globals: alloc::vec![Cell::Value(Value::Unset); program.globals.len()],
            ranges: alloc::vec![false; program.ranges],
            program: Rc::new(program),
            locals: Vec::new(),
            record: Record::default(),
            operands: operands.into_iter(),
            reader: None,
            had_file: false,
            readers: BTreeMap::new(),
            writers: BTreeMap::new(),
            patterns,
            made: BTreeMap::new(),
            seed: 0,
        };
        for (at, text) in [
            (special::FS, " "),
            (special::OFS, " "),
            (special::ORS, "\n"),
            (special::RS, "\n"),
            (special::SUBSEP, "\x1c"),
            (special::CONVFMT, "%.6g"),
            (special::OFMT, "%.6g"),
        ] {
            machine.globals[at] = Cell::Value(Value::text(text.as_bytes()));
        }
        for (at, number) in
            [(special::NR, 0.0), (special::FNR, 0.0), (special::RSTART, 0.0), (special::RLENGTH, -1.0)]
        {
            machine.globals[at] = Cell::Value(Value::Number(number));
        }
        let environment = v::env::variables().into_iter();
        let entries =
            environment.map(|(name, value)| (name.as_bytes().into(), Value::input(value.as_bytes())));
        machine.globals[special::ENVIRON] = Cell::Array(Rc::new(RefCell::new(entries.collect())));
        machine
    }

    /// Sets a variable that was named outside of the program; one that the program does not have is nobody's loss.
    pub fn set_by_name(&mut self, name: &str, text: &str) {
        if let Some(at) = self.program.globals.iter().position(|global| global == name) {
            self.globals[at] = Cell::Value(Value::input(text.as_bytes()));
        }
    }

    /// Runs it.
    pub fn run(&mut self, context: &mut Context<'_>) -> Outcome {
        match self.run_rules(context) {
            Ok(()) | Err(Stop::Exit | Stop::Next) => Ok(()),
            Err(Stop::Failed(failure)) => Err(failure),
        }
    }

    fn run_rules(&mut self, context: &mut Context<'_>) -> Evaluated<()> {
        let program = self.program.clone();
        let rules = |is_wanted: fn(&Condition) -> bool| {
            program.rules.iter().filter(move |rule| is_wanted(&rule.condition))
        };
        let mut ends = false;
        for rule in rules(|condition| matches!(condition, Condition::Begin)) {
            if let Flow::Exit = self.action(rule, context)? {
                ends = true;
                break;
            }
        }
        let reads = program.rules.iter().any(|rule| !matches!(rule.condition, Condition::Begin));
        while !ends && reads && self.next_record(context)? {
            for rule in rules(|condition| !matches!(condition, Condition::Begin | Condition::End)) {
                if !self.is_for_record(rule, context)? {
                    continue;
                }
                match self.action(rule, context)? {
                    Flow::Next => break,
                    Flow::Exit => {
                        ends = true;
                        break;
                    }
                    _ => {}
                }
            }
        }
        for rule in rules(|condition| matches!(condition, Condition::End)) {
            if let Flow::Exit = self.action(rule, context)? {
                break;
            }
        }
        for (name, mut writer) in core::mem::take(&mut self.writers) {
            writer.flush().map_err(|error| failed(&name, error))?;
        }
        Ok(())
    }

    fn is_for_record(&mut self, rule: &Rule, context: &mut Context<'_>) -> Evaluated<bool> {
        match &rule.condition {
            Condition::Always => Ok(true),
            Condition::If(condition) => Ok(self.evaluate(condition, context)?.holds()),
            Condition::Range(first, last, at) => {
                if !self.ranges[*at] && !self.evaluate(first, context)?.holds() {
                    return Ok(false);
                }
                self.ranges[*at] = !self.evaluate(last, context)?.holds();
                Ok(true)
            }
            Condition::Begin | Condition::End => Ok(false),
        }
    }

    fn action(&mut self, rule: &Rule, context: &mut Context<'_>) -> Evaluated<Flow> {
        let Some(statements) = &rule.action else {
            let line = [&*self.record_text(), &*self.special_text(special::ORS)].concat();
            context.output.write_all(&line)?;
            return Ok(Flow::On);
        };
        match self.statements(statements, context) {
            Err(Stop::Exit) => Ok(Flow::Exit),
            Err(Stop::Next) => Ok(Flow::Next),
            flow => flow,
        }
    }

    /// Reads the next record of the operands into `$0`.
    fn next_record(&mut self, context: &mut Context<'_>) -> Evaluated<bool> {
        let Some(text) = self.read_main(context)? else { return Ok(false) };
        self.record.set(text.into());
        Ok(true)
    }

    /// The next record of the operands. Files that cannot be read are complained about and left out.
    fn read_main(&mut self, context: &mut Context<'_>) -> Evaluated<Option<Vec<u8>>> {
        loop {
            let separator = self.special_text(special::RS);
            if let Some(reader) = &mut self.reader {
                match reader.record(&separator) {
                    Ok(Some(record)) => {
                        for counter in [special::NR, special::FNR] {
                            let count = self.special(counter).number() + 1.0;
                            self.globals[counter] = Cell::Value(Value::Number(count));
                        }
                        return Ok(Some(record));
                    }
                    Ok(None) => {}
                    Err(error) => context.complain(&reader.name, error),
                }
                self.reader = None;
            }
            let Some(name) = self.next_file() else { return Ok(None) };
            match (context.open)(&name) {
                Ok(file) => self.reader = Some(Reader::new(&name, file)),
                Err(error) => context.complain(&name, error),
            }
            let shown = if name == "-" { "" } else { &*name };
            self.globals[special::FILENAME] = Cell::Value(Value::text(shown.as_bytes()));
            self.globals[special::FNR] = Cell::Value(Value::Number(0.0));
        }
    }

    /// The next file among the operands; assignments before it are made. Without any file it is standard input.
    fn next_file(&mut self) -> Option<String> {
        while let Some(operand) = self.operands.next() {
            let Some((name, value)) = operand.split_once('=').filter(|(name, _)| is_name(name)) else {
                self.had_file = true;
                return Some(operand);
            };
            self.set_by_name(name, &unescape(value));
        }
        (!core::mem::replace(&mut self.had_file, true)).then(|| "-".to_owned())
    }

    /// `getline`: 1 for a record, 0 at the end, -1 for a file that cannot be read.
    fn getline(
        &mut self,
        place: Option<&Place>,
        file: Option<&Expression>,
        context: &mut Context<'_>,
    ) -> Evaluated<Value> {
        let record = match file {
            None => self.read_main(context)?,
            Some(file) => {
                let name = self.text(file, context)?;
                let name = String::from_utf8_lossy(&name).into_owned();
                if !self.readers.contains_key(&name) {
                    let Ok(opened) = (context.open)(&name) else { return Ok(Value::Number(-1.0)) };
                    self.readers.insert(name.clone(), Reader::new(&name, opened));
                }
                let separator = self.special_text(special::RS);
                match self.readers.get_mut(&name).map(|reader| reader.record(&separator)) {
                    Some(Ok(record)) => record,
                    _ => return Ok(Value::Number(-1.0)),
                }
            }
        };
        let Some(record) = record else { return Ok(Value::Number(0.0)) };
        match place {
            None => self.record.set(record.into()),
            Some(place) => self.assign(place, Value::input(&record), context)?,
        }
        Ok(Value::Number(1.0))
    }

    /// `close`: whether there was such a file.
    pub(super) fn close(&mut self, name: &[u8]) -> Evaluated<bool> {
        let name = String::from_utf8_lossy(name).into_owned();
        let was_read = self.readers.remove(&name).is_some();
        match self.writers.remove(&name) {
            None => Ok(was_read),
            Some(mut writer) => {
                writer.flush().map_err(|error| failed(&name, error))?;
                Ok(true)
            }
        }
    }

    /// An expression's text.
    pub(super) fn text(&mut self, expression: &Expression, context: &mut Context<'_>) -> Evaluated<Rc<[u8]>> {
        let value = self.evaluate(expression, context)?;
        Ok(value.bytes(&self.special_text(special::CONVFMT)))
    }

    /// An expression's number.
    pub(super) fn number(&mut self, expression: &Expression, context: &mut Context<'_>) -> Evaluated<f64> {
        Ok(self.evaluate(expression, context)?.number())
    }

    /// An expression's value.
    pub(super) fn evaluate(
        &mut self,
        expression: &Expression,
        context: &mut Context<'_>,
    ) -> Evaluated<Value> {
        Ok(match expression {
            Expression::Number(number) => Value::Number(*number),
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Pattern(at) => {
                let text = self.record_text();
                Value::truth(self.patterns[*at].matches(&text))
            }
            Expression::Place(place) => self.value_at(place, context)?,
            Expression::Not(inner) => Value::truth(!self.evaluate(inner, context)?.holds()),
            Expression::Negate(inner) => Value::Number(-self.number(inner, context)?),
            Expression::Numeric(inner) => Value::Number(self.number(inner, context)?),
            Expression::Arithmetic(operation, left, right) => {
                let (left, right) = (self.number(left, context)?, self.number(right, context)?);
                Value::Number(calculate(*operation, left, right)?)
            }
            Expression::Compare(comparison, left, right) => {
                let (left, right) = (self.evaluate(left, context)?, self.evaluate(right, context)?);
                let order = left.compare(&right, &self.special_text(special::CONVFMT));
                Value::truth(holds(*comparison, order))
            }
            Expression::Concatenate(left, right) => {
                let (left, right) = (self.text(left, context)?, self.text(right, context)?);
                Value::Text([&*left, &*right].concat().into())
            }
            Expression::And(left, right) => {
                Value::truth(self.evaluate(left, context)?.holds() && self.evaluate(right, context)?.holds())
            }
            Expression::Or(left, right) => {
                Value::truth(self.evaluate(left, context)?.holds() || self.evaluate(right, context)?.holds())
            }
            Expression::Choose(condition, then, otherwise) => {
                let chosen = if self.evaluate(condition, context)?.holds() { then } else { otherwise };
                self.evaluate(chosen, context)?
            }
            Expression::Match { text, pattern, is_negated } => {
                let text = self.text(text, context)?;
                let matches = self.pattern(pattern, context)?.matches(&text);
                Value::truth(matches != *is_negated)
            }
            Expression::In(index, array) => {
                let key = self.key(index, context)?;
                Value::truth(self.array(*array)?.borrow().contains_key(&key))
            }
            Expression::Assign(place, operation, right) => {
                let value = match operation {
                    None => self.evaluate(right, context)?,
                    Some(operation) => {
                        let right = self.number(right, context)?;
                        let left = self.value_at(place, context)?.number();
                        Value::Number(calculate(*operation, left, right)?)
                    }
                };
                self.assign(place, value.clone(), context)?;
                value
            }
            Expression::Step { place, by, is_before } => {
                let before = self.value_at(place, context)?.number();
                self.assign(place, Value::Number(before + by), context)?;
                Value::Number(if *is_before { before + by } else { before })
            }
            Expression::Call(routine, arguments) => self.call(*routine, arguments, context)?,
            Expression::Builtin(function, arguments) => self.builtin(*function, arguments, context)?,
            Expression::Getline { place, file } => self.getline(place.as_ref(), file.as_deref(), context)?,
            Expression::List(_) => return Err(refusal("a list in parentheses has a meaning only before in")),
        })
    }

    pub(super) fn value_at(&mut self, place: &Place, context: &mut Context<'_>) -> Evaluated<Value> {
        match place {
            Place::Variable(variable) => self.read(*variable),
            Place::Field(number) => {
                let number = self.number(number, context)?;
                self.field(number)
            }
            Place::Element(array, index) => {
                let key = self.key(index, context)?;
                // To look at an element makes it.
                Ok(self.array(*array)?.borrow_mut().entry(key).or_insert(Value::Unset).clone())
            }
        }
    }

    /// Puts a value where a place is.
    pub(super) fn assign(&mut self, place: &Place, value: Value, context: &mut Context<'_>) -> Evaluated<()> {
        match place {
            Place::Variable(variable) => self.set(*variable, value),
            Place::Field(number) => {
                let number = self.number(number, context)?;
                self.set_field(number, value)
            }
            Place::Element(array, index) => {
                let key = self.key(index, context)?;
                self.array(*array)?.borrow_mut().insert(key, value);
                Ok(())
            }
        }
    }

    /// The pattern that an expression is: one of the program's, or one made of its text.
    pub(super) fn pattern(
        &mut self,
        expression: &Expression,
        context: &mut Context<'_>,
    ) -> Evaluated<&mut Pattern> {
        if let Expression::Pattern(at) = expression {
            return Ok(&mut self.patterns[*at]);
        }
        let text = self.text(expression, context)?;
        self.made_pattern(&text)
    }

    pub(super) fn made_pattern(&mut self, text: &Rc<[u8]>) -> Evaluated<&mut Pattern> {
        if !self.made.contains_key(text) {
            if self.made.len() >= MOST_PATTERNS {
                self.made.clear();
            }
            let shown = String::from_utf8_lossy(text).into_owned();
            let pattern = Pattern::compile(&from_posix(&shown, true), false, &shown);
            let pattern = pattern.map_err(|misuse| refusal(misuse.0))?;
            self.made.insert(text.clone(), pattern);
        }
        self.made.get_mut(text).ok_or_else(|| refusal("a pattern is not there"))
    }

    fn call(
        &mut self,
        routine: usize,
        arguments: &[Expression],
        context: &mut Context<'_>,
    ) -> Evaluated<Value> {
        let program = self.program.clone();
        let routine = &program.routines[routine];
        if arguments.len() > routine.parameters.len() {
            let most = routine.parameters.len();
            return Err(refusal(format!("the function {} takes {most} arguments", routine.name)));
        }
        if self.locals.len() >= MOST_CALLS {
            return Err(refusal(format!("the function {}: calls are nested too deeply", routine.name)));
        }
        let mut frame = Vec::with_capacity(routine.parameters.len());
        // Variables that may become arrays in there.
        let mut open = Vec::new();
        for argument in arguments {
            let Expression::Place(Place::Variable(variable)) = argument else {
                frame.push(Cell::Value(self.evaluate(argument, context)?));
                continue;
            };
            if *variable == Variable::Global(special::NF) {
                frame.push(Cell::Value(self.field_count()?));
                continue;
            }
            let cell = self.cell(*variable).clone();
            frame.push(match cell {
                Cell::Value(Value::Unset) => {
                    let array = Array::default();
                    open.push((*variable, array.clone()));
                    Cell::Perhaps(array)
                }
                other => other,
            });
        }
        frame.resize(routine.parameters.len(), Cell::Value(Value::Unset));
        self.locals.push(frame);
        let flow = self.statements(&routine.body, context);
        self.locals.pop();
        for (variable, array) in open {
            let is_unset = matches!(self.cell(variable), Cell::Value(Value::Unset));
            if is_unset && !array.borrow().is_empty() {
                *self.cell(variable) = Cell::Array(array);
            }
        }
        match flow? {
            Flow::Return(value) => Ok(value),
            Flow::Exit => Err(Stop::Exit),
            Flow::Next => Err(Stop::Next),
            _ => Ok(Value::Unset),
        }
    }
}

fn calculate(operation: Arithmetic, left: f64, right: f64) -> Evaluated<f64> {
    if right == 0.0 && matches!(operation, Arithmetic::Divide | Arithmetic::Remainder) {
        return Err(refusal("division by zero"));
    }
    Ok(match operation {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
        Arithmetic::Power => libm::pow(left, right),
    })
}

fn holds(comparison: Comparison, order: Option<Ordering>) -> bool {
    match comparison {
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

const _: () = assert!(SPECIAL.len() == special::ENVIRON + 1);
