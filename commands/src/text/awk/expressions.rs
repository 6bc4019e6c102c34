//! The parser's part that reads expressions, from what binds least to what binds most.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::lexer::Token;
use super::parser::{Parsed, Parser, WORDS};
use super::tree::{Arithmetic, Comparison, Expression, Function, Place};
use crate::text::pattern::{Pattern, from_posix};
use crate::usage::Misuse;

/// Built-in functions, with fewest and most arguments.
const FUNCTIONS: [(&str, Function, usize, usize); 20] = [
    ("length", Function::Length, 0, 1),
    ("substr", Function::Substr, 2, 3),
    ("index", Function::Index, 2, 2),
    ("split", Function::Split, 2, 3),
    ("sub", Function::Sub, 2, 3),
    ("gsub", Function::Gsub, 2, 3),
    ("match", Function::Match, 2, 2),
    ("tolower", Function::ToLower, 1, 1),
    ("toupper", Function::ToUpper, 1, 1),
    ("sprintf", Function::Sprintf, 1, usize::MAX),
    ("int", Function::Int, 1, 1),
    ("sqrt", Function::Sqrt, 1, 1),
    ("exp", Function::Exp, 1, 1),
    ("log", Function::Log, 1, 1),
    ("sin", Function::Sin, 1, 1),
    ("cos", Function::Cos, 1, 1),
    ("atan2", Function::Atan2, 2, 2),
    ("rand", Function::Rand, 0, 0),
    ("srand", Function::Srand, 0, 1),
    ("close", Function::Close, 1, 1),
];

/// Whether a function is built in.
pub(super) fn is_builtin(name: &str) -> bool {
    FUNCTIONS.iter().any(|(known, ..)| *known == name)
}

impl Parser<'_> {
    pub(super) fn assignment(&mut self) -> Parsed<Expression> {
        let left = self.conditional()?;
        let Token::Mark(mark) = self.token else { return Ok(left) };
        let operation = match mark {
            "=" => None,
            "+=" => Some(Arithmetic::Add),
            "-=" => Some(Arithmetic::Subtract),
            "*=" => Some(Arithmetic::Multiply),
            "/=" => Some(Arithmetic::Divide),
            "%=" => Some(Arithmetic::Remainder),
            "^=" | "**=" => Some(Arithmetic::Power),
            _ => return Ok(left),
        };
        let assign = |left, right| match left {
            Expression::Place(place) => Ok(Expression::Assign(place, operation, Box::new(right))),
            // Assignments bind less than what may stand before them: `1 == x = 2` and `! x = y` mean the last part.
            other => Self::assign_last(other, operation, right),
        };
        self.advance()?;
        self.skip_newlines()?;
        let right = self.deeper(Self::assignment)?;
        assign(left, right)
    }

    /// Assigns to the last part of an expression, as in `! x = y` and `a && b = c`.
    fn assign_last(left: Expression, operation: Option<Arithmetic>, right: Expression) -> Parsed<Expression> {
        let again = |inner: Box<Expression>, right| -> Parsed<Box<Expression>> {
            Ok(Box::new(match *inner {
                Expression::Place(place) => Expression::Assign(place, operation, Box::new(right)),
                other => Self::assign_last(other, operation, right)?,
            }))
        };
        Ok(match left {
            Expression::Not(inner) => Expression::Not(again(inner, right)?),
            Expression::And(first, last) => Expression::And(first, again(last, right)?),
            Expression::Or(first, last) => Expression::Or(first, again(last, right)?),
            Expression::Compare(comparison, first, last) => {
                Expression::Compare(comparison, first, again(last, right)?)
            }
            _ => return Err("what stands before = cannot be assigned to".into()),
        })
    }

    fn conditional(&mut self) -> Parsed<Expression> {
        let condition = self.disjunction()?;
        if !self.take_mark("?")? {
            return Ok(condition);
        }
        self.skip_newlines()?;
        let then = self.deeper(Self::assignment)?;
        self.skip_newlines()?;
        self.expect(":")?;
        self.skip_newlines()?;
        let otherwise = self.deeper(Self::assignment)?;
        Ok(Expression::Choose(Box::new(condition), Box::new(then), Box::new(otherwise)))
    }

    fn disjunction(&mut self) -> Parsed<Expression> {
        let mut left = self.conjunction()?;
        while self.take_mark("||")? {
            self.skip_newlines()?;
            left = Expression::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Parsed<Expression> {
        let mut left = self.membership()?;
        while self.take_mark("&&")? {
            self.skip_newlines()?;
            left = Expression::And(Box::new(left), Box::new(self.membership()?));
        }
        Ok(left)
    }

    fn membership(&mut self) -> Parsed<Expression> {
        let mut left = self.matching()?;
        while self.is_word("in") && !self.is_bare.within {
            self.advance()?;
            let Token::Name(array) = self.advance()? else {
                return Err("expected an array behind in".into());
            };
            let index = match left {
                Expression::List(list) => list,
                one => Vec::from([one]),
            };
            left = Expression::In(index, self.variable(&array)?);
        }
        Ok(left)
    }

    fn matching(&mut self) -> Parsed<Expression> {
        let mut left = self.comparison()?;
        while self.is_mark("~") || self.is_mark("!~") {
            let is_negated = self.is_mark("!~");
            self.advance()?;
            let pattern = Box::new(self.comparison()?);
            left = Expression::Match { text: Box::new(left), pattern, is_negated };
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let left = self.concatenation()?;
        let Token::Mark(mark) = self.token else { return Ok(left) };
        let comparison = match mark {
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            "==" => Comparison::Equal,
            "!=" => Comparison::NotEqual,
            ">" if !self.is_bare.greater => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return Ok(left),
        };
        self.advance()?;
        let right = self.concatenation()?;
        Ok(Expression::Compare(comparison, Box::new(left), Box::new(right)))
    }

    /// Whether the token can begin what is concatenated. A sign cannot: there it is an operator.
    fn begins_part(&self) -> bool {
        match &self.token {
            Token::Number(_) | Token::Text(_) => true,
            Token::Name(name) | Token::Call(name) => !WORDS.contains(&&**name),
            Token::Mark(mark) => matches!(*mark, "$" | "!" | "(" | "++" | "--" | "-" | "+"),
            Token::Newline | Token::End => false,
        }
    }

    fn concatenation(&mut self) -> Parsed<Expression> {
        let mut left = self.concatenation_part()?;
        while self.begins_part() {
            left = Expression::Concatenate(Box::new(left), Box::new(self.concatenation_part()?));
        }
        Ok(left)
    }

    pub(super) fn concatenation_part(&mut self) -> Parsed<Expression> {
        let mut left = self.product()?;
        loop {
            let operation = match self.token {
                Token::Mark("+") => Arithmetic::Add,
                Token::Mark("-") => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            self.advance()?;
            left = Expression::Arithmetic(operation, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Parsed<Expression> {
        let mut left = self.unary()?;
        loop {
            let operation = match self.token {
                Token::Mark("*") => Arithmetic::Multiply,
                Token::Mark("/") => Arithmetic::Divide,
                Token::Mark("%") => Arithmetic::Remainder,
                _ => return Ok(left),
            };
            self.advance()?;
            left = Expression::Arithmetic(operation, Box::new(left), Box::new(self.unary()?));
        }
    }

    fn unary(&mut self) -> Parsed<Expression> {
        self.deeper(|parser| {
            if parser.take_mark("!")? {
                return Ok(Expression::Not(Box::new(parser.unary()?)));
            }
            if parser.take_mark("-")? {
                return Ok(Expression::Negate(Box::new(parser.unary()?)));
            }
            if parser.take_mark("+")? {
                return Ok(Expression::Numeric(Box::new(parser.unary()?)));
            }
            parser.power()
        })
    }

    fn power(&mut self) -> Parsed<Expression> {
        let base = self.postfix()?;
        if !self.is_mark("^") && !self.is_mark("**") {
            return Ok(base);
        }
        self.advance()?;
        // From the right; a sign before the exponent belongs to it.
        let exponent = self.unary()?;
        Ok(Expression::Arithmetic(Arithmetic::Power, Box::new(base), Box::new(exponent)))
    }

    fn postfix(&mut self) -> Parsed<Expression> {
        let expression = self.primary()?;
        let by = match self.token {
            Token::Mark("++") => 1.0,
            Token::Mark("--") => -1.0,
            _ => return Ok(expression),
        };
        match expression {
            Expression::Place(place) => {
                self.advance()?;
                Ok(Expression::Step { place, by, is_before: false })
            }
            other => Ok(other),
        }
    }

    fn place(&mut self) -> Parsed<Place> {
        match self.primary()? {
            Expression::Place(place) => Ok(place),
            _ => Err("it cannot be assigned to".into()),
        }
    }

    pub(super) fn primary(&mut self) -> Parsed<Expression> {
        self.deeper(Self::primary_here)
    }

    fn primary_here(&mut self) -> Parsed<Expression> {
        match self.token.clone() {
            Token::Number(number) => {
                self.advance()?;
                Ok(Expression::Number(number))
            }
            Token::Text(text) => {
                self.advance()?;
                if self.is_mark("|") {
                    return Err("there are no pipes from commands".into());
                }
                Ok(Expression::Text(text.into()))
            }
            Token::Mark(mark) => self.marked(mark),
            Token::Name(name) if name == "getline" => {
                self.advance()?;
                self.getline()
            }
            Token::Name(name) if name == "length" => {
                self.advance()?;
                Ok(Expression::Builtin(Function::Length, Vec::new()))
            }
            Token::Name(name) => {
                self.advance()?;
                let variable = self.variable(&name)?;
                if self.take_mark("[")? {
                    let index = self.list_until("]")?;
                    if index.is_empty() {
                        return Err("an index is missing".into());
                    }
                    return Ok(Expression::Place(Place::Element(variable, index)));
                }
                Ok(Expression::Place(Place::Variable(variable)))
            }
            Token::Call(name) => {
                if WORDS.contains(&&*name) {
                    return Err(format!("{name} cannot stand here"));
                }
                self.advance()?;
                self.call(&name)
            }
            Token::Newline | Token::End => Err(format!("expected an expression, not {}", self.shown())),
        }
    }

    fn marked(&mut self, mark: &'static str) -> Parsed<Expression> {
        match mark {
            "/" | "/=" => {
                let text = self.lexer.pattern(if mark == "/=" { "=" } else { "" })?;
                let pattern = self.pattern(&text)?;
                self.advance()?;
                Ok(Expression::Pattern(pattern))
            }
            "$" => {
                self.advance()?;
                let by = match self.token {
                    Token::Mark("++") => Some(1.0),
                    Token::Mark("--") => Some(-1.0),
                    _ => None,
                };
                if by.is_some() {
                    self.advance()?;
                }
                let inner = if self.take_mark("-")? {
                    Expression::Negate(Box::new(self.primary()?))
                } else {
                    self.primary()?
                };
                let inner = match (by, inner) {
                    (None, inner) => inner,
                    (Some(by), Expression::Place(place)) => Expression::Step { place, by, is_before: true },
                    _ => return Err("++ needs something to be counted".into()),
                };
                Ok(Expression::Place(Place::Field(Box::new(inner))))
            }
            "++" | "--" => {
                self.advance()?;
                let place = self.place()?;
                Ok(Expression::Step { place, by: if mark == "++" { 1.0 } else { -1.0 }, is_before: true })
            }
            "(" => {
                self.advance()?;
                let mut list = self.list_until(")")?;
                match list.len() {
                    0 => Err("there is nothing in the parentheses".into()),
                    1 => Ok(list.remove(0)),
                    _ => Ok(Expression::List(list)),
                }
            }
            "-" | "+" | "!" => self.unary(),
            _ => Err(format!("{} cannot stand here", self.shown())),
        }
    }

    fn pattern(&mut self, text: &str) -> Parsed<usize> {
        let compiled = Pattern::compile(&from_posix(text, true), false, text);
        self.program.patterns.push(compiled.map_err(|Misuse(reason)| reason)?);
        Ok(self.program.patterns.len() - 1)
    }

    fn getline(&mut self) -> Parsed<Expression> {
        let has_place =
            matches!(&self.token, Token::Name(name) if !WORDS.contains(&&**name)) || self.is_mark("$");
        let place = if has_place { Some(self.place()?) } else { None };
        let file = if self.take_mark("<")? { Some(Box::new(self.primary()?)) } else { None };
        Ok(Expression::Getline { place, file })
    }

    fn call(&mut self, name: &str) -> Parsed<Expression> {
        let arguments = self.list_until(")")?;
        if let Some((_, function, fewest, most)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) {
            if !(*fewest..=*most).contains(&arguments.len()) {
                return Err(format!("{name} has too few or too many arguments"));
            }
            return Ok(Expression::Builtin(*function, arguments));
        }
        if name == "system" {
            return Err("there is no function system".into());
        }
        let at = self.routine_place(name);
        let routine = &self.program.routines[at];
        if routine.is_defined && arguments.len() > routine.parameters.len() {
            return Err(format!("the function {name} takes {} arguments", routine.parameters.len()));
        }
        Ok(Expression::Call(at, arguments))
    }
}
