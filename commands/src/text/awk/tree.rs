//! The parts of a program.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::text::pattern::Pattern;

/// The variables that the language itself has, in the order of their places.
pub const SPECIAL: [&str; 14] = [
    "NR", "NF", "FNR", "FS", "OFS", "ORS", "RS", "FILENAME", "SUBSEP", "RSTART", "RLENGTH", "CONVFMT",
    "OFMT", "ENVIRON",
];

/// Places of special variables.
pub mod special {
    pub const NR: usize = 0;
    pub const NF: usize = 1;
    pub const FNR: usize = 2;
    pub const FS: usize = 3;
    pub const OFS: usize = 4;
    pub const ORS: usize = 5;
    pub const RS: usize = 6;
    pub const FILENAME: usize = 7;
    pub const SUBSEP: usize = 8;
    pub const RSTART: usize = 9;
    pub const RLENGTH: usize = 10;
    pub const CONVFMT: usize = 11;
    pub const OFMT: usize = 12;
    pub const ENVIRON: usize = 13;
}

/// Where a variable is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variable {
    /// Among those of the whole program.
    Global(usize),
    /// Among those of the function.
    Local(usize),
}

/// What can be assigned to.
#[derive(Debug)]
pub enum Place {
    /// A variable.
    Variable(Variable),
    /// An array's element.
    Element(Variable, Vec<Expression>),
    /// `$`
    Field(Box<Expression>),
}

/// Of two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

/// Of two values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
}

/// A built-in function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    Length,
    Substr,
    Index,
    Split,
    Sub,
    Gsub,
    Match,
    ToLower,
    ToUpper,
    Sprintf,
    Int,
    Sqrt,
    Exp,
    Log,
    Sin,
    Cos,
    Atan2,
    Rand,
    Srand,
    Close,
}

/// An expression.
#[derive(Debug)]
pub enum Expression {
    Number(f64),
    Text(Rc<[u8]>),
    /// A pattern alone, which is matched with the record; its place among the program's.
    Pattern(usize),
    Place(Place),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    /// `+x`
    Numeric(Box<Expression>),
    Arithmetic(Arithmetic, Box<Expression>, Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Concatenate(Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Choose(Box<Expression>, Box<Expression>, Box<Expression>),
    /// `~` and, negated, `!~`
    Match {
        text: Box<Expression>,
        pattern: Box<Expression>,
        is_negated: bool,
    },
    In(Vec<Expression>, Variable),
    Assign(Place, Option<Arithmetic>, Box<Expression>),
    /// `++` and `--`
    Step {
        place: Place,
        by: f64,
        is_before: bool,
    },
    Call(usize, Vec<Expression>),
    Builtin(Function, Vec<Expression>),
    Getline {
        place: Option<Place>,
        file: Option<Box<Expression>>,
    },
    /// `(a, b)`, which has a meaning only before `in` and behind `print`.
    List(Vec<Expression>),
}

/// A statement.
#[derive(Debug)]
pub enum Statement {
    Expression(Expression),
    Print {
        values: Vec<Expression>,
        is_formatted: bool,
        target: Option<Target>,
    },
    If(Expression, Vec<Statement>, Vec<Statement>),
    While(Expression, Vec<Statement>),
    DoWhile(Vec<Statement>, Expression),
    For(Option<Box<Statement>>, Option<Expression>, Option<Box<Statement>>, Vec<Statement>),
    ForIn(Variable, Variable, Vec<Statement>),
    Break,
    Continue,
    Next,
    Exit(Option<Expression>),
    Return(Option<Expression>),
    /// An element, or without words all of an array.
    Delete(Variable, Option<Vec<Expression>>),
    Block(Vec<Statement>),
}

/// Where `print` writes.
#[derive(Debug)]
pub struct Target {
    pub file: Expression,
    pub appends: bool,
}

/// For which records a rule is.
#[derive(Debug)]
pub enum Condition {
    Begin,
    End,
    Always,
    If(Expression),
    /// From one to another; its place among the ranges.
    Range(Expression, Expression, usize),
}

/// A pattern with an action.
#[derive(Debug)]
pub struct Rule {
    pub condition: Condition,
    /// None prints the record.
    pub action: Option<Vec<Statement>>,
}

/// A function of the program's.
#[derive(Debug, Default)]
pub struct Routine {
    pub name: String,
    pub parameters: Vec<String>,
    pub body: Vec<Statement>,
    pub is_defined: bool,
}

/// A whole program.
#[derive(Default)]
pub struct Program {
    pub rules: Vec<Rule>,
    pub routines: Vec<Routine>,
    pub patterns: Vec<Pattern>,
    /// Names of global variables by their places.
    pub globals: Vec<String>,
    pub ranges: usize,
}
