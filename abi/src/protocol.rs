//! The macro that declares a protocol, and what it yields.
//!
//! ```
//! abi::protocol! {
//!     /// Adds and forgets.
//!     pub mod adder = 0x70, enum Adder {
//!         /// Adds two numbers.
//!         Add = 1 { left: u32, right: u32 } => Sum { sum: u64 };
//!         /// Forgets everything.
//!         Forget = 2 {} => Forgotten {};
//!     }
//! }
//! use abi::Request;
//! let message = adder::Add { left: 2, right: 3 }.to_message();
//! assert_eq!(message.code(), 0x7001);
//! match adder::Adder::from_message(&message) {
//!     Some(adder::Adder::Add(add)) => assert_eq!(add.left + add.right, 5),
//!     _ => unreachable!(),
//! }
//! let [add, forget] = adder::OPERATIONS else { unreachable!() };
//! assert_eq!((add.code, add.name, forget.name), (0x7001, "Add", "Forget"));
//! let shown: Vec<String> =
//!     abi::words::values(add.request, &message).map(|(name, value)| format!("{name}={value}")).collect();
//! assert_eq!(shown, ["left=2", "right=3"]);
//! ```
//!
//! A request's code is the protocol's number times 256 plus the operation's. Each operation has a request and a
//! reply structure of at most six words, checked when compiled. A client calls by the request's type (its reply's
//! type follows); a server matches on the enum; a tracer reads the table of operations.

use crate::words::Field;
use crate::{Error, Message};

/// What a tracer has to know of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Word 0 of the request.
    pub code: u32,
    /// The request's name.
    pub name: &'static str,
    /// The request's fields.
    pub request: &'static [Field],
    /// The reply's.
    pub reply: &'static [Field],
}

/// A request that some server understands, and the reply that belongs to it.
pub trait Request: Copy {
    /// Word 0.
    const CODE: u32;
    /// The operation's name, as tracers print it.
    const NAME: &'static str;
    /// What comes back when it succeeds.
    type Reply: Reply;
    /// The request as a message.
    fn to_message(&self) -> Message;
    /// The request out of a message whose code is `CODE`.
    fn from_message(message: &Message) -> Self;
}

/// What a server answers.
pub trait Reply: Copy {
    /// The reply as a message, its code [`Error::OK_CODE`].
    fn to_message(&self) -> Message;
    /// The reply's fields out of a message; the code is the caller's to check.
    fn from_message(message: &Message) -> Self;
}

/// A reply that says no.
#[inline]
pub fn refusal(error: Error) -> Message {
    Message::with_code(error.code())
}

/// Declares one protocol. See the module's head.
#[macro_export]
macro_rules! protocol {
    (
        $(#[$module_doc:meta])*
        pub mod $module:ident = $protocol:literal, enum $Protocol:ident {
            $(
                $(#[$doc:meta])*
                $Request:ident = $operation:literal
                { $($(#[$request_field_doc:meta])* $request_field:ident : $request_type:ty),* $(,)? }
                => $Reply:ident
                { $($(#[$reply_field_doc:meta])* $reply_field:ident : $reply_type:ty),* $(,)? };
            )*
        }
    ) => {
        $(#[$module_doc])*
        pub mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                $crate::protocol!(@structure $(#[$doc])* $Request { $($(#[$request_field_doc])* $request_field: $request_type),* });
                $crate::protocol!(@structure
                    #[doc = concat!("The reply to [`", stringify!($Request), "`].")]
                    $Reply { $($(#[$reply_field_doc])* $reply_field: $reply_type),* });

                impl $crate::protocol::Request for $Request {
                    const CODE: u32 = $protocol << 8 | $operation;
                    const NAME: &'static str = stringify!($Request);
                    type Reply = $Reply;
                    #[inline]
                    fn to_message(&self) -> $crate::Message {
                        let mut message = $crate::Message::with_code(Self::CODE);
                        self.put(&mut message);
                        message
                    }
                    #[inline]
                    fn from_message(message: &$crate::Message) -> Self {
                        Self::get(message)
                    }
                }

                impl $crate::protocol::Reply for $Reply {
                    #[inline]
                    fn to_message(&self) -> $crate::Message {
                        let mut message = $crate::Message::with_code($crate::Error::OK_CODE);
                        self.put(&mut message);
                        message
                    }
                    #[inline]
                    fn from_message(message: &$crate::Message) -> Self {
                        Self::get(message)
                    }
                }
            )*

            /// Any request of this protocol, for a server to match on.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $Protocol {
                $($(#[$doc])* $Request($Request)),*
            }

            impl $Protocol {
                /// The request in `message`, or none if its code is not of this protocol.
                #[inline]
                pub fn from_message(message: &$crate::Message) -> Option<Self> {
                    use $crate::protocol::Request as _;
                    match message.code() {
                        $($Request::CODE => Some(Self::$Request($Request::from_message(message))),)*
                        _ => None,
                    }
                }
            }

            /// Every operation, for tracers.
            pub const OPERATIONS: &[$crate::protocol::Operation] = &[$($crate::protocol::Operation {
                code: $protocol << 8 | $operation,
                name: stringify!($Request),
                request: $Request::FIELDS,
                reply: $Reply::FIELDS,
            }),*];
        }
    };

    (@structure $(#[$doc:meta])* $Name:ident { $($(#[$field_doc:meta])* $field:ident : $type:ty),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        // A field whose name says all needs no line of its own.
        #[allow(missing_docs)]
        pub struct $Name {
            $($(#[$field_doc])* pub $field: $type),*
        }

        #[allow(unused_comparisons)] // of a structure without fields
        const _: () = assert!(
            0 $(+ <$type as $crate::Words>::COUNT)* <= $crate::message::FIELD_WORDS,
            "a request or reply has at most six words"
        );

        impl $Name {
            /// Its fields, for tracers.
            pub const FIELDS: &[$crate::words::Field] = &[$($crate::words::Field {
                name: stringify!($field),
                kind: <$type as $crate::Words>::KIND,
            }),*];

            #[inline]
            #[allow(unused_variables, unused_mut, unused_assignments)]
            fn put(self, message: &mut $crate::Message) {
                let mut at = 1;
                $(
                    $crate::Words::put(self.$field, &mut message.words[at..]);
                    at += <$type as $crate::Words>::COUNT;
                )*
            }

            #[inline]
            #[allow(unused_variables, unused_mut, unused_assignments)]
            fn get(message: &$crate::Message) -> Self {
                let mut at = 1;
                $(
                    let $field = <$type as $crate::Words>::get(&message.words[at..]);
                    at += <$type as $crate::Words>::COUNT;
                )*
                Self { $($field),* }
            }
        }
    };
}
