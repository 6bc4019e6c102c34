//! How typed values lie in the words of a message: each type says how many words it takes and how it goes in
//! and out. The compiler turns this into register moves; nothing is serialised.

use core::fmt;

use crate::{Message, Pid, UserId};

/// What a tracer has to know of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Of 32 bits, without sign.
    Word,
    /// Of 64 bits, without sign.
    Long,
    /// Of 32 bits, with a sign.
    Signed,
    /// A process or a group.
    Pid,
    /// A user.
    User,
}

impl Kind {
    /// How many words of a message it takes.
    pub const fn words(self) -> usize {
        match self {
            Kind::Word | Kind::Signed | Kind::User => 1,
            Kind::Long | Kind::Pid => 2,
        }
    }
}

/// A field of a request or a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// A number without sign.
    Unsigned(u64),
    /// A number with one.
    Signed(i32),
    /// A process or a group.
    Pid(Pid),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(value) => write!(f, "{value}"),
            Value::Signed(value) => write!(f, "{value}"),
            Value::Pid(pid) => write!(f, "{pid}"),
        }
    }
}

/// What these fields, in this order, hold in a message.
pub fn values<'a>(
    fields: &'a [Field],
    message: &'a Message,
) -> impl Iterator<Item = (&'static str, Value)> + 'a {
    let mut at = 1;
    fields.iter().map(move |field| {
        let words = &message.words[at..];
        at += field.kind.words();
        let value = match field.kind {
            Kind::Word | Kind::User => Value::Unsigned(u32::get(words).into()),
            Kind::Long => Value::Unsigned(u64::get(words)),
            Kind::Signed => Value::Signed(i32::get(words)),
            Kind::Pid => Value::Pid(Pid::get(words)),
        };
        (field.name, value)
    })
}

/// A value that fits whole words of a message.
pub trait Words: Copy {
    /// Which kind it is.
    const KIND: Kind;
    /// How many words it takes.
    const COUNT: usize = Self::KIND.words();
    /// Writes the value to the first `COUNT` words.
    fn put(self, words: &mut [u32]);
    /// Reads it back. Any words are legal: what they mean is the receiver's to check.
    fn get(words: &[u32]) -> Self;
}

impl Words for u32 {
    const KIND: Kind = Kind::Word;
    #[inline]
    fn put(self, words: &mut [u32]) {
        words[0] = self;
    }
    #[inline]
    fn get(words: &[u32]) -> u32 {
        words[0]
    }
}

impl Words for u64 {
    const KIND: Kind = Kind::Long;
    #[inline]
    fn put(self, words: &mut [u32]) {
        words[0] = self as u32;
        words[1] = (self >> 32) as u32;
    }
    #[inline]
    fn get(words: &[u32]) -> u64 {
        u64::from(words[0]) | u64::from(words[1]) << 32
    }
}

impl Words for i32 {
    const KIND: Kind = Kind::Signed;
    #[inline]
    fn put(self, words: &mut [u32]) {
        words[0] = self.cast_unsigned();
    }
    #[inline]
    fn get(words: &[u32]) -> i32 {
        words[0].cast_signed()
    }
}

impl Words for Pid {
    const KIND: Kind = Kind::Pid;
    #[inline]
    fn put(self, words: &mut [u32]) {
        self.to_bits().put(words);
    }
    #[inline]
    fn get(words: &[u32]) -> Pid {
        Pid::from_bits(u64::get(words))
    }
}

impl Words for UserId {
    const KIND: Kind = Kind::User;
    #[inline]
    fn put(self, words: &mut [u32]) {
        words[0] = self.0;
    }
    #[inline]
    fn get(words: &[u32]) -> UserId {
        UserId(words[0])
    }
}
