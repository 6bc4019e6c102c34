//! User ids and rights: what a team may do. Handed down at creation, never widened, never sent over a network.

use core::fmt;

/// Who a team acts for. Stamped on every message by the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
#[repr(transparent)]
pub struct UserId(pub u32);

impl UserId {
    /// The system's own servers.
    pub const SYSTEM: UserId = UserId(0);
    /// The person at the console, who may stop and start services.
    pub const OPERATOR: UserId = UserId(1);
    /// First of the ordinary users.
    pub const FIRST_ORDINARY: UserId = UserId(100);

    /// Whether this is one of the system's own servers.
    pub const fn is_system(self) -> bool {
        self.0 == UserId::SYSTEM.0
    }

    /// Whether this user may manage services: the system or the operator.
    pub const fn may_operate(self) -> bool {
        self.0 <= UserId::OPERATOR.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Rights(pub u32);

macro_rules! rights {
    ($($(#[$doc:meta])* $NAME:ident = $bit:literal, $word:literal;)*) => {
        impl Rights {
            $($(#[$doc])* pub const $NAME: Rights = Rights(1 << $bit);)*
            /// Every right with the word that stands for it in configuration files.
            pub const NAMES: &[(Rights, &str)] = &[$((Rights::$NAME, $word)),*];
        }
    };
}

rights! {
    /// Create teams with another user id, with rights, or with more quota than one's own.
    CREATE_FOR_OTHERS = 0, "create-for-others";
    /// Destroy, suspend, query in full and modify other users' processes.
    CONTROL_OTHERS = 1, "control-others";
    /// Hand out device resources that one was granted. Using them needs the grant alone.
    DEVICES = 2, "devices";
    /// Register a global prefix with the naming server.
    REGISTER_PREFIX = 3, "register-prefix";
    /// Be the kernel's partner for remote processes.
    NETWORK_SERVER = 4, "network-server";
    /// Forward messages of any user.
    FORWARD = 5, "forward";
    /// Wire memory beyond the quota's share.
    WIRE_MEMORY = 6, "wire-memory";
    /// Be told of exceptions in other teams.
    EXCEPTION_SERVER = 7, "exception-server";
    /// Set the clock.
    SET_TIME = 8, "set-time";
    /// Read the kernel's trace ring and log.
    TRACE = 9, "trace";
    /// Switch the machine off or restart it.
    POWER = 10, "power";
    /// Run at system and real-time priorities.
    HIGH_PRIORITY = 11, "high-priority";
}

impl Rights {
    /// None at all.
    pub const NONE: Rights = Rights(0);
    /// All that there are; the first team's.
    pub const ALL: Rights = Rights(u32::MAX);

    /// Whether every right of `other` is in this set.
    #[inline]
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// What both sets have.
    #[must_use]
    pub const fn intersection(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

impl crate::Words for Rights {
    const KIND: crate::words::Kind = crate::words::Kind::Word;
    #[inline]
    fn put(self, words: &mut [u32]) {
        words[0] = self.0;
    }
    #[inline]
    fn get(words: &[u32]) -> Rights {
        Rights(words[0])
    }
}
