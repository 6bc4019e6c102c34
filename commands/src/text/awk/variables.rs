//! What a program's names and `$` stand for while it runs.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::input::{Separator, divide};
use super::machine::{Array, Cell, Evaluated, Machine, refusal};
use super::tree::{Expression, Variable, special};
use super::value::{Value, number_text};
use crate::context::Context;

/// Most fields of a record.
const MOST_FIELDS: usize = 1 << 20;

impl Machine {
    pub(super) fn special(&self, at: usize) -> Value {
        match &self.globals[at] {
            Cell::Value(value) => value.clone(),
            Cell::Array(_) | Cell::Perhaps(_) => Value::Unset,
        }
    }

    /// A special variable's text.
    pub(super) fn special_text(&self, at: usize) -> Rc<[u8]> {
        self.special(at).bytes(b"%.6g")
    }

    /// Sets a special variable.
    pub(super) fn set_special(&mut self, at: usize, number: f64) {
        self.globals[at] = Cell::Value(Value::Number(number));
    }

    /// `$0`
    pub(super) fn record_text(&mut self) -> Rc<[u8]> {
        let (between, format) = (self.special_text(special::OFS), self.special_text(special::CONVFMT));
        self.record.text(&between, &format)
    }

    pub(super) fn divide_record(&mut self) -> Evaluated<()> {
        if !self.record.is_divided() {
            let text = self.record_text();
            let separator = self.special_text(special::FS);
            let fields = self.divide(&text, &separator)?;
            self.record.set_fields(fields);
        }
        Ok(())
    }

    /// Divides a text as `FS` would.
    pub(super) fn divide(&mut self, text: &[u8], separator: &Rc<[u8]>) -> Evaluated<Vec<Value>> {
        let also_newline = self.special_text(special::RS).is_empty();
        Ok(match &**separator {
            b" " => divide(text, Separator::Blanks),
            [] => divide(text, Separator::Nothing),
            [byte] => divide(text, Separator::Byte(*byte, also_newline)),
            _ => divide(text, Separator::Pattern(self.made_pattern(separator)?)),
        })
    }

    pub(super) fn field(&mut self, number: f64) -> Evaluated<Value> {
        let at = field_number(number)?;
        if at == 0 {
            return Ok(Value::input(&self.record_text()));
        }
        self.divide_record()?;
        Ok(self.record.fields().get(at - 1).cloned().unwrap_or(Value::Unset))
    }

    pub(super) fn set_field(&mut self, number: f64, value: Value) -> Evaluated<()> {
        let at = field_number(number)?;
        if at == 0 {
            let text = value.bytes(&self.special_text(special::CONVFMT));
            self.record.set(text);
            return Ok(());
        }
        self.divide_record()?;
        let fields = self.record.change_fields();
        if fields.len() < at {
            fields.resize(at, Value::Unset);
        }
        fields[at - 1] = value;
        Ok(())
    }

    pub(super) fn field_count(&mut self) -> Evaluated<Value> {
        self.divide_record()?;
        Ok(Value::Number(self.record.fields().len() as f64))
    }

    pub(super) fn set_field_count(&mut self, count: f64) -> Evaluated<()> {
        let count = field_number(count)?;
        self.divide_record()?;
        self.record.change_fields().resize(count, Value::Unset);
        Ok(())
    }

    pub(super) fn cell(&mut self, variable: Variable) -> &mut Cell {
        match variable {
            Variable::Global(at) => &mut self.globals[at],
            Variable::Local(at) => {
                let frame = self.locals.last_mut().expect("only functions have local variables");
                &mut frame[at]
            }
        }
    }

    pub(super) fn read(&mut self, variable: Variable) -> Evaluated<Value> {
        if variable == Variable::Global(special::NF) {
            return self.field_count();
        }
        match self.cell(variable) {
            Cell::Value(value) => Ok(value.clone()),
            Cell::Perhaps(array) if array.borrow().is_empty() => Ok(Value::Unset),
            Cell::Array(_) | Cell::Perhaps(_) => Err(refusal("an array is used as if it were one value")),
        }
    }

    pub(super) fn set(&mut self, variable: Variable, value: Value) -> Evaluated<()> {
        if variable == Variable::Global(special::NF) {
            return self.set_field_count(value.number());
        }
        match self.cell(variable) {
            Cell::Array(_) => Err(refusal("an array is used as if it were one value")),
            cell => {
                *cell = Cell::Value(value);
                Ok(())
            }
        }
    }

    /// The array that a variable is, or becomes.
    pub(super) fn array(&mut self, variable: Variable) -> Evaluated<Array> {
        let cell = self.cell(variable);
        match cell {
            Cell::Array(array) | Cell::Perhaps(array) => Ok(array.clone()),
            Cell::Value(Value::Unset) => {
                let array = Array::default();
                *cell = Cell::Array(array.clone());
                Ok(array)
            }
            Cell::Value(_) => Err(refusal("a value is used with an index, but is no array")),
        }
    }

    /// The array, if a variable is one already; for `length`.
    pub(super) fn existing_array(&mut self, variable: Variable) -> Option<Array> {
        match self.cell(variable) {
            Cell::Array(array) | Cell::Perhaps(array) => Some(array.clone()),
            Cell::Value(_) => None,
        }
    }

    pub(super) fn key(&mut self, index: &[Expression], context: &mut Context<'_>) -> Evaluated<Rc<[u8]>> {
        if let [one] = index {
            return self.text(one, context);
        }
        let mut parts = Vec::new();
        for part in index {
            parts.push(self.text(part, context)?);
        }
        Ok(parts.join(&*self.special_text(special::SUBSEP)).into())
    }
}

fn field_number(number: f64) -> Evaluated<usize> {
    if number >= 0.0 && number < MOST_FIELDS as f64 {
        return Ok(number as usize);
    }
    let shown = String::from_utf8_lossy(&number_text(number, b"%.6g")).to_string();
    Err(refusal(format!("there is no field {shown}")))
}
