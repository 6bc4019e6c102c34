//! The functions that are built in.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::machine::{Evaluated, Machine, refusal};
use super::tree::{Expression, Function, Place, special};
use super::value::{Value, number_text};
use crate::context::Context;
use crate::text::characters::characters;

/// Where `rand` begins unless told.
const FIRST_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

impl Machine {
    /// Calls a built-in function; the parser has counted its arguments.
    pub(super) fn builtin(
        &mut self,
        function: Function,
        arguments: &[Expression],
        context: &mut Context<'_>,
    ) -> Evaluated<Value> {
        let number = |value: f64| Ok(Value::Number(value));
        match function {
            Function::Length => self.length(arguments, context),
            Function::Substr => self.substring(arguments, context),
            Function::Index => {
                let (text, wanted) = (self.text(&arguments[0], context)?, self.text(&arguments[1], context)?);
                let at = if wanted.is_empty() {
                    None
                } else {
                    text.windows(wanted.len()).position(|window| *window == *wanted)
                };
                number(at.map_or(0.0, |at| position(&text, at)))
            }
            Function::Split => self.split(arguments, context),
            Function::Sub | Function::Gsub => self.substitute(function == Function::Gsub, arguments, context),
            Function::Match => {
                let text = self.text(&arguments[0], context)?;
                let found = self.pattern(&arguments[1], context)?.find_from(&text, 0);
                let (start, length) = match found {
                    Some(found) => (position(&text, found.start), characters(&text[found]).count() as f64),
                    None => (0.0, -1.0),
                };
                self.set_special(special::RSTART, start);
                self.set_special(special::RLENGTH, length);
                number(start)
            }
            Function::ToLower => Ok(Value::text(&self.text(&arguments[0], context)?.to_ascii_lowercase())),
            Function::ToUpper => Ok(Value::text(&self.text(&arguments[0], context)?.to_ascii_uppercase())),
            Function::Sprintf => Ok(Value::text(&self.formatted(arguments, context)?)),
            Function::Int => number(libm::trunc(self.number(&arguments[0], context)?)),
            Function::Sqrt => number(libm::sqrt(self.number(&arguments[0], context)?)),
            Function::Exp => number(libm::exp(self.number(&arguments[0], context)?)),
            Function::Log => number(libm::log(self.number(&arguments[0], context)?)),
            Function::Sin => number(libm::sin(self.number(&arguments[0], context)?)),
            Function::Cos => number(libm::cos(self.number(&arguments[0], context)?)),
            Function::Atan2 => {
                let (y, x) = (self.number(&arguments[0], context)?, self.number(&arguments[1], context)?);
                number(libm::atan2(y, x))
            }
            Function::Rand => number(self.random()),
            Function::Srand => {
                let before = self.seed;
                self.seed = match arguments.first() {
                    Some(seed) => self.number(seed, context)?.to_bits(),
                    None => v::time::real_ns(),
                };
                number(before as f64)
            }
            Function::Close => {
                let name = self.text(&arguments[0], context)?;
                number(if self.close(&name)? { 0.0 } else { -1.0 })
            }
        }
    }

    /// From 0 up to, but not with, 1: splitmix64.
    fn random(&mut self) -> f64 {
        const BITS: u32 = 53;
        self.seed = self.seed.wrapping_add(FIRST_SEED);
        let mut word = self.seed;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        (word >> (64 - BITS)) as f64 / (1_u64 << BITS) as f64
    }

    fn length(&mut self, arguments: &[Expression], context: &mut Context<'_>) -> Evaluated<Value> {
        let text = match arguments {
            [] => self.record_text(),
            [Expression::Place(Place::Variable(variable)), ..]
                if self.existing_array(*variable).is_some() =>
            {
                let array = self.existing_array(*variable).unwrap_or_default();
                let count = array.borrow().len();
                return Ok(Value::Number(count as f64));
            }
            [text, ..] => self.text(text, context)?,
        };
        Ok(Value::Number(characters(&text).count() as f64))
    }

    fn substring(&mut self, arguments: &[Expression], context: &mut Context<'_>) -> Evaluated<Value> {
        let text = self.text(&arguments[0], context)?;
        let from = libm::rint(self.number(&arguments[1], context)?);
        let end = match arguments.get(2) {
            Some(length) => from + libm::rint(self.number(length, context)?),
            None => f64::INFINITY,
        };
        // Positions are from 1 on. What is no number gives nothing.
        let picked: Vec<&[u8]> = characters(&text)
            .zip(1_u32..)
            .filter(|(_, at)| f64::from(*at) >= from && f64::from(*at) < end)
            .map(|(character, _)| character)
            .collect();
        Ok(Value::input(&picked.concat()))
    }

    fn split(&mut self, arguments: &[Expression], context: &mut Context<'_>) -> Evaluated<Value> {
        let text = self.text(&arguments[0], context)?;
        let Expression::Place(Place::Variable(variable)) = &arguments[1] else {
            return Err(refusal("split: its second argument must be an array"));
        };
        let pieces = match arguments.get(2) {
            None => {
                let separator = self.special_text(special::FS);
                self.divide(&text, &separator)?
            }
            Some(pattern @ Expression::Pattern(_)) => {
                super::input::divide(&text, super::input::Separator::Pattern(self.pattern(pattern, context)?))
            }
            Some(separator) => {
                let separator = self.text(separator, context)?;
                self.divide(&text, &separator)?
            }
        };
        let array = self.array(*variable)?;
        let mut array = array.borrow_mut();
        array.clear();
        let count = pieces.len();
        for (at, piece) in pieces.into_iter().enumerate() {
            array.insert(Rc::from(number_text((at + 1) as f64, b"")), piece);
        }
        Ok(Value::Number(count as f64))
    }

    /// `sub` and `gsub`: how many were replaced.
    fn substitute(
        &mut self,
        is_global: bool,
        arguments: &[Expression],
        context: &mut Context<'_>,
    ) -> Evaluated<Value> {
        let replacement = self.text(&arguments[1], context)?;
        let whole = Place::Field(alloc::boxed::Box::new(Expression::Number(0.0)));
        let place = match arguments.get(2) {
            None => &whole,
            Some(Expression::Place(place)) => place,
            Some(_) => {
                return Err(refusal(
                    "sub and gsub: what is changed must be a variable, an element or a field",
                ));
            }
        };
        let text = self.value_at(place, context)?.bytes(&self.special_text(special::CONVFMT));
        let pattern = self.pattern(&arguments[0], context)?;
        let (mut output, mut copied, mut from, mut count) = (Vec::new(), 0, 0, 0_u32);
        let mut last_end = None;
        while from <= text.len() {
            let Some(found) = pattern.find_from(&text, from) else { break };
            if found.is_empty() && last_end == Some(found.end) {
                from = found.end + 1;
                continue;
            }
            last_end = Some(found.end);
            count += 1;
            output.extend_from_slice(&text[copied..found.start]);
            replace(&replacement, &text[found.clone()], &mut output);
            copied = found.end;
            from = if found.is_empty() {
                found.end + characters(&text[found.end..]).next().map_or(1, <[u8]>::len)
            } else {
                found.end
            };
            if !is_global {
                break;
            }
        }
        if count > 0 {
            output.extend_from_slice(&text[copied..]);
            self.assign(place, Value::text(&output), context)?;
        }
        Ok(Value::Number(count.into()))
    }
}

/// A replacement, in which `&` is what matched, `\&` is `&` and `\\` a backslash.
fn replace(replacement: &[u8], matched: &[u8], output: &mut Vec<u8>) {
    let mut rest = replacement;
    loop {
        let (byte, after) = match rest {
            [] => return,
            [b'&', after @ ..] => {
                output.extend_from_slice(matched);
                rest = after;
                continue;
            }
            [b'\\', byte @ (b'&' | b'\\'), after @ ..] | [byte, after @ ..] => (byte, after),
        };
        output.push(*byte);
        rest = after;
    }
}

/// Which character begins at a byte, counted from 1.
fn position(text: &[u8], at: usize) -> f64 {
    characters(&text[..at]).count() as f64 + 1.0
}
