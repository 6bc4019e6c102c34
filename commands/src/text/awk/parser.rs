//! From text to a program. Names become places here, so that nothing is looked up by name while it runs.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::expressions::is_builtin;
use super::lexer::{Lexer, Token};
use super::tree::{Condition, Expression, Program, Routine, Rule, SPECIAL, Statement, Target, Variable};
use crate::usage::Misuse;

/// How deep expressions and statements may lie in each other.
const MOST_DEPTH: usize = 60;

/// Words of the language.
pub(super) const WORDS: [&str; 20] = [
    "BEGIN", "END", "function", "func", "if", "else", "while", "for", "do", "break", "continue", "next",
    "exit", "return", "delete", "in", "getline", "print", "printf", "nextfile",
];

/// What parsing gives, or what is wrong.
pub(super) type Parsed<T> = Result<T, String>;

/// Reads a program.
pub fn parse(text: &str) -> Result<Program, Misuse> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        token: Token::Newline,
        line: 1,
        program: Program { globals: SPECIAL.map(String::from).to_vec(), ..Program::default() },
        locals: Vec::new(),
        depth: 0,
        loops: 0,
        in_routine: false,
        in_rule: false,
        is_bare: Bare::default(),
    };
    match parser.program() {
        Ok(()) => Ok(parser.program),
        Err(reason) => Err(Misuse(format!("line {}: {reason}", parser.line))),
    }
}

/// What may not stand in an expression where it is, outside of parentheses.
#[derive(Clone, Copy, Default)]
pub(super) struct Bare {
    /// `>`, which says where `print` writes.
    pub(super) greater: bool,
    /// `in`, which belongs to `for`.
    pub(super) within: bool,
}

pub(super) struct Parser<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) token: Token,
    /// Of the token.
    line: usize,
    pub(super) program: Program,
    locals: Vec<String>,
    depth: usize,
    loops: usize,
    in_routine: bool,
    /// In a rule for records, where there is a next one.
    in_rule: bool,
    pub(super) is_bare: Bare,
}

impl Parser<'_> {
    pub(super) fn advance(&mut self) -> Parsed<Token> {
        self.line = self.lexer.line;
        let next = self.lexer.next()?;
        Ok(core::mem::replace(&mut self.token, next))
    }

    pub(super) fn is_mark(&self, mark: &str) -> bool {
        matches!(self.token, Token::Mark(found) if found == mark)
    }

    pub(super) fn take_mark(&mut self, mark: &str) -> Parsed<bool> {
        let found = self.is_mark(mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, mark: &str) -> Parsed<()> {
        if self.take_mark(mark)? { Ok(()) } else { Err(format!("expected {mark}, not {}", self.shown())) }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Name(name) | Token::Call(name) if name == word)
    }

    /// Passes a word of the language; whether a parenthesis right behind it was passed too.
    fn take_word(&mut self) -> Parsed<bool> {
        Ok(matches!(self.advance()?, Token::Call(_)))
    }

    /// Passes a word and the parenthesis that belongs behind it.
    fn open_after_word(&mut self) -> Parsed<()> {
        if self.take_word()? { Ok(()) } else { self.expect("(") }
    }

    pub(super) fn shown(&self) -> String {
        match &self.token {
            Token::Number(number) => format!("{number}"),
            Token::Text(text) => format!("\"{}\"", String::from_utf8_lossy(text)),
            Token::Name(name) | Token::Call(name) => name.clone(),
            Token::Mark(mark) => (*mark).to_string(),
            Token::Newline => "the end of the line".into(),
            Token::End => "the end".into(),
        }
    }

    pub(super) fn skip_newlines(&mut self) -> Parsed<()> {
        while self.token == Token::Newline {
            self.advance()?;
        }
        Ok(())
    }

    fn skip_ends(&mut self) -> Parsed<()> {
        while self.token == Token::Newline || self.is_mark(";") {
            self.advance()?;
        }
        Ok(())
    }

    fn program(&mut self) -> Parsed<()> {
        self.advance()?;
        loop {
            self.skip_ends()?;
            if self.token == Token::End {
                break;
            }
            if self.is_word("function") || self.is_word("func") {
                self.routine()?;
            } else {
                self.rule()?;
            }
        }
        match self.program.routines.iter().find(|routine| !routine.is_defined) {
            Some(missing) => Err(format!("there is no function {}", missing.name)),
            None => Ok(()),
        }
    }

    fn routine(&mut self) -> Parsed<()> {
        self.advance()?;
        let name = match self.advance()? {
            Token::Call(name) => name,
            Token::Name(name) => {
                self.expect("(")?;
                name
            }
            _ => return Err("expected a function's name".into()),
        };
        Self::check_name(&name)?;
        let mut parameters: Vec<String> = Vec::new();
        while !self.is_mark(")") {
            let Token::Name(parameter) = self.advance()? else {
                return Err("expected a parameter's name".into());
            };
            Self::check_name(&parameter)?;
            if parameters.contains(&parameter) {
                return Err(format!("the parameter {parameter} is there twice"));
            }
            parameters.push(parameter);
            if !self.take_mark(",")? {
                break;
            }
            self.skip_newlines()?;
        }
        self.expect(")")?;
        self.skip_newlines()?;
        let at = self.routine_place(&name);
        if self.program.routines[at].is_defined {
            return Err(format!("the function {name} is there twice"));
        }
        self.program.routines[at].is_defined = true;
        self.program.routines[at].parameters.clone_from(&parameters);
        self.locals = parameters;
        self.in_routine = true;
        let body = self.block()?;
        self.in_routine = false;
        self.locals.clear();
        self.program.routines[at].body = body;
        Ok(())
    }

    pub(super) fn check_name(name: &str) -> Parsed<()> {
        let is_taken = WORDS.contains(&name) || is_builtin(name);
        if is_taken { Err(format!("{name} is a word of the language")) } else { Ok(()) }
    }

    pub(super) fn routine_place(&mut self, name: &str) -> usize {
        let known = self.program.routines.iter().position(|routine| routine.name == name);
        known.unwrap_or_else(|| {
            self.program.routines.push(Routine { name: name.into(), ..Routine::default() });
            self.program.routines.len() - 1
        })
    }

    fn rule(&mut self) -> Parsed<()> {
        let condition = if self.is_word("BEGIN") {
            self.advance()?;
            Condition::Begin
        } else if self.is_word("END") {
            self.advance()?;
            Condition::End
        } else if self.is_mark("{") {
            Condition::Always
        } else {
            let first = self.expression()?;
            if self.take_mark(",")? {
                self.skip_newlines()?;
                let last = self.expression()?;
                self.program.ranges += 1;
                Condition::Range(first, last, self.program.ranges - 1)
            } else {
                Condition::If(first)
            }
        };
        let needs_action = matches!(condition, Condition::Begin | Condition::End);
        self.in_rule = !needs_action;
        let action = if self.is_mark("{") || needs_action { Some(self.block()?) } else { None };
        self.in_rule = false;
        self.program.rules.push(Rule { condition, action });
        Ok(())
    }

    fn block(&mut self) -> Parsed<Vec<Statement>> {
        self.expect("{")?;
        let mut statements = Vec::new();
        loop {
            self.skip_ends()?;
            if self.take_mark("}")? {
                return Ok(statements);
            }
            if self.token == Token::End {
                return Err("expected } at the end".into());
            }
            statements.push(self.statement()?);
        }
    }

    /// What follows a condition: a statement, a block, or nothing.
    fn body(&mut self) -> Parsed<Vec<Statement>> {
        self.skip_newlines()?;
        if self.take_mark(";")? {
            return Ok(Vec::new());
        }
        if self.is_mark("{") { self.block() } else { Ok(Vec::from([self.statement()?])) }
    }

    fn loop_body(&mut self) -> Parsed<Vec<Statement>> {
        self.loops += 1;
        let body = self.body();
        self.loops -= 1;
        body
    }

    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MOST_DEPTH {
            return Err("it is nested too deeply".into());
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    pub(super) fn statement(&mut self) -> Parsed<Statement> {
        self.deeper(Self::statement_here)
    }

    fn statement_here(&mut self) -> Parsed<Statement> {
        if self.is_mark("{") {
            return self.block().map(Statement::Block);
        }
        let word = match &self.token {
            Token::Name(word) | Token::Call(word) => word.clone(),
            _ => String::new(),
        };
        match &*word {
            "if" => return self.choice(),
            "while" => {
                self.open_after_word()?;
                let condition = self.grouped()?;
                return Ok(Statement::While(condition, self.loop_body()?));
            }
            "for" => return self.for_loop(),
            "do" => {
                self.advance()?;
                let body = self.loop_body()?;
                self.skip_ends()?;
                if !self.is_word("while") {
                    return Err("expected while behind do".into());
                }
                self.open_after_word()?;
                let condition = self.grouped()?;
                self.end_statement()?;
                return Ok(Statement::DoWhile(body, condition));
            }
            _ => {}
        }
        let statement = self.simple(&word)?;
        self.end_statement()?;
        Ok(statement)
    }

    /// The end of a simple statement; a brace that closes is left.
    fn end_statement(&mut self) -> Parsed<()> {
        match self.token {
            Token::Newline | Token::Mark(";") => self.advance().map(|_| ()),
            Token::End | Token::Mark("}") => Ok(()),
            _ => Err(format!("expected }} or the end of a statement, not {}", self.shown())),
        }
    }

    fn choice(&mut self) -> Parsed<Statement> {
        self.open_after_word()?;
        let condition = self.grouped()?;
        let then = self.body()?;
        // The end of the first branch may stand before else.
        let (lexer_at, token, line) = (self.lexer.mark(), self.token.clone(), self.line);
        self.skip_ends()?;
        if self.is_word("else") {
            self.advance()?;
            return Ok(Statement::If(condition, then, self.body()?));
        }
        self.lexer.reset(lexer_at);
        (self.token, self.line) = (token, line);
        Ok(Statement::If(condition, then, Vec::new()))
    }

    /// An expression and the parenthesis that closes behind it.
    fn grouped(&mut self) -> Parsed<Expression> {
        let outer = core::mem::take(&mut self.is_bare);
        let expression = self.expression();
        self.is_bare = outer;
        let expression = expression?;
        self.expect(")")?;
        Ok(expression)
    }

    fn for_loop(&mut self) -> Parsed<Statement> {
        self.open_after_word()?;
        if let Token::Name(name) = &self.token {
            let name = name.clone();
            let (lexer_at, token, line) = (self.lexer.mark(), self.token.clone(), self.line);
            self.advance()?;
            if self.is_word("in") {
                self.advance()?;
                if let Token::Name(array) = self.token.clone() {
                    self.advance()?;
                    if self.take_mark(")")? {
                        let (variable, array) = (self.variable(&name)?, self.variable(&array)?);
                        return Ok(Statement::ForIn(variable, array, self.loop_body()?));
                    }
                }
            }
            self.lexer.reset(lexer_at);
            (self.token, self.line) = (token, line);
        }
        let first = if self.is_mark(";") { None } else { Some(Box::new(self.simple_here()?)) };
        self.expect(";")?;
        self.skip_newlines()?;
        let condition = if self.is_mark(";") { None } else { Some(self.expression()?) };
        self.expect(";")?;
        self.skip_newlines()?;
        let step = if self.is_mark(")") { None } else { Some(Box::new(self.simple_here()?)) };
        self.expect(")")?;
        Ok(Statement::For(first, condition, step, self.loop_body()?))
    }

    fn simple_here(&mut self) -> Parsed<Statement> {
        let word = match &self.token {
            Token::Name(word) | Token::Call(word) => word.clone(),
            _ => String::new(),
        };
        self.simple(&word)
    }

    fn is_end(&self) -> bool {
        matches!(self.token, Token::Newline | Token::End | Token::Mark(";" | "}"))
    }

    fn optional_expression(&mut self) -> Parsed<Option<Expression>> {
        if self.is_end() { Ok(None) } else { self.expression().map(Some) }
    }

    fn simple(&mut self, word: &str) -> Parsed<Statement> {
        let refuse = |holds: bool, reason: &str| if holds { Err(reason.to_string()) } else { Ok(()) };
        Ok(match word {
            "print" | "printf" => return self.print(word == "printf"),
            "break" | "continue" => {
                refuse(self.loops == 0, "break and continue have a meaning only in loops")?;
                self.advance()?;
                if word == "break" { Statement::Break } else { Statement::Continue }
            }
            "next" => {
                refuse(!self.in_rule && !self.in_routine, "next has no meaning in BEGIN and END")?;
                self.advance()?;
                Statement::Next
            }
            "exit" => {
                self.take_parenthesized_word()?;
                Statement::Exit(self.optional_expression()?)
            }
            "return" => {
                refuse(!self.in_routine, "return has a meaning only in functions")?;
                self.take_parenthesized_word()?;
                Statement::Return(self.optional_expression()?)
            }
            "delete" => {
                self.advance()?;
                let Token::Name(array) = self.advance()? else {
                    return Err("expected an array behind delete".into());
                };
                let array = self.variable(&array)?;
                let index = if self.take_mark("[")? { Some(self.list_until("]")?) } else { None };
                Statement::Delete(array, index)
            }
            "nextfile" => return Err("nextfile is not POSIX's, and not there".into()),
            _ => Statement::Expression(self.expression()?),
        })
    }

    /// Passes a word that a parenthesis may follow which belongs to an expression.
    fn take_parenthesized_word(&mut self) -> Parsed<()> {
        if let Token::Call(_) = self.token {
            self.lexer.step_back();
        }
        self.advance().map(|_| ())
    }

    fn print(&mut self, is_formatted: bool) -> Parsed<Statement> {
        self.take_parenthesized_word()?;
        let outer = core::mem::replace(&mut self.is_bare, Bare { greater: true, within: false });
        let mut values = Vec::new();
        if !self.is_end() && !self.is_mark(">") && !self.is_mark(">>") && !self.is_mark("|") {
            match self.expression()? {
                // print (a, b) is print a, b.
                Expression::List(list) => values = list,
                first => values.push(first),
            }
            while self.take_mark(",")? {
                self.skip_newlines()?;
                values.push(self.expression()?);
            }
        }
        self.is_bare = outer;
        if is_formatted && values.is_empty() {
            return Err("printf needs a format".into());
        }
        let appends = self.is_mark(">>");
        if self.is_mark("|") {
            return Err("there are no pipes to commands".into());
        }
        let target = if appends || self.is_mark(">") {
            self.advance()?;
            Some(Target { file: self.concatenation_part()?, appends })
        } else {
            None
        };
        Ok(Statement::Print { values, is_formatted, target })
    }

    pub(super) fn list_until(&mut self, end: &str) -> Parsed<Vec<Expression>> {
        let outer = core::mem::take(&mut self.is_bare);
        let mut list = Vec::new();
        while !self.is_mark(end) {
            self.skip_newlines()?;
            list.push(self.expression()?);
            self.skip_newlines()?;
            if !self.take_mark(",")? {
                break;
            }
        }
        self.is_bare = outer;
        self.expect(end)?;
        Ok(list)
    }

    pub(super) fn variable(&mut self, name: &str) -> Parsed<Variable> {
        Self::check_name(name)?;
        if let Some(at) = self.locals.iter().position(|local| local == name) {
            return Ok(Variable::Local(at));
        }
        if self.program.routines.iter().any(|routine| routine.name == name) {
            return Err(format!("{name} is a function"));
        }
        let known = self.program.globals.iter().position(|global| global == name);
        Ok(Variable::Global(known.unwrap_or_else(|| {
            self.program.globals.push(name.into());
            self.program.globals.len() - 1
        })))
    }

    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.deeper(Self::assignment)
    }
}
