//! The grammar: lists, pipelines, commands, as POSIX's shell has them, and V's `@NODE` after a command.
//!
//! A [`Parser`] yields a script one complete line at a time, as shells run it: what stands before an error has
//! run when the error is reported. Incomplete text is told apart from wrong text, for the next prompt.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::ast::{
    AndOr, Command, Connector, Here, Item, Kind, List, Mode, Piece, Pipeline, Position, Redirection, Simple,
    Target, Text, Where, Word,
};
use super::cursor::ParseError;
use super::lexer::{Operator, Parsed, Pending, Token};
use super::stack::Stack;
use super::word::is_name;

pub use super::lexer::Parser;

/// Words that end a list where a command could stand.
const CLOSING: [&[u8]; 7] = [b"then", b"elif", b"else", b"fi", b"do", b"done", b"esac"];

/// What a command takes in a tree besides its words: its own nodes, and those of its pipeline and list.
const COMMAND_BYTES: usize = 1024;

/// Words with a meaning where a command's name could stand.
pub(super) fn is_reserved(word: &[u8]) -> bool {
    const OPENING: [&[u8]; 9] = [b"!", b"{", b"}", b"case", b"for", b"if", b"in", b"until", b"while"];
    CLOSING.contains(&word) || OPENING.contains(&word)
}

/// The whole of `source` as one list.
pub fn parse(source: &[u8], stack: Stack) -> Result<List, ParseError> {
    Parser::new(source, stack).program()
}

impl<'a> Parser<'a> {
    /// A parser at the start of a script.
    pub fn new(source: &'a [u8], stack: Stack) -> Parser<'a> {
        Parser::at(source, Position { line: 1, column: 1 }, stack)
    }

    /// The same with a bound on the memory that each line's tree takes.
    #[must_use]
    pub fn within(mut self, bytes: usize) -> Parser<'a> {
        self.line_bytes = bytes;
        self.room_bytes.set(bytes);
        self
    }

    /// How much memory the last line's tree takes, at most.
    pub fn taken_bytes(&self) -> usize {
        self.line_bytes - self.room_bytes.get()
    }

    /// The commands of the next line that has any, and of the lines they extend over; `None` at the end.
    pub fn next_line(&mut self) -> Result<Option<List>, ParseError> {
        self.room_bytes.set(self.line_bytes);
        while *self.peek()? == Token::Newline {
            self.next()?;
        }
        if *self.peek()? == Token::End {
            return Ok(None);
        }
        let mut items = Vec::new();
        loop {
            let and_or = self.and_or()?;
            let background = self.take_operator(Operator::Ampersand)?;
            let separated = background || self.take_operator(Operator::Semicolon)?;
            items.push(Item { and_or, background });
            match self.peek()? {
                Token::Newline => {
                    self.next()?;
                    break;
                }
                Token::End => break,
                _ if separated => {}
                _ => return Err(self.unexpected("`;`, `&` or the end of the line")),
            }
        }
        Ok(Some(List { items }))
    }

    /// Whether the text ends with a backslash that wants the next line.
    pub fn is_continued(&self) -> bool {
        self.cursor.is_continued()
    }

    /// Everything up to the end.
    pub(super) fn program(&mut self) -> Parsed<List> {
        let list = self.compound_list()?;
        if *self.peek()? == Token::End {
            return Ok(list);
        }
        Err(self.unexpected("a command"))
    }

    /// Commands up to a token that cannot start one; maybe none.
    pub(super) fn compound_list(&mut self) -> Parsed<List> {
        self.check_depth()?;
        let mut items = Vec::new();
        loop {
            self.skip_newlines()?;
            if self.is_list_end()? {
                break;
            }
            let and_or = self.and_or()?;
            let background = self.take_operator(Operator::Ampersand)?;
            let separated = background || self.take_operator(Operator::Semicolon)?;
            items.push(Item { and_or, background });
            if !separated && *self.peek()? != Token::Newline {
                break;
            }
        }
        Ok(List { items })
    }

    fn skip_newlines(&mut self) -> Parsed<()> {
        while *self.peek()? == Token::Newline {
            self.next()?;
        }
        Ok(())
    }

    fn is_list_end(&mut self) -> Parsed<bool> {
        Ok(match self.peek()? {
            Token::End | Token::Operator(Operator::Close | Operator::DoubleSemicolon) => true,
            Token::Word(word) => word.literal().is_some_and(|text| text == b"}" || CLOSING.contains(&text)),
            _ => false,
        })
    }

    fn and_or(&mut self) -> Parsed<AndOr> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let connector = if self.take_operator(Operator::And)? {
                Connector::And
            } else if self.take_operator(Operator::Or)? {
                Connector::Or
            } else {
                return Ok(AndOr { first, rest });
            };
            self.skip_newlines()?;
            rest.push((connector, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        let negated = self.take_reserved(b"!")?;
        let mut stages = Vec::from([self.command()?]);
        while self.take_operator(Operator::Pipe)? {
            self.skip_newlines()?;
            stages.push(self.command()?);
        }
        Ok(Pipeline { negated, stages })
    }

    /// Takes the next token if it is this word, unquoted.
    fn take_reserved(&mut self, reserved: &[u8]) -> Parsed<bool> {
        let found = matches!(self.peek()?, Token::Word(word) if word.literal() == Some(reserved));
        if found {
            self.peeked = None;
        }
        Ok(found)
    }

    fn expect_reserved(&mut self, reserved: &str) -> Parsed<()> {
        if self.take_reserved(reserved.as_bytes())? {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{reserved}`")))
    }

    /// A list in which there must be a command.
    fn some_commands(&mut self) -> Parsed<List> {
        let list = self.compound_list()?;
        if list.items.is_empty() {
            return Err(self.unexpected("a command"));
        }
        Ok(list)
    }

    fn command(&mut self) -> Parsed<Command> {
        self.check_depth()?;
        self.take_room(COMMAND_BYTES)?;
        let at = self.position()?;
        let kind = match self.peek()? {
            Token::Operator(Operator::Open) => {
                self.next()?;
                Some(self.subshell()?)
            }
            Token::Word(word) => match word.literal() {
                Some(text) if is_reserved(text) && text != b"in" => {
                    let text = text.to_vec();
                    Some(self.compound(&text)?)
                }
                _ => None,
            },
            _ => None,
        };
        let Some(kind) = kind else { return self.simple(at) };
        let mut kind = kind;
        let mut redirections = Vec::new();
        loop {
            if let Some(redirection) = self.redirection()? {
                redirections.push(redirection);
            } else if let Kind::Subshell(_, placement @ None) = &mut kind
                && let Some(found) = self.placement()?
            {
                *placement = Some(found);
            } else {
                return Ok(Command { kind, redirections, at });
            }
        }
    }

    /// `@NODE` or `@ *` behind `)`.
    fn placement(&mut self) -> Parsed<Option<Where>> {
        let is_at =
            |word: &Word| matches!(word.pieces.first(), Some(Piece::Literal(text)) if text[0] == b'@');
        if !matches!(self.peek()?, Token::Word(word) if is_at(word)) {
            return Ok(None);
        }
        let mut words = Vec::from([Word { pieces: Vec::new(), at: self.position()? }]);
        let Token::Word(word) = self.next()? else { return Ok(None) };
        let is_alone = word.literal() == Some(b"@");
        words.push(word);
        if is_alone && let Token::Word(_) = self.peek()? {
            let Token::Word(word) = self.next()? else { return Ok(None) };
            words.push(word);
        }
        match take_placement(&mut words) {
            Some(placement) => Ok(Some(placement)),
            None => Err(ParseError::wrong(words[0].at, "found `@` without a node's name or `*`")),
        }
    }

    fn subshell(&mut self) -> Parsed<Kind> {
        let list = self.some_commands()?;
        if !self.take_operator(Operator::Close)? {
            return Err(self.unexpected("`)`"));
        }
        Ok(Kind::Subshell(list, None))
    }

    /// A command that starts with a reserved word.
    fn compound(&mut self, word: &[u8]) -> Parsed<Kind> {
        match word {
            b"{" => {
                self.next()?;
                let list = self.some_commands()?;
                self.expect_reserved("}")?;
                Ok(Kind::Group(list))
            }
            b"if" => {
                self.next()?;
                self.if_command()
            }
            b"while" | b"until" => {
                self.next()?;
                let condition = self.some_commands()?;
                let body = self.do_group()?;
                Ok(Kind::While { until: word == b"until", condition, body })
            }
            b"for" => {
                self.next()?;
                self.for_command()
            }
            b"case" => {
                self.next()?;
                self.case_command()
            }
            _ => Err(self.unexpected("a command")),
        }
    }

    fn do_group(&mut self) -> Parsed<List> {
        self.skip_newlines()?;
        self.expect_reserved("do")?;
        let body = self.some_commands()?;
        self.expect_reserved("done")?;
        Ok(body)
    }

    fn if_command(&mut self) -> Parsed<Kind> {
        let mut branches = Vec::new();
        loop {
            let condition = self.some_commands()?;
            self.expect_reserved("then")?;
            let body = self.some_commands()?;
            branches.push((condition, body));
            if self.take_reserved(b"elif")? {
                continue;
            }
            let otherwise = if self.take_reserved(b"else")? { Some(self.some_commands()?) } else { None };
            if !self.take_reserved(b"fi")? {
                let expected = if otherwise.is_some() { "`fi`" } else { "`elif`, `else` or `fi`" };
                return Err(self.unexpected(expected));
            }
            return Ok(Kind::If(branches, otherwise));
        }
    }

    fn for_command(&mut self) -> Parsed<Kind> {
        let name = match self.peek()? {
            Token::Word(word) => word.literal().filter(|text| is_name(text)).map(<[u8]>::to_vec),
            _ => None,
        };
        let Some(name) = name else {
            return Err(self.unexpected("a variable's name"));
        };
        self.next()?;
        let mut words = None;
        if !self.take_operator(Operator::Semicolon)? {
            self.skip_newlines()?;
            if self.take_reserved(b"in")? {
                let mut list = Vec::new();
                while let Token::Word(_) = self.peek()? {
                    if let Token::Word(word) = self.next()? {
                        list.push(word);
                    }
                }
                if !self.take_operator(Operator::Semicolon)? && *self.peek()? != Token::Newline {
                    return Err(self.unexpected("a word, `;` or the end of the line"));
                }
                words = Some(list);
            }
        }
        let body = self.do_group()?;
        Ok(Kind::For { name, words, body })
    }

    fn case_command(&mut self) -> Parsed<Kind> {
        let Token::Word(_) = self.peek()? else {
            return Err(self.unexpected("a word"));
        };
        let Token::Word(subject) = self.next()? else {
            return Err(self.unexpected("a word"));
        };
        self.skip_newlines()?;
        self.expect_reserved("in")?;
        let mut arms = Vec::new();
        loop {
            self.skip_newlines()?;
            if self.take_reserved(b"esac")? {
                break;
            }
            self.take_operator(Operator::Open)?;
            let mut patterns = Vec::new();
            loop {
                let Token::Word(_) = self.peek()? else {
                    return Err(self.unexpected(if patterns.is_empty() {
                        "a pattern or `esac`"
                    } else {
                        "a pattern"
                    }));
                };
                if let Token::Word(word) = self.next()? {
                    patterns.push(word);
                }
                if self.take_operator(Operator::Close)? {
                    break;
                }
                if !self.take_operator(Operator::Pipe)? {
                    return Err(self.unexpected("`|` or `)` after a pattern"));
                }
            }
            arms.push((patterns, self.compound_list()?));
            if !self.take_operator(Operator::DoubleSemicolon)? {
                if self.take_reserved(b"esac")? {
                    break;
                }
                return Err(self.unexpected("`;;` or `esac`"));
            }
        }
        Ok(Kind::Case { subject, arms })
    }

    fn simple(&mut self, at: Position) -> Parsed<Command> {
        let mut simple = Simple::default();
        let mut redirections = Vec::new();
        loop {
            if let Some(redirection) = self.redirection()? {
                redirections.push(redirection);
                continue;
            }
            let Token::Word(_) = self.peek()? else { break };
            let Token::Word(word) = self.next()? else { break };
            if simple.words.is_empty()
                && let Some(assignment) = split_assignment(&word)
            {
                simple.assignments.push(assignment);
                continue;
            }
            simple.words.push(word);
            if simple.words.len() == 1
                && simple.assignments.is_empty()
                && redirections.is_empty()
                && self.take_operator(Operator::Open)?
            {
                let name = simple.words[0].literal().filter(|text| is_name(text)).map(<[u8]>::to_vec);
                return self.function(name, at);
            }
        }
        if simple.words.is_empty() && simple.assignments.is_empty() && redirections.is_empty() {
            return Err(self.unexpected("a command"));
        }
        simple.placement = take_placement(&mut simple.words);
        Ok(Command { kind: Kind::Simple(simple), redirections, at })
    }

    /// After `name(`.
    fn function(&mut self, name: Option<Text>, at: Position) -> Parsed<Command> {
        let Some(name) = name else {
            return Err(ParseError::wrong(at, "found `(` after a word that can't name a function"));
        };
        if !self.take_operator(Operator::Close)? {
            return Err(self.unexpected("`)`"));
        }
        self.skip_newlines()?;
        let body = self.command()?;
        if matches!(body.kind, Kind::Simple(_) | Kind::Function { .. }) {
            return Err(ParseError::wrong(
                body.at,
                "found a simple command, expected `{`, `(` or the like as a function's body",
            ));
        }
        Ok(Command { kind: Kind::Function { name, body: Rc::new(body) }, redirections: Vec::new(), at })
    }

    fn redirection(&mut self) -> Parsed<Option<Redirection>> {
        let at = self.position()?;
        let number = match *self.peek()? {
            Token::Descriptor(number) => {
                self.next()?;
                Some(number)
            }
            _ => None,
        };
        let Token::Operator(operator) = *self.peek()? else {
            return Ok(None);
        };
        let default = match operator {
            Operator::Less
            | Operator::LessSame
            | Operator::ReadWrite
            | Operator::Here
            | Operator::HereStripped => 0,
            Operator::Greater | Operator::GreaterSame | Operator::Append | Operator::Clobber => 1,
            _ => return Ok(None),
        };
        let descriptor = number.unwrap_or(default);
        if descriptor > 9 {
            return Err(ParseError::wrong(at, "found a stream's number above 9"));
        }
        self.next()?;
        let Token::Word(_) = self.peek()? else {
            return Err(self.unexpected("a file's name"));
        };
        let Token::Word(word) = self.next()? else {
            return Err(self.unexpected("a file's name"));
        };
        let target = match operator {
            Operator::Less => Target::File(Mode::Read, word),
            Operator::Append => Target::File(Mode::Append, word),
            Operator::ReadWrite => Target::File(Mode::ReadWrite, word),
            Operator::LessSame | Operator::GreaterSame => Target::Same(word),
            Operator::Here | Operator::HereStripped => {
                self.announce_here_document(&word, operator == Operator::HereStripped)?
            }
            Operator::Clobber => Target::File(Mode::Overwrite, word),
            _ => Target::File(Mode::Write, word),
        };
        Ok(Some(Redirection { descriptor, target, at }))
    }

    fn announce_here_document(&mut self, word: &Word, strip_tabs: bool) -> Parsed<Target> {
        let mut is_literal = false;
        let mut delimiter = Text::new();
        for piece in &word.pieces {
            match piece {
                Piece::Literal(text) => delimiter.extend_from_slice(text),
                Piece::Home => delimiter.push(b'~'),
                Piece::Quoted(text) => {
                    is_literal = true;
                    delimiter.extend_from_slice(text);
                }
                Piece::Double(pieces) => {
                    is_literal = true;
                    match pieces.as_slice() {
                        [] => {}
                        [Piece::Literal(text)] => delimiter.extend_from_slice(text),
                        _ => {
                            return Err(ParseError::wrong(word.at, "a here-document's end is not expanded"));
                        }
                    }
                }
                _ => {
                    return Err(ParseError::wrong(word.at, "a here-document's end is not expanded"));
                }
            }
        }
        let here = Here::default();
        let body = Rc::clone(&here.body);
        self.pending.push(Pending { delimiter, is_literal, strip_tabs, body, at: word.at });
        Ok(Target::Here(here))
    }
}

/// `name=value` taken apart.
fn split_assignment(word: &Word) -> Option<(Text, Word)> {
    let Some(Piece::Literal(text)) = word.pieces.first() else {
        return None;
    };
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let (name, rest) = (&text[..equals], &text[equals + 1..]);
    if !is_name(name) {
        return None;
    }
    let mut pieces = Vec::new();
    let last = word.pieces.len() - 1;
    push_with_homes(rest, true, last == 0, &mut pieces);
    for (index, piece) in word.pieces.iter().enumerate().skip(1) {
        match piece {
            Piece::Literal(text) => push_with_homes(text, false, index == last, &mut pieces),
            piece => pieces.push(piece.clone()),
        }
    }
    Some((name.to_vec(), Word { pieces, at: word.at }))
}

/// Literal text of an assignment's value, in which a `~` at the start or behind a colon may mean the home.
fn push_with_homes(text: &[u8], is_start: bool, is_end: bool, pieces: &mut Vec<Piece>) {
    let mut from = 0;
    for at in 0..text.len() {
        let begins = if at == 0 { is_start } else { text[at - 1] == b':' };
        let ends = text.get(at + 1).map_or(is_end, |byte| matches!(byte, b'/' | b':'));
        if text[at] == b'~' && begins && ends {
            if from < at {
                pieces.push(Piece::Literal(text[from..at].to_vec()));
            }
            pieces.push(Piece::Home);
            from = at + 1;
        }
    }
    if from < text.len() {
        pieces.push(Piece::Literal(text[from..].to_vec()));
    }
}

/// Whether a word means any node: an unquoted star, or a quoted one with constraints behind it.
fn means_anywhere(word: &Word) -> bool {
    let has_constraints = |text: &[u8]| matches!(text, [b'*', b' ' | b'\t' | b',', ..]);
    match word.pieces.as_slice() {
        [Piece::Literal(text)] => text == b"*",
        [Piece::Quoted(text)] => has_constraints(text),
        [Piece::Double(inner)] => {
            matches!(inner.first(), Some(Piece::Literal(text)) if has_constraints(text))
        }
        _ => false,
    }
}

/// Takes `@NODE`, `@ *` or `@ '* constraints'` from the end of a command that has a name before it.
fn take_placement(words: &mut Vec<Word>) -> Option<Where> {
    if let [_, .., at, star] = words.as_slice()
        && at.literal() == Some(b"@")
        && means_anywhere(star)
    {
        let star = words.pop()?;
        words.pop();
        return Some(Where::Anywhere(star));
    }
    let [_, .., last] = words.as_mut_slice() else {
        return None;
    };
    let is_only_piece = last.pieces.len() == 1;
    let Some(Piece::Literal(text)) = last.pieces.first_mut() else {
        return None;
    };
    let node = text.strip_prefix(b"@")?.to_vec();
    if node.is_empty() && is_only_piece {
        return None;
    }
    *text = node;
    if text.is_empty() {
        last.pieces.remove(0);
    }
    let word = words.pop()?;
    Some(if means_anywhere(&word) { Where::Anywhere(word) } else { Where::Node(word) })
}
