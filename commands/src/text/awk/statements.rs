//! A program's statements at work.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use v::file::File;
use v::io::{BufWriter, Write as _};

use super::format;
use super::machine::{Evaluated, Flow, Machine};
use super::tree::{Expression, Statement, Target, special};
use super::value::Value;
use crate::context::{Context, failed};

impl Machine {
    pub(super) fn statements(
        &mut self,
        statements: &[Statement],
        context: &mut Context<'_>,
    ) -> Evaluated<Flow> {
        for statement in statements {
            match self.statement(statement, context)? {
                Flow::On => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::On)
    }

    fn statement(&mut self, statement: &Statement, context: &mut Context<'_>) -> Evaluated<Flow> {
        match statement {
            Statement::Expression(expression) => {
                self.evaluate(expression, context)?;
            }
            Statement::Print { values, is_formatted, target } => {
                self.print(values, *is_formatted, target.as_ref(), context)?;
            }
            Statement::Block(statements) => return self.statements(statements, context),
            Statement::If(condition, then, otherwise) => {
                let chosen = if self.evaluate(condition, context)?.holds() { then } else { otherwise };
                return self.statements(chosen, context);
            }
            Statement::While(condition, body) => {
                while self.evaluate(condition, context)?.holds() {
                    match self.statements(body, context)? {
                        Flow::On | Flow::Continue => {}
                        Flow::Break => break,
                        other => return Ok(other),
                    }
                }
            }
            Statement::DoWhile(body, condition) => loop {
                match self.statements(body, context)? {
                    Flow::On | Flow::Continue => {}
                    Flow::Break => break,
                    other => return Ok(other),
                }
                if !self.evaluate(condition, context)?.holds() {
                    break;
                }
            },
            Statement::For(first, condition, step, body) => {
                if let Some(first) = first {
                    self.statement(first, context)?;
                }
                loop {
                    if let Some(condition) = condition
                        && !self.evaluate(condition, context)?.holds()
                    {
                        break;
                    }
                    match self.statements(body, context)? {
                        Flow::On | Flow::Continue => {}
                        Flow::Break => break,
                        other => return Ok(other),
                    }
                    if let Some(step) = step {
                        self.statement(step, context)?;
                    }
                }
            }
            Statement::ForIn(variable, array, body) => {
                let keys: Vec<Rc<[u8]>> = self.array(*array)?.borrow().keys().cloned().collect();
                for key in keys {
                    self.set(*variable, Value::input(&key))?;
                    match self.statements(body, context)? {
                        Flow::On | Flow::Continue => {}
                        Flow::Break => break,
                        other => return Ok(other),
                    }
                }
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
            Statement::Next => return Ok(Flow::Next),
            Statement::Exit(status) => {
                if let Some(status) = status {
                    context.status = self.evaluate(status, context)?.number() as i32 & 0xff;
                }
                return Ok(Flow::Exit);
            }
            Statement::Return(value) => {
                let value = value.as_ref().map_or(Ok(Value::Unset), |value| self.evaluate(value, context))?;
                return Ok(Flow::Return(value));
            }
            Statement::Delete(array, index) => {
                let array = self.array(*array)?;
                match index {
                    None => array.borrow_mut().clear(),
                    Some(index) => {
                        let key = self.key(index, context)?;
                        array.borrow_mut().remove(&key);
                    }
                }
            }
        }
        Ok(Flow::On)
    }

    fn print(
        &mut self,
        values: &[Expression],
        is_formatted: bool,
        target: Option<&Target>,
        context: &mut Context<'_>,
    ) -> Evaluated<()> {
        let line = if is_formatted {
            self.formatted(values, context)?
        } else if values.is_empty() {
            [&*self.record_text(), &*self.special_text(special::ORS)].concat()
        } else {
            let format = self.special_text(special::OFMT);
            let mut parts = Vec::new();
            for value in values {
                parts.push(self.evaluate(value, context)?.bytes(&format));
            }
            let mut line: Vec<u8> = parts.join(&*self.special_text(special::OFS));
            line.extend_from_slice(&self.special_text(special::ORS));
            line
        };
        let Some(target) = target else { return Ok(context.output.write_all(&line)?) };
        let name = self.text(&target.file, context)?;
        match &*name {
            // By these names other systems have the standard streams.
            b"/dev/stdout" | b"-" => return Ok(context.output.write_all(&line)?),
            b"/dev/stderr" => {
                // What goes to standard error is not what matters.
                let _ = context.errors.write_all(&line);
                return Ok(());
            }
            _ => {}
        }
        let name = String::from_utf8_lossy(&name).into_owned();
        let refused = |error| failed(&name, error);
        if !self.writers.contains_key(&name) {
            let file = if target.appends { File::append(&name) } else { File::create(&name) };
            self.writers.insert(name.clone(), BufWriter::new(file.map_err(refused)?));
        }
        if let Some(writer) = self.writers.get_mut(&name) {
            writer.write_all(&line).map_err(refused)?;
        }
        Ok(())
    }

    /// What `printf` and `sprintf` make of a format and values.
    pub(super) fn formatted(
        &mut self,
        values: &[Expression],
        context: &mut Context<'_>,
    ) -> Evaluated<Vec<u8>> {
        let Some((pattern, values)) = values.split_first() else { return Ok(Vec::new()) };
        let pattern = self.text(pattern, context)?;
        let mut found = Vec::new();
        for value in values {
            found.push(self.evaluate(value, context)?);
        }
        Ok(format::formatted(&pattern, &found, &self.special_text(special::CONVFMT)))
    }
}
